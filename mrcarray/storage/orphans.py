"""Temporary files of killed writers: their names, how they differ from those of live writers, and their removal.

All temporary files have names of the pattern ``.NAME.TOKEN.mrcarray-tmp``; the token encodes their kind:

=================  ==========================================  ===============================================
token              writer                                      an orphan when
=================  ==========================================  ===============================================
``HHHrrrrr``       one process of this host, which holds       the lock is free; without locks, a day without
                   `flock` on the file                         a change
``HHHrrrrr``       a process of another host                   the lock is free and a day without a change:
                                                               locks may not reach across hosts
``_rrrrrrr``       several processes, none with a lock         an hour without a change (the lease ran out)
=================  ==========================================  ===============================================

``HHH`` identifies the host and its boot. A temporary directory has a name of the same pattern, and its writer locks the
file `LOCK` in it. A directory that is being replaced, where names cannot be exchanged, ends in `SET_ASIDE` meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import secrets
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrcarray.positional_io import OWN_FILE, READ_WRITE
from mrcarray.storage.syscalls import calls

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "LEASE_SECONDS",
    "LOCK",
    "NAME_MAX",
    "OTHER_HOST_SECONDS",
    "SET_ASIDE",
    "SUFFIX",
    "Leftover",
    "clean_up",
    "lease_name",
    "leftovers",
    "new_name",
    "put_back",
    "remove",
    "remove_orphans",
    "set_aside",
    "temp_names",
]

SUFFIX = ".mrcarray-tmp"
"""Last part of the name of every temporary file."""

SET_ASIDE = ".mrcarray-old"
"""Last part of the name of a directory that is being replaced where names cannot be exchanged."""

NAME_MAX = 255
"""Bytes the name of a file may have."""

LOCK = "lock"
"""Name of the file in a temporary directory that its writer locks."""

LEASE_SECONDS = 3600.0
"""Seconds without a change after which a leased file is an orphan. Writers renew it every few minutes."""

OTHER_HOST_SECONDS = 86400.0
"""The same for files whose lock proves nothing: the file system has no locks, or another host created the file."""

_TOKEN = 8
_HOST_MARK = 3
_LEASED = "_"
_FLAGS = READ_WRITE | OWN_FILE


@functools.cache
def host_mark() -> str:
    """Return three hexadecimal digits that differ between most hosts, and between two boots of one host."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text(encoding="ascii") if boot.exists() else ""
    return hashlib.blake2b(f"{platform.node()} {started}".encode(), digest_size=2).hexdigest()[:_HOST_MARK]


def temp_names(path: str) -> tuple[str, str]:
    """Return the parts before and after the token in the name of a temporary file for `path`."""
    name = os.path.basename(path)  # noqa: PTH119 -- a str
    most = NAME_MAX - _TOKEN - len(SUFFIX) - 2
    raw = os.fsencode(name)[:most]
    return f".{os.fsdecode(raw)}.", SUFFIX


def new_name(path: str) -> str:
    """Return a new name for the temporary file of one process, in the directory of `path`."""
    return _name(path, host_mark() + secrets.token_hex(_TOKEN)[: _TOKEN - _HOST_MARK])


def lease_name(path: str, token: str) -> str:
    """Return the name of a temporary file that several processes write without locking it."""
    return _name(path, _LEASED + token[: _TOKEN - 1])


def _name(path: str, token: str) -> str:
    before, after = temp_names(path)
    return os.path.join(os.path.dirname(path), before + token + after)  # noqa: PTH118, PTH120 -- a str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A temporary file or directory, or one that was set aside.

    Parameters
    ----------
    path : str
        The file or directory.
    size : int
        Bytes; for a directory the sum of its files.
    is_orphan : bool
        Whether its writer is gone, so that it may be removed or put back.
    state : str
        "orphan", "removed", "put back", "kept" or "in use".
    reason : str
        Why it is an orphan, or is not.
    """

    path: str
    size: int
    is_orphan: bool
    state: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"path": self.path, "size": self.size, "state": self.state, "reason": self.reason}


def leftovers(folder: str, *, now: float | None = None) -> Iterator[Leftover]:
    """Yield the temporary files and directories in `folder`, except those that cannot be examined."""
    for path in _temporary(folder):
        with contextlib.suppress(OSError):
            found = _examine(path, time.time() if now is None else now, removing=False)
            if found is not None:
                yield found


def remove(path: str, *, now: float | None = None) -> bool:
    """Remove a temporary file or directory if it is an orphan; return whether it was."""
    found = _examine(path, time.time() if now is None else now, removing=True)
    return found is not None and found.is_orphan


def remove_orphans(folder: str, *, now: float | None = None) -> None:
    """Remove the orphans in a directory, except those that cannot be removed.

    Parameters
    ----------
    folder : str
        The directory.
    now : float, optional
        The time on the file system, such as the modification time of a file just created there: the clock of a file
        server may differ from ours.
    """
    with contextlib.suppress(OSError):
        for path in list(_temporary(folder)):
            with contextlib.suppress(OSError):
                remove(path, now=now)


def clean_up(folder: str, *, delete: bool) -> Iterator[Leftover]:
    """Yield everything that writers left in a directory, and remove or put back the orphans if wanted.

    Parameters
    ----------
    folder : str
        The directory.
    delete : bool
        Whether to remove orphans, and to give directories that were set aside their names back.
    """
    now = _clock(folder) if delete else None
    for one in sorted(leftovers(folder, now=now), key=lambda left: left.path):
        removed = delete and one.is_orphan and remove(one.path, now=now)
        yield replace(one, state="removed") if removed else one
    with os.scandir(folder) as entries:
        paths = sorted(entry.path for entry in entries if entry.name.endswith(SET_ASIDE))
    for path in paths:
        yield _clean_set_aside(path, delete=delete)


def _clock(folder: str) -> float | None:
    """Return the time on the file system, which may be that of a server; None where no file can be created."""
    import tempfile  # only `mrcarray clean` needs it

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _clean_set_aside(path: str, *, delete: bool) -> Leftover:
    """Return a directory that was set aside, after it got its name back if that is wanted and possible."""
    if _is_replaced_now(path):
        return Leftover(path, 0, is_orphan=False, state="in use", reason="set aside while it is replaced")
    folder, name = os.path.split(path)
    target = os.path.join(folder, name[1:].removesuffix(SET_ASIDE).rpartition(".")[0])  # noqa: PTH118 -- a str
    shown = os.path.basename(target)  # noqa: PTH119 -- a str
    if os.path.lexists(target):
        reason = f"{shown} is there again; if it is complete, delete this one by hand"
        return Leftover(path, 0, is_orphan=False, state="kept", reason=reason)
    if delete:
        with contextlib.suppress(OSError):
            calls.rename(path, target)
    state = "put back" if os.path.lexists(target) else "orphan"
    reason = f"{shown} was being replaced when its writer was killed"
    return Leftover(path, 0, is_orphan=True, state=state, reason=reason)


def _is_replaced_now(path: str) -> bool:
    """Whether the new content of a directory that was set aside exists, so that its writer may be at work."""
    return os.path.lexists(path.removesuffix(SET_ASIDE) + SUFFIX)


def set_aside(target: str) -> Iterator[str]:
    """Yield the directories that were set aside for a target and have not been removed yet."""
    folder, (before, _) = os.path.dirname(target), temp_names(target)  # noqa: PTH120 -- a str
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith(before) and entry.name.endswith(SET_ASIDE):
                yield entry.path


def put_back(target: str) -> bool:
    """Put back a directory that a killed process set aside, if the target does not exist; return whether it was."""
    if os.path.lexists(target):
        return False
    for old in list(set_aside(target)):
        if not _is_replaced_now(old):
            calls.rename(old, target)
            return True
    return False


def _temporary(folder: str) -> Iterator[str]:
    """Yield the paths in `folder` whose names are those of temporary files."""
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(SUFFIX) and name.startswith(".") and _token(name) is not None:
                yield entry.path


def _token(name: str) -> str | None:
    """Return the token in a name, or None if it has none."""
    token = name[: -len(SUFFIX)].rpartition(".")[2]
    return token if len(token) == _TOKEN and token.isascii() and token.removeprefix(_LEASED).isalnum() else None


def _examine(path: str, now: float, *, removing: bool) -> Leftover | None:
    """Examine a temporary file, and remove an orphan while its lock is held; return None when it is not ours."""
    found = os.lstat(path)
    is_folder = stat.S_ISDIR(found.st_mode)
    if not (is_folder or stat.S_ISREG(found.st_mode)):
        return None
    age = now - (_last_change(path) if is_folder else found.st_mtime)
    try:
        descriptor = calls.open(os.path.join(path, LOCK) if is_folder else path, _FLAGS)  # noqa: PTH118 -- a str
    except FileNotFoundError:  # a directory whose writer was killed before it created the lock
        return _leftover(path, found, *_by_age(age, LEASE_SECONDS, "no lock"), removing=removing)
    try:
        if not is_folder and not os.path.samestat(calls.fstat(descriptor), found):
            return None
        return _leftover(path, found, *_judge(path, calls.lock(descriptor), age), removing=removing)
    finally:
        calls.close(descriptor)


def _leftover(path: str, found: os.stat_result, is_orphan: bool, reason: str, *, removing: bool) -> Leftover:  # noqa: FBT001 -- from `_judge`
    """Return the leftover with its size; or without it, after an orphan was removed."""
    state = "orphan" if is_orphan else "in use"
    if not removing:
        return Leftover(path, _size(path, found), is_orphan, state, reason)
    if is_orphan and os.path.samestat(found, os.lstat(path)):
        (calls.rmtree if stat.S_ISDIR(found.st_mode) else calls.unlink)(path)
    return Leftover(path, 0, is_orphan, state, reason)


def _judge(path: str, is_free: bool | None, age: float) -> tuple[bool, str]:  # noqa: FBT001 -- None is unknown
    """Return whether a temporary file is an orphan, and why."""
    token = _token(os.path.basename(path)) or ""  # noqa: PTH119 -- a str
    if is_free is False:
        return False, "its writer holds the lock"
    if token.startswith(_LEASED):
        return _by_age(age, LEASE_SECONDS, "leased")
    if not token.startswith(host_mark()):
        return _by_age(age, OTHER_HOST_SECONDS, "created on another host")
    if is_free is None:
        return _by_age(age, OTHER_HOST_SECONDS, "no locks on this file system")
    return True, "its writer is gone"


def _by_age(age: float, most: float, what: str) -> tuple[bool, str]:
    if age > most:
        return True, f"{what}, unchanged for more than {most / 3600:g} h"
    return False, f"{what}, changed in the last {most / 3600:g} h"


def _last_change(folder: str) -> float:
    """Return the time of the last change of anything in a directory."""
    return max(os.lstat(folder).st_mtime, *(found.st_mtime for found in _all_below(folder)))


def _size(path: str, found: os.stat_result) -> int:
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size
    return sum(one.st_size for one in _all_below(path) if not stat.S_ISDIR(one.st_mode))


def _all_below(folder: str) -> Iterator[os.stat_result]:
    """Yield the status of every file and directory below a directory, except those that disappear meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in (".", *names):
            with contextlib.suppress(OSError):
                yield os.lstat(os.path.join(parent, name))  # noqa: PTH118 -- a str

"""Temporary files that killed writers leave behind: their names, and how they differ from those of live writers.

Three kinds of temporary file share the pattern ``.NAME.TOKEN.mrcarray-tmp``; the token names the kind:

=================  ==========================================  ===============================================
token              writer                                      an orphan when
=================  ==========================================  ===============================================
``HHHrrrrr``       one process of this host, which holds       the lock is free; without locks, a day without
                   `flock` on the file                         a change
``HHHrrrrr``       a process of another host                   the lock is free and a day without a change:
                                                               locks may not reach across hosts
``_rrrrrrr``       several processes, none with a lock         an hour without a change (the lease ran out)
=================  ==========================================  ===============================================

``HHH`` identifies the host and its boot. A folder has the same name and holds the lock in a file `LOCK`. The functions
take the system calls as an argument, so that `mrcarray.storage.atomic` can import this module.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "LEASE_SECONDS",
    "LOCK",
    "NAME_MAX",
    "OTHER_HOST_SECONDS",
    "SUFFIX",
    "Leftover",
    "lease_name",
    "leftovers",
    "new_name",
    "remove",
    "remove_orphans",
    "temp_names",
]

SUFFIX = ".mrcarray-tmp"
"""Last part of the name of every temporary file."""

NAME_MAX = 255
"""Bytes the name of a file may have."""

LOCK = "lock"
"""Name of the file in a temporary folder that its writer locks."""

LEASE_SECONDS = 3600.0
"""Seconds without a change after which a leased file is an orphan. Writers renew it every few minutes."""

OTHER_HOST_SECONDS = 86400.0
"""Likewise where a lock proves nothing: there is none, or another host made the file."""

_TOKEN = 8
_MARK = 3
_LEASED = "_"
_LOOK = os.O_NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@functools.cache
def host_mark() -> str:
    """Return three hexadecimal digits that differ between most hosts, and between two boots of one."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text(encoding="ascii") if boot.exists() else ""
    return hashlib.blake2b(f"{os.uname().nodename} {started}".encode(), digest_size=2).hexdigest()[:_MARK]


def temp_names(path: str) -> tuple[str, str]:
    """Return what comes before and after the token in the name of a temporary file for `path`."""
    name = os.path.basename(path)  # noqa: PTH119 -- a str
    most = NAME_MAX - _TOKEN - len(SUFFIX) - 2
    raw = os.fsencode(name)[:most]
    return f".{os.fsdecode(raw)}.", SUFFIX


def new_name(path: str) -> str:
    """Return a new name for the temporary file of one process, next to `path`."""
    return _named(path, host_mark() + secrets.token_hex(_TOKEN)[: _TOKEN - _MARK])


def lease_name(path: str, token: str) -> str:
    """Return the name of a temporary file that several processes write to while none holds its lock."""
    return _named(path, _LEASED + token[: _TOKEN - 1])


def _named(path: str, token: str) -> str:
    before, after = temp_names(path)
    return os.path.join(os.path.dirname(path), before + token + after)  # noqa: PTH118, PTH120 -- a str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A temporary file or folder, and whether its writer is gone.

    Parameters
    ----------
    path : str
        The file.
    size : int
        Bytes, of a folder those of all files in it.
    age : float
        Seconds since the last change.
    is_orphan : bool
        Whether it may be removed.
    reason : str
        Why, or why not.
    """

    path: str
    size: int
    age: float
    is_orphan: bool
    reason: str


def leftovers(folder: str, calls: Any, *, now: float | None = None) -> Iterator[Leftover]:
    """Yield the temporary files and folders in `folder`; those that cannot be examined are left out."""
    for path in _temporary(folder):
        with contextlib.suppress(OSError):
            found = _examined(path, calls, time.time() if now is None else now, removing=False)
            if found is not None:
                yield found


def remove(path: str, calls: Any, *, now: float | None = None) -> bool:
    """Remove a temporary file or folder if its writer is gone; return whether it was."""
    found = _examined(path, calls, time.time() if now is None else now, removing=True)
    return found is not None and found.is_orphan


def remove_orphans(folder: str, calls: Any, *, now: float | None = None) -> None:
    """Remove what killed writers left in `folder`; what cannot be removed stays.

    Parameters
    ----------
    folder : str
        The folder.
    calls : Calls
        The system calls.
    now : float, optional
        The time on the file system, such as the modification time of a file just made there: the clock of a file
        server may differ from ours.
    """
    with contextlib.suppress(OSError):
        for path in list(_temporary(folder)):
            with contextlib.suppress(OSError):
                remove(path, calls, now=now)


def _temporary(folder: str) -> Iterator[str]:
    """Yield the paths in `folder` whose names are those of temporary files."""
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(SUFFIX) and name.startswith(".") and _token(name) is not None:
                yield entry.path


def _token(name: str) -> str | None:
    """Return the token in a name, None where there is none."""
    token = name[: -len(SUFFIX)].rpartition(".")[2]
    return token if len(token) == _TOKEN and token.isascii() and token.removeprefix(_LEASED).isalnum() else None


def _examined(path: str, calls: Any, now: float, *, removing: bool) -> Leftover | None:
    """Examine a temporary file, and remove an orphan while its lock is held; None when it is not one of ours."""
    found = os.lstat(path)
    is_folder = stat.S_ISDIR(found.st_mode)
    if not (is_folder or stat.S_ISREG(found.st_mode)):
        return None
    lock = os.path.join(path, LOCK) if is_folder else path  # noqa: PTH118 -- a str
    age = now - (_changed(path) if is_folder else found.st_mtime)
    try:
        descriptor = calls.open(lock, os.O_RDWR | _LOOK)
    except FileNotFoundError:  # a folder whose writer was killed before it made the lock
        orphan, why = _by_age(age, LEASE_SECONDS, "no lock")
        return _settled(path, found, calls, Leftover(path, 0, age, orphan, why), removing=removing)
    try:
        if not is_folder and not os.path.samestat(calls.fstat(descriptor), found):
            return None
        orphan, why = _judged(path, calls.lock(descriptor), age)
        return _settled(path, found, calls, Leftover(path, 0, age, orphan, why), removing=removing)
    finally:
        calls.close(descriptor)


def _settled(path: str, found: os.stat_result, calls: Any, what: Leftover, *, removing: bool) -> Leftover:
    """Return the leftover with its size, after it was removed if it is an orphan and that is wanted."""
    if not removing:
        return replace(what, size=_size(path, found))
    if what.is_orphan and os.path.samestat(found, os.lstat(path)):
        (calls.rmtree if stat.S_ISDIR(found.st_mode) else calls.unlink)(path)
    return what


def _judged(path: str, is_free: bool | None, age: float) -> tuple[bool, str]:  # noqa: FBT001 -- private; None is unknown
    """Return whether a temporary file is an orphan, and why."""
    token = _token(os.path.basename(path)) or ""  # noqa: PTH119 -- a str
    if is_free is False:
        return False, "its writer holds the lock"
    if token.startswith(_LEASED):
        return _by_age(age, LEASE_SECONDS, "leased")
    if not token.startswith(host_mark()):
        return _by_age(age, OTHER_HOST_SECONDS, "made on another host")
    if is_free is None:
        return _by_age(age, OTHER_HOST_SECONDS, "no locks on this file system")
    return True, "its writer is gone"


def _by_age(age: float, most: float, what: str) -> tuple[bool, str]:
    if age > most:
        return True, f"{what}, unchanged for more than {most / 3600:g} h"
    return False, f"{what}, changed in the last {most / 3600:g} h"


def _changed(folder: str) -> float:
    """Return the time of the last change of anything in a folder."""
    found = [os.lstat(folder).st_mtime]
    for place, _, names in os.walk(folder):
        found.append(os.lstat(place).st_mtime)
        for name in names:
            with contextlib.suppress(OSError):
                found.append(os.lstat(os.path.join(place, name)).st_mtime)  # noqa: PTH118 -- a str
    return max(found)


def _size(path: str, found: os.stat_result) -> int:
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 -- a str
    return total

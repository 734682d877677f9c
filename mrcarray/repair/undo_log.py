"""The undo record beside a file: a line of JSON a change, the last one last."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass, field, replace

from mrcarray.errors import MrcValueError
from mrcarray.storage import atomic
from mrcarray.storage.atomic import NAME_MAX, AtomicFile

__all__ = ["Record", "digest", "forget", "recall", "remember", "undo_path"]

HEADER = 1024
SUFFIX = ".mrcarray-undo"
_DIGEST = 16
_MOST = 16 << 20
"""Bytes of a record that are read: a change takes at most 4 kB."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def undo_path(path: str | os.PathLike[str]) -> str:
    """Return where the undo records of a file are kept; a digest stands for the end of a name that would be too long.

    Examples
    --------
    >>> undo_path("/data/tomo.mrc")
    '/data/.tomo.mrc.mrcarray-undo'
    """
    folder, name = os.path.split(os.path.realpath(os.fsdecode(path)))
    raw = os.fsencode(name)
    if 1 + len(raw) + len(SUFFIX) > NAME_MAX:
        kept = os.fsdecode(raw[: NAME_MAX - len(SUFFIX) - _DIGEST - 2])
        name = f"{kept}.{hashlib.sha256(raw).hexdigest()[:_DIGEST]}"
    return os.path.join(folder, f".{name}{SUFFIX}")  # noqa: PTH118 -- names need not be text


def remember(path: str, start: int, old: bytes, new: bytes, rest: str) -> None:
    """Add the record of a change, before it is made; records that were there stay whole when it cannot be added."""
    record = {"offset": start, "before": old.hex(), "after": new.hex(), "rest": rest, "time": round(time.time())}
    target = undo_path(path)
    try:
        _replace(target, [*_whole_lines(target), json.dumps(record)])
    except OSError as error:
        advice = "; --no-undo changes the file without a record"
        raise type(error)(error.errno, f"{error.strerror}{advice}", target) from None


def _replace(target: str, lines: list[str]) -> None:
    """Write all lines as a new file, which takes the name of the old one: no power cut leaves half a line."""
    with AtomicFile(target, overwrite=True, follow=False, mode=0o600) as file:
        file.write_at(0, "".join(f"{line}\n" for line in lines).encode("ascii"))
        file.commit()


def _lines(target: str) -> list[str]:
    """Return the lines of a record, which must be a regular file of a size that records have.

    Raises
    ------
    FileNotFoundError
        When there is none.
    OSError
        When it is something else: a symbolic link could lead anywhere, a pipe never ends.
    UnicodeDecodeError
        When it is not text.
    """
    try:
        descriptor = os.open(target, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "the undo record is a symbolic link; delete it", target) from None
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "the undo record is not a regular file; delete it", target)
        if found.st_size > _MOST:
            raise OSError(errno.EFBIG, f"the undo record has {found.st_size} bytes; at most {_MOST} are read", target)
        return file.read(_MOST).decode("ascii").splitlines()


def _whole_lines(target: str) -> list[str]:
    """Return the lines of a record but the last if it is not JSON: the power went before its change was made."""
    try:
        lines = _lines(target)
        json.loads(lines[-1] if lines else "0")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "the undo record is not text; delete it", target) from None
    except (ValueError, RecursionError):
        return lines[:-1]
    return lines


def digest(header: bytes, start: int, stop: int) -> str:
    """Return what tells a header from others by the bytes outside a change, which the change leaves alone."""
    return hashlib.sha256(header[:start] + header[stop:]).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """A change that can be taken back.

    Parameters
    ----------
    offset : int
        First byte.
    before, after : bytes
        The bytes.
    rest : str
        Digest of the header's other bytes; empty when it was not recorded.
    others : list of str
        The lines of the changes before this one.
    """

    offset: int
    before: bytes
    after: bytes
    rest: str = ""
    others: list[str] = field(default_factory=list)


def recall(path: str) -> Record:
    """Return the last record of a file, and the lines of those before it."""
    target = undo_path(path)
    try:
        lines = _lines(target)
    except FileNotFoundError:
        raise MrcValueError("there is nothing to undo: no change was recorded beside the file") from None
    except UnicodeDecodeError:
        raise MrcValueError("the undo record is damaged") from None
    found = [record for record in map(_parsed, lines[-2:]) if record is not None]
    if not found or (len(found) == 1 and len(lines) > 1 and _parsed(lines[-1]) is None and _is_json(lines[-1])):
        raise MrcValueError("the undo record is damaged")
    at = len(lines) if _parsed(lines[-1]) is not None else len(lines) - 1
    return replace(found[-1], others=lines[: at - 1])


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _parsed(line: str) -> Record | None:
    """Return the record in a line, None when it is not one."""
    try:
        facts = json.loads(line)
        offset, rest = facts["offset"], facts.get("rest", "")
        before, after = bytes.fromhex(facts["before"]), bytes.fromhex(facts["after"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(offset) is not int or not isinstance(rest, str) or len(before) != len(after):
        return None
    return Record(offset, before, after, rest) if 0 <= offset <= HEADER - len(before) else None


def forget(path: str, others: list[str]) -> None:
    """Keep only the first lines of the record; without any, remove it."""
    target = undo_path(path)
    if others:
        _replace(target, others)
        return
    with contextlib.suppress(FileNotFoundError):
        atomic.calls.unlink(target)
    atomic.sync_folder(os.path.dirname(target))  # noqa: PTH120 -- names need not be text

"""The undo record beside a file: a line of JSON a change, the last one last."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mrcarray.errors import MrcValueError
from mrcarray.storage.atomic import NAME_MAX

if TYPE_CHECKING:
    from io import FileIO

__all__ = ["Record", "digest", "forget", "recall", "remember", "undo_path"]

HEADER = 1024
SUFFIX = ".mrcarray-undo"
_DIGEST = 16


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
        with open(target, "ab", buffering=0) as file:  # noqa: PTH123 -- names need not be text
            _append(file, f"{json.dumps(record)}\n".encode("ascii"))
    except OSError as error:
        advice = "; --no-undo changes the file without a record"
        raise type(error)(error.errno, f"{error.strerror}{advice}", target) from None


def _append(file: FileIO, line: bytes) -> None:
    whole = file.tell()
    try:
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 -- what follows undoes it
        os.fsync(file.fileno())
    except OSError:
        file.truncate(whole)
        if not whole:
            os.unlink(file.name)  # noqa: PTH108 -- names need not be text
        raise


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
    try:
        with open(undo_path(path), encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
            *others, last = file.read().splitlines()
        found = json.loads(last)
        before, after = bytes.fromhex(found["before"]), bytes.fromhex(found["after"])
        record = Record(found["offset"], before, after, found.get("rest", ""), others)
    except FileNotFoundError:
        raise MrcValueError("there is nothing to undo: no change was recorded beside the file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MrcValueError("the undo record is damaged") from error
    if not 0 <= record.offset <= HEADER - len(record.before) or len(record.before) != len(record.after):
        raise MrcValueError("the undo record is damaged")
    return record


def forget(path: str, others: list[str]) -> None:
    """Keep only the first lines of the record; without any, remove it."""
    target = undo_path(path)
    if not others:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)  # noqa: PTH108 -- names need not be text
        return
    os.truncate(target, sum(len(line) + 1 for line in others))

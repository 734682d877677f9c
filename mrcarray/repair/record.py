"""The undo record beside a file: a line of JSON a change, the last one last."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field

from mrcarray.errors import MrcValueError

__all__ = ["Record", "forget", "recall", "remember", "undo_path"]

HEADER = 1024


def undo_path(path: str | os.PathLike[str]) -> str:
    """Return where the undo records of a file are kept.

    Examples
    --------
    >>> undo_path("/data/tomo.mrc")
    '/data/.tomo.mrc.mrcarray-undo'
    """
    folder, name = os.path.split(os.path.realpath(os.fsdecode(path)))
    return os.path.join(folder, f".{name}.mrcarray-undo")  # noqa: PTH118 -- names need not be text


def remember(path: str, start: int, old: bytes, new: bytes) -> None:
    """Add the record of a change, before it is made."""
    record = {"offset": start, "before": old.hex(), "after": new.hex(), "time": round(time.time())}
    with open(undo_path(path), "a", encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Record:
    """A change that can be taken back."""

    offset: int
    before: bytes
    after: bytes
    others: list[str] = field(default_factory=list)


def recall(path: str) -> Record:
    """Return the last record of a file, and the lines of those before it."""
    try:
        with open(undo_path(path), encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
            *others, last = file.read().splitlines()
        found = json.loads(last)
        record = Record(found["offset"], bytes.fromhex(found["before"]), bytes.fromhex(found["after"]), others)
    except FileNotFoundError:
        raise MrcValueError("there is nothing to undo: no change was recorded beside the file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MrcValueError("the undo record is damaged") from error
    if not 0 <= record.offset <= HEADER - len(record.before) or len(record.before) != len(record.after):
        raise MrcValueError("the undo record is damaged")
    return record


def forget(path: str, others: list[str]) -> None:
    """Keep only some lines of the record; without any, remove it."""
    target = undo_path(path)
    if not others:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)  # noqa: PTH108 -- names need not be text
        return
    with open(target, "w", encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
        file.write("".join(f"{line}\n" for line in others))

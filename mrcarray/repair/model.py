"""The values of repairs: what a caller knows, what changes in a header, and what was changed in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.format.fields import ALIASES, FIELDS
from mrcarray.validation.report import plain_issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.format.header import Header
    from mrcarray.format.issues import Issue

__all__ = ["Change", "Repair", "RepairOptions"]


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """What the caller knows and the file does not contain.

    Parameters
    ----------
    voxel_size : tuple of float, optional
        Along x, y, z in ångström.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack".
    """

    voxel_size: tuple[float, float, float] | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One header word, or label, that changes.

    Parameters
    ----------
    word : int
        Number of the header word, from 1.
    name : str
        Its name.
    before, after : object
        Its values.
    offset : int
        Its first byte.
    old, new : bytes
        Its bytes.
    """

    word: int
    name: str
    before: Any
    after: Any
    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Repair:
    """What was changed in a file, or would be changed.

    Parameters
    ----------
    path : str
        The file.
    before, after : Header
        Its header.
    done : tuple of str
        Codes of the issues that are repaired.
    left : tuple of Issue
        Warnings and errors that remain.
    asks : tuple of Issue
        Why an issue was not repaired; the hint says what to pass.
    """

    path: str
    before: Header
    after: Header
    done: tuple[str, ...] = ()
    left: tuple[Issue, ...] = ()
    asks: tuple[Issue, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, in the words of the command line; bytes as hexadecimal digits."""
        return {
            "changes": [_plain_change(change) for change in self.changes],
            "done": list(self.done),
            "asks": [issue.sentence(command=True) for issue in self.asks],
            "left": [plain_issue(issue) for issue in self.left],
        }

    @property
    def changes(self) -> tuple[Change, ...]:
        """The words that change, in the order of the header."""
        return tuple(_changes(self.before, self.after))


def _plain_change(change: Change) -> dict[str, Any]:
    values = (value.decode("latin-1") if isinstance(value, bytes) else value for value in (change.before, change.after))
    before, after = values
    return {
        "word": change.word,
        "name": change.name,
        "before": before,
        "after": after,
        "offset": change.offset,
        "old": change.old.hex(),
        "new": change.new.hex(),
    }


def _changes(before: Header, after: Header) -> Iterator[Change]:
    for row in FIELDS.values():
        size = row.nbytes // row.count
        names = [alias for alias, (name, _) in ALIASES.items() if name == row.name]
        for index in range(row.count):
            start = row.offset + size * index
            old, new = before.raw[start : start + size], after.raw[start : start + size]
            if old != new:
                single = row.count == 1
                was, now = getattr(before, row.name), getattr(after, row.name)
                name = row.name if single else names[index] if names else f"{row.name}[{index}]"
                values = (was, now) if single else (was[index], now[index])
                yield Change(start // 4 + 1, name, *values, start, old, new)

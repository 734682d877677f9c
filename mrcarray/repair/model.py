"""The values of repairs: what a caller knows, what changes in a header, and what was changed in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.format.fields import ALIASES, FIELDS
from mrcarray.format.header_facts import as_html, as_text
from mrcarray.validation.report import plain_issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mrcarray.format.header import Header
    from mrcarray.format.header_facts import Row
    from mrcarray.format.issues import Issue

__all__ = ["Change", "Repair", "RepairOptions", "value_text"]


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


@dataclass(frozen=True, slots=True, repr=False)
class Repair:
    """What was changed in a file, or would be changed; shows itself as text and HTML.

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
        Why an issue was not repaired; the hint names the argument to pass.
    dry_run : bool
        Whether nothing was written.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.fix("tomo.mrc", dry_run=True)
    tomo.mrc: would change 4 words
      word 20     dmin: 0 -> -4.494117
    ...
    """

    path: str
    before: Header
    after: Header
    done: tuple[str, ...] = ()
    left: tuple[Issue, ...] = ()
    asks: tuple[Issue, ...] = ()
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, in the words of the command line; bytes as hexadecimal digits."""
        return {
            "dry_run": self.dry_run,
            "changes": [_plain_change(change) for change in self.changes],
            "done": list(self.done),
            "asks": [issue.sentence(command=True) for issue in self.asks],
            "left": [plain_issue(issue) for issue in self.left],
        }

    @property
    def changes(self) -> tuple[Change, ...]:
        """The words that change, in the order of the header."""
        return tuple(_changes(self.before, self.after))

    @property
    def title(self) -> str:
        """How many words change, in a few words."""
        count = len(self.changes)
        verb = "would change" if self.dry_run else "changed"
        return f"{verb} {count} word{'s' if count != 1 else ''}" if count else "nothing to change"

    def __str__(self) -> str:
        """Return a line for each word that changes, each issue that was not repaired, and each that is left."""
        return as_text(f"{os.path.basename(self.path)}: {self.title}", self._rows())  # noqa: PTH119 -- a name, not a path

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"{self.path}: {self.title}", self._rows())

    def _rows(self) -> list[Row]:
        rows = [
            (f"word {change.word}", f"{change.name}: {value_text(change.before)} -> {value_text(change.after)}")
            for change in self.changes
        ]
        rows += [("not fixed", issue.sentence()) for issue in self.asks]
        return rows + [("left", f"{issue.severity}: {issue.sentence()}") for issue in self.left]


def value_text(value: Any) -> str:
    """Return the value of a header field as short text."""
    if isinstance(value, bytes):
        return ascii(value.rstrip(b"\0 ") if len(value) > 4 else value)[1:]  # noqa: PLR2004 -- labels are padded
    return f"{value:.7g}" if isinstance(value, float) else str(value)


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

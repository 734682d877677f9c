"""SerialEM's ``.mdoc``: sections of ``key = value`` lines, read without losing a line, and written.

A document has entries that apply to all images, then sections: ``[ZValue = n]`` for image n of the stack,
``[MontSection = n]`` for a montage, ``[FrameSet = 0]`` for the frames of one exposure, ``[Image = file]`` in an
``.idoc``, ``[T = text]`` for titles. Repeated keys, unknown keys, lines that are not entries and the line ending are
kept. `mrcarray.format.sidecars.mdoc_values` has the keys and their values.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.sidecars.mdoc_values import (
    common_column,
    common_columns,
    last_part,
    lines_of,
    own_columns,
    parse_numbers,
)
from mrcarray.format.titles import tilt_axis_angle
from mrcarray.unfinished import MARKER_START

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mrcarray.format.quantities import Column

__all__ = ["Entry", "Mdoc", "Section"]

#: A line that is not empty: up to its first equals sign, and from there on.
_LINE = re.compile(r"(?=[^\r\n])([^=\r\n]*)(=?) ?([^\r\n]*)")
_HEADER = re.compile(r"\s*\[\s*(?P<kind>\w+)\s*= ?(?P<name>.*)\]\s*$")

MOST_LINES = 500_000
"""Lines that are read: the entries of 20,000 images, in some 64 MiB."""

MOST_SECTIONS = 100_000
"""Sections that are read."""


class Entry(NamedTuple):
    """One line ``key = value``; a line that is not an entry has an empty key."""

    key: str
    value: str

    @property
    def line(self) -> str:
        """The line as written to a file."""
        return f"{self.key} = {self.value}" if self.key else self.value


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an mdoc.

    Parameters
    ----------
    kind, name : str
        ``[kind = name]``; both empty for the entries at the top.
    entries : tuple of Entry
        Its lines in order, repeated keys included.
    """

    kind: str
    name: str
    entries: tuple[Entry, ...] = ()

    @property
    def number(self) -> int:
        """The number in the header of the section; -1 if there is none."""
        try:
            return int(self.name)
        except ValueError:
            return -1

    def __contains__(self, key: str) -> bool:
        """Return whether the section has the key."""
        return any(entry.key == key for entry in self.entries)

    def all(self, key: str) -> list[str]:
        """Return the values of every line with this key."""
        return [entry.value.strip() for entry in self.entries if entry.key == key]

    def text(self, key: str) -> str:
        """Return the value of the last line with this key; empty without one."""
        return next((entry.value.strip() for entry in reversed(self.entries) if entry.key == key), "")

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of a key; empty if one of them is invalid or not finite."""
        return parse_numbers(key, self.text(key))

    def latest(self) -> dict[str, str]:
        """Return the value of the last line with each key."""
        return {entry.key: entry.value.strip() for entry in self.entries}


@dataclass(frozen=True, slots=True)
class Mdoc:
    r"""A document.

    Parameters
    ----------
    top : Section
        The entries before the first section, which apply to all images.
    sections : tuple of Section
        The sections, in the order of the file.
    newline : str
        Line ending.

    Examples
    --------
    >>> doc = Mdoc.parse("PixelSpacing = 5.4\n\n[ZValue = 0]\nTiltAngle = 3\n")
    >>> doc.images[0].text("TiltAngle"), doc.top.text("PixelSpacing")
    ('3', '5.4')
    """

    top: Section = field(default=Section("", ""))
    sections: tuple[Section, ...] = ()
    newline: str = "\n"

    @classmethod
    def parse(cls, text: str | bytes, *, most_lines: int = MOST_LINES, most_sections: int = MOST_SECTIONS) -> Mdoc:
        """Return the document of a text; the contents of a line never raise.

        Parameters
        ----------
        text : str or bytes
            The text; bytes are UTF-8, UTF-16 with a byte order mark, or Latin-1.
        most_lines, most_sections : int
            Lines and sections that are read at most.

        Raises
        ------
        MrcValueError
            When the text has more lines or sections, or a writer has not finished it.
        """
        if isinstance(text, bytes):
            text = _decoded(text)
        if text.startswith(MARKER_START.decode("ascii")):
            raise MrcValueError(
                "the document is unfinished: a program is writing it, or was interrupted; write it again"
            )
        entries: list[Entry] = []
        sections: list[Section] = []
        kind = name = ""
        keys: dict[str, str] = {}
        for count, line in enumerate(_LINE.finditer(text.removeprefix("\ufeff"))):
            if count == most_lines:
                raise MrcValueError(f"the document has more than {most_lines} lines")
            key = line[1].strip()
            header = _HEADER.match(line[0]) if key.startswith("[") else None
            if header and len(sections) > most_sections:
                raise MrcValueError(f"the document has more than {most_sections} sections")
            if header:
                sections.append(Section(kind, name, tuple(entries)))
                kind, name, entries = header["kind"], header["name"], []
            elif line[2] and key and key[0] not in "#[":
                entries.append(Entry(keys.setdefault(key, key), line[3]))
            elif line[2] or key:
                entries.append(Entry("", line[0]))
        sections.append(Section(kind, name, tuple(entries)))
        return cls(sections[0], tuple(sections[1:]), "\r\n" if "\r\n" in text else "\n")

    def to_text(self) -> str:
        """Return the text of the document, with a blank line before each section and its line ending."""
        lines = [entry.line for entry in self.top.entries]
        for section in self.sections:
            lines += [""] * bool(lines) + [f"[{section.kind} = {section.name}]"]
            lines += [entry.line for entry in section.entries]
        return "".join(line + self.newline for line in lines)

    def of_kind(self, kind: str) -> tuple[Section, ...]:
        """Return the sections of one kind."""
        return tuple(section for section in self.sections if section.kind == kind)

    @property
    def images(self) -> tuple[Section, ...]:
        """The ``[ZValue = n]`` sections."""
        return self.of_kind("ZValue")

    @property
    def titles(self) -> tuple[str, ...]:
        """The titles, with or without brackets."""
        return tuple(s.name.strip() for s in self.of_kind("T")) + tuple(self.top.all("T"))

    def take(self, sections: Iterable[int]) -> Mdoc:
        """Return the document of a stack of these sections, in this order, renumbered.

        A section that is not described gets an empty description. Montages, titles and the top stay.
        """
        by_number = {section.number: section for section in self.images}
        images = tuple(
            replace(by_number.get(old, Section("ZValue", "")), name=str(new)) for new, old in enumerate(sections)
        )
        first = [self.sections.index(section) for section in self.images[:1]]
        at = first[0] if first else len(self.sections)
        after = tuple(section for section in self.sections[at:] if section.kind != "ZValue")
        return replace(self, sections=self.sections[:at] + images + after)

    def rows(self, count: int, name: str = "") -> list[Section | None]:
        """Return for each of the `count` sections of a file the section of the document that describes it.

        They are matched by ``ZValue``, in a frame tilt series by the frames of each tilt, in an ``.idoc`` by the file
        `name`.
        """
        rows: list[Section | None] = [None] * count
        for section in self.of_kind("Image"):
            if count and last_part(section.name.strip()) == name:
                rows[0] = section
        following = list(range(count + 1))  # for each section the next that may lack a row
        for section in reversed(self.images):  # the last that covers a section counts
            covered = _covered(section)
            stop = min(covered.stop, count)
            number = _free(following, min(max(covered.start, 0), count))
            while number < stop:
                rows[number] = section
                following[number] = number + 1
                number = _free(following, number + 1)
        return rows

    @property
    def extent(self) -> int:
        """The number of sections that a file must have to match every described image."""
        return max((_covered(section).stop for section in self.images), default=0)

    @property
    def repeated(self) -> list[int]:
        """The numbers of images that are described more than once, with different entries."""
        seen: dict[int, Section] = {}
        again = [s.number for s in self.images if s.number >= 0 and seen.setdefault(s.number, s).entries != s.entries]
        return list(dict.fromkeys(again))

    def columns(self, count: int, name: str = "", *, every: bool = False) -> dict[str, Column]:
        """Return the values for a file of `count` sections, by common name.

        Parameters
        ----------
        count : int
            Number of sections.
        name : str
            Name of the file, for an ``.idoc``.
        every : bool
            Whether to add each key under its own name with the prefix ``mdoc_``; values without numbers are text.

        Returns
        -------
        dict
            Name -> column; values are 1-d, or 0-d if a ``FrameSet`` describes all frames.
        """
        rows = self.rows(count, name)
        shared = self.of_kind("FrameSet")[:1] or (self.top,)
        latest = [row.latest() if row else {} for row in rows]
        columns = common_columns(latest) if any(rows) else {}
        if any(rows) or shared[0].kind:
            for key, column in common_columns([self.top.latest() | shared[0].latest()]).items():
                columns.setdefault(key, replace(column, values=_for_all(column.values[0], rows)))
        if shared[0].kind:
            columns.update(_frame_doses(shared[0], count))
        angle = tilt_axis_angle(self.titles)
        if angle is not None and (any(rows) or shared[0].kind):
            columns.setdefault("tilt_axis_angle", common_column("tilt_axis_angle", _for_all(angle, rows)))
        if every:
            columns.update(own_columns(latest if any(rows) else [shared[0].latest()], scalar=not any(rows)))
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]], top: Mapping[str, str] | None = None) -> Mdoc:
        """Return a document with these values for the sections of a stack.

        Parameters
        ----------
        columns : mapping
            Common name, or key with the prefix `OWN`, -> values, 1-d, one for each section. A key whose common names
            are given is not repeated; names without a key are ignored.
        top : mapping, optional
            Entries for the top, such as ``{"ImageFile": "TS_01.mrc"}``.

        Examples
        --------
        >>> doc = Mdoc.from_columns({"tilt_angle": np.array([-3.0, 0.0])}, {"ImageFile": "TS_01.mrc"})
        >>> print(doc.to_text())
        ImageFile = TS_01.mrc
        <BLANKLINE>
        [ZValue = 0]
        TiltAngle = -3
        <BLANKLINE>
        [ZValue = 1]
        TiltAngle = 0
        <BLANKLINE>
        """
        count = max((len(values) for values in columns.values()), default=0)
        lines = list(lines_of(columns))
        images = tuple(
            Section("ZValue", str(at), tuple(Entry(key, texts[at]) for key, texts in lines if texts[at]))
            for at in range(count)
        )
        return cls(Section("", "", tuple(Entry(key, value) for key, value in (top or {}).items())), images)


def _free(following: list[int], number: int) -> int:
    """Return the first section from `number` on without a row, and shorten the path to it."""
    while following[number] != number:
        following[number] = following[following[number]]
        number = following[number]
    return number


def _decoded(data: bytes) -> str:
    """Decode UTF-16 with a byte order mark, else UTF-8, else Latin-1, which accepts all bytes."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _covered(section: Section) -> range:
    """Return the sections of the file that a ``ZValue`` section describes: one, or the frames of a tilt."""
    frames = section.numbers("FrameTSStartEndFrames")
    if len(frames) == 2:  # noqa: PLR2004 - first and last
        return range(int(frames[0]), int(frames[1]) + 1)
    return range(section.number, section.number + 1)


def _for_all(value: Any, rows: Sequence[Section | None]) -> NDArray[Any]:
    """Return one value for each section, or a 0-d value if no section is described by itself."""
    return np.full(len(rows), value) if any(rows) else np.asarray(value)


def _frame_doses(section: Section, count: int) -> dict[str, Column]:
    """Return dose and prior dose of each frame, if the pairs of dose and number add up to the number of frames."""
    numbers = section.numbers("FrameDosesAndNumber") or section.numbers("FrameDosesAndNumbers")
    doses, repeats = np.array(numbers[::2]), np.array(numbers[1::2])
    if len(doses) != len(repeats) or (repeats < 0).any() or (repeats % 1).any() or repeats.sum() != count or not count:
        return {}
    each = np.repeat(doses, repeats.astype(np.intp))
    before = (section.numbers("PriorRecordDose") or [0.0])[0] + np.cumsum(each) - each
    return {name: common_column(name, values) for name, values in (("exposure_dose", each), ("prior_dose", before))}

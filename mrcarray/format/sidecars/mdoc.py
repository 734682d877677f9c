"""SerialEM's ``.mdoc``: sections of ``key = value`` lines, read without losing any of them, and written.

A document is entries that hold for everything, then sections: ``[ZValue = n]`` for image n of the stack,
``[MontSection = n]`` for a montage, ``[FrameSet = 0]`` for one exposure's frames, ``[Image = file]`` in an ``.idoc``,
``[T = text]`` for titles. Keys may repeat, unknown keys and lines that are no entries are kept, and either kind of line
ending is written back. To give a key a type, a unit or a common name, add a row to `KEYS`.
"""

from __future__ import annotations

import codecs
import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.quantities import COMMON, Column
from mrcarray.format.titles import tilt_axis_angle
from mrcarray.unfinished import MARKER_START

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["KEYS", "OWN", "Entry", "Key", "Mdoc", "Section", "parse_time"]

#: A line that is not empty, up to its first equals sign and from there on.
_LINE = re.compile(r"(?=[^\r\n])([^=\r\n]*)(=?) ?([^\r\n]*)")
_HEADER = re.compile(r"\s*\[\s*(?P<kind>\w+)\s*= ?(?P<name>.*)\]\s*$")
_TIME = re.compile(r"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})\s+(\d{1,2}):(\d{2}):(\d{2})\s*$")
_MONTHS = {m: i for i, m in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}  # noqa: SIM905
#: Two-digit years below this are of the 21st century; SerialEM is younger than 1970.
_CENTURY = 70

LINES = 500_000
"""Lines that are read: the entries of 20,000 images, in some 64 MiB."""

SECTIONS = 100_000
"""Sections that are read."""

_CELLS = 4_000_000  # values of keys, under their own names, that are made for a document however short
_LONGEST = 1 << 20  # characters of a value that are read as numbers

OWN = "mdoc_"
"""What stands before the name of a coordinate that is a key of an mdoc."""

#: What datetime64[ns] can hold.
_YEARS = (1678, 2261)


class Key(NamedTuple):
    """What a key of an mdoc means.

    `kind` is ``f`` (numbers), ``i`` (whole numbers), ``s`` (text), ``p`` (a path) or ``t`` (a time); `common` names the
    coordinate of each of its values, empty where there is none.
    """

    kind: str
    unit: str
    meaning: str
    common: tuple[str, ...] = ()


#: Every key whose type is known. Others are kept, and read as numbers where they look like numbers.
KEYS: dict[str, Key] = {
    "TiltAngle": Key("f", "degree", "tilt of the stage", ("tilt_angle",)),
    "PieceCoordinates": Key("i", "pixel", "place of the piece in a montage", ("piece_x", "piece_y", "piece_z")),
    "AlignedPieceCoords": Key("i", "pixel", "place after alignment"),
    "AlignedPieceCoordsVS": Key("i", "pixel", "place after alignment, very sloppy montage"),
    "StagePosition": Key("f", "micrometer", "stage position x, y", ("stage_x", "stage_y")),
    "NominalStageXY": Key("f", "micrometer", "stage position x, y that was asked for"),
    "StageZ": Key("f", "micrometer", "stage position z", ("stage_z",)),
    "StageOffsets": Key("f", "micrometer", "offsets of the stage"),
    "Magnification": Key("f", "", "nominal magnification", ("magnification",)),
    "CameraLength": Key("f", "mm", "camera length in diffraction", ("camera_length",)),
    "MagIndex": Key("i", "", "number of the magnification"),
    "Intensity": Key("f", "", "condenser (C2) setting, as a fraction", ("intensity",)),
    "SuperMontCoords": Key("i", "pixel", "place in a super-montage"),
    "PixelSpacing": Key("f", "angstrom", "size of a pixel; 1/angstrom in diffraction", ("pixel_size",)),
    "RefinedPixelSpacing": Key("f", "angstrom", "calibrated size of a pixel"),
    "ExposureDose": Key("f", "electron/angstrom^2", "electron dose; 0 when not calibrated", ("exposure_dose",)),
    "DoseRate": Key("f", "electron/pixel/s", "dose rate at the camera", ("dose_rate",)),
    "SpotSize": Key("i", "", "spot size number", ("spot_size",)),
    "ProbeMode": Key("i", "", "1 micro, 0 nano"),
    "Defocus": Key("f", "micrometer", "defocus, underfocus negative", ("defocus",)),
    "TargetDefocus": Key("f", "micrometer", "defocus that was asked for", ("target_defocus",)),
    "ImageShift": Key("f", "", "image shift, in units of the microscope"),
    "TiltAxisAngle": Key("f", "degree", "direction of the tilt axis in the image", ("tilt_axis_angle",)),
    "RotationAngle": Key("f", "degree", "rotation, counter-clockwise from x", ("rotation_angle",)),
    "ExposureTime": Key("f", "s", "exposure time", ("exposure_time",)),
    "Binning": Key("f", "", "binning; 0.5 is super-resolution", ("binning",)),
    "UsingCDS": Key("i", "", "correlated double sampling"),
    "CameraIndex": Key("i", "", "number of the camera"),
    "DividedBy2": Key("i", "", "whether counts were halved"),
    "OperatingMode": Key("i", "", "operating mode of the camera"),
    "RotationAndFlip": Key("i", "", "rotation and flip of the image"),
    "LowDoseConSet": Key("i", "", "control set, negative outside low dose"),
    "CountsPerElectron": Key("f", "", "counts a single electron makes", ("counts_per_electron",)),
    "MinMaxMean": Key("f", "", "minimum, maximum and mean of the pixels"),
    "PriorRecordDose": Key("f", "electron/angstrom^2", "dose before this image", ("prior_dose",)),
    "XedgeDxy": Key("f", "pixel", "overlap of montage pieces"),
    "YedgeDxy": Key("f", "pixel", "overlap of montage pieces"),
    "XedgeDxyVS": Key("f", "pixel", "overlap of montage pieces, very sloppy montage"),
    "YedgeDxyVS": Key("f", "pixel", "overlap of montage pieces, very sloppy montage"),
    "SubFramePath": Key("p", "", "file of the frames", ("frames_file",)),
    "NumSubFrames": Key("i", "", "number of frames"),
    "FrameDosesAndNumber": Key("f", "electron/angstrom^2", "pairs: dose of a frame, number of such frames"),
    "FrameDosesAndNumbers": Key("f", "electron/angstrom^2", "the same, as the manual spells it"),
    "GainReference": Key("p", "", "file of the gain reference"),
    "DefectFile": Key("p", "", "file of the camera defects"),
    "DateTime": Key("t", "", "time of the exposure, local to the microscope", ("datetime",)),
    "TimeStamp": Key("f", "s", "seconds since 2020-01-01"),
    "NavigatorLabel": Key("s", "", "label in the navigator"),
    "ChannelName": Key("s", "", "channel of the detector"),
    "FilterSlitAndLoss": Key(
        "f", "eV", "width and shift of the energy slit; 0 0 is out", ("slit_width", "energy_loss")
    ),
    "MultishotHoleAndPosition": Key("i", "", "hole and position of a multi-shot"),
    "CameraPixelSize": Key("f", "micrometer", "size of a camera pixel"),
    "Voltage": Key("f", "kV", "acceleration voltage", ("voltage",)),
    "UncroppedSize": Key("i", "pixel", "size before cropping"),
    "CenteredCrop": Key("i", "", "whether the crop is centred"),
    "FlashCounter": Key("i", "", "flashes of the gun"),
    "FEGCurrent": Key("f", "nA", "current of the gun"),
    "EDMPercent": Key("f", "%", "duty cycle of the dose modulator"),
    "ConvergenceAngle": Key("f", "", "convergence angle"),
    "ScanRotation": Key("f", "degree", "rotation of the scan"),
    "FrameTSStartEndFrames": Key("i", "", "first and last frame of this tilt"),
    "FullMontSize": Key("i", "pixel", "size of the whole montage"),
    "FullMontNumFrames": Key("i", "", "pieces of the montage along x, y"),
    "FitToPolyID": Key("i", "", "polygon the montage was fitted to"),
    "ImageFile": Key("s", "", "file of the images"),
    "ImageSize": Key("i", "pixel", "columns and rows of an image"),
    "DataMode": Key("i", "", "mode of the file"),
    "Montage": Key("i", "", "whether this is a montage"),
    "ImageSeries": Key("i", "", "whether this is a series of single files"),
    "Version": Key("s", "", "version of SerialEM"),
}


def parse_time(text: str) -> np.datetime64:
    """Return the time of a ``DateTime`` entry, NaT when it is none; years have two or four digits.

    Examples
    --------
    >>> parse_time("08-Oct-21  07:39:08"), parse_time("08-Oct-2021  07:39:08")
    (np.datetime64('2021-10-08T07:39:08'), np.datetime64('2021-10-08T07:39:08'))
    """
    match = _TIME.match(text)
    month = _MONTHS.get(match[2].title()) if match else None
    if match is None or month is None:
        return np.datetime64("NaT", "s")
    year = int(match[3])
    if len(match[3]) == 2:  # noqa: PLR2004 - two digits, before SerialEM 4.1
        year += 2000 if year < _CENTURY else 1900
    if not _YEARS[0] <= year <= _YEARS[1]:
        return np.datetime64("NaT", "s")
    try:
        return np.datetime64(f"{year:04}-{month:02}-{int(match[1]):02}T{int(match[4]):02}:{match[5]}:{match[6]}", "s")
    except ValueError:
        return np.datetime64("NaT", "s")


class Entry(NamedTuple):
    """One line ``key = value``; a line that is no entry has an empty key."""

    key: str
    value: str

    @property
    def line(self) -> str:
        """The line as it is written."""
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
        """The number in the header, -1 when it is none."""
        try:
            return int(self.name)
        except ValueError:
            return -1

    def __contains__(self, key: str) -> bool:
        """Whether the section has the key."""
        return any(entry.key == key for entry in self.entries)

    def all(self, key: str) -> list[str]:
        """Return the values of every line with this key."""
        return [entry.value.strip() for entry in self.entries if entry.key == key]

    def text(self, key: str) -> str:
        """Return the value of the last line with this key, empty when there is none."""
        return next((entry.value.strip() for entry in reversed(self.entries) if entry.key == key), "")

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of a key; none when one of them cannot be read or is not finite."""
        return _numbers(key, self.text(key))

    def latest(self) -> dict[str, str]:
        """Return the value of the last line with each key."""
        return {entry.key: entry.value.strip() for entry in self.entries}


def _numbers(key: str, text: str) -> list[float]:
    """Return the numbers of a value; none when one of them cannot be read or is not finite."""
    if len(text) > _LONGEST:
        return []
    if "," in text:
        text = _with_points(key, text)
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def _with_points(key: str, text: str) -> str:
    """Return numbers without commas: one within a number is a decimal comma, all others stand between numbers.

    SerialEM writes points; programs that pass its documents on may write what the country of the computer does.
    """
    whole = key in KEYS and KEYS[key].kind == "i"
    words = (word.rstrip(",") for word in text.split())
    return " ".join(
        word.replace(",", "." if word.count(",") == 1 and "." not in word and not whole else " ") for word in words
    )


@dataclass(frozen=True, slots=True)
class Mdoc:
    r"""A whole document.

    Parameters
    ----------
    top : Section
        What stands before the first section and holds for everything.
    sections : tuple of Section
        The sections in the order of the file.
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
    def parse(cls, text: str | bytes) -> Mdoc:
        """Return the document of a text; nothing in a line is an error.

        Raises
        ------
        MrcValueError
            When there are more than `LINES` lines or `SECTIONS` sections, or the text is being overwritten.
        """
        if isinstance(text, bytes):
            text = _decoded(text)
        if text.startswith(MARKER_START.decode("ascii")):
            raise MrcValueError("the document is unfinished: its writer is at work, or was interrupted; write it again")
        entries: list[Entry] = []
        sections: list[Section] = []
        kind = name = ""
        keys: dict[str, str] = {}
        for count, line in enumerate(_LINE.finditer(text.removeprefix("\ufeff"))):
            if count == LINES:
                raise MrcValueError(f"the document has more than {LINES} lines")
            key = line[1].strip()
            header = _HEADER.match(line[0]) if key.startswith("[") else None
            if header and len(sections) > SECTIONS:
                raise MrcValueError(f"the document has more than {SECTIONS} sections")
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
        """Return the text: a blank line before each section, every line with the document's line ending."""
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
        """Return the document of a stack made of these sections, in this order and renumbered.

        A section that had no entry gets an empty one. Montages, titles and the top stay.
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
        """Return for each of `count` sections of a file what the document says of it.

        ``ZValue`` numbers decide; in a frame tilt series the frames a tilt covers; in an ``.idoc`` the file's `name`.
        """
        rows: list[Section | None] = [None] * count
        for section in self.of_kind("Image"):
            if count and _last_part(section.name.strip()) == name:
                rows[0] = section
        following = list(range(count + 1))  # for each section the next without a row, as far as is known
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
        """The number of sections a file must have for all the document says of single ones to apply."""
        return max((_covered(section).stop for section in self.images), default=0)

    @property
    def repeated(self) -> list[int]:
        """The numbers of images that are described more than once, each time otherwise."""
        seen: dict[int, Section] = {}
        again = [s.number for s in self.images if s.number >= 0 and seen.setdefault(s.number, s).entries != s.entries]
        return list(dict.fromkeys(again))

    def columns(self, count: int, name: str = "", *, every: bool = False) -> dict[str, Column]:
        """Return what the document says of a file of `count` sections, by common name.

        Parameters
        ----------
        count : int
            Number of sections.
        name : str
            The file's own name, for an ``.idoc``.
        every : bool
            Add each key under its own name, ``mdoc_`` before it; what has no numbers is text.

        Returns
        -------
        dict
            Name -> column, for every key there is; values are 1-d, or 0-d for what a ``FrameSet`` says of all frames.
        """
        rows = self.rows(count, name)
        shared = self.of_kind("FrameSet")[:1] or (self.top,)
        columns = _common_columns(rows) if any(rows) else {}
        if any(rows) or shared[0].kind:
            for key, column in _common_columns([_merged(self.top, shared[0])]).items():
                columns.setdefault(key, replace(column, values=_for_all(column.values[0], rows)))
        if shared[0].kind:
            columns.update(_frame_doses(shared[0], count))
        angle = tilt_axis_angle(self.titles)
        if angle is not None and (any(rows) or shared[0].kind):
            columns.setdefault("tilt_axis_angle", _common("tilt_axis_angle", _for_all(angle, rows)))
        if every:
            columns.update(_own_columns(rows if any(rows) else [shared[0]], scalar=not any(rows)))
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]], top: Mapping[str, str] | None = None) -> Mdoc:
        """Return a document that states these common values of the sections of a stack.

        Parameters
        ----------
        columns : mapping
            Common name, or key with `OWN` before it, -> values, 1-d, one for each section; a key stated by its common
            names is not stated again, names without a key are left out.
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
        lines = list(_lines_of(columns))
        images = tuple(
            Section("ZValue", str(at), tuple(Entry(key, texts[at]) for key, texts in lines if texts[at]))
            for at in range(count)
        )
        return cls(Section("", "", tuple(Entry(key, value) for key, value in (top or {}).items())), images)


def _free(following: list[int], number: int) -> int:
    """Return the first section from `number` on that follows itself, and shorten the way there."""
    while following[number] != number:
        following[number] = following[following[number]]
        number = following[number]
    return number


def _decoded(data: bytes) -> str:
    """Return text that is UTF-8 if it can be (or UTF-16 by its mark), else Latin-1, which every byte string is."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _last_part(path: str) -> str:
    """Return the last component of a Windows or POSIX path."""
    return path[max(path.rfind("/"), path.rfind("\\")) + 1 :]


def _covered(section: Section) -> range:
    """Return the sections of the file a ``ZValue`` section describes: one, or a tilt's frames."""
    frames = section.numbers("FrameTSStartEndFrames")
    if len(frames) == 2:  # noqa: PLR2004 - first and last
        return range(int(frames[0]), int(frames[1]) + 1)
    return range(section.number, section.number + 1)


def _merged(top: Section, section: Section) -> Section:
    """Return a section with the entries of the top before its own, which win."""
    return replace(section, entries=top.entries + section.entries)


def _for_all(value: Any, rows: Sequence[Section | None]) -> NDArray[Any]:
    """Return one value for each described section, or a single one when no section is described by itself."""
    return np.full(len(rows), value) if any(rows) else np.asarray(value)


def _parts(values: Mapping[str, str], key: str, kind: str, count: int) -> list[Any]:
    """Return the `count` values of a key, missing ones as NaN, NaT or empty text."""
    text = values.get(key, "")
    if kind == "t":
        return [parse_time(text)]
    if kind in "sp":
        return [_last_part(text) if kind == "p" else text]
    if not text or (key == "PixelSpacing" and "CameraLength" in values):  # in diffraction the number is 1/angstrom
        return [math.nan] * count
    numbers = _numbers(key, text)[:count]
    return numbers + [math.nan] * (count - len(numbers))


def _array(values: Sequence[Any], kind: str) -> NDArray[Any]:
    """Return the values of a column in the dtype of their kind."""
    if kind == "t":
        return np.array(values, dtype="M8[ns]")
    return np.array(values, dtype=object if kind in "sp" else np.float64)


def _common_columns(rows: Sequence[Section | None]) -> dict[str, Column]:
    """Return the columns of the common vocabulary; keys only the top has are not among them."""
    columns = {}
    latest = [row.latest() if row else {} for row in rows]
    present: set[str] = set().union(*latest)
    for key, meaning in KEYS.items():
        if not meaning.common or key not in present:
            continue
        table = [_parts(values, key, meaning.kind, len(meaning.common)) for values in latest]
        for at, name in enumerate(meaning.common):
            values = _array([row[at] for row in table], meaning.kind)
            if COMMON[name].positive:
                values = np.where(values == 0, np.nan, values)
            columns[name] = _common(name, values)
    return columns


def _own_columns(rows: Sequence[Section | None], *, scalar: bool) -> dict[str, Column]:
    """Return every key under its own name: numbers where each line holds one, else text."""
    columns = {}
    latest = [row.latest() if row else {} for row in rows]
    keys = dict.fromkeys(key for values in latest for key in values if key)
    if len(keys) * len(rows) > _CELLS + 4 * sum(map(len, latest)):
        raise MrcValueError(f"the document has {len(keys)} different keys, most of which are in few sections")
    for key in keys:
        known = KEYS.get(key, Key("f", "", f"{key}, camera- or version-specific"))
        single = known.kind in "fi" and all(len(_numbers(key, values[key])) == 1 for values in latest if key in values)
        kind = known.kind if single or known.kind == "t" else "s"
        values = _array([_parts(one, key, kind, 1)[0] for one in latest], kind)
        name = OWN + re.sub(r"\W", "_", key)
        columns[name] = Column(name, values[0:1].reshape(()) if scalar else values, known.unit, known.meaning, "mdoc")
    return columns


def _frame_doses(section: Section, count: int) -> dict[str, Column]:
    """Return dose and prior dose of each frame, when the pairs of dose and number add up to the frames there are."""
    numbers = section.numbers("FrameDosesAndNumber") or section.numbers("FrameDosesAndNumbers")
    doses, repeats = np.array(numbers[::2]), np.array(numbers[1::2])
    if len(doses) != len(repeats) or (repeats < 0).any() or (repeats % 1).any() or repeats.sum() != count or not count:
        return {}
    each = np.repeat(doses, repeats.astype(np.intp))
    before = (section.numbers("PriorRecordDose") or [0.0])[0] + np.cumsum(each) - each
    return {name: _common(name, values) for name, values in (("exposure_dose", each), ("prior_dose", before))}


def _common(name: str, values: NDArray[Any]) -> Column:
    """Return a column of the common vocabulary."""
    return Column(name, values, COMMON[name].unit, COMMON[name].meaning, "mdoc")


def _lines_of(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each key and its value in every section, empty where one of its parts is missing."""
    for key, meaning in KEYS.items():
        if meaning.common and all(name in columns for name in meaning.common):
            parts = zip(*(map(_written, columns[name]) for name in meaning.common), strict=True)
            yield key, [" ".join(texts) if all(texts) else "" for texts in parts]
    for name, values in columns.items():
        key = name.removeprefix(OWN)
        common = KEYS[key].common if key in KEYS else ()
        if name.startswith(OWN) and not set(common) & set(columns):
            yield key, [_written(value) for value in values]


def _written(value: Any) -> str:
    """Return a value as SerialEM would write it, empty when it is missing."""
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else _time_text(value)
    if isinstance(value, str):
        return " ".join(value.split("\n"))
    return "" if value is None or np.isnan(value) else f"{value:.10g}"


def _time_text(value: np.datetime64) -> str:
    """Return a time with an English month and a year of four digits."""
    date, _, time = str(value.astype("M8[s]")).partition("T")
    year, month, day = date.split("-")
    return f"{day}-{list(_MONTHS)[int(month) - 1]}-{year}  {time}"

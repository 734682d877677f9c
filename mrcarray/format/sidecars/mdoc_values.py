"""The keys of SerialEM's ``.mdoc``, their values as arrays, and arrays as their values.

To give a key a type, a unit or a common name, add a row to `KEYS`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.format.fields import MONTHS
from mrcarray.format.quantities import COMMON, Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "KEYS",
    "OWN",
    "Key",
    "common_column",
    "common_columns",
    "last_part",
    "lines_of",
    "own_columns",
    "parse_numbers",
    "parse_time",
]

_TIME = re.compile(r"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})\s+(\d{1,2}):(\d{2}):(\d{2})\s*$")
_MONTH_NUMBERS = {month: number for number, month in enumerate(MONTHS, 1)}
#: Two-digit years below this are in the 21st century; SerialEM is younger than 1970.
_CENTURY = 70
#: Years that datetime64[ns] can represent.
_YEARS = (1678, 2261)

MOST_CELLS = 4_000_000
"""Values of keys under their own names that are made for a document, however short it is."""

LONGEST_VALUE = 1 << 20
"""Characters of the longest value that is read as numbers."""

OWN = "mdoc_"
"""Prefix of the names of coordinates that are keys of an mdoc."""


class Key(NamedTuple):
    """The meaning of a key of an mdoc.

    `kind` is ``f`` (numbers), ``i`` (whole numbers), ``s`` (text), ``p`` (a path) or ``t`` (a time); `common` contains
    the common names of its values, if they have any.
    """

    kind: str
    unit: str
    meaning: str
    common: tuple[str, ...] = ()


#: Every key whose type is known. Other keys are kept, and read as numbers if they look like numbers.
KEYS: dict[str, Key] = {
    "TiltAngle": Key("f", "degree", "tilt of the stage", ("tilt_angle",)),
    "PieceCoordinates": Key("i", "pixel", "position of the piece in a montage", ("piece_x", "piece_y", "piece_z")),
    "AlignedPieceCoords": Key("i", "pixel", "position after alignment"),
    "AlignedPieceCoordsVS": Key("i", "pixel", "position after alignment, very sloppy montage"),
    "StagePosition": Key("f", "micrometer", "stage position x, y", ("stage_x", "stage_y")),
    "NominalStageXY": Key("f", "micrometer", "requested stage position x, y"),
    "StageZ": Key("f", "micrometer", "stage position z", ("stage_z",)),
    "StageOffsets": Key("f", "micrometer", "offsets of the stage"),
    "Magnification": Key("f", "", "nominal magnification", ("magnification",)),
    "CameraLength": Key("f", "mm", "camera length in diffraction", ("camera_length",)),
    "MagIndex": Key("i", "", "number of the magnification"),
    "Intensity": Key("f", "", "condenser (C2) setting, as a fraction", ("intensity",)),
    "SuperMontCoords": Key("i", "pixel", "position in a super-montage"),
    "PixelSpacing": Key("f", "angstrom", "size of a pixel; 1/angstrom in diffraction", ("pixel_size",)),
    "RefinedPixelSpacing": Key("f", "angstrom", "calibrated size of a pixel"),
    "ExposureDose": Key("f", "1/angstrom^2", "electron dose; 0 when not calibrated", ("exposure_dose",)),
    "DoseRate": Key("f", "1/pixel/s", "electron dose rate at the camera", ("dose_rate",)),
    "SpotSize": Key("i", "", "spot size number", ("spot_size",)),
    "ProbeMode": Key("i", "", "1 micro, 0 nano"),
    "Defocus": Key("f", "micrometer", "defocus, underfocus negative", ("defocus",)),
    "TargetDefocus": Key("f", "micrometer", "requested defocus", ("target_defocus",)),
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
    "CountsPerElectron": Key("f", "", "counts per electron", ("counts_per_electron",)),
    "MinMaxMean": Key("f", "", "minimum, maximum and mean of the pixels"),
    "PriorRecordDose": Key("f", "1/angstrom^2", "electron dose before this image", ("prior_dose",)),
    "XedgeDxy": Key("f", "pixel", "overlap of montage pieces"),
    "YedgeDxy": Key("f", "pixel", "overlap of montage pieces"),
    "XedgeDxyVS": Key("f", "pixel", "overlap of montage pieces, very sloppy montage"),
    "YedgeDxyVS": Key("f", "pixel", "overlap of montage pieces, very sloppy montage"),
    "SubFramePath": Key("p", "", "file of the frames", ("frames_file",)),
    "NumSubFrames": Key("i", "", "number of frames"),
    "FrameDosesAndNumber": Key("f", "1/angstrom^2", "pairs: electron dose of a frame, number of such frames"),
    "FrameDosesAndNumbers": Key("f", "1/angstrom^2", "the same, as the manual spells it"),
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
    """Return the time of a ``DateTime`` entry, whose year has two or four digits; NaT if it is invalid.

    Examples
    --------
    >>> parse_time("08-Oct-21  07:39:08"), parse_time("08-Oct-2021  07:39:08")
    (np.datetime64('2021-10-08T07:39:08'), np.datetime64('2021-10-08T07:39:08'))
    """
    match = _TIME.match(text)
    month = _MONTH_NUMBERS.get(match[2].title()) if match else None
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


def parse_numbers(key: str, text: str) -> list[float]:
    """Return the numbers of a value; an empty list if one of them is invalid or not finite.

    SerialEM writes decimal points; programs that copy its documents may write the decimal commas of their locale. A
    comma within a number is a decimal comma, all others separate numbers.
    """
    if len(text) > LONGEST_VALUE:
        return []
    if "," in text:
        whole = key in KEYS and KEYS[key].kind == "i"
        words = (word.rstrip(",") for word in text.split())
        text = " ".join(
            word.replace(",", "." if word.count(",") == 1 and "." not in word and not whole else " ") for word in words
        )
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []


def last_part(path: str) -> str:
    """Return the last component of a Windows or POSIX path."""
    return path[max(path.rfind("/"), path.rfind("\\")) + 1 :]


def common_column(name: str, values: NDArray[Any]) -> Column:
    """Return a column of the common vocabulary."""
    return Column(name, values, COMMON[name].unit, COMMON[name].meaning, "mdoc")


def common_columns(rows: Sequence[Mapping[str, str]]) -> dict[str, Column]:
    """Return the columns of the common vocabulary whose keys occur in `rows`, the entries of each section."""
    columns = {}
    present: set[str] = set().union(*rows)
    for key, meaning in KEYS.items():
        if not meaning.common or key not in present:
            continue
        table = [_values(row, key, meaning.kind, len(meaning.common)) for row in rows]
        for at, name in enumerate(meaning.common):
            values = _array([row[at] for row in table], meaning.kind)
            if COMMON[name].positive:
                values = np.where(values == 0, np.nan, values)
            columns[name] = common_column(name, values)
    return columns


def own_columns(rows: Sequence[Mapping[str, str]], *, scalar: bool) -> dict[str, Column]:
    """Return every key under its own name: numbers if each value is one number, else text.

    Parameters
    ----------
    rows : sequence of mapping
        The entries of each section.
    scalar : bool
        Whether to return 0-d values, for one row that describes all sections.
    """
    columns = {}
    keys = dict.fromkeys(key for row in rows for key in row if key)
    if len(keys) * len(rows) > MOST_CELLS + 4 * sum(map(len, rows)):
        raise MrcValueError(f"the document has {len(keys)} different keys, most of which are in few sections")
    for key in keys:
        known = KEYS.get(key, Key("f", "", f"{key}, camera- or version-specific"))
        single = known.kind in "fi" and all(len(parse_numbers(key, row[key])) == 1 for row in rows if key in row)
        kind = known.kind if single or known.kind == "t" else "s"
        values = _array([_values(row, key, kind, 1)[0] for row in rows], kind)
        name = OWN + re.sub(r"\W", "_", key)
        columns[name] = Column(name, values[0:1].reshape(()) if scalar else values, known.unit, known.meaning, "mdoc")
    return columns


def _values(row: Mapping[str, str], key: str, kind: str, count: int) -> list[Any]:
    """Return the `count` values of a key, missing ones as NaN, NaT or empty text."""
    text = row.get(key, "")
    if kind == "t":
        return [parse_time(text)]
    if kind in "sp":
        return [last_part(text) if kind == "p" else text]
    if not text or (key == "PixelSpacing" and "CameraLength" in row):  # in diffraction the number is 1/angstrom
        return [math.nan] * count
    numbers = parse_numbers(key, text)[:count]
    return numbers + [math.nan] * (count - len(numbers))


def _array(values: Sequence[Any], kind: str) -> NDArray[Any]:
    if kind == "t":
        return np.array(values, dtype="M8[ns]")
    return np.array(values, dtype=object if kind in "sp" else np.float64)


def lines_of(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, list[str]]]:
    """Yield each key of columns with its text in every section, empty if one of its values is missing."""
    for key, meaning in KEYS.items():
        if meaning.common and all(name in columns for name in meaning.common):
            parts = zip(*(map(_text, columns[name]) for name in meaning.common), strict=True)
            yield key, [" ".join(texts) if all(texts) else "" for texts in parts]
    for name, values in columns.items():
        key = name.removeprefix(OWN)
        common = KEYS[key].common if key in KEYS else ()
        if name.startswith(OWN) and not set(common) & set(columns):
            yield key, [_text(value) for value in values]


def _text(value: Any) -> str:
    """Return a value as SerialEM writes it, empty if it is missing."""
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else _time_text(value)
    if isinstance(value, str):
        return " ".join(value.split("\n"))
    return "" if value is None or np.isnan(value) else f"{value:.10g}"


def _time_text(value: np.datetime64) -> str:
    """Return a time with an English month and a year of four digits."""
    date, _, time = str(value.astype("M8[s]")).partition("T")
    year, month, day = date.split("-")
    return f"{day}-{MONTHS[int(month) - 1]}-{year}  {time}"

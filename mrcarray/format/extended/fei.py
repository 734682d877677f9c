"""FEI and Thermo Fisher: FEI1 (768-byte records), FEI2 (888 bytes) and the older block of 32 floats.

FEI1 and FEI2 records begin with their own length; a field is valid only if its bit is set in one of four bitmasks,
which are little-endian in every file. EPU reserves 1024 records and fills the first ones. The tables below are text:
stored name, type, bit, unit, common name and factor, meaning. To add a field, add a line.

The older block (Xplore3D, Tomography 3 and 4) has 1024 records of 32 floats, no bitmasks, and usually no type.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray.format.extended.codecs import Codec
from mrcarray.format.extended.records import Dialect, Field, RecordFacts, Records, dtype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEI1", "FEI2", "FLOAT_FIELDS", "OLD_FEI", "in_angstrom"]

#: name | type | bitmask.bit | unit | common name * factor | meaning
_FEI1_TABLE = """
Metadata size|i4|||| bytes of this record
Metadata version|i4|||| version of the record: 0 in FEI1, 2 in FEI2
Bitmask 1|u4|||| which of the next 32 fields are set
Timestamp|f8|1.0||datetime| time of the exposure, stored as days since 1899-12-30, local to the microscope
Microscope type|S16|1.1||| model and serial number
D-Number|S16|1.2||| number of the installation
Application|S16|1.3||| program that acquired the image
Application version|S16|1.4||| its version
HT|f8|1.5|V|voltage*1e-3| acceleration voltage
Dose|f8|1.6|electron/m^2|exposure_dose*1e-20| electron dose
Alpha tilt|f8|1.7|degree|tilt_angle| tilt about the axis of the holder
Beta tilt|f8|1.8|degree|beta_tilt| tilt about the second axis
X-Stage|f8|1.9|m|stage_x*1e6| stage position x
Y-Stage|f8|1.10|m|stage_y*1e6| stage position y
Z-Stage|f8|1.11|m|stage_z*1e6| stage position z
Tilt axis angle|f8|1.12|degree|tilt_axis_angle| direction of the tilt axis; IMOD shows it with the other sign
Dual axis rotation|f8|1.13|degree|| rotation between the two series of a dual-axis acquisition
Pixel size X|f8|1.14|m|pixel_size*1e10| width of a pixel
Pixel size Y|f8|1.15|m|| height of a pixel
Unused range|S48|1.16||| six numbers without a published meaning
Defocus|f8|1.22|m|defocus*1e6| defocus the microscope reports
STEM Defocus|f8|1.23|m|| defocus in STEM
Applied defocus|f8|1.24|m|target_defocus*1e6| requested defocus
Instrument mode|i4|1.25||| 1 TEM, 2 STEM
Projection mode|i4|1.26||| diffraction or imaging; sources disagree on which number is which
Objective lens mode|S16|1.27||| LM, HM or Lorentz
High magnification mode|S16|1.28||| Mi, SA or Mh
Probe mode|i4|1.29||| nano or micro probe; sources disagree on which number is which
EFTEM On|?|1.30||| whether the energy filter is in use
Magnification|f8|1.31||magnification| nominal magnification
Bitmask 2|u4|||| which of the next 32 fields are set
Camera length|f8|2.0|m|camera_length*1e3| camera length in diffraction
Spot index|i4|2.1||spot_size| spot size number
Illuminated area|f8|2.2|m|illuminated_area*1e6| diameter of the illuminated area
Intensity|f8|2.3||intensity| condenser setting
Convergence angle|f8|2.4|degree|convergence_angle| convergence angle of the beam
Illumination mode|S16|2.5||| None, Parallel, Probe or Free
Wide convergence angle range|?|2.6||| whether the wide range is on
Slit inserted|?|2.7||| whether the energy slit is in
Slit width|f8|2.8|eV|slit_width| width of the energy slit
Acceleration voltage offset|f8|2.9|V|| offset of the acceleration voltage
Drift tube voltage|f8|2.10|V|| voltage of the drift tube
Energy shift|f8|2.11|eV|energy_loss| energy shift of the filter
Shift offset X|f8|2.12||| image-beam shift offset x, in logical units
Shift offset Y|f8|2.13||| image-beam shift offset y, in logical units
Shift X|f8|2.14||| image-beam shift x, in logical units
Shift Y|f8|2.15||| image-beam shift y, in logical units
Integration time|f8|2.16|s|exposure_time| exposure time
Binning Width|i4|2.17||binning| binning along a row
Binning Height|i4|2.18||| binning along a column
Camera name|S16|2.19||| camera
Readout area left|i4|2.20|pixel|| left edge of the part of the camera that was read
Readout area top|i4|2.21|pixel|| top edge
Readout area right|i4|2.22|pixel|| right edge
Readout area bottom|i4|2.23|pixel|| bottom edge
Ceta noise reduction|?|2.24||| whether the Ceta camera reduced noise
Ceta frames summed|i4|2.25||| frames the Ceta camera summed
Direct detector electron counting|?|2.26||| whether electrons were counted
Direct detector align frames|?|2.27||| whether frames were aligned by the camera
Camera param reserved 0|i4|2.28||| reserved
Camera param reserved 1|i4|2.29||| reserved
Camera param reserved 2|i4|2.30||| reserved
Camera param reserved 3|i4|2.31||| reserved
Bitmask 3|u4|||| which of the next 32 fields are set
Camera param reserved 4|i4|3.0||| reserved
Camera param reserved 5|i4|3.1||| reserved
Camera param reserved 6|i4|3.2||| reserved
Camera param reserved 7|i4|3.3||| reserved
Camera param reserved 8|i4|3.4||| reserved
Camera param reserved 9|i4|3.5||| reserved
Phase Plate|?|3.6||| whether the phase plate is in
STEM Detector name|S16|3.7||| STEM detector
Gain|f8|3.8||| gain of the STEM detector
Offset|f8|3.9||| offset of the STEM detector
STEM param reserved 0|i4|3.10||| reserved
STEM param reserved 1|i4|3.11||| reserved
STEM param reserved 2|i4|3.12||| reserved
STEM param reserved 3|i4|3.13||| reserved
STEM param reserved 4|i4|3.14||| reserved
Dwell time|f8|3.15|s|| time the beam stays on a pixel
Frame time|f8|3.16|s|| time of a scanned frame
Scan size left|i4|3.17|pixel|| left edge of the scan
Scan size top|i4|3.18|pixel|| top edge
Scan size right|i4|3.19|pixel|| right edge
Scan size bottom|i4|3.20|pixel|| bottom edge
Full scan FOV X|f8|3.21|m|| width of the full scan
Full scan FOV Y|f8|3.22|m|| height of the full scan
Element|S16|3.23||| chemical element of an elemental map
Energy interval lower|f8|3.24||| lower end of its energy interval
Energy interval higher|f8|3.25||| upper end
Method|i4|3.26||| number of the method of the map
Is dose fraction|?|3.27||| whether this is one fraction of an exposure
Fraction number|i4|3.28||| number of the fraction
Start frame|i4|3.29||| first camera frame in it
End frame|i4|3.30||| last camera frame in it
Input stack filename|S80|3.31||| file the image was made from
Bitmask 4|u4|||| which of the next fields are set
Alpha tilt min|f8|4.0|degree|| lower limit of the tilt
Alpha tilt max|f8|4.1|degree|| upper limit of the tilt
"""

_FEI2_TABLE = """
Scan rotation|f8|4.2||| rotation of the scan; unit not verified
Diffraction pattern rotation|f8|4.3||| rotation of the diffraction pattern; unit not verified
Image rotation|f8|4.4||| rotation of the image; unit not verified
Scan mode enumeration|i4|4.5||| 0 other, 1 raster, 2 serpentine
Acquisition time stamp|i8|4.6||| time of the acquisition, stored as microseconds since 1970 (UTC)
Detector commercial name|S16|4.7||| name the detector is sold under
Start tilt angle|f8|4.8|degree|| tilt at the start of a continuous series
End tilt angle|f8|4.9|degree|| tilt at its end
Tilt per image|f8|4.10|degree|| tilt during one image
Tilt speed|f8|4.11|degree/s|| speed of the tilt
Beam center X pixel|i4|4.12|pixel|| column of the beam centre
Beam center Y pixel|i4|4.13|pixel|| row of the beam centre
CFEG flash timestamp|i8|4.14||| last flash of the cold gun, stored as microseconds since 1970
Phase plate position index|i4|4.15||| position of the phase plate
Objective aperture name|S16|4.16||| objective aperture
"""

#: FEI Tomography of this version stored the angles in the wrong unit; IMOD multiplies them by pi/180.
_WRONG_ANGLES = "4.4.0.4981"
_CODECS = {
    "Timestamp": Codec.OLE_DAYS,
    "Acquisition time stamp": Codec.UNIX_US,
    "CFEG flash timestamp": Codec.UNIX_US,
    "Unused range": Codec.HEX,
}


def _field(line: str) -> Field:
    """Return the field of a line of a table."""
    name, item, bit, unit, common, meaning = (part.strip() for part in line.split("|"))
    codec = _CODECS.get(name) or {"S": Codec.TEXT, "?": Codec.FLAG}.get(item[0], Codec.NUMBER)
    common, _, factor = common.partition("*")
    mask, _, number = bit.partition(".")
    where = {"mask": f"Bitmask {mask}", "bit": int(number)} if bit else {}
    return Field(name, item, unit, meaning, common, float(factor or 1), codec, **where)  # type: ignore[arg-type]


_FEI1_FIELDS = tuple(map(_field, _FEI1_TABLE.strip().splitlines()))
_FEI2_FIELDS = _FEI1_FIELDS + tuple(map(_field, _FEI2_TABLE.strip().splitlines()))


def _first_int(data: bytes, byteorder: str) -> int:
    """Return the first 32-bit integer; -1 for less than 4 bytes."""
    return int(struct.unpack_from(byteorder + "i", data)[0]) if len(data) >= struct.calcsize("i") else -1


def _begins_with_size(size: int) -> Any:
    """Return the function that tests whether a block begins with a record of `size` bytes, in either byte order."""

    def test(data: bytes, facts: RecordFacts) -> str:
        other = {"<": ">", ">": "<"}[facts.byteorder]
        found = size in (_first_int(data, facts.byteorder), _first_int(data, other)) and len(data) >= size
        return f"its first record declares its length as {size} bytes" if found else ""

    return test


def _order_of_records(data: bytes, facts: RecordFacts) -> RecordFacts:
    """Return the facts with the byte order in which the record length is valid."""
    sizes = {768, 888}
    order = facts.byteorder if _first_int(data, facts.byteorder) in sizes else {"<": ">", ">": "<"}[facts.byteorder]
    return replace(facts, byteorder=order)  # type: ignore[arg-type]  # one of the two


def _true_angles(records: Records, field: Field) -> NDArray[Any]:
    """Return pi/180 for the angles of the version that stored them in the wrong unit, else 1."""
    if field.name not in ("Alpha tilt", "Tilt axis angle"):
        return np.ones(len(records))
    versions = records.column("Application version").values
    return np.where(versions == _WRONG_ANGLES, np.pi / 180, 1.0)


FEI1 = Dialect(
    "FEI1",
    b"FEI1",
    "EPU and Tomography 5 before 2020: 768 bytes for each section",
    _begins_with_size(dtype_of(_FEI1_FIELDS, "<").itemsize),
    _begins_with_size(dtype_of(_FEI1_FIELDS, "<").itemsize),
    lambda _facts: _FEI1_FIELDS,
    slots=True,
    adjust=_true_angles,
    effective=_order_of_records,
)

FEI2 = Dialect(
    "FEI2",
    b"FEI2",
    "EPU and Tomography 5 since 2020: 888 bytes for each section",
    _begins_with_size(dtype_of(_FEI2_FIELDS, "<").itemsize),
    _begins_with_size(dtype_of(_FEI2_FIELDS, "<").itemsize),
    lambda _facts: _FEI2_FIELDS,
    slots=True,
    adjust=_true_angles,
    effective=_order_of_records,
)

_OLD_SIZE = 128
_OLD_TABLE = """
Alpha tilt|f4||degree|tilt_angle| tilt about the axis of the holder
Beta tilt|f4||degree|beta_tilt| tilt about the second axis
X-Stage|f4||m|stage_x*1e6| stage position x; micrometres in files where one of the three exceeds 0.01
Y-Stage|f4||m|stage_y*1e6| stage position y; micrometres in files where one of the three exceeds 0.01
Z-Stage|f4||m|stage_z*1e6| stage position z; micrometres in files where one of the three exceeds 0.01
X-Shift|f4||m|image_shift_x*1e6| image shift x
Y-Shift|f4||m|image_shift_y*1e6| image shift y
Defocus|f4||m|defocus*1e6| defocus
Exposure time|f4||s|exposure_time| exposure time
Mean intensity|f4|||| mean of the pixels, in counts
Tilt axis angle|f4||degree|tilt_axis_angle| direction of the tilt axis; IMOD shows it with the other sign
Pixel size|f4||m|pixel_size*1e10| size of a pixel; ångström in files where it exceeds 0.05
Magnification|f4|||magnification| nominal magnification
HT|f4||V|voltage*1e-3| acceleration voltage; left zero by some programs
"""

#: The first fourteen floats, which FEI's and Agard's programs share; the others are unused.
FLOAT_FIELDS = tuple(map(_field, _OLD_TABLE.strip().splitlines()))
_OLD_FIELDS = FLOAT_FIELDS + tuple(
    Field(f"Unused {index}", "f4", meaning="unused") for index in range(len(FLOAT_FIELDS), 32)
)


def _plausible_floats(data: bytes, facts: RecordFacts) -> bool:
    """Whether the first record is finite and begins with two plausible angles."""
    first = np.frombuffer(data[:_OLD_SIZE], dtype=np.dtype("f4").newbyteorder(facts.byteorder))
    return bool(first.size == _OLD_SIZE // 4 and np.isfinite(first).all() and np.abs(first[:2]).max() <= 360)  # noqa: PLR2004


def _is_old_fei(data: bytes, facts: RecordFacts) -> str:
    """Return the evidence that the block has 32 floats for each section."""
    counts = (facts.nint, facts.nreal) in ((0, 32), (128, 32))
    size = len(data) in (1024 * _OLD_SIZE, 8192 * _OLD_SIZE)
    if not (counts or size or facts.by_fei) or not _plausible_floats(data, facts):
        return ""
    if size:
        return f"it is {len(data) // _OLD_SIZE} records of 128 bytes with plausible angles"
    return "word 33 or the first label announces records of 32 floats, and the first has plausible angles"


def _no_integers(_data: bytes, facts: RecordFacts) -> RecordFacts:
    """Return the facts with nint = 0 and nreal = 32, whatever the header declares."""
    return replace(facts, nint=0, nreal=32)


def in_angstrom(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixel sizes of float records are in ångström, by IMOD's rule; the others are in metres."""
    return np.asarray((values > 0.05) & (values < 100_000))  # noqa: PLR2004 - IMOD's limits


#: A stage moves less than a centimetre from its centre, so a larger number is in micrometres.
_STAGE_REACH = 0.01
_STAGES = ("X-Stage", "Y-Stage", "Z-Stage")


def _stage_unit(records: Records) -> float:
    """Return the factor that converts the stage positions of a file to metres; a program writes all in one unit."""
    stored = np.stack([records.array[name].astype(np.float64) for name in _STAGES])
    farthest = np.max(np.abs(stored), initial=0.0, where=np.isfinite(stored))
    return 1e-6 if farthest > _STAGE_REACH else 1.0


def shifting_units(records: Records, field: Field) -> NDArray[Any]:
    """Return the correction of values that some programs write in another unit than FEI."""
    stored = records.array[field.name].astype(np.float64)
    if field.name == "Pixel size":
        return np.where(in_angstrom(stored), 1e-10, 1.0)
    if field.name in _STAGES:
        return np.full(len(records), _stage_unit(records))
    return np.ones(len(records))


OLD_FEI = Dialect(
    "FEI0",
    b"",
    "FEI Xplore3D and Tomography 3 and 4: 32 floats for each section, no type",
    lambda _data, _facts: "",
    _is_old_fei,
    lambda _facts: _OLD_FIELDS,
    slots=True,
    granule=_OLD_SIZE,
    adjust=shifting_units,
    effective=_no_integers,
)

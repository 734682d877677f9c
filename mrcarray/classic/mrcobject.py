"""`MrcObject`: a header, an extended header and data as NumPy arrays, kept consistent, without a file.

The format comes from the layers below: the record dtype from the table of header fields, dtypes from the table of
modes, statistics from `mrcarray.statistics`, rules from `mrcarray.validation.checks`.
"""

from __future__ import annotations

from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from mrcarray.caller import warn
from mrcarray.classic import utils
from mrcarray.classic.arguments import MAX_INT, check_extended_header, check_shape, three, whole
from mrcarray.classic.constants import (
    IMAGE_STACK_SPACEGROUP,
    MAP_ID,
    VOLUME_SPACEGROUP,
    VOLUME_STACK_SPACEGROUP,
)
from mrcarray.classic.dtypes import HEADER_DTYPE, NSTART_DTYPE, VOXEL_SIZE_DTYPE, get_ext_header_dtype
from mrcarray.classic.header_record import (
    INDEXED,
    STATISTICS,
    extended_records,
    header_of,
    read_only_record,
    record_array,
    set_statistics,
    statistics_bytes,
)
from mrcarray.errors import ClosedError, MrcValueError
from mrcarray.format.header import Header

if TYPE_CHECKING:
    from mrcarray.format.modes import ByteOrder

__all__ = [
    "HEADER_DTYPE",
    "MAP_ID",
    "MrcObject",
    "get_ext_header_dtype",
]

_LABEL_NBYTES = 80
#: Dimensions of the data by kind of file.
_IMAGE, _STACK, _VOLUMES = 2, 3, 4


class MrcObject:
    """An image or volume in the MRC format, without a file.

    The header, extended header and data are NumPy arrays that may be changed in place; `set_data` and
    `set_extended_header` replace the arrays.

    Attributes
    ----------
    header : recarray, 0-d
    extended_header : ndarray
    indexed_extended_header : structured ndarray or None
    data : ndarray
    voxel_size, nstart : recarray, 0-d, read-only

    Notes
    -----
    Subclasses set `_read_only` to refuse changes; they may extend `_check_writeable`, `_create_default_attributes`,
    `_close_data` and `_set_new_data`.

    Examples
    --------
    >>> mrc = MrcObject()
    >>> mrc._create_default_attributes()
    >>> mrc.set_data(np.arange(12, dtype="i2").reshape(3, 4))
    >>> mrc.is_single_image(), int(mrc.header.mode), float(mrc.header.dmax)
    (True, 1, 11.0)
    """

    _extended_header: Any
    _array: Any
    _read_only: bool

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: The header that was read, until the record array is first used; then the record array alone counts.
        self._frozen: Header | None = None
        self._record: Any = None
        self._extended_header = None
        self._array = None
        self._read_only = False
        #: The four statistics that this object computed last, to recognise those that the caller set.
        self._computed_stats: bytes | None = None

    # the header in its two forms

    @property
    def _header(self) -> Any:
        """The record array, made from the bytes that were read when it is first used."""
        if self._record is None and self._frozen is not None:
            self._record = record_array(self._frozen.raw, self._frozen.byteorder)
            self._record.setflags(write=not self._read_only)
        return self._record

    @_header.setter
    def _header(self, record: Any) -> None:
        self._record = record
        self._frozen = None

    def _current_header(self) -> Header:
        """Return the header as an immutable value, with the changes made in the record array."""
        if self._record is not None:
            return header_of(self._record)
        self._check_open()
        return cast("Header", self._frozen)

    # methods for subclasses to extend

    def _check_writeable(self) -> None:
        """Raise `ValueError` when this object is read-only, `ClosedError` when it is closed."""
        if self._read_only:
            raise MrcValueError("MRC object is read-only")

    def _check_open(self) -> None:
        """Raise `ClosedError` when there is no header."""
        if self._record is None and self._frozen is None:
            raise ClosedError("the MRC object has no header: it is closed, or nothing was read into it")

    def _create_default_attributes(self) -> None:
        """Set header, extended header and data of a new, empty file."""
        self._create_default_header()
        self._extended_header = np.empty(0, dtype="V1")
        self._set_new_data(np.empty(0, dtype=np.int8))

    def _create_default_header(self) -> None:
        """Set the header of a new, empty file."""
        order: ByteOrder = "<" if utils.normalise_byte_order("=") == "<" else ">"
        time = datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005 - mrcfile writes local time
        label = "{:40s}{:>39s} ".format("Created by mrcfile.py", time)
        self._header = record_array(Header.blank(order, labels=[label], nlabl=1).raw, order)
        self.reset_header_stats()

    def _close_data(self) -> None:
        """Drop the data array."""
        self._array = None

    def _set_new_data(self, data: Any) -> None:
        """Keep an array that fits a file."""
        self._array = data

    # header, extended header, data

    @property
    def header(self) -> Any:
        """The header, a 0-d record array; its fields may be changed in place."""
        return self._header

    @property
    def extended_header(self) -> Any:
        """The extended header, an array of raw bytes that may be changed in place."""
        return self._extended_header

    @property
    def indexed_extended_header(self) -> Any:
        """The records of the extended header, one for each section, as a copy in a structured array.

        Supported types are FEI1, FEI2, SERI (SerialEM), AGAR and MRCO; without a type these are detected, and FEI's
        older block of floats. For other types, or bytes that do not fit the type, the value is None, with a warning.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.zeros((2, 3, 4), "i2"))
        >>> mrc.set_extended_header(np.array([4000, 4300], "<i2"))  # hundredths of a degree
        >>> mrc.header.exttyp = b"SERI"
        >>> mrc.header["extra2"] = np.frombuffer(bytes(16) + bytes([2, 0, 1, 0]) + bytes(64), "V84")[0]
        >>> mrc.indexed_extended_header["Tilt angle"].tolist()
        [4000, 4300]
        """
        self._check_open()
        found = None
        if self._extended_header is not None and self.header.exttyp in INDEXED:
            found = extended_records(self.header, self._extended_header)
        if found is None:
            text = f"The header has exttyp '{self.header.exttyp}' but the extended header cannot be interpreted as that"
            warn(f"{text} type")
            return None
        found.flags.writeable = not self._read_only
        return found

    def set_extended_header(self, extended_header: Any) -> None:
        """Replace the extended header; ``header.exttyp`` is left to the caller.

        Parameters
        ----------
        extended_header : ndarray
            Any array; its bytes are written.

        Raises
        ------
        ValueError
            When this object is read-only, or the array has more than 2147483647 bytes.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_extended_header(np.frombuffer(b"any kind of array", "V1"))
        >>> mrc.header.exttyp = b"MINE"
        >>> int(mrc.header.nsymbt)
        17
        """
        self._check_writeable()
        self._check_open()
        check_extended_header(extended_header)
        self._extended_header = extended_header
        self.header.nsymbt = extended_header.nbytes

    @property
    def _data(self) -> Any:
        """The data array for callers and subclasses, who may change it; this package reads `_array`."""
        return self._array

    @_data.setter
    def _data(self, array: Any) -> None:
        self._array = array

    @property
    def data(self) -> Any:
        """The data array; None when it was not or could not be read."""
        return self._data

    def set_data(self, data: Any) -> None:
        """Replace the data, and update header and statistics.

        An array of a supported dtype in C order is not copied.

        Parameters
        ----------
        data : ndarray, shape (y, x), (z, y, x) or (volume, z, y, x)
            int8, int16, uint16, float16, float32 or complex64; uint8 is widened to uint16.

        Raises
        ------
        ValueError
            When this object is read-only, or dtype or shape do not fit an MRC file; nothing is changed.

        Warns
        -----
        RuntimeWarning
            When the data contain NaN or infinite values.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.full((2, 3), 200, "u1"))
        >>> mrc.data.dtype, int(mrc.header.mode), float(mrc.header.dmax)
        (dtype('uint16'), 6, 200.0)
        """
        self._check_writeable()
        self._check_open()
        data = data if isinstance(data, np.ndarray) else np.asarray(data)
        dtype = utils.dtype_from_mode(utils.mode_from_dtype(data.dtype)).newbyteorder(data.dtype.byteorder)
        check_shape(data.shape, "New data array is too large!")
        contiguous = np.ascontiguousarray(data, dtype=None if dtype == data.dtype else dtype)
        self._set_contiguous_data(contiguous)

    def _set_contiguous_data(self, data: Any) -> None:
        """Replace the data by an array that fits a file."""
        self._close_data()
        self._set_new_data(data)
        self.update_header_from_data()
        self.update_header_stats()

    # voxel size and start

    @property
    def voxel_size(self) -> Any:
        """The voxel size in ångström, a read-only record of x, y, z; assign one number or three.

        It is cell length / number of intervals; assigning changes the cell.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.zeros((2, 3, 4), "i2"))
        >>> mrc.voxel_size = 1.5
        >>> mrc.voxel_size.item(), mrc.header.cella.item()
        ((1.5, 1.5, 1.5), (6.0, 4.5, 3.0))

        Warns
        -----
        MrcWarning
            When a number of intervals (words 8-10) is 0; that voxel size is infinite or NaN.
        """
        self._check_open()
        header = self.header
        with np.errstate(divide="ignore", invalid="ignore"):
            sizes = tuple(header.cella[axis] / header[f"m{axis}"] for axis in "xyz")
        for axis in (axis for axis in "xyz" if header[f"m{axis}"] == 0):
            warn(
                f"voxel_size.{axis} is {header.cella[axis]} (header.cella.{axis}) divided by header.m{axis}, which is 0"
            )
        return read_only_record(sizes, VOXEL_SIZE_DTYPE)

    @voxel_size.setter
    def voxel_size(self, voxel_size: Any) -> None:
        self._check_writeable()
        self._check_open()
        sizes = three(voxel_size, float, "voxel_size")
        if not all(np.isfinite(size) and size >= 0 for size in sizes):
            raise MrcValueError(f"voxel_size is {voxel_size}; expected finite lengths in ångström, 0 for unknown")
        self._set_voxel_size(*sizes)

    def _set_voxel_size(self, x_size: float, y_size: float, z_size: float) -> None:
        """Set the cell for voxels of these lengths in ångström."""
        cells = [size * int(self.header[f"m{a}"]) for a, size in zip("xyz", (x_size, y_size, z_size), strict=True)]
        if max(map(abs, cells)) > float(np.finfo(np.float32).max):
            raise MrcValueError(f"voxel_size {(x_size, y_size, z_size)} makes a cell too long for a 32-bit float")
        self.header.cella.x, self.header.cella.y, self.header.cella.z = cells

    @property
    def nstart(self) -> Any:
        """The grid position of the first voxel, a read-only record of x, y, z; assign one number or three."""
        self._check_open()
        return read_only_record(tuple(self.header[f"n{axis}start"] for axis in "xyz"), NSTART_DTYPE)

    @nstart.setter
    def nstart(self, nstart: Any) -> None:
        self._check_writeable()
        self._check_open()
        starts = three(nstart, whole, "nstart")
        if not all(-MAX_INT - 1 <= start <= MAX_INT for start in starts):
            raise MrcValueError(f"nstart is {nstart}; expected 32-bit integers")
        self._set_nstart(*starts)

    def _set_nstart(self, nxstart: int, nystart: int, nzstart: int) -> None:
        """Set the three start fields."""
        self.header.nxstart, self.header.nystart, self.header.nzstart = nxstart, nystart, nzstart

    # kinds of data

    def _ndim(self) -> int:
        """Return the number of dimensions of the data, by the header when they were not read."""
        self._check_open()
        if self._array is not None:
            return int(self._array.ndim)
        return len(utils.data_shape_from_header(self._current_header()))

    def is_single_image(self) -> bool:
        """Whether the data have two dimensions."""
        return self._ndim() == _IMAGE

    def is_image_stack(self) -> bool:
        """Whether the data have three dimensions and the space group is 0."""
        return self._ndim() == _STACK and bool(self.header.ispg == IMAGE_STACK_SPACEGROUP)

    def is_volume(self) -> bool:
        """Whether the data have three dimensions and the space group is not 0."""
        return self._ndim() == _STACK and bool(self.header.ispg != IMAGE_STACK_SPACEGROUP)

    def is_volume_stack(self) -> bool:
        """Whether the data have four dimensions."""
        return self._ndim() == _VOLUMES

    def set_image_stack(self) -> None:
        """Make three-dimensional data a stack of images: space group 0, mz 1.

        Raises
        ------
        ValueError
            When the data do not have three dimensions.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.zeros((2, 3, 4), "i2"))
        >>> mrc.set_image_stack()
        >>> mrc.is_image_stack(), int(mrc.header.ispg), int(mrc.header.mz)
        (True, 0, 1)
        >>> mrc.set_volume()
        >>> mrc.is_volume(), int(mrc.header.ispg), int(mrc.header.mz)
        (True, 1, 2)
        """
        self._check_writeable()
        if self._ndim() != _STACK:
            raise MrcValueError("Only 3D data can be changed into an image stack")
        self.header.ispg = IMAGE_STACK_SPACEGROUP
        self.header.mz = 1

    def set_volume(self) -> None:
        """Make three-dimensional data a volume: space group 1 and mz = nz if it was a stack of images.

        Raises
        ------
        ValueError
            When the data do not have three dimensions.
        """
        self._check_writeable()
        if self._ndim() != _STACK:
            raise MrcValueError("Only 3D data can be changed into a volume")
        if self.is_image_stack():
            self.header.ispg = VOLUME_SPACEGROUP
            self.header.mz = self.header.nz

    # header fields that follow from the data

    def update_header_from_data(self) -> None:
        """Set byte order, machine stamp, mode, space group and dimensions of the header from the data.

        Raises
        ------
        ValueError
            When there are no data, or dtype or shape do not fit an MRC file.
        """
        self._check_writeable()
        self._check_open()
        if self._array is None:
            raise MrcValueError("there are no data to update the header from; they were not read")
        mode = utils.mode_from_dtype(self._array.dtype)
        check_shape(self._array.shape, "New data array is too large!")
        self._match_byte_order(self._array.dtype.byteorder)
        self.header.mode = mode
        self._set_dimensions(self._array.shape)

    def _match_byte_order(self, byte_order: str) -> None:
        """Give the header the byte order of the data, and set the machine stamp."""
        header = self.header
        if byte_order != "|" and not utils.byte_orders_equal(byte_order, header.mode.dtype.byteorder):
            header.swap()
        header.machst = utils.machine_stamp_from_byte_order(header.mode.dtype.byteorder)

    def _set_dimensions(self, shape: tuple[int, ...]) -> None:
        """Set space group, dimensions and grid for data of this shape."""
        header = self.header
        if len(shape) == _IMAGE:
            header.ispg, header.nz, header.mz = IMAGE_STACK_SPACEGROUP, 1, 1
        elif len(shape) == _STACK:
            header.nz = shape[0]
            header.mz = 1 if header.ispg == IMAGE_STACK_SPACEGROUP else shape[0]
        else:
            if not utils.spacegroup_is_volume_stack(header.ispg):
                header.ispg = VOLUME_STACK_SPACEGROUP
            header.nz, header.mz = shape[0] * shape[1], shape[1]
        header.nx = header.mx = shape[-1]
        header.ny = header.my = shape[-2]

    def update_header_stats(self) -> None:
        """Compute minimum, maximum, mean and rms of the data and set them in the header.

        Sums are accumulated in float64. For complex data only the rms is set, the root mean square of the absolute
        deviation from the mean; the others are marked as undetermined.

        Warns
        -----
        RuntimeWarning
            When the data contain NaN (all four become NaN) or infinite values.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.zeros((2, 3), "f4"))
        >>> mrc.data[:] = 1e30  # squares of it are beyond float32
        >>> mrc.update_header_stats()
        >>> float(mrc.header.dmax) == float(mrc.header.dmean), float(mrc.header.rms)
        (True, 0.0)
        """
        self._check_writeable()
        self._check_open()
        self.reset_header_stats()
        if self._array is None or self._array.size == 0:
            return
        for text in set_statistics(self.header, self._array):
            warn(text)
        self._computed_stats = statistics_bytes(self.header)

    def reset_header_stats(self) -> None:
        """Mark the statistics in the header as undetermined."""
        self._check_writeable()
        self._check_open()
        unknown = Header.blank()
        for name in STATISTICS:
            self.header[name] = getattr(unknown, name)
        self._computed_stats = None

    # labels and text

    def print_header(self, print_file: IO[str] | None = None) -> None:
        """Print all header fields, one a line, to a text stream or the standard output."""
        self._check_open()
        for item in self.header.dtype.names:
            print(f"{item:15s} : {self.header[item]}", file=print_file)

    def get_labels(self) -> list[str]:
        """Return the labels in use, without unprintable characters."""
        self._check_open()
        return [utils.printable_string_from_bytes(label) for label in self.header.label[: int(self.header.nlabl)]]

    def add_label(self, label: str) -> None:
        """Add a label after those in use.

        Parameters
        ----------
        label : str
            Up to 80 printable ASCII characters.

        Raises
        ------
        ValueError
            When the text is longer or contains other characters.
        IndexError
            When all ten labels are in use.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.add_label("filtered to 20 A")
        >>> mrc.get_labels()[1]
        'filtered to 20 A'
        """
        self._check_open()
        if not utils.is_printable_ascii(label):
            raise MrcValueError("Label contains non-printable or non-ASCII characters")
        if len(label) > _LABEL_NBYTES:
            raise MrcValueError("Label value has more than 80 bytes")
        count = int(self.header.nlabl)
        if not 0 <= count < len(self.header.label):
            raise IndexError(f"nlabl is {count}; a header has {len(self.header.label)} labels")
        self.header.label[count] = label
        self.header.nlabl = count + 1

    def validate(self, print_file: IO[str] | None = None) -> bool:
        """Check this object against MRC2014, and print one line for each problem.

        Parameters
        ----------
        print_file : text stream, optional
            Where to print [default: standard output].

        Returns
        -------
        bool
            Whether there are no problems by the rules of `mrcarray.validation.checks.classic`.

        Examples
        --------
        >>> mrc = MrcObject()
        >>> mrc._create_default_attributes()
        >>> mrc.set_data(np.zeros((2, 3), "f4"))
        >>> mrc.header.mapc = 7
        >>> mrc.validate()
        Invalid axis mapping: found [2, 3, 7], should be [1, 2, 3]
        False
        """
        from mrcarray.classic.validator_stats import findings, report

        return report(findings(self._current_header(), self._array), print_file)

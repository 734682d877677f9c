"""The functions that open files, under the names of the original library."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING, Any, TypeVar

from mrcarray.classic import utils
from mrcarray.classic.arguments import check_extended_header, check_fill, check_shape, text_name
from mrcarray.classic.bzip2mrcfile import Bzip2MrcFile
from mrcarray.classic.constants import MAP_ID, MAP_ID_OFFSET_BYTES
from mrcarray.classic.future_mrcfile import FutureMrcFile
from mrcarray.classic.gzipmrcfile import GzipMrcFile
from mrcarray.classic.mrcfile import MrcFile
from mrcarray.classic.mrcmemmap import MrcMemmap
from mrcarray.errors import MrcValueError
from mrcarray.storage.compression.codecs import detect
from mrcarray.storage.local import LocalSource

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MAP_ID",
    "MAP_ID_OFFSET_BYTES",
    "mmap",
    "new",
    "new_mmap",
    "open",
    "open_async",
    "read",
    "write",
]

_Name = str | os.PathLike[str]
_File = TypeVar("_File", bound=MrcFile)
#: The class for a compression, and the compression for the end of a name.
_CLASSES: dict[str | None, type[MrcFile]] = {None: MrcFile, "gzip": GzipMrcFile, "bzip2": Bzip2MrcFile}
_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2"}


def new(name: _Name, data: Any = None, compression: str | None = None, overwrite: bool = False) -> MrcFile:
    """Make a new MRC file, which appears under its name when it is closed or flushed.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    data : ndarray, optional
        Data to put into it, see `MrcObject.set_data`.
    compression : {None, "gzip", "bzip2"}
        How to compress it, whatever its name.
    overwrite : bool
        Whether a file of that name is replaced.

    Returns
    -------
    MrcFile
        Open for reading and writing.

    Raises
    ------
    ValueError
        When there is a file of that name and `overwrite` is false, or the compression is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> with new("example.mrc", np.zeros((3, 4), "i2")) as mrc:
    ...     mrc.voxel_size = 1.5
    >>> read("example.mrc").shape
    (3, 4)
    """
    if compression not in _CLASSES:
        raise MrcValueError(f"Unknown compression format '{compression}'")
    mrc = _CLASSES[compression](name, mode="w+", overwrite=overwrite)
    if data is not None:
        try:
            mrc.set_data(data)
        except BaseException:
            mrc._abort()  # noqa: SLF001 - nobody else holds the object
            raise
    return mrc


def open(name: _Name, mode: str = "r", permissive: bool = False, header_only: bool = False) -> MrcFile:  # noqa: A001 - the original's name
    """Open an MRC file, plain or compressed; its content decides which.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    mode : {"r", "r+", "w+"}
        Read, read and write, or make a new file (see `new`).
    permissive : bool
        Warn of what is wrong with the file, and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Returns
    -------
    MrcFile, GzipMrcFile or Bzip2MrcFile

    Raises
    ------
    ValueError
        For another mode, an invalid file unless `permissive`, or ``w+`` and a file that exists.
    OSError
        When there is no such file or it cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> write("example.mrc.gz", np.zeros((5, 3, 4), "f4"), voxel_size=1.5)
    >>> with open("example.mrc.gz") as mrc:
    ...     print(mrc, mrc.data.shape, mrc.voxel_size.x)
    GzipMrcFile('example.mrc.gz', mode='r') (5, 3, 4) 1.5
    """
    name = text_name(name)
    if not isinstance(mode, str):
        raise TypeError(f"mode is {mode!r}; expected 'r', 'r+' or 'w+'")
    if "w" in mode:
        if os.path.exists(name):  # noqa: PTH110 - text stays text
            raise MrcValueError(
                f"File '{name}' already exists; use a different name, or delete it first or call 'mrcfile.new()' with "
                "'overwrite=True' to overwrite it"
            )
        return MrcFile(name, mode=mode, permissive=permissive, header_only=header_only)
    file = _opened(name)
    codec = detect(file.head) if file is not None else None
    cls = MrcFile if codec is None else _CLASSES.get(codec.name, MrcFile)
    return _of(cls, file, name, mode, False, permissive, header_only)


def read(name: _Name) -> Any:
    """Return the data of a file as an array of its own, in memory and writable.

    The file is opened permissively.

    Raises
    ------
    ValueError
        When the data cannot be read.
    OSError
        When there is no such file or it cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> write("example.mrc", np.arange(6, dtype="i2").reshape(2, 3))
    >>> read("example.mrc")
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int16)
    """
    with open(name, permissive=True) as mrc:
        return mrc._take_data()  # noqa: SLF001 - nobody else holds the object


def write(name: _Name, data: Any = None, overwrite: bool = False, voxel_size: Any = None) -> None:
    """Write an array to a new file.

    Parameters
    ----------
    name : str or os.PathLike
        File name; at its end ``.gz`` or ``.bz2`` asks for compression.
    data : ndarray, optional
        The data, see `MrcObject.set_data`.
    overwrite : bool
        Whether a file of that name is replaced.
    voxel_size : float or (x, y, z), in ångström
        Written into the header when given.

    Raises
    ------
    ValueError
        When there is a file of that name and `overwrite` is false, or the data do not fit an MRC file. There is no new
        file then, and an old one is as it was.

    Examples
    --------
    >>> import numpy as np
    >>> write("example.mrc", np.zeros((2, 3), "f4"), voxel_size=(1.5, 1.5, 1))
    >>> write("example.mrc", np.zeros((2, 3)), overwrite=True)
    Traceback (most recent call last):
        ...
    mrcarray.errors.MrcValueError: dtype 'float64' cannot be converted to an MRC file mode; pass data.astype(np.float32)
    >>> read("example.mrc").shape
    (2, 3)
    """
    compression = next((kind for suffix, kind in _SUFFIXES.items() if text_name(name).endswith(suffix)), None)
    with new(name, None, compression, overwrite) as mrc:
        if data is not None:
            mrc._set_data_at_once(data)  # noqa: SLF001 - it is written below, in one pass with its statistics
        if voxel_size is not None:
            mrc.voxel_size = voxel_size


def open_async(name: _Name, mode: str = "r", permissive: bool = False) -> FutureMrcFile:
    """Open a file in a thread of its own.

    Returns
    -------
    FutureMrcFile
        Its ``result()`` is what `open` returns.

    Examples
    --------
    >>> import numpy as np
    >>> write("example.mrc", np.zeros((2, 3), "f4"))
    >>> future = open_async("example.mrc")
    >>> with future.result(timeout=60) as mrc:
    ...     mrc.data.shape
    (2, 3)
    """
    return FutureMrcFile(open, (name,), {"mode": mode, "permissive": permissive})


def mmap(name: _Name, mode: str = "r", permissive: bool = False) -> MrcMemmap:
    """Open a plain file with its data mapped into memory: fast to open, read where it is looked at.

    Parameters
    ----------
    name, mode, permissive
        As for `open`; a compressed file cannot be mapped.

    Returns
    -------
    MrcMemmap

    Examples
    --------
    >>> import numpy as np
    >>> write("example.mrc", np.zeros((5, 3, 4), "f4"))
    >>> with mmap("example.mrc", mode="r+") as mrc:
    ...     mrc.data[2, 1] = 7
    >>> float(read("example.mrc").sum())
    28.0
    """
    return MrcMemmap(name, mode=mode, permissive=permissive)


def new_mmap(
    name: _Name,
    shape: Sequence[int],
    mrc_mode: int = 0,
    fill: Any = None,
    overwrite: bool = False,
    extended_header: Any = None,
    exttyp: Any = None,
) -> MrcMemmap:
    """Make a new file with its data mapped into memory, for data too large to hold.

    The room is reserved on the disk first. The file is there, under its name, when this returns.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    shape : (y, x), (z, y, x) or (volume, z, y, x)
        Shape of the data.
    mrc_mode : int
        0 int8, 1 int16, 2 float32, 4 complex64, 6 uint16 or 12 float16.
    fill : number, optional
        What to fill the data with; they are zero otherwise.
    overwrite : bool
        Whether a file of that name is replaced.
    extended_header : ndarray, optional
        Extended header.
    exttyp : str or bytes, optional
        Its type, up to four characters.

    Returns
    -------
    MrcMemmap
        Open for reading and writing.

    Raises
    ------
    ValueError
        For a mode or shape that does not fit an MRC file, a `fill` beyond the range of the mode, or a file that is in
        the way.
    TypeError
        When a length in `shape` is no integer.
    OSError
        When there is no room for the file.

    Examples
    --------
    >>> with new_mmap("example.mrc", (5, 3, 4), mrc_mode=2, fill=1) as mrc:
    ...     mrc.data[0] = 2
    ...     mrc.update_header_stats()
    >>> float(read("example.mrc").sum())
    72.0
    """
    shape = tuple(operator.index(length) for length in shape)
    check_shape(shape, "New shape is too large!")
    dtype = utils.dtype_from_mode(mrc_mode)
    if extended_header is not None:
        check_extended_header(extended_header)
    code = _type_code(exttyp)
    check_fill(fill, dtype)
    mrc = MrcMemmap(name, mode="w+", overwrite=overwrite)
    try:
        if extended_header is not None:
            mrc.set_extended_header(extended_header)
        if code is not None:
            mrc.header.exttyp = code
        mrc._open_memmap(dtype, shape)  # noqa: SLF001 - the documented way to make room
        mrc.update_header_from_data()
        if fill is not None:
            mrc.data[...] = fill
        mrc.flush()
    except BaseException:
        mrc._abort()  # noqa: SLF001 - nobody else holds the object
        raise
    return mrc


def _opened(name: str) -> LocalSource | None:
    """Return the file; None for one that cannot be opened, as its class says why."""
    try:
        return LocalSource.open(name)
    except OSError:
        return None


def _of(cls: type[_File], file: LocalSource | None, *arguments: Any) -> _File:
    """Return an object on a file that is open already: it is opened once."""
    mrc = cls.__new__(cls)
    mrc._handed_over = file  # noqa: SLF001 - nobody else holds the object
    mrc.__init__(*arguments)  # type: ignore[misc]
    return mrc


def _type_code(exttyp: Any) -> bytes | None:
    """Return the type of an extended header as bytes that fit."""
    if exttyp is None:
        return None
    code = utils.bytes_from_string(exttyp) if isinstance(exttyp, str | int) else bytes(exttyp)
    if len(code) > 4:  # noqa: PLR2004 - the field has four bytes
        raise MrcValueError(f"exttyp is {exttyp!r}; expected up to four characters")
    return code

"""The functions that open, read and write files, with mrcfile's names."""

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
#: Classes by compression, and compressions by suffix.
_CLASSES: dict[str | None, type[MrcFile]] = {None: MrcFile, "gzip": GzipMrcFile, "bzip2": Bzip2MrcFile}
_SUFFIXES = {".gz": "gzip", ".bz2": "bzip2"}


def new(name: _Name, data: Any = None, compression: str | None = None, overwrite: bool = False) -> MrcFile:
    """Create an MRC file, which appears under its name when it is closed or flushed.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    data : ndarray, optional
        Data, as for `MrcObject.set_data`.
    compression : {None, "gzip", "bzip2"}
        Compression; the name does not matter.
    overwrite : bool
        Whether an existing file is replaced.

    Returns
    -------
    MrcFile
        Open for reading and writing.

    Raises
    ------
    ValueError
        When the file exists and `overwrite` is false, or the compression is unknown.

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
            mrc._abort()  # noqa: SLF001 - the object is not shared yet
            raise
    return mrc


def open(name: _Name, mode: str = "r", permissive: bool = False, header_only: bool = False) -> MrcFile:  # noqa: A001 - the original's name
    """Open an MRC file, plain or compressed by its content.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    mode : {"r", "r+", "w+"}
        Read, read and write, or create a file (see `new`).
    permissive : bool
        Warn of problems and read on, instead of raising.
    header_only : bool
        Leave the data unread.

    Returns
    -------
    MrcFile, GzipMrcFile or Bzip2MrcFile

    Raises
    ------
    ValueError
        For another mode, an invalid file unless `permissive`, or ``w+`` for an existing file.
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
    """Return the data of a file as a writable array in memory.

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
        return mrc._take_data()  # noqa: SLF001 - the object is not shared yet


def write(name: _Name, data: Any = None, overwrite: bool = False, voxel_size: Any = None) -> None:
    """Write an array to a new file.

    Parameters
    ----------
    name : str or os.PathLike
        File name; the suffixes ``.gz`` and ``.bz2`` select a compression.
    data : ndarray, optional
        Data, as for `MrcObject.set_data`.
    overwrite : bool
        Whether an existing file is replaced.
    voxel_size : float or (x, y, z), in ångström
        Voxel size to write into the header.

    Raises
    ------
    ValueError
        When the file exists and `overwrite` is false, or the data do not fit an MRC file. No file is written, and an
        existing one is unchanged.

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
            mrc._set_data_at_once(data)  # noqa: SLF001 - `close` writes and counts it in one pass
        if voxel_size is not None:
            mrc.voxel_size = voxel_size


def open_async(name: _Name, mode: str = "r", permissive: bool = False) -> FutureMrcFile:
    """Open a file in a thread.

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
    """Open a plain file with its data mapped into memory, which reads only the parts that are used.

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
    """Create a file with its data mapped into memory, for data that are larger than memory.

    Disk space is reserved first. The file has its name when this function returns.

    Parameters
    ----------
    name : str or os.PathLike
        File name.
    shape : (y, x), (z, y, x) or (volume, z, y, x)
        Shape of the data.
    mrc_mode : int
        0 int8, 1 int16, 2 float32, 4 complex64, 6 uint16 or 12 float16.
    fill : number, optional
        Value of all data [default: 0].
    overwrite : bool
        Whether an existing file is replaced.
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
        For a mode or shape that does not fit an MRC file, a `fill` outside the range of the mode, or an existing file
        that must not be replaced.
    TypeError
        When a length in `shape` is not an integer.
    OSError
        When the disk is full.

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
        mrc._open_memmap(dtype, shape)  # noqa: SLF001 - the documented hook of subclasses
        mrc.update_header_from_data()
        if fill is not None:
            mrc.data[...] = fill
        mrc.flush()
    except BaseException:
        mrc._abort()  # noqa: SLF001 - the object is not shared yet
        raise
    return mrc


def _opened(name: str) -> LocalSource | None:
    """Return the file; None for one that cannot be opened, for which `MrcFile` raises the error."""
    try:
        return LocalSource.open(name)
    except OSError:
        return None


def _of(cls: type[_File], file: LocalSource | None, *arguments: Any) -> _File:
    """Return an object for a file that was opened already, which is not opened again."""
    mrc = cls.__new__(cls)
    mrc._handed_over = file  # noqa: SLF001 - the object is not shared yet
    mrc.__init__(*arguments)  # type: ignore[misc]
    return mrc


def _type_code(exttyp: Any) -> bytes | None:
    """Return the type of an extended header as up to four bytes."""
    if exttyp is None:
        return None
    code = utils.bytes_from_string(exttyp) if isinstance(exttyp, str | int) else bytes(exttyp)
    if len(code) > 4:  # noqa: PLR2004 - the field has four bytes
        raise MrcValueError(f"exttyp is {exttyp!r}; expected up to four characters")
    return code

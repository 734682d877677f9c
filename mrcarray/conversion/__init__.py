"""From one file to another: modes, formats and grids, streamed at any size.

What is read is a labelled dask array, whatever the format; what is written appears under its name when it is complete,
and not at all when something fails. To add a format, add a row to `READERS` and one to `WRITERS`.

`readers` and `writers` hold the tables, `tiff` one format, `values` what a format can hold, `places` how a file gets
its name, `mdoc` what goes beside it, `streams` pipes and standard output.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mrcarray.conversion.mdoc import bring
from mrcarray.conversion.readers import READERS, is_mrc, load, suffix_of
from mrcarray.conversion.stdio import is_stream, pour
from mrcarray.conversion.targets import Target
from mrcarray.conversion.writers import WRITERS, check_suffix, to_mrc_file
from mrcarray.errors import MrcValueError, OutputExistsError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import GUESSES
from mrcarray.reader import issue_warning
from mrcarray.xarray_backend import convention, metadata_read
from mrcarray.xarray_backend.flip import mirrored
from mrcarray.xarray_backend.pixel_metadata import with_followed_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

__all__ = ["READERS", "WRITERS", "check_suffix", "convert", "crop", "is_stream", "load"]

_GRID = ("z", "y", "x")
_TEXT = "OUST"
"""Kinds of dtype that hold texts."""


def convert(  # noqa: PLR0913 -- what to read, what to do with it, and what to write
    source: str | os.PathLike[str] | BinaryIO,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    sel: Mapping[str, slice] | None = None,
    isel: Mapping[str, slice] | None = None,
    bin: int = 1,  # noqa: A002 -- the word of the trade
    flip: str | Sequence[str] = (),
    dtype: Any = None,
    mdoc: bool = True,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> str:
    """Convert a file; the suffixes say from what and to what.

    Parameters
    ----------
    source : str, path or readable binary object
        An MRC file, plain or compressed, or a ``.tif``, ``.nc`` or ``.zarr``. An object or a pipe holds an MRC file.
    target : str, path or writable binary object
        Likewise. What goes into an object, a pipe or a device is made in a temporary folder first, so that nothing is
        written when something fails.
    sel : mapping, optional
        Slices by dim, in ångström (or in what the coordinates are), both ends included where they fall on a voxel.
    isel : mapping, optional
        Slices by dim, in voxels.
    bin : int
        How many voxels along x, y (and z of a volume) to average into one. A file that is only guessed to be a stack
        is not binned unless `kind` says so.
    flip : str or sequence of str
        Dims along which to mirror the data, after cutting and binning; see `MrcAccessor.flip`.
    dtype : dtype_like, optional
        Store the values as this dtype; values outside its range are refused.
    mdoc : bool
        Whether an mdoc beside the source comes along, with the sections that are written: most of what it says has no
        place in an MRC file. One beside the target is replaced when `overwrite` is true.
    overwrite : bool
        Whether the target may exist.
    progress : bool
        Whether to show a progress bar.
    **options
        For MRC targets as `to_mrc`: mode, kind, byteorder, voxel_size, placement and the like. An MRC file is opened as
        the `kind` already, so that it decides on the axes that are cut and binned.

    Returns
    -------
    str
        The target; the name of an object, where it has one.

    Raises
    ------
    MrcValueError
        When the target's format cannot hold this, or its suffix names no format.
    FileExistsError
        When the target exists, and `overwrite` is false.

    Examples
    --------
    >>> small = convert("tomo.mrc", "small.mrc", bin=2, placement="origin")
    >>> import mrcarray
    >>> mrcarray.open_dataarray(small).mrc.voxel_size
    (4.0, 4.0, 4.0)
    """
    if is_stream(target):
        grid: dict[str, Any] = {"sel": sel, "isel": isel, "bin": bin, "flip": flip}
        wishes: dict[str, Any] = {**grid, "dtype": dtype, "progress": progress, **options}
        return pour(lambda made: convert(source, made, mdoc=False, **wishes), target)
    target = os.fspath(cast("str | os.PathLike[str]", target))
    check_suffix(target)
    if os.path.lexists(target) and not overwrite:
        raise OutputExistsError(target)
    if _same_folder(source, target):
        raise MrcValueError("the output is the input")
    write: Callable[..., None] = WRITERS.get(suffix_of(target), to_mrc_file)
    kind = options.get("kind")
    to_mrc = write is to_mrc_file
    if not to_mrc and is_mrc(source):
        options.pop("kind", None)  # it has been heeded when the file is open
    with load(source, kind) as whole:
        array = _flipped(_binned(crop(whole, sel, isel), bin), flip)
        with bring(source, whole, array, target, overwrite=overwrite) if mdoc and to_mrc else contextlib.nullcontext():
            write(array, Target(target, overwrite, progress), dtype, options)
    return target


def _same_folder(source: Any, target: str) -> bool:
    """Whether source and target are one folder, as Zarr writes; files are replaced when they are complete."""
    if not isinstance(source, str | os.PathLike) or not os.path.isdir(source):  # noqa: PTH112 -- names need not be text
        return False
    return os.path.exists(target) and os.path.samefile(source, target)  # noqa: PTH110, PTH121 -- as above


def crop(
    array: xr.DataArray, sel: Mapping[str, slice] | None = None, isel: Mapping[str, slice] | None = None
) -> xr.DataArray:
    """Cut an array by places, or by voxels.

    Raises
    ------
    MrcValueError
        When a dim does not exist, or nothing is left.
    """
    unknown = [dim for dim in {**(sel or {}), **(isel or {})} if dim not in array.dims]
    if unknown:
        raise MrcValueError(f"there is no dim {unknown[0]!r}; the dims are {', '.join(map(str, array.dims))}")
    unlabelled = [dim for dim in sel or {} if dim not in array.indexes]
    if unlabelled:
        raise MrcValueError(f"dim {unlabelled[0]!r} has no coordinates; cut it with isel")
    out = array.isel(isel or {}).sel(sel or {})
    if 0 in out.shape:
        raise MrcValueError("nothing is left: the slices lie outside the array")
    return out


def _binned(array: xr.DataArray, factor: int) -> xr.DataArray:
    if factor < 1:
        raise MrcValueError(f"bin is {factor}; expected 1 or more")
    if factor == 1:
        return array
    dims = [dim for dim in _GRID if dim in array.dims]
    _check_kind(array)
    short = [dim for dim in dims if array.sizes[dim] < factor]
    if short:
        raise MrcValueError(f"bin is {factor}, but dim {short[0]!r} has {array.sizes[short[0]]} voxels")
    kind = array.dtype.kind
    array = _numbers(array, dims)
    wide = array if kind == "c" else array.astype("float32")
    out = wide.coarsen(dict.fromkeys(dims, factor), boundary="trim").mean()
    out = out.assign_attrs(array.attrs)
    out.encoding = {key: value for key, value in array.encoding.items() if key == "source"}
    return with_followed_pixels(out.rename(array.name))[0]


def _check_kind(array: xr.DataArray) -> None:
    """Refuse to bin what is only guessed to be a stack of images: were it a volume, its sections would be binned, too.

    Raises
    ------
    MrcValueError
        With the two kinds to choose from.
    """
    if convention.kind_of(array.dims) == "image_stack" and array.encoding.get("kind_from") in GUESSES:
        text = (
            "the header does not tell a stack of images from a volume, and binning a volume bins its sections as well"
        )
        raise MrcValueError(f"{text}; give the kind: 'image_stack' or 'volume' (convert: --kind)")


def _flipped(array: xr.DataArray, dims: str | Sequence[str]) -> xr.DataArray:
    """Return the array mirrored along dims."""
    for dim in (dims,) if isinstance(dims, str) else dims:
        array = mirrored(array, dim)
    return array


def _numbers(array: xr.DataArray, dims: list[str]) -> xr.DataArray:
    """Return the array without the texts along dims that are averaged, and say which they are."""
    texts = [name for name, one in array.coords.items() if one.dtype.kind in _TEXT and set(one.dims) & set(dims)]
    if texts:
        rest = ", and the file without the extended header" if metadata_read.RECORD in texts else ""
        message = f"texts cannot be averaged: the binned sections are without {', '.join(map(str, texts))}{rest}"
        issue = Issue("MRC411", Severity.WARNING, message)
        warnings.warn(issue_warning(issue, array.encoding.get("source", "the input")), stacklevel=2)
    return array.drop_vars(texts)

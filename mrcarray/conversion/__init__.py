"""Convert files between modes, formats and grids, streamed at any size.

A file of any format is read as a labelled dask array. The output appears under its name when it is complete, and not at
all when something fails. One file a format (`mrc`, `netcdf`, `ome_zarr`, `tiff`, `zarr_store`); `formats` has the
tables of readers and writers, `output` what writers share, `narrowing` values that a dtype cannot store, `header_attr`
and `coords_json` what other formats store of an MRC file, `ome_metadata` the attributes of OME-Zarr, `ome_xml` those of
OME-TIFF, `mdoc` the sidecar, `stdio` pipes and standard output.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mrcarray.conversion.formats import READERS, WRITERS, check_exists, check_suffix, is_mrc, load, suffix_of
from mrcarray.conversion.mdoc import copied_mdoc
from mrcarray.conversion.mrc import write_mrc
from mrcarray.conversion.narrowing import narrowed
from mrcarray.conversion.output import Target, check_replaceable
from mrcarray.conversion.stdio import is_stream, write_stream
from mrcarray.errors import Hint, MrcValueError, OutputExistsError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import GUESSES
from mrcarray.reader import issue_warning
from mrcarray.xarray_backend import convention
from mrcarray.xarray_backend.metadata_update import with_followed_pixels
from mrcarray.xarray_backend.write_options import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

    from mrcarray.progress import Progress

__all__ = ["READERS", "WRITERS", "check_suffix", "convert", "crop", "is_stream", "load"]

_GRID = ("z", "y", "x")
_TEXT = "OUST"
"""Kinds of dtypes of texts."""


def convert(  # noqa: PLR0913 -- what to read, what to do with it, and what to write
    source: str | os.PathLike[str] | BinaryIO,
    target: str | bytes | os.PathLike[str] | BinaryIO,
    *,
    sel: Mapping[str, slice] | None = None,
    isel: Mapping[str, slice] | None = None,
    bin: int = 1,  # noqa: A002 -- the usual word
    flip: str | Sequence[str] = (),
    dtype: Any = None,
    mdoc: bool = True,
    level: int = 0,
    lossy: bool = False,
    overwrite: bool = False,
    progress: Progress = False,
    **options: Any,
) -> str:
    """Convert a file; the suffixes select the formats.

    Parameters
    ----------
    source : str, path or readable binary object
        An MRC file, plain or compressed, or a ``.tif``, ``.ome.tif``, ``.nc``, ``.zarr`` or ``.ome.zarr``. An object
        or a pipe contains an MRC file.
    target : str, path or writable binary object
        The output. For an object, a pipe or a device the file is written in a temporary folder first, so that nothing
        is output when something fails.
    sel : mapping, optional
        Slices by dim, in the unit of the coordinates (ångström), both ends included if they are voxel positions.
    isel : mapping, optional
        Slices by dim, in voxels.
    bin : int
        Number of voxels along x, y (and z of a volume) that are averaged into one. A file whose kind is a guess is not
        binned as a stack unless `kind` declares it.
    flip : str or sequence of str
        Dims along which the data are mirrored, after cutting and binning; see `MrcAccessor.flip`.
    dtype : dtype_like, optional
        Store the values as this dtype. Values that it cannot store are refused: those outside its range, and fractions
        as integers. Rounding between floating-point numbers is no loss.
    mdoc : bool
        Whether to copy the mdoc next to the source, with the sections that are written: an MRC file cannot store most
        of it. One next to the target is replaced if `overwrite` is true.
    level : int
        Resolution of an OME-Zarr source; 0 is the highest.
    lossy : bool
        Whether to round fractions, and to clip values outside the range of `dtype` or of the mode.
    overwrite : bool
        Whether the target may exist. A folder is only replaced if it is a Zarr store.
    progress : bool or "auto"
        Whether to show a progress bar; ``"auto"`` does on a terminal.
    **options
        Options of `to_mrc` for MRC targets: mode, kind, byteorder, voxel_size, placement and the like. An MRC source is
        opened with `kind`, which decides on the axes that are cut and binned. For ``.ome.zarr`` targets: `ngff`, the
        version ("0.4" or "0.5"), and `preset`; see `to_ome_zarr`.

    Returns
    -------
    str
        The target, or the name of an object.

    Raises
    ------
    MrcValueError
        When the format of the target cannot store this, or its suffix is unknown.
    FileNotFoundError
        When there is no source, whether or not the target exists.
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
        options |= {**grid, "dtype": dtype, "lossy": lossy, "level": level, "progress": progress}
        return write_stream(lambda made: convert(source, made, mdoc=False, **options), target)
    target = os.fsdecode(cast("str | bytes | os.PathLike[str]", target))
    check_suffix(target)
    check_exists(source)
    if os.path.lexists(target) and not overwrite:
        raise OutputExistsError(target)
    check_replaceable(target)
    if _same_folder(source, target):
        raise MrcValueError("output and input are the same folder")
    write: Callable[..., None] = WRITERS.get(suffix_of(target), write_mrc)
    _check_options(options, write)
    kind = options.get("kind")
    to_mrc = write is write_mrc
    if not to_mrc and is_mrc(source):
        options.pop("kind", None)  # it only decides how the source is opened
    with load(source, kind, level) as whole:
        array = _flipped(_binned(crop(whole, sel, isel), bin), flip)
        array = narrowed(array, dtype, options.get("mode"), lossy=lossy)
        with (
            copied_mdoc(source, whole, array, target, overwrite=overwrite)
            if mdoc and to_mrc
            else contextlib.nullcontext()
        ):
            steps = _steps(sel or isel, bin, flip)
            if to_mrc and steps:
                options.setdefault("label", provenance(*steps))
            write(array, Target(target, overwrite, progress), dtype, options)
    return target


def _steps(cut: Any, bin: int, flip: str | Sequence[str]) -> list[str]:  # noqa: A002 -- as above
    """Return what is done to the grid, for the label."""
    dims = (flip,) if isinstance(flip, str) else flip
    steps = ["cropped"] * bool(cut) + [f"binned {bin}x"] * (bin > 1)
    return steps + [f"mirrored along {', '.join(dims)}"] * bool(flip)


def _check_options(options: dict[str, Any], write: Callable[..., None]) -> None:
    """Refuse an option of OME-Zarr for a target of another format."""
    given = [name for name in ("ngff", "preset") if options.get(name) is not None]
    if given and write is not WRITERS[".ome.zarr"]:
        raise MrcValueError(f"option {given[0]} is for targets with the suffix .ome.zarr")


def _same_folder(source: Any, target: str) -> bool:
    """Return whether source and target are the same folder (a Zarr store)."""
    if not isinstance(source, str | os.PathLike) or not os.path.isdir(source):  # noqa: PTH112 -- names need not be text
        return False
    return os.path.exists(target) and os.path.samefile(source, target)  # noqa: PTH110, PTH121 -- as above


def crop(
    array: xr.DataArray, sel: Mapping[str, slice] | None = None, isel: Mapping[str, slice] | None = None
) -> xr.DataArray:
    """Cut an array by coordinate (`sel`) or by voxel (`isel`).

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
        hint = Hint("cut it with isel", "cut it with --isel")
        raise MrcValueError(f"dim {unlabelled[0]!r} has no coordinates", hint=hint)
    out = array.isel(isel or {}).sel(sel or {})
    if 0 in out.shape:
        raise MrcValueError("nothing is selected: the slices are outside the array")
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
    """Refuse to bin a file that is only guessed to be a stack: the sections of a volume would be binned as well."""
    if convention.kind_of(array.dims) == "image_stack" and array.encoding.get("kind_from") in GUESSES:
        text = "the header does not distinguish a stack of images from a volume, whose sections are binned as well"
        hint = Hint("pass kind='image_stack' or 'volume'", "pass --kind image_stack or volume")
        raise MrcValueError(text, hint=hint)


def _flipped(array: xr.DataArray, dims: str | Sequence[str]) -> xr.DataArray:
    """Return the array mirrored along dims."""
    for dim in (dims,) if isinstance(dims, str) else dims:
        array = array.mrc.flip(dim)
    return array


def _numbers(array: xr.DataArray, dims: list[str]) -> xr.DataArray:
    """Return the array without the texts along dims that are averaged, and warn about them."""
    texts = [name for name, one in array.coords.items() if one.dtype.kind in _TEXT and set(one.dims) & set(dims)]
    if texts:
        rest = ", and the file has no extended header" if convention.RECORD in texts else ""
        message = f"texts cannot be averaged: the binned sections have no {', '.join(map(str, texts))}{rest}"
        issue = Issue("MRC411", Severity.WARNING, message)
        warnings.warn(issue_warning(issue, array.encoding.get("source", "the input")), stacklevel=2)
    return array.drop_vars(texts)

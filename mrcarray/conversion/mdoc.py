"""Copy the mdoc of a tilt series for the sections that are written."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.sidecars import Mdoc
from mrcarray.urls import unpacked
from mrcarray.xarray_backend import sidecars
from mrcarray.xarray_backend.convention import COUNTED_DIMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

__all__ = ["copied_mdoc"]

_FRAMES = "FrameTSStartEndFrames"


@contextlib.contextmanager
def copied_mdoc(
    source: Any, whole: xr.DataArray, array: xr.DataArray, target: str, *, overwrite: bool
) -> Iterator[None]:
    """Copy the mdoc next to the source to one next to the target, with the sections that are written.

    The context writes the image. The mdoc is complete on the disk before that, so that a full disk cannot separate the
    two, and gets its name after it. If the process is killed between them a `sidecars.Pending` remains, which readers
    report.

    Parameters
    ----------
    source, target : object
        The files.
    whole, array : DataArray
        All sections that were opened, and those that are written.
    overwrite : bool
        Whether an mdoc of the target may be replaced; that of the source never is.
    """
    found = _mdoc_of(source)
    path = Path(f"{unpacked(target)}.mdoc")
    text = _text(found, whole, array, path) if found is not None else ""
    there = os.path.exists(path)  # noqa: PTH110 -- pathlib raises for names that are too long
    own = found is not None and there and path.samefile(found)
    if not text or own or (there and not overwrite):
        yield
        return
    with sidecars.prepared(str(path), text, overwrite=overwrite) as file:
        pending = sidecars.Pending.mark(target, str(path))
        try:
            with sidecars.announced(str(path), text):
                yield
            file.commit()
        finally:
            pending.close()


def _mdoc_of(source: Any) -> Path | None:
    """Return the mdoc that is read with a file, None if there is none."""
    if not isinstance(source, str | os.PathLike):
        return None
    names = sidecars.existing(os.path.abspath(os.fsdecode(source)))  # noqa: PTH100 -- names need not be text
    return next((Path(name) for name in names if name.endswith(".mdoc")), None)


def _text(found: Path, whole: xr.DataArray, array: xr.DataArray, path: Path) -> str:
    """Return the mdoc of what is written; empty if it does not describe sections of the file."""
    dim = array.dims[0]
    try:
        doc = Mdoc.parse(found.read_bytes())
    except MrcValueError:  # opening the source has warned about it
        return ""
    if dim not in COUNTED_DIMS or array.ndim != len("zyx") or dim not in array.coords or not doc.images:
        return ""
    if any(_FRAMES in section for section in doc.images):
        return ""
    taken = doc.take(array[dim].values.tolist())
    changes: dict[str, str | None] = {}
    if array.shape[1:] != whole.shape[1:]:
        x = array.mrc.voxel_size[0]
        changes = {"ImageSize": f"{array.shape[2]} {array.shape[1]}", "MinMaxMean": None}
        changes |= {"PixelSpacing": f"{x:.6g}"} if x == x and x != whole.mrc.voxel_size[0] else {}  # noqa: PLR0124 -- NaN
    sections = tuple(_changed(section, changes) for section in taken.sections)
    top = _changed(taken.top, changes | {"ImageFile": path.stem})
    return replace(taken, top=top, sections=sections).to_text()


def _changed(section: Any, changes: Mapping[str, str | None]) -> Any:
    """Return a section with changed or (None) removed entries; missing keys are not added."""
    pairs = ((entry, changes.get(entry.key, entry.value)) for entry in section.entries)
    return replace(section, entries=tuple(entry._replace(value=value) for entry, value in pairs if value is not None))

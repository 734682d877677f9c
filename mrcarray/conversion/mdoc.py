"""The mdoc of a tilt series goes where its sections go."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcValueError
from mrcarray.format.sidecars import Mdoc
from mrcarray.suffixes import unpacked
from mrcarray.xarray_backend import sidecars
from mrcarray.xarray_backend.convention import COUNTED_DIMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import xarray as xr

__all__ = ["bring"]

_FRAMES = "FrameTSStartEndFrames"


@contextlib.contextmanager
def bring(source: Any, whole: xr.DataArray, array: xr.DataArray, target: str, *, overwrite: bool) -> Iterator[None]:
    """Have the mdoc that stands beside the source stand beside the target, too, with the sections that are written.

    The pixels get their name first. The mdoc is complete on the disk before that, so that a full disk cannot come
    between the two; a file `sidecars.Pending` remains when the process is killed between them, and readers name it.

    Parameters
    ----------
    source, target : object
        Where the sections come from, and where they go.
    whole, array : DataArray
        All sections as they were opened, and what is written of them.
    overwrite : bool
        Whether an mdoc of the target's may be replaced; the source's own never is.
    """
    found = _beside(source)
    place = Path(f"{unpacked(target)}.mdoc")
    text = _text(found, whole, array, place) if found is not None else ""
    there = os.path.exists(place)  # noqa: PTH110 -- pathlib raises for names that are too long
    own = found is not None and there and place.samefile(found)
    if not text or own or (there and not overwrite):
        yield
        return
    with sidecars.prepared(str(place), text, overwrite=overwrite) as file:
        pending = sidecars.Pending.mark(target, str(place))
        try:
            with sidecars.announced(str(place), text):
                yield
            file.commit()
        finally:
            pending.settle()


def _beside(source: Any) -> Path | None:
    """Return the mdoc that is read with a file; None when there is none."""
    if not isinstance(source, str | os.PathLike):
        return None
    names = sidecars.beside(os.path.abspath(os.fsdecode(source)))  # noqa: PTH100 -- names need not be text
    return next((Path(name) for name in names if name.endswith(".mdoc")), None)


def _text(found: Path, whole: xr.DataArray, array: xr.DataArray, place: Path) -> str:
    """Return the mdoc of what is written; empty when it describes something else than sections of the file."""
    dim = array.dims[0]
    try:
        doc = Mdoc.parse(found.read_bytes())
    except MrcValueError:  # opening the source has warned of it
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
    top = _changed(taken.top, changes | {"ImageFile": place.stem})
    return replace(taken, top=top, sections=sections).to_text()


def _changed(section: Any, changes: Mapping[str, str | None]) -> Any:
    """Return a section whose entries say something else, or are gone; keys it does not have are not added."""
    pairs = ((entry, changes.get(entry.key, entry.value)) for entry in section.entries)
    return replace(section, entries=tuple(entry._replace(value=value) for entry, value in pairs if value is not None))

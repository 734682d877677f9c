"""What a written header states of the kind: no guess becomes a fact, and what is known can be read again."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import has_records, sections_in, telling_sidecars
from mrcarray.xarray_backend import sidecars
from mrcarray.xarray_backend.encode.header import whole_attr
from mrcarray.xarray_backend.encode.records import joined

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.builder import Draft
    from mrcarray.format.header import Header
    from mrcarray.xarray_backend.encode.options import Wishes
    from mrcarray.xarray_backend.encode.positioned import Place
    from mrcarray.xarray_backend.metadata_write import Written

__all__ = ["keeps_kind", "misread", "open_group", "settled", "tells_stack"]


def tells_stack(sized: Draft, extended: Written, name: str) -> bool:
    """Whether readers find records or a sidecar that tell a stack where header and name leave the kind open.

    Parameters
    ----------
    sized : Draft
        With the sizes of the file.
    extended : Written
        The extended header.
    name : str
        The file; sidecars are looked for next to it.
    """
    header, _ = joined(sized.header.replace(nsymbt=0), extended)
    return has_records(header, extended.data) or (bool(name) and _has_sidecar(name, header.nz))


def _has_sidecar(name: str, sections: int) -> bool:
    path = os.path.abspath(name)  # noqa: PTH100 -- names need not be text
    return any(_described(one) == sections for one in telling_sidecars(path) if sidecars.is_there(one))


def _described(name: str) -> int:
    """Return how many sections a sidecar describes; 0 when it cannot be read, which is reported with its metadata."""
    try:
        return sections_in(name, sidecars.content(name))
    except OSError:
        return 0


def keeps_kind(header: Header, place: Place, wishes: Wishes, *, stack_told: bool) -> bool:
    """Whether the old header will do: a reader gets the kind from it, or it left open that the file is a stack."""
    if place.kind is Kind.IMAGE_STACK and header.ispg == 0:
        return wishes.kind is None or header.m["xyz".index(place.order[0])] == 1
    return _read_as(header, wishes.name, stack_told=stack_told) is place.kind


def settled(array: xr.DataArray, sized: Draft, place: Place, wishes: Wishes, *, stack_told: bool) -> Place:
    """Return the grid of a stack whose header said that it is a volume: it gets the mark of a stack (mz is 1)."""
    if place.kind is not Kind.IMAGE_STACK or place.intervals == 1 or whole_attr(array, "space_group", 0) == 0:
        return place
    header = sized.header.replace(ispg=0, m=(*sized.header.m[:2], place.intervals))
    if wishes.kind is None and _read_as(header, wishes.name, stack_told=stack_told) is place.kind:
        return place
    return replace(place, intervals=1, issues=place.issues)


def open_group(header: Header, array: xr.DataArray, place: Place, wishes: Wishes, *, stack_told: bool) -> Header:
    """Return the header of a volume whose space group was 0, and may stay so if readers take it for a volume then."""
    if place.kind is not Kind.VOLUME or wishes.kind is not None or whole_attr(array, "space_group", -1) != 0:
        return header
    unmarked = header.replace(ispg=0)
    return unmarked if _read_as(unmarked, wishes.name, stack_told=stack_told) is Kind.VOLUME else header


def misread(header: Header, kind: Kind, name: str, *, stack_told: bool) -> tuple[Issue, ...]:
    """Return an issue when the name of the file makes readers take it for something else."""
    read = _read_as(header, name, stack_told=stack_told)
    if read is kind or Kind.IMAGE in (read, kind):
        return ()
    text = f"under this name the file will be read as {read.value}, not {kind.value}"
    stating = f" write it with kind={kind.value!r} to mark it," if kind is Kind.IMAGE_STACK else ""
    advice = f"{text};{stating} choose another suffix, or open it with kind={kind.value!r}"
    return (Issue("MRC301", Severity.WARNING, advice),)


def _read_as(header: Header, name: str, *, stack_told: bool) -> Kind:
    """Return what a reader takes a file of this name for."""
    found = interpret(header, name=name)
    if found.layout is None:
        return Kind.IMAGE
    return Kind.IMAGE_STACK if found.guessed and stack_told else found.layout.kind

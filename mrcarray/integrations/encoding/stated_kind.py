"""What a written header states of the kind: no guess becomes a fact, and what is known can be read again."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from mrcarray.format.infer import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.integrations import sidecars
from mrcarray.integrations.encoding.original import whole_attr
from mrcarray.integrations.metadata import RECORD

if TYPE_CHECKING:
    import xarray as xr

    from mrcarray.format.draft import Draft
    from mrcarray.format.header import Header
    from mrcarray.integrations.encoding.place import Place
    from mrcarray.integrations.encoding.wishes import Wishes

__all__ = ["keeps_kind", "misread", "open_group", "settled"]

_XYZ = ("x", "y", "z")


def keeps_kind(array: xr.DataArray, header: Header, place: Place, wishes: Wishes) -> bool:
    """Whether the old header will do: a reader gets the kind from it, or it left open that the file is a stack."""
    if place.kind is Kind.IMAGE_STACK and header.ispg == 0:
        return wishes.kind is None or header.m["xyz".index(place.order[0])] == 1
    return _read_as(array, header, wishes.name) is place.kind


def settled(array: xr.DataArray, sized: Draft, place: Place, wishes: Wishes) -> Place:
    """Return the grid of a stack whose header said that it is a volume: it gets the mark of a stack (mz is 1)."""
    if place.kind is not Kind.IMAGE_STACK or place.intervals == 1 or whole_attr(array, "space_group", 0) == 0:
        return place
    header = sized.header.replace(ispg=0, m=(*sized.header.m[:2], place.intervals))
    if wishes.kind is None and _read_as(array, header, wishes.name) is place.kind:
        return place
    return replace(place, intervals=1, issues=place.issues)


def open_group(header: Header, array: xr.DataArray, place: Place, wishes: Wishes) -> Header:
    """Return the header of a volume whose space group was 0, and may stay so if readers take it for a volume then."""
    if place.kind is not Kind.VOLUME or wishes.kind is not None or whole_attr(array, "space_group", -1) != 0:
        return header
    unmarked = header.replace(ispg=0)
    return unmarked if _read_as(array, unmarked, wishes.name) is Kind.VOLUME else header


def misread(array: xr.DataArray, header: Header, kind: Kind, name: str) -> tuple[Issue, ...]:
    """Return an issue when the name of the file makes readers take it for something else."""
    read = _read_as(array, header, name)
    if read is kind or Kind.IMAGE in (read, kind):
        return ()
    text = f"under this name the file will be read as {read.value}, not {kind.value}"
    stating = f" write it with kind={kind.value!r} to mark it," if kind is Kind.IMAGE_STACK else ""
    advice = f"{text};{stating} choose another suffix, or open it with kind={kind.value!r}"
    return (Issue("MRC301", Severity.WARNING, advice),)


def _read_as(array: xr.DataArray, header: Header, name: str) -> Kind:
    """Return what a reader takes a file of this name for.

    Records of sections, and a sidecar beside the file, tell a stack where neither header nor name does.
    """
    layout = interpret(header, name=name).layout
    if layout is None:
        return Kind.IMAGE
    unnamed = interpret(header).layout
    decided = unnamed is None or unnamed.kind is not layout.kind or header.ispg != 0
    if layout.kind is Kind.VOLUME and not decided and (_has_records(array) or _has_sidecar(name)):
        return Kind.IMAGE_STACK
    return layout.kind


def _has_records(array: xr.DataArray) -> bool:
    return RECORD in array.coords and array.dims[0] not in _XYZ


def _has_sidecar(name: str) -> bool:
    """Whether sidecars are beside the file that is written, which tell a stack."""
    return bool(name) and bool(sidecars.beside(os.path.abspath(name)))  # noqa: PTH100 -- names need not be text

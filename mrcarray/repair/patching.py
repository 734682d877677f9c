"""Writing a changed header: in place, by one positional write of the bytes that differ, or as a copy of the file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mrcarray.errors import ConflictError, MrcValueError, printable
from mrcarray.repair.undo_log import digest, remember
from mrcarray.storage.patch import patch_bytes, span
from mrcarray.urls import is_url

if TYPE_CHECKING:
    from mrcarray.repair.model import Repair
    from mrcarray.storage.local import LocalSource

__all__ = ["apply", "local"]

HEADER = 1024
PIECE = 8 << 20


def local(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return a path, and refuse a URL before anything is asked of a server."""
    if is_url(os.fsdecode(path)):
        raise MrcValueError("only local files can be changed in place; use mrcarray convert to have a copy here")
    return path


def apply(  # noqa: PLR0913 -- the caller's choices
    repair: Repair,
    source: LocalSource,
    *,
    dry_run: bool,
    output: str | os.PathLike[str] | None,
    overwrite: bool,
    keep_undo: bool,
) -> Repair:
    """Do what the caller wants done with a repair, and return it."""
    if dry_run:
        return repair
    if output is not None:
        _copy(source, repair.after.raw, os.fspath(output), overwrite=overwrite)
    elif repair.before.raw != repair.after.raw:
        _patch(source, repair, keep_undo=keep_undo)
    return repair


def _copy(source: LocalSource, head: bytes, output: str, *, overwrite: bool) -> None:
    """Write a copy with another header; it appears whole or not at all."""
    from mrcarray.storage.atomic import AtomicFile

    if os.path.exists(output) and os.path.samefile(output, source.path):  # noqa: PTH110, PTH121 -- names may be bytes
        raise MrcValueError("the output is the input; leave --output away to change the file in place")
    with AtomicFile(output, overwrite=overwrite) as file:
        file.write_at(0, head)
        for start in range(HEADER, source.size(), PIECE):
            file.write_at(start, source.read(start, min(start + PIECE, source.size())))
        file.commit()


def _patch(source: LocalSource, repair: Repair, *, keep_undo: bool) -> None:
    old, new = repair.before.raw, repair.after.raw
    start, stop = span(old, new)

    def ready(descriptor: int) -> None:
        if not source.unchanged(os.fstat(descriptor)):
            raise ConflictError(f"{printable(source.path)}: the file was changed meanwhile; nothing was written")
        if keep_undo:
            remember(source.path, start, old[start:stop], new[start:stop], digest(old, start, stop))

    patch_bytes(source.path, old, new, ready=ready)

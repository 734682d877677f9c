"""Take the last change of a header back: `undo`."""

from __future__ import annotations

import os

from mrcarray.errors import ConflictError, printable
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.header import Header
from mrcarray.repair.model import Repair
from mrcarray.repair.undo_log import digest, forget, local_path, recall
from mrcarray.storage.local import LocalSource
from mrcarray.storage.patch import patch_bytes

__all__ = ["undo"]


def undo(path: str | os.PathLike[str], *, dry_run: bool = False) -> Repair:
    """Take back the last change that `fix` or `edit` made to a file.

    Parameters
    ----------
    path : str or path
        The file.
    dry_run : bool
        Return what would change, without changing the file.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When no change was recorded.
    ConflictError
        When the header is not as the change left it: another program changed or replaced the file.

    Examples
    --------
    >>> from mrcarray.repair import fix
    >>> changed = fix("tomo.mrc", voxel_size=1.08)
    >>> undo("tomo.mrc").after == changed.before
    True
    """
    name = os.path.realpath(os.fsdecode(local_path(path)))
    record = recall(name)
    raw = bytes(LocalSource.open(name).read(0, HEADER_NBYTES))
    stop = record.offset + len(record.before)
    now = raw[record.offset : stop].ljust(len(record.before))
    pairs = zip(now, record.after, record.before, strict=True)
    as_recorded = all(byte in both for byte, *both in pairs)  # an interrupted change leaves old and new bytes
    if not as_recorded or record.rest not in ("", digest(raw, record.offset, stop)):
        text = "the header was changed after the recorded change; nothing was undone"
        raise ConflictError(f"{printable(name)}: {text}")
    old = raw[: record.offset] + record.before + raw[stop:]
    order = Header.parse(old)[0].byteorder
    if not dry_run:
        patch_bytes(name, raw, old)
        forget(name, record.others)
    return Repair(name, Header(raw, order), Header(old, order), dry_run=dry_run)

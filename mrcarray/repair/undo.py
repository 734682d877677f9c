"""Taking the last change of a header back: `undo`."""

from __future__ import annotations

import os

from mrcarray.errors import ConflictError, printable
from mrcarray.format.header import Header
from mrcarray.repair.model import Repair
from mrcarray.repair.patching import local
from mrcarray.repair.undo_log import digest, forget, recall
from mrcarray.storage.local import LocalSource
from mrcarray.storage.patch import patch_bytes

__all__ = ["undo"]

HEADER = 1024


def undo(path: str | os.PathLike[str], *, dry_run: bool = False) -> Repair:
    """Take back the last change that `fix` or `edit` made to a file.

    Parameters
    ----------
    path : str or path
        The file.
    dry_run : bool
        Say what would be changed, and change nothing.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When no change was recorded.
    ConflictError
        When the header is no longer as the change left it: another program, or another file, took its place.

    Examples
    --------
    >>> from mrcarray.repair import fix
    >>> changed = fix("tomo.mrc", voxel_size=1.08)
    >>> undo("tomo.mrc").after == changed.before
    True
    """
    name = os.path.realpath(os.fsdecode(local(path)))
    record = recall(name)
    raw = bytes(LocalSource.open(name).read(0, HEADER))
    stop = record.offset + len(record.before)
    now = raw[record.offset : stop].ljust(len(record.before))
    pairs = zip(now, record.after, record.before, strict=True)
    ours = all(byte in both for byte, *both in pairs)  # a change that was cut short is both
    if not ours or record.rest not in ("", digest(raw, record.offset, stop)):
        raise ConflictError(f"{printable(name)}: the header was changed since; it is left as it is")
    old = raw[: record.offset] + record.before + raw[stop:]
    order = Header.parse(old)[0].byteorder
    if not dry_run:
        patch_bytes(name, raw, old)
        forget(name, record.others)
    return Repair(name, Header(raw, order), Header(old, order))

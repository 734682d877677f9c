"""Everything that killed writers can leave in a folder, for people to see: `mrcarray clean`."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.storage import atomic, orphans
from mrcarray.storage.atomic_folder import SET_ASIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "settle"]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a writer left, or is using.

    Parameters
    ----------
    path : str
        The file or folder.
    size : int
        Bytes.
    is_orphan : bool
        Whether it may be removed, or put back.
    state : str
        "orphan", "removed", "put back", "kept" or "in use".
    reason : str
        Why.
    """

    path: str
    size: int
    is_orphan: bool
    state: str
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": self.path, "size": self.size, "state": self.state, "reason": self.reason}


def settle(folder: str, *, remove: bool) -> Iterator[Found]:
    """Yield what writers left in a folder, after it was removed if that is wanted.

    Parameters
    ----------
    folder : str
        The folder.
    remove : bool
        Whether to remove orphans and put back folders.
    """
    now = _clock(folder) if remove else None
    for one in sorted(orphans.leftovers(folder, atomic.calls, now=now), key=lambda left: left.path):
        gone = remove and one.is_orphan and orphans.remove(one.path, atomic.calls, now=now)
        state = "removed" if gone else "orphan" if one.is_orphan else "in use"
        yield Found(one.path, one.size, one.is_orphan, state, one.reason)
    yield from _put_back(folder, remove=remove)


def _clock(folder: str) -> float | None:
    """Return the time on the file system, which may be that of a server; None where no file can be made."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _put_back(folder: str, *, remove: bool) -> Iterator[Found]:
    """Give folders that were set aside their names back, and remove those whose replacement is complete."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(SET_ASIDE))
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 -- names need not be text
        if os.path.lexists(path.removesuffix(SET_ASIDE) + orphans.SUFFIX):
            yield Found(path, 0, is_orphan=False, state="in use", reason="set aside while it is replaced")
            continue
        target = os.path.join(folder, name[1:].removesuffix(SET_ASIDE).rpartition(".")[0])  # noqa: PTH118 -- likewise
        if os.path.lexists(target):
            reason = f"{os.path.basename(target)} is there again; remove this one by hand if it is complete"  # noqa: PTH119 -- likewise
            yield Found(path, 0, is_orphan=False, state="kept", reason=reason)
            continue
        if remove:
            with contextlib.suppress(OSError):
                atomic.calls.rename(path, target)
        state = "put back" if os.path.lexists(target) else "orphan"
        reason = f"{os.path.basename(target)} was being replaced when its writer was killed"  # noqa: PTH119 -- likewise
        yield Found(path, 0, is_orphan=True, state=state, reason=reason)

"""Mark an image and its mdoc while both are replaced, so that readers see an interrupted replacement.

No file system renames two files in one step. While `convert` replaces both, the mark ``.NAME.mdoc.mrcarray-new`` exists
next to them; it contains the size, modification time and inode that both had before. If the process is killed after the
image was replaced and before the mdoc was, the mdoc describes an image that does not exist any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from typing import Any

from mrcarray.errors import printable
from mrcarray.positional_io import OWN_FILE, READ
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.syscalls import calls
from mrcarray.urls import unpacked

__all__ = ["SUFFIX", "Pending", "interrupted"]

SUFFIX = ".mrcarray-new"
"""Last part of the name of a mark."""

_LONGEST = 4096
_FLAGS = READ | OWN_FILE


def _identity(path: str) -> list[int] | None:
    """Return what distinguishes a file from the one that replaces it, None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- names need not be text
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _mark_of(mdoc: str) -> str:
    folder, name = os.path.split(mdoc)
    return os.path.join(folder, f".{name}{SUFFIX}")  # noqa: PTH118 -- names need not be text


@dataclass(frozen=True, slots=True)
class Pending:
    """A mark that exists.

    Parameters
    ----------
    path : str
        The mark.
    image : str
        The image that is being replaced.
    """

    path: str
    image: str

    @classmethod
    def mark(cls, image: str, mdoc: str) -> Pending:
        """Mark an image and its mdoc before the first of them is replaced."""
        path = _mark_of(os.path.abspath(mdoc))  # noqa: PTH100 -- names need not be text
        facts = {"image": os.path.basename(image), "was": _identity(image), "mdoc": _identity(mdoc)}  # noqa: PTH119 -- likewise
        made = cls(path, image)
        try:
            with AtomicFile(path, overwrite=True, follow=False) as file:
                file.write_at(0, json.dumps(facts).encode("ascii"))
                file.commit()
        except BaseException:
            made.remove()
            raise
        return made

    def remove(self) -> None:
        """Remove the mark."""
        with contextlib.suppress(OSError):
            calls.unlink(self.path)

    def close(self) -> None:
        """Remove the mark, unless the image was replaced and its mdoc was not."""
        if not interrupted(self.image):
            self.remove()


def interrupted(image: str) -> str:
    """Return a message about an image whose mdoc was not replaced with it; empty for all others.

    Parameters
    ----------
    image : str
        Path of the image.
    """
    mdoc = f"{unpacked(image)}.mdoc"
    facts = _facts(_mark_of(mdoc))
    if facts is None or facts.get("image") != os.path.basename(image):  # noqa: PTH119 -- names need not be text
        return ""
    if _identity(image) == facts.get("was") or _identity(mdoc) != facts.get("mdoc"):
        return ""
    name = printable(os.path.basename(mdoc))  # noqa: PTH119 -- names need not be text
    why = f"a conversion was interrupted between writing the image and writing {name}, which is ignored"
    return f"{why}; convert again, or delete {printable(_mark_of(name))} if the mdoc is right"


def _facts(path: str) -> dict[str, Any] | None:
    """Return the content of a mark, None when there is no readable one."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        facts = json.loads(os.read(descriptor, _LONGEST))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(descriptor)
    return facts if isinstance(facts, dict) else None

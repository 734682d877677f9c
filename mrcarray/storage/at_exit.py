"""Temporary files and directories that are removed when the process ends, if nothing has removed them before.

An interruption can come between the creation of one and the moment its owner could remove it, and threads of other
packages can write into a directory again after it was removed.
"""

from __future__ import annotations

import atexit
import contextlib
import os

from mrcarray.storage.syscalls import calls

__all__ = ["begun"]

begun: dict[str, int] = {}
"""Path of each file or directory that was neither committed nor aborted, and the process that created it."""


@atexit.register  # on import, before zarr registers its own: it runs after the last writes of zarr's threads
def _remove_begun() -> None:
    for path, owner in list(begun.items()):
        if owner == os.getpid():
            with contextlib.suppress(OSError):
                (calls.rmtree if os.path.isdir(path) else calls.unlink)(path)  # noqa: PTH112 -- a str

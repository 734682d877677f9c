"""The folder for files that can be made again: indexes of compressed files, examples."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FOLDER", "cache_folder"]

FOLDER = "MRCARRAY_CACHE_FOLDER"
"""Environment variable that names the folder; without it, the user's cache folder is used."""


def cache_folder() -> Path | None:
    """Return the folder, which may not exist yet; None for a user without a home folder, as in some containers."""
    if named := os.environ.get(FOLDER):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mrcarray"
    except RuntimeError:
        return None

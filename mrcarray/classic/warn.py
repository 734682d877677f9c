"""How this room warns: as `MrcWarning`, which is the `RuntimeWarning` callers filter, at the caller's own line."""

from __future__ import annotations

import warnings

from mrcarray.errors import MrcWarning

__all__ = ["say"]


def say(text: str) -> None:
    """Warn; the warning names the line that called this package."""
    from mrcarray.reader import outside

    warnings.warn(text, MrcWarning, stacklevel=outside())

"""How the classic API warns: as `MrcWarning`, which is the `RuntimeWarning` callers filter, at the caller's line."""

from __future__ import annotations

from mrcarray.caller import warn

__all__ = ["say"]


def say(text: str) -> None:
    """Warn; the warning names the line that called this package."""
    warn(text)

"""The marker at the start of a file that is being overwritten in place; every reader refuses it."""

from __future__ import annotations

from typing import Final

__all__ = ["MARKER", "MARKER_START"]

MARKER_START: Final = b"UNFINISHED file"
"""First bytes of the marker; no other kind of file starts with them."""

MARKER: Final = (MARKER_START + b": a program is writing it with mrcarray, or was interrupted while it did.\n").ljust(
    1024, b"\0"
)
"""First bytes of a file whose content is not complete; as long as a header, which they replace."""

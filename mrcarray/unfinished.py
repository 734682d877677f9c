"""The bytes at the start of a file that is being overwritten in place: no reader takes them for a header."""

from __future__ import annotations

from typing import Final

__all__ = ["MARKER", "MARKER_START"]

MARKER_START: Final = b"UNFINISHED file"
"""How the marker begins; no other kind of file does."""

MARKER: Final = (MARKER_START + b": a program is writing it with mrcarray, or was interrupted while it did.\n").ljust(
    1024, b"\0"
)
"""First bytes of a file whose content is not complete, as long as a header."""

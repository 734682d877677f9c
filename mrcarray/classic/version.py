"""The version of the library whose API this is."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.5.4"

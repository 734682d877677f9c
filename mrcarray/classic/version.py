"""The version of mrcfile that this API is a drop-in for."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.5.4"

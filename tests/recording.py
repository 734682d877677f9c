"""Record the warnings of two libraries, to compare them."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["recorded"]


@contextlib.contextmanager
def recorded() -> Iterator[list[warnings.WarningMessage]]:
    """Give the warnings of the block, except that of NumPy 2.5 about the way mrcfile 1.5 reads."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "Setting the dtype on a NumPy array", DeprecationWarning)
        yield seen

"""The progress bar of a conversion, for a dask computation or for a loop over pages."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["bar", "counted"]

_WIDTH = 40
_T = TypeVar("_T")


def bar(*, shown: bool) -> contextlib.AbstractContextManager[Any]:
    """Show the tasks of one dask computation on standard error."""
    if not shown:
        return contextlib.nullcontext()
    from dask.diagnostics.progress import ProgressBar

    made: contextlib.AbstractContextManager[Any] = ProgressBar(out=sys.stderr, width=_WIDTH)
    return made


def counted(items: Iterable[_T], count: int, *, shown: bool) -> Iterator[_T]:
    """Yield `count` items, and show in the style of dask how many were processed.

    Examples
    --------
    >>> list(counted("ab", 2, shown=False))
    ['a', 'b']
    """
    start = time.perf_counter()
    for done, item in enumerate(items):
        _draw(done / count, start, shown=shown)
        yield item
    _draw(1.0, start, shown=shown)
    if shown:
        sys.stderr.write("\n")


def _draw(part: float, start: float, *, shown: bool) -> None:
    if not shown:
        return
    from dask.utils import format_time

    took = format_time(time.perf_counter() - start)
    sys.stderr.write(f"\r[{'#' * int(_WIDTH * part):<{_WIDTH}}] | {int(100 * part)}% Completed | {took}")
    sys.stderr.flush()

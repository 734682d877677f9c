"""Progress bars on standard error, drawn by rich.

One protocol for every long job: `progress_bar` yields a `Bar`; the job calls ``bar.advance(count)`` for each part that
is done, or ``bar.update(done, total)`` where it knows both. A bar that is not shown takes the same calls and does
nothing, and rich is only imported for one that is. `task_bar` counts the tasks of dask in this process.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Advance", "Bar", "Progress", "counted", "is_shown", "progress_bar", "task_bar"]

Progress: TypeAlias = "bool | Literal['auto']"
"""The argument `progress` of functions that write: ``"auto"`` shows a bar if standard error is a terminal."""

Advance: TypeAlias = "Callable[[int], object]"
"""The argument `progress` of functions that read: it is called with the number of bytes of each part that is done."""

_T = TypeVar("_T")


def is_shown(progress: Progress) -> bool:
    """Return whether to show a bar for a value of the argument `progress`.

    Examples
    --------
    >>> is_shown(True), is_shown(False)
    (True, False)
    """
    return sys.stderr is not None and sys.stderr.isatty() if progress == "auto" else bool(progress)


class Bar:
    """How much of a job is done; may be used by several threads.

    Parameters
    ----------
    draw : callable
        Called with what is done and the total (None while unknown) after each change.
    total : float, optional
        How much there is to do.
    """

    def __init__(self, draw: Callable[[float, float | None], object], total: float | None = None) -> None:
        self._draw = draw
        self._lock = threading.Lock()
        self.done = 0.0
        self.total = total

    def advance(self, count: float = 1) -> None:
        """Add to what is done."""
        with self._lock:
            self.done += count
            self._draw(self.done, self.total)

    def update(self, done: float, total: float) -> None:
        """Set what is done, and the total."""
        with self._lock:
            self.done, self.total = done, total
            self._draw(done, total)


@contextlib.contextmanager
def progress_bar(text: str, total: float | None = None, *, shown: Progress = True) -> Iterator[Bar]:
    """Show a bar on standard error until the context ends; at 100 % if it ends without an error.

    Standard error that is no terminal, such as a log file, gets one line at the end.

    Parameters
    ----------
    text : str
        What is going on.
    total : float, optional
        How much there is to do, if it is known already.
    shown : bool or "auto"
        Whether to show it; ``"auto"`` if standard error is a terminal.

    Examples
    --------
    >>> with progress_bar("reading", 3, shown=False) as bar:
    ...     bar.advance(3)
    >>> bar.done
    3.0
    """
    if not is_shown(shown):
        yield Bar(_draw_nothing, total)
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    console = Console(file=sys.stderr)
    with RichProgress(console=console, auto_refresh=console.is_terminal) as rich:
        task = rich.add_task(text, total=total)
        bar = Bar(lambda done, total: rich.update(task, completed=done, total=total), total)
        yield bar
        bar.update(whole := bar.total or 1.0, whole)


def _draw_nothing(_done: float, _total: float | None) -> None:
    """Ignore the progress of a bar that is not shown."""


@contextlib.contextmanager
def task_bar(text: str, *, shown: Progress = True) -> Iterator[None]:
    """Show how many tasks are done of the one computation that dask runs in this process in this context.

    Parameters
    ----------
    text, shown
        As for `progress_bar`.
    """
    if not is_shown(shown):
        yield
        return
    from dask.callbacks import Callback

    with progress_bar(text) as bar:

        def start(_graph: Any, state: Any) -> None:
            bar.update(0, sum(len(state[name]) for name in ("ready", "waiting", "running", "finished")))

        def done(*_: Any) -> None:
            bar.advance()

        with Callback(start_state=start, posttask=done):
            yield


def counted(items: Iterable[_T], count: int, text: str, *, shown: Progress = True) -> Iterator[_T]:
    """Yield items and show how many of them have been worked on.

    Parameters
    ----------
    items : iterable
        The items.
    count : int
        How many there are.
    text, shown
        As for `progress_bar`.

    Examples
    --------
    >>> list(counted("ab", 2, "reading", shown=False))
    ['a', 'b']
    """
    with progress_bar(text, count, shown=shown) as bar:
        for item in items:
            yield item
            bar.advance()

"""Progress bars on standard error, drawn by rich.

One protocol for every long job: `progress_bar` yields a `Bar`; the job calls ``bar.advance(count)`` for each part that
is done, or ``bar.update(done, total)`` where it knows both. A bar that is not shown takes the same calls and does
nothing, and rich is only imported for one that is. What the program prints meanwhile appears above the bar. `task_bar`
counts the tasks of dask in this process.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Advance", "Bar", "Progress", "counted", "is_shown", "progress_bar", "task_bar"]

Progress: TypeAlias = "bool | Literal['auto']"
"""The argument `progress` of functions that write: ``"auto"`` shows a bar on a terminal, for jobs that take time."""

Advance: TypeAlias = "Callable[[int], object]"
"""The argument `progress` of functions that read: it is called with the number of bytes of each part that is done."""

DELAY = 0.3
"""Seconds after which ``"auto"`` shows a bar: a shorter job needs none, and the import of rich takes a third of it."""

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
        Whether to show it; ``"auto"`` if standard error is a terminal and the job takes longer than `DELAY`.

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
    with contextlib.ExitStack() as stack:
        drawing = _Drawing(text, stack, time.monotonic() + (DELAY if shown == "auto" else 0.0))
        drawing.draw(0.0, total)
        bar = Bar(drawing.draw, total)
        yield bar
        if drawing.rich is not None:
            bar.update(whole := bar.total or 1.0, whole)


class _Drawing:
    """The bar of rich, which is imported and shown when it is first drawn after some time.

    Parameters
    ----------
    text : str
        What is going on.
    stack : ExitStack
        Ends the bar.
    start : float
        Time, by `time.monotonic`, before which nothing is shown.
    """

    def __init__(self, text: str, stack: contextlib.ExitStack, start: float) -> None:
        self._text, self._stack, self._start = text, stack, start
        self.rich: Any = None

    def draw(self, done: float, total: float | None) -> None:
        """Show what is done, and the total (None while unknown)."""
        if self.rich is None:
            if time.monotonic() < self._start:
                return
            self._show()
        self.rich.update(0, completed=done, total=total)

    def _show(self) -> None:
        from rich import progress as parts
        from rich.console import Console

        console = Console(file=sys.stderr)
        columns = (
            parts.TextColumn("{task.description}"),
            parts.BarColumn(),
            parts.TaskProgressColumn(),
            parts.TimeRemainingColumn(elapsed_when_finished=True),
        )
        self.rich = parts.Progress(
            *columns,
            console=console,
            auto_refresh=console.is_terminal,
            redirect_stdout=False,  # rich would wrap the lines, and write those of a redirected output to the terminal
            redirect_stderr=False,
        )
        self.rich.add_task(self._text, total=None)
        self._stack.enter_context(self.rich)
        if console.is_terminal:
            self._stack.enter_context(_lines_above(console))


@contextlib.contextmanager
def _lines_above(console: Any) -> Iterator[None]:
    """Print lines of standard output and standard error above the bar on the same terminal, as they are."""
    error, output = sys.stderr, sys.stdout
    sys.stderr = cast("TextIO", _Lines(error, console))
    if output is not None and output.isatty():
        sys.stdout = cast("TextIO", _Lines(output, console))
    try:
        yield
    finally:
        for stream, before, name in ((sys.stdout, output, "stdout"), (sys.stderr, error, "stderr")):
            if isinstance(stream, _Lines):
                stream.end()
                setattr(sys, name, before)


class _Lines:
    """A stream that prints whole lines above a bar; its other attributes are those of the stream it stands for.

    Parameters
    ----------
    stream : file object
        The stream on the terminal.
    console : rich.console.Console
        The console of the bar.
    """

    def __init__(self, stream: TextIO, console: Any) -> None:
        self._stream, self._console, self._rest = stream, console, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print the lines that are complete, and keep the rest."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            from rich.text import Text

            whole = Text("\n").join(Text.from_ansi(line) for line in lines)
            self._console.print(whole, soft_wrap=True, highlight=False, markup=False)
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are printed when they are complete."""

    def end(self) -> None:
        """Print the rest."""
        if self._rest:
            self.write("\n")


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

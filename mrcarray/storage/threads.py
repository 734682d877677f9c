"""Share work between threads: `each` in any order, `ordered` and `Ordered` with results in the order of the tasks.

Code that runs because an object is collected must start no thread and wait for none: it may interrupt the very code of
`threading` or `concurrent.futures` that holds the lock it would need. Such code runs inside `without`. Where no thread
can be started (no memory, too many of them, the interpreter ends), the caller's thread does all the work.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Ordered", "allowed", "each", "ordered", "processors", "started", "without"]

T = TypeVar("T")
R = TypeVar("R")

_here = threading.local()


def allowed() -> bool:
    """Return whether this thread may start others."""
    return not getattr(_here, "alone", False)


@contextlib.contextmanager
def without() -> Iterator[None]:
    """Do everything in this thread while the context lasts.

    Examples
    --------
    >>> with without():
    ...     allowed()
    False
    """
    before = allowed()
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = not before


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def started(run: Callable[[], object], count: int) -> list[threading.Thread]:
    """Start up to `count` threads that call `run`, fewer where the system allows no more."""
    threads: list[threading.Thread] = []
    with contextlib.suppress(RuntimeError, MemoryError):  # "can't start new thread": no memory, or too many of them
        for _ in range(count):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            threads.append(thread)
    return threads


def each(work: Callable[[T], object], tasks: Iterable[T], count: int) -> None:
    """Call `work` with every task, in this thread and up to ``count - 1`` others that end with this call.

    The first exception stops all threads and is raised here. Threads are started for each call: that takes
    50 microseconds, and there is no pool that a fork could break.
    """
    queue = deque(tasks)
    errors: list[BaseException] = []

    def run() -> None:
        while not errors:
            try:
                task = queue.popleft()
            except IndexError:
                return
            try:
                work(task)
            except BaseException as error:  # noqa: BLE001 -- it is raised again in the caller's thread
                errors.append(error)

    others = started(run, min(len(queue), count) - 1) if allowed() else []
    try:
        run()
    finally:
        queue.clear()
        for thread in others:
            thread.join()
    if errors:
        raise errors[0]


def ordered(work: Callable[[T], R], tasks: Iterable[T], count: int) -> Iterator[R]:
    """Yield ``work(task)`` for every task in order, while up to `count` further ones are computed.

    Examples
    --------
    >>> list(ordered(abs, [-1, 2, -3], 2))
    [1, 2, 3]
    """
    results: Ordered[R] = Ordered(threaded=count > 1)
    for task in tasks:
        results.submit(work, task)
        if len(results) > count:
            yield results.pop()
    while results:
        yield results.pop()


class Ordered(Generic[R]):
    """Results in the order in which their work was submitted, computed by threads that the whole process shares.

    Parameters
    ----------
    threaded : bool
        Whether to use threads; without them, work is done when its result is fetched.
    """

    def __init__(self, *, threaded: bool = True) -> None:
        self._threaded = threaded
        self._pid = os.getpid()
        self._waiting: deque[tuple[Future[R] | None, Callable[..., R], tuple[Any, ...]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, work: Callable[..., R], *args: Any, threaded: bool = True) -> None:
        """Have ``work(*args)`` done; `threaded` false leaves it to `pop`."""
        future = _pool.submit(work, *args) if threaded and self._threaded else None
        self._waiting.append((future, work, args))

    def pop(self) -> R:
        """Return the next result, or raise the exception of its work."""
        future, work, args = self._waiting.popleft()
        if future is None or os.getpid() != self._pid:  # a forked child has none of the threads
            return work(*args)
        return future.result()

    def cancel(self) -> None:
        """Drop all results, and the work that has not begun."""
        while self._waiting:
            future = self._waiting.popleft()[0]
            if future is not None:
                future.cancel()


class _Pool:
    """The threads of this process for work that outlasts a call; started when there is some."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any] | None:
        """Have a thread do some work; return None where none can."""
        if not allowed() or processors() == 1:
            return None
        try:  # the import fails in threads that outlive the main one: nothing more can be registered for its end
            from concurrent.futures import ThreadPoolExecutor

            if self._executor is None:
                self._executor = ThreadPoolExecutor(processors(), thread_name_prefix="mrcarray")
            return self._executor.submit(work, *args)
        except (RuntimeError, MemoryError):  # no thread can be started, or the interpreter ends
            self._executor = None
            return None

    def forget(self) -> None:
        """Drop the threads: a forked child has none of them."""
        self._executor = None


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)

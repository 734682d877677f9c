"""Whether work may be shared with other threads.

Code that runs because an object is collected must start no thread and wait for none: it may interrupt the very code of
`threading` or `concurrent.futures` that holds the lock it would need. At the end of the interpreter, executors refuse
work. Such code runs inside `without`.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["allowed", "executor", "without"]

_here = threading.local()


def allowed() -> bool:
    """Return whether this thread may start others."""
    return not getattr(_here, "alone", False)


def executor(count: int, name: str = "") -> ThreadPoolExecutor | None:
    """Return threads to share work with; None where this thread may start none.

    Threads that outlive the main one may use the package for the first time when nothing more can be registered for
    the end of the interpreter, so that the module with the executor cannot be imported.
    """
    if not allowed():
        return None
    try:
        from concurrent.futures import ThreadPoolExecutor
    except RuntimeError:
        return None
    return ThreadPoolExecutor(count, thread_name_prefix=name)


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

"""Calls to the system that fail on command: one after the other, in every way."""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from typing import TYPE_CHECKING, Any

from mrcarray.storage import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Faulty:
    """The calls of `mrcarray.storage.atomic`, of which the `at`-th does something else; counts and names them."""

    def __init__(self, at: int, fault: Callable[[], Any] | None) -> None:
        self.seen: list[str] = []
        self._at, self._fault = at, fault

    def __getattr__(self, name: str) -> Any:
        real = getattr(atomic.Calls, name)

        def call(*args: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) - 1 == self._at and self._fault is not None:
                if name == "close":  # a close that fails has closed all the same
                    real(*args)
                self._fault()
            return real(*args)

        return call


def failing(number: int) -> Callable[[], Any]:
    """Return a fault that is an OSError."""

    def fault() -> None:
        raise OSError(number, os.strerror(number))

    return fault


def interrupted() -> None:
    """Be Ctrl-C."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def calls_with(at: int = -1, fault: Callable[[], Any] | None = None) -> Iterator[Faulty]:
    """Let the `at`-th call fail while the context lasts."""
    faulty = Faulty(at, fault)
    before = atomic.calls
    atomic.calls = faulty
    try:
        yield faulty
    finally:
        atomic.calls = before


def killed(work: Callable[[], Any], at: int) -> bool:
    """Do `work` in a forked child that is killed at its `at`-th call; return whether it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork; the child only does the work
        child = os.fork()
    if child == 0:
        code = 1
        try:
            with calls_with(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)

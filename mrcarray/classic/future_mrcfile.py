"""A file being opened in the background: `FutureMrcFile`, a `concurrent.futures.Future` with the old constructor."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FutureMrcFile"]

#: The text callers of the original library look for.
_TIMED_OUT = "Timed out waiting for result"


class _WaitError(RuntimeError, concurrent.futures.TimeoutError):
    """The wait was too short: both the original library's `RuntimeError` and the standard `TimeoutError`."""


class FutureMrcFile(concurrent.futures.Future[Any]):
    """The promise of an open file.

    The call runs in a thread of its own, which does not keep the interpreter alive.

    Parameters
    ----------
    open_function : callable
        What opens the file.
    args : sequence
        Positional arguments of the call.
    kwargs : mapping
        Keyword arguments of the call.

    Examples
    --------
    >>> FutureMrcFile(max, (1, 2)).result(timeout=10)
    2
    """

    def __init__(
        self,
        open_function: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] = {},
    ) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        call = (open_function, tuple(args), dict(kwargs))
        threading.Thread(target=self._run, args=call, daemon=True, name="FutureMrcFile").start()

    def _run(self, open_function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the function and keep what it returns or raises."""
        try:
            result = open_function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - whatever was raised belongs to who asks for the result
            self.set_exception(error)
        else:
            self.set_result(result)

    def result(self, timeout: float | None = None) -> Any:
        """Return the open file, waiting for it at most `timeout` seconds.

        Raises
        ------
        RuntimeError
            (also a `TimeoutError`) when it is not there in time.
        Exception
            Whatever opening the file raised.

        Examples
        --------
        >>> FutureMrcFile(open, ("absent.mrc",)).result(timeout=60)
        Traceback (most recent call last):
            ...
        FileNotFoundError: [Errno 2] No such file or directory: 'absent.mrc'
        """
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what opening the file raised, or None; wait at most `timeout` seconds.

        Raises
        ------
        RuntimeError
            (also a `TimeoutError`) when it is not known in time.

        Examples
        --------
        >>> FutureMrcFile(open, ("absent.mrc",)).exception(timeout=60)
        FileNotFoundError(2, 'No such file or directory')
        """
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        """Wait until the call has returned."""
        if not concurrent.futures.wait([self], timeout).done:
            raise _WaitError(_TIMED_OUT)

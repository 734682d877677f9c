"""Opening a file in the background: `FutureMrcFile`, a `concurrent.futures.Future` with mrcfile's constructor."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FutureMrcFile"]

#: mrcfile's text, which callers compare.
_TIMED_OUT = "Timed out waiting for result"


class _WaitError(RuntimeError, concurrent.futures.TimeoutError):
    """The wait timed out: mrcfile's `RuntimeError`, and the standard `TimeoutError`."""


class FutureMrcFile(concurrent.futures.Future[Any]):
    """The future result of opening a file.

    The call runs in a daemon thread of its own.

    Parameters
    ----------
    open_function : callable
        Opens the file.
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
        """Call the function and set the result or exception."""
        try:
            result = open_function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self.set_exception(error)
        else:
            self.set_result(result)

    def result(self, timeout: float | None = None) -> Any:
        """Return the open file; wait at most `timeout` seconds.

        Raises
        ------
        RuntimeError
            (also a `TimeoutError`) when the file is not open in time.
        Exception
            The exception of the call.

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
        """Return the exception of the call, or None; wait at most `timeout` seconds.

        Raises
        ------
        RuntimeError
            (also a `TimeoutError`) when the call does not return in time.

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

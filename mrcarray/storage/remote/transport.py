"""How ranges of bytes are read over a network: `Transport`, and what those share that make their own requests.

`HttpTransport` and `S3Transport` use the connections and credentials of fsspec's file systems, but make their own
requests: then one answer brings the bytes, the size and the tag at once, and its declared part can be checked, which
fsspec does not do. All other protocols are served by `FsspecTransport`.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mrcarray.errors import MrcError, StaleFileError, printable
from mrcarray.storage.remote.http_response import Limits, PassingError, WholeFileError, no_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

__all__ = ["CONCURRENT", "Fingerprint", "Piece", "Reply", "Requests", "Transport", "changes", "guarded"]

Fingerprint = tuple[int | None, str]
"""Size, and a tag: etag, or when the file was changed."""

Piece = tuple[int, memoryview]
"""First byte of a range, and where its bytes go."""

CONCURRENT = 8
"""Requests under way at a time: archives throttle clients with more."""

ENOUGH = 1 << 16
"""A shorter part than was asked for counts as an attempt if it has fewer bytes than this."""


class Reply(NamedTuple):
    """The content of an answer; `end` is set where no bytes are at the start of the range."""

    done: int
    size: int | None
    tag: str
    end: bool = False


class Transport(Protocol):
    """Access to one file."""

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces and return the bytes in each, fewer only at an end the server did not declare.

        Raise `StaleFileError` if the file is no longer the expected one.
        """


class Requests:
    """Base of transports that make requests themselves: concurrency, retries, staleness.

    Parameters
    ----------
    fs, path : object, str
        fsspec's file system, and the path in it.
    name : str
        What error texts call the file.
    limits : Limits
        How slow the server may be, and how often it is asked.
    """

    def __init__(self, fs: Any, path: str, name: str, limits: Limits = Limits()) -> None:  # noqa: B008 -- immutable
        self.fs, self.path, self.name, self.limits = fs, path, name, limits

    async def request(self, start: int, view: memoryview) -> Reply:
        """Ask once."""
        raise NotImplementedError

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""
        reply = self._run(self._in_time(0, view))
        return reply.done, (reply.done if reply.end else reply.size, reply.tag)

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces, some at a time."""
        found: list[int] = self._run(self._all(pieces, expected))
        return found

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        from fsspec.asyn import sync

        found, error = sync(self.fs.loop, _with_timeout, work)
        if error is not None:
            raise error
        return found

    async def _all(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        gate = asyncio.Semaphore(CONCURRENT)

        async def one(start: int, view: memoryview) -> int:
            async with gate:
                return (await self._in_time(start, view, expected)).done

        tasks = [asyncio.ensure_future(one(*piece)) for piece in pieces]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_time(self, start: int, view: memoryview, expected: Fingerprint | None = None) -> Reply:
        """Ask until all bytes are there, or there is no time left."""
        seconds = self.limits.seconds(len(view))
        try:
            async with asyncio.timeout(seconds) as scope:
                return await self._complete(start, view, expected)
        except TimeoutError:
            if not scope.expired():
                raise
        what = f"not all bytes had arrived after {seconds:g} seconds (total_timeout in storage_options)"
        raise TimeoutError(errno.ETIMEDOUT, what, self.name)

    async def _complete(self, start: int, view: memoryview, expected: Fingerprint | None = None) -> Reply:
        """Ask until all bytes are there, going on after those that have arrived.

        Where the server does not declare the size, a part that is too short may be the last: the next answer decides.
        """
        done = attempt = 0
        attempts = self.limits.attempts
        while attempt < attempts:
            if attempt:
                await self._wait(attempt)
            try:
                reply = await self.request(start + done, view[done:])
            except PassingError as error:
                if isinstance(error, WholeFileError) and (expected is None or attempt == attempts - 1):
                    raise no_ranges(self.name) from None
                done += error.done
                last = error
                attempt += 1
                continue
            expected = self._agreed(expected, reply)
            done += reply.done
            size = expected[0]
            wanted = len(view) if size is None else max(0, min(len(view), size - start))
            if done >= wanted or (reply.end and size is None):
                return Reply(done, *expected, end=reply.end)
            last = PassingError("the server sent fewer bytes than there are")
            attempt += reply.done < ENOUGH
        what = f"{last.what}; given up after {attempts} attempts"
        raise (TimeoutError if last.code == errno.ETIMEDOUT else OSError)(last.code, what, self.name) from None

    async def _wait(self, attempt: int) -> None:
        """Wait before another attempt: 0.2 seconds at first, doubled each time, and varied."""
        await asyncio.sleep(0.1 * 2**attempt * (0.5 + random.random()))  # noqa: S311 -- not a secret

    def _agreed(self, expected: Fingerprint | None, reply: Reply) -> Fingerprint:
        """Return size and tag, as far as they were declared; raise `StaleFileError` where answers contradict."""
        found = (reply.size, reply.tag)
        if expected is None:
            return found
        if reply.end:
            return expected
        if changed := changes(self.name, expected, found):
            raise StaleFileError(changed)
        return expected if reply.size is None else found


async def _with_timeout(work: Coroutine[Any, Any, Any]) -> tuple[Any, TimeoutError | None]:
    """Return time-outs rather than raise them: fsspec replaces them by an error without text."""
    try:
        return await work, None
    except TimeoutError as error:
        return None, error


def changes(name: str, expected: Fingerprint, found: Fingerprint) -> str:
    """Return a text about what has changed, empty if nothing has; an unknown size contradicts none."""
    texts = ", ".join(
        f"{what} was {old}, is {new}"
        for what, old, new in zip(("size", "tag"), expected, found, strict=True)
        if old != new and None not in {old, new}
    )
    return printable(f"{name}: the file changed after it was opened: {texts}") if texts else ""


def guarded(work: Callable[[], Any], name: str, redact: Callable[[str], str]) -> Any:
    """Call `work`, and raise its errors as ours or as `OSError`, without credentials.

    Their causes are dropped: they may contain credentials, and may not be picklable.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- file systems raise what their libraries do
        found = _translated(error, name, redact)
    found.__cause__ = found.__context__ = None
    raise found


def _translated(error: Exception, name: str, redact: Callable[[str], str]) -> Exception:
    if isinstance(error, MrcError | io.UnsupportedOperation):
        return error
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):  # fsspec serves connections in one
        return MemoryError(printable(f"{name}: {error}"))
    if not isinstance(error, OSError):
        return OSError(errno.EIO, printable(f"{type(error).__name__}: {redact(str(error))}"), name)
    if error.filename == name:
        return error
    code = error.errno if error.errno is not None else _CODES.get(type(error), errno.EIO)
    text = os.strerror(code) if isinstance(error, FileNotFoundError | PermissionError) else redact(str(error))
    return OSError(code, printable(text), name)


_CODES: dict[type[OSError], int] = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    TimeoutError: errno.ETIMEDOUT,
    IsADirectoryError: errno.EISDIR,
}

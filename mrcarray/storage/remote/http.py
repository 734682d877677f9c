"""How ranges of bytes are asked for over a network, one class for each way, on top of fsspec's file systems.

`HttpTransport` and `S3Transport` make their own requests with the connections and credentials of the file system, for
so one answer brings the bytes, the size and the tag at once. All other protocols are served by `FsspecTransport`.
To add a way, write a class with the same two methods and a row in `transport_for`. fsspec is imported when needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mrcarray import _compat
from mrcarray.errors import MrcError, MrcValueError, StaleFileError, printable
from mrcarray.storage.remote.http_response import (
    WAY_OUT,
    Limits,
    Pace,
    PassingError,
    WholeFileError,
    judge,
    no_ranges,
    part_of,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

__all__ = ["Fingerprint", "Piece", "Transport", "transport_for"]

Fingerprint = tuple[int | None, str]
"""Size, and a tag: etag, or when the file was changed."""

Piece = tuple[int, memoryview]
"""First byte of a range, and where its bytes go."""

CONCURRENT = 8
"""Requests under way at a time: archives throttle who asks for more."""

ATTEMPTS = 4
"""Times a request is made before an error that may pass is taken for lasting."""

BACKOFF = 0.2
"""Seconds before the second attempt; doubled before every further one, and varied."""

CONNECT, ANSWER = 30.0, 60.0
"""Seconds to wait for a connection, and for the next bytes."""

END = 1.0
"""Seconds to wait for the end of an answer all of whose bytes are there, so that its connection can be used again."""

ENOUGH = 1 << 16
"""A shorter part than was asked for counts as an attempt if it has fewer bytes than this."""

S3_PIECE = 1 << 20
"""Bytes of an S3 answer read at a time."""


class Reply(NamedTuple):
    """What an answer said; `end` is that nothing lies where bytes were asked for."""

    done: int
    size: int | None
    tag: str
    end: bool = False


class Transport(Protocol):
    """A way to one file."""

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces and return the bytes in each, fewer only at an end nobody told of.

        Raise `StaleFileError` if the file is no longer the expected one.
        """


class _Requests:
    """What transports have in common that make requests themselves: concurrency, retries, staleness."""

    def __init__(self, fs: Any, path: str, name: str, limits: Limits = Limits()) -> None:  # noqa: B008 -- immutable
        self.fs = fs
        self.path = path
        self.name = name
        self.limits = limits

    async def request(self, start: int, view: memoryview) -> Reply:
        """Ask once."""
        raise NotImplementedError

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""
        reply = self._run(self._in_time(0, view))
        size = reply.done if reply.end else reply.size
        return reply.done, (size, reply.tag)

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces, some at a time."""
        found: list[int] = self._run(self._all(pieces, expected))
        return found

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        from fsspec.asyn import sync

        found, error = sync(self.fs.loop, _in_a_pair, work)
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

        Where nobody tells the size, a part that is too short may be the last: the next answer will say.
        """
        done = attempt = 0
        while attempt < ATTEMPTS:
            if attempt:
                await asyncio.sleep(BACKOFF * 2 ** (attempt - 1) * (0.5 + random.random()))  # noqa: S311 -- no secret
            try:
                reply = await self.request(start + done, view[done:])
            except WholeFileError:
                if expected is None or attempt == ATTEMPTS - 1:
                    raise no_ranges(self.name) from None
                last = PassingError("the server sent the whole file")
                attempt += 1
                continue
            except PassingError as error:
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
        what = f"{last.what}; given up after {ATTEMPTS} attempts"
        raise (TimeoutError if last.code == errno.ETIMEDOUT else OSError)(last.code, what, self.name) from None

    def _agreed(self, expected: Fingerprint | None, reply: Reply) -> Fingerprint:
        """Return size and tag, as far as they were told; raise `StaleFileError` where the answers contradict."""
        found = (reply.size, reply.tag)
        if expected is None:
            return found
        if reply.end:
            return expected
        changed = _changed(self.name, expected, found)
        if changed:
            raise StaleFileError(changed)
        return expected if reply.size is None else found


async def _in_a_pair(work: Coroutine[Any, Any, Any]) -> tuple[Any, TimeoutError | None]:
    """Return time-outs rather than raise them: fsspec puts an error without text in their place."""
    try:
        return await work, None
    except TimeoutError as error:
        return None, error


class HttpTransport(_Requests):
    """A file on a web server."""

    async def request(self, start: int, view: memoryview) -> Reply:
        """Ask for one range."""
        import aiohttp

        options = dict(self.fs.kwargs)
        headers = {
            **options.pop("headers", {}),
            "Range": f"bytes={start}-{start + len(view) - 1}",
            "Accept-Encoding": "identity",
        }
        if "timeout" not in self.fs.client_kwargs:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=ANSWER)
            options.setdefault("timeout", timeout)
        session = await self.fs.set_session()
        try:
            # What is stored packed must arrive so: a part of it cannot be unpacked.
            options["auto_decompress"] = False
            async with session.get(self.fs.encode_url(self.path), headers=headers, **options) as answer:
                return await self._receive(answer, start, view)
        except TimeoutError:
            raise PassingError("the server did not answer in time", code=errno.ETIMEDOUT) from None
        except aiohttp.ClientConnectionError as error:
            what = f"the server cannot be reached ({type(error).__name__})"
            raise PassingError(what, code=errno.ECONNREFUSED) from None
        except aiohttp.ClientError as error:
            raise OSError(errno.EIO, f"the request failed ({type(error).__name__})", self.name) from None

    async def _receive(self, answer: Any, start: int, view: memoryview) -> Reply:
        import aiohttp

        judge(answer.status, self.name)
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if answer.status == 416:  # noqa: PLR2004 -- nothing is there: the file is empty or became shorter
            size = size_of(answer.headers.get("Content-Range", ""))
            return Reply(0, size, tag, end=size is None)
        if answer.status != 206:  # noqa: PLR2004 -- partial content
            if answer.headers.get("Content-Length") == "0":  # what nginx says of an empty file
                return Reply(0, 0, tag)
            raise WholeFileError("the server sent the whole file")
        count, size = part_of(answer.headers.get("Content-Range", ""), start, len(view), self.name)
        self._check_length(answer.headers, count)
        done, pace = 0, Pace(self.limits.min_rate)
        try:
            async for block in answer.content.iter_any():
                part = block[: count - done]
                view[done : done + len(part)] = part
                done += len(part)
                if len(part) < len(block) or (done == count and not await _ends(answer)):
                    raise OSError(errno.EIO, f"the server sent more than the {count} bytes it declared", self.name)
                if done == count:
                    break
                pace.arrived(len(part), done)
        except TimeoutError:  # aiohttp's is one of its connection errors too
            raise PassingError("the server stopped sending", done, errno.ETIMEDOUT) from None
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            raise PassingError("the connection was cut", done, errno.ECONNRESET) from None
        if done < count:
            self._check_length(answer.headers, count, done)
        return Reply(done, size, tag)

    def _check_length(self, headers: Mapping[str, str], count: int, found: int | None = None) -> None:
        """Raise where the body has another length than its range, `found` or declared, and say if it was compressed."""
        length = headers.get("Content-Length", str(count)) if found is None else str(found)
        if length == str(count):
            return
        encoding = headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            what = f"the server compressed the part it sent (Content-Encoding: {encoding}), which was not asked for"
            raise io.UnsupportedOperation(f"{printable(self.name)}: {what}; {WAY_OUT}")
        if found is None:
            what = f"the server declared a part of {count} bytes (Content-Range) and sent {length} (Content-Length)"
            raise OSError(errno.EIO, printable(what), self.name)


async def _ends(answer: Any) -> bool:
    """Tell whether a body ends here; the connection of one that does not end soon is closed."""
    try:
        async with asyncio.timeout(END):
            return not await answer.content.readany()
    except (TimeoutError, OSError):
        answer.close()
        return True


class S3Transport(_Requests):
    """An object in a bucket."""

    async def request(self, start: int, view: memoryview) -> Reply:
        """Ask for one range."""
        bucket, key, version = self.fs.split_path(self.path)
        more = {"VersionId": version} if version else {}
        try:
            answer = await _compat.call_s3(
                self.fs, "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{start + len(view) - 1}", **more
            )
        except OSError as error:
            empty = await self._empty(error)
            if empty is not None:
                return empty
            raise
        count, size = part_of(answer.get("ContentRange", ""), start, len(view), self.name)
        body = answer["Body"]
        async with body:  # whose result is the bare answer of aiohttp in aiobotocore 2.20
            done = await self._receive(body, view[:count])
        return Reply(done, size, answer.get("ETag", ""))

    async def _receive(self, body: Any, view: memoryview) -> int:
        done, pace = 0, Pace(self.limits.min_rate)
        while done < len(view):
            try:
                block = await body.read(min(S3_PIECE, len(view) - done))
            except Exception as error:  # noqa: BLE001 -- aiohttp's, botocore's or httpx's
                what = f"the connection was cut ({type(error).__name__})"
                raise PassingError(what, done, errno.ECONNRESET) from None
            if not block:
                break
            view[done : done + len(block)] = block
            done += len(block)
            pace.arrived(len(block), done)
        return done

    async def _empty(self, error: OSError) -> Reply | None:
        """Return the reply for a range of which nothing is there, or None where the error was another."""
        cause = getattr(error.__cause__, "response", {})
        if cause.get("ResponseMetadata", {}).get("HTTPStatusCode") != 416:  # noqa: PLR2004 -- as above
            return None
        info = await _compat.file_info(self.fs, self.path)
        return Reply(0, info["size"], info.get("ETag", ""))


class FsspecTransport:
    """Any other file system: asked for the facts before each read, for its answers carry no tag.

    Parameters
    ----------
    connect : callable
        Returns the file system and the path in it.
    name : str
        What error texts call the file.
    """

    def __init__(self, connect: Callable[[], tuple[Any, str]], name: str) -> None:
        self._connect = connect
        self.name = name

    def open(self, view: memoryview) -> tuple[int, Fingerprint]:
        """Fill `view` with the first bytes; return how many there are, size and tag."""
        with self._connected() as (fs, path):
            found = self._facts(fs, path)
            if found[0] is None:
                with fs.open(path, "rb") as file:
                    found = (file.seek(0, io.SEEK_END), found[1])
            count = min(len(view), found[0] or 0)
            self._read(fs, path, [(0, view[:count])])
        return count, found

    def fetch(self, pieces: Sequence[Piece], expected: Fingerprint) -> list[int]:
        """Fill all pieces."""
        with self._connected() as (fs, path):
            changed = _changed(self.name, expected, self._facts(fs, path))
            if changed:
                raise StaleFileError(changed)
            self._read(fs, path, pieces)
        return [len(view) for _, view in pieces]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Any, str]]:
        """Give the file system; those that hold an archive open let it go in the end."""
        fs, path = self._connect()
        try:
            yield fs, path
        finally:
            if is_archive(fs):
                for held in ("zip", "tar", "fo"):
                    if hasattr(getattr(fs, held, None), "close"):
                        getattr(fs, held).close()

    def _facts(self, fs: Any, path: str) -> Fingerprint:
        fs.invalidate_cache(path)
        info = fs.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.name)
        tags = (info.get(key) for key in TAGS)
        return info.get("size"), str(next((tag for tag in tags if tag), ""))

    def _read(self, fs: Any, path: str, pieces: Sequence[Piece]) -> None:
        if fs.async_impl:
            parts = fs.cat_ranges(
                [path] * len(pieces),
                [start for start, _ in pieces],
                [start + len(view) for start, view in pieces],
                batch_size=CONCURRENT,
                on_error="raise",
            )
            for (_, view), part in zip(pieces, parts, strict=True):
                self._check(len(part), len(view))
                view[:] = part
            return
        with fs.open(path, "rb") as file:
            for start, view in pieces:
                file.seek(start)
                self._check(_fill(file, view), len(view))

    def _check(self, count: int, wanted: int) -> None:
        if count != wanted:
            raise OSError(errno.EIO, f"{wanted} bytes were asked for, {count} arrived", self.name)


def is_archive(fs: Any) -> bool:
    """Tell whether a file system is the inside of one file, which it holds open."""
    return hasattr(fs, "fo") and not fs.async_impl


TAGS = (
    *("etag", "ETag", "generation", "md5Hash", "content_md5", "checksum", "CRC"),
    *("LastModified", "last_modified", "updated", "mtime", "modified", "date_time", "created"),
)
"""What file systems call that which changes with a file."""


def transport_for(connect: Callable[[], tuple[Any, str]], name: str, limits: Limits = Limits()) -> Transport:  # noqa: B008 -- immutable
    """Return the way to what `connect` returns: an fsspec file system and a path in it.

    Raises
    ------
    MrcValueError
        When `limits` were set and fsspec makes the requests itself.
    """
    fs, path = connect()
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if fs.async_impl and "http" in protocols and hasattr(fs, "set_session"):
        return HttpTransport(fs, path, name, limits)
    if fs.async_impl and "s3" in protocols and _compat.calls_s3(fs):
        return S3Transport(fs, path, name, limits)
    if limits != Limits():
        raise MrcValueError("min_rate and total_timeout are options of http, https and s3 URLs, not of this protocol")
    return FsspecTransport(connect if is_archive(fs) else lambda: (fs, path), name)


def guarded(work: Callable[[], Any], name: str, redact: Callable[[str], str]) -> Any:
    """Do `work`, and raise what it raises as one of our errors or as an `OSError` that shows no credentials.

    What stood behind the error is dropped: it may hold them, and may not be sent to another process.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 -- file systems raise what their libraries do
        found = _told(error, name, redact)
    found.__cause__ = found.__context__ = None
    raise found


def _told(error: Exception, name: str, redact: Callable[[str], str]) -> Exception:
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


def _changed(name: str, expected: Fingerprint, found: Fingerprint) -> str:
    """Say what has changed, nothing if that is nothing; a size that was not told contradicts none."""
    changes = ", ".join(
        f"{what} was {old}, is {new}"
        for what, old, new in zip(("size", "tag"), expected, found, strict=True)
        if old != new and None not in {old, new}
    )
    return printable(f"{name}: the file changed after it was opened: {changes}") if changes else ""


def _fill(file: Any, view: memoryview) -> int:
    done = 0
    while done < len(view):
        block = file.read(len(view) - done)
        if not block:
            break
        view[done : done + len(block)] = block
        done += len(block)
    return done

"""Read files on web servers: `HttpTransport`."""

from __future__ import annotations

import asyncio
import errno
import io
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.storage.remote.http_response import (
    WAY_OUT,
    Pace,
    PassingError,
    WholeFileError,
    judge,
    part_of,
    size_of,
)
from mrcarray.storage.remote.transport import Reply, Requests

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HttpTransport"]

CONNECT = 30.0
"""Seconds to wait for a connection."""

END = 1.0
"""Seconds to wait for the end of an answer whose bytes are all there, so that its connection can be used again."""


class HttpTransport(Requests):
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
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=self.limits.answer_timeout)
            options.setdefault("timeout", timeout)
        session = await self.fs.set_session()
        try:
            options["auto_decompress"] = False  # a part of a compressed answer cannot be decompressed
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
            if answer.headers.get("Content-Length") == "0":  # nginx answers so for an empty file
                return Reply(0, 0, tag)
            raise WholeFileError("the server sent the whole file")
        count, size = part_of(answer.headers.get("Content-Range", ""), start, len(view), self.name)
        self._check_length(answer.headers, count)
        done, pace = 0, Pace(self.limits)
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
        """Raise where the body has another length than its range, found or declared; name a compression."""
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
    """Return whether a body ends here; close the connection of one that does not end soon."""
    try:
        async with asyncio.timeout(END):
            return not await answer.content.readany()
    except (TimeoutError, OSError):
        answer.close()
        return True

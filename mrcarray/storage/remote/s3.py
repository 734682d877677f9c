"""Read objects in buckets: `S3Transport`."""

from __future__ import annotations

import errno
from typing import Any

from mrcarray import _compat
from mrcarray.storage.remote.http_response import Pace, PassingError, part_of
from mrcarray.storage.remote.transport import Reply, Requests

__all__ = ["S3Transport"]

PIECE = 1 << 20
"""Bytes of an answer read at a time."""


class S3Transport(Requests):
    """An object in a bucket."""

    async def request(self, start: int, view: memoryview) -> Reply:
        """Ask for one range."""
        bucket, key, version = self.fs.split_path(self.path)
        more = {"VersionId": version} if version else {}
        try:
            ranges = f"bytes={start}-{start + len(view) - 1}"
            answer = await _compat.call_s3(self.fs, "get_object", Bucket=bucket, Key=key, Range=ranges, **more)
        except OSError as error:
            cause = getattr(error.__cause__, "response", {})
            if cause.get("ResponseMetadata", {}).get("HTTPStatusCode") != 416:  # noqa: PLR2004 -- no bytes are there
                raise
            info = await _compat.file_info(self.fs, self.path)
            return Reply(0, info["size"], info.get("ETag", ""))
        count, size = part_of(answer.get("ContentRange", ""), start, len(view), self.name)
        body = answer["Body"]
        async with body:  # whose result is the bare answer of aiohttp in aiobotocore 2.20
            done = await self._receive(body, view[:count])
        return Reply(done, size, answer.get("ETag", ""))

    async def _receive(self, body: Any, view: memoryview) -> int:
        done, pace = 0, Pace(self.limits)
        while done < len(view):
            try:
                block = await body.read(min(PIECE, len(view) - done))
            except Exception as error:  # noqa: BLE001 -- aiohttp's, botocore's or httpx's
                what = f"the connection was cut ({type(error).__name__})"
                raise PassingError(what, done, errno.ECONNRESET) from None
            if not block:
                break
            view[done : done + len(block)] = block
            done += len(block)
            pace.arrived(len(block), done)
        return done

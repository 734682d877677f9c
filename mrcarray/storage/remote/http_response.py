"""What an answer to a request for a part of a file must contain, and how fast it must come.

An answer is believed only if it declares which part of the file it is (Content-Range, RFC 9110, 14.4).
"""

from __future__ import annotations

import errno
import io
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mrcarray.errors import MrcValueError, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WAY_OUT", "Limits", "Pace", "PassingError", "WholeFileError", "judge", "no_ranges", "part_of", "size_of"]

GRACE = 3600.0
"""Seconds that a request may take beyond those it takes at the least rate: to wait for its turn, and to try again."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better next time."""


class PassingError(Exception):
    """A request failed in a way that may pass; `done` bytes of it had arrived."""

    def __init__(self, what: str, done: int = 0, code: int = errno.EIO) -> None:
        super().__init__(what)
        self.what = what
        self.done = done
        self.code = code


class WholeFileError(PassingError):
    """The answer to a request for a range was the whole file."""


class Limits(NamedTuple):
    """How slow a server may be, and how often it is asked: the options of `storage_options` that are not fsspec's.

    The defaults stop no honest link: with eight requests under way, 100 bytes a second each are 6.4 kbit/s.

    Parameters
    ----------
    min_rate : float
        Bytes a second that an answer must bring, over `rate_window` seconds; 0 allows any.
    total_timeout : float or None
        Seconds for one request of at most 32 MiB, all its attempts included; by default an hour more than the request
        takes at `min_rate`.
    attempts : int
        Times a request is made before an error that may pass is taken for lasting.
    answer_timeout : float
        Seconds to wait for the next bytes.
    rate_window : float
        Seconds over which the rate is measured.
    """

    min_rate: float = 100.0
    total_timeout: float | None = None
    attempts: int = 4
    answer_timeout: float = 60.0
    rate_window: float = 60.0

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[Limits, dict[str, Any]]:
        """Return the limits in `storage_options`, also in those of one protocol, and the other options."""
        found: dict[str, Any] = {}
        rest = dict(options)
        for key, value in options.items():
            if key in cls._fields:
                found[key] = _positive(key, rest.pop(key))
            elif key in {"http", "https", "s3"} and isinstance(value, dict):
                limits, rest[key] = cls.split(value)
                found |= {name: new for name, new in limits._asdict().items() if name in value}
        return cls(**found), rest

    def seconds(self, count: int) -> float | None:
        """Return how long a request for `count` bytes may take; None for no limit."""
        if self.total_timeout is not None:
            return self.total_timeout or None
        return GRACE + count / self.min_rate if self.min_rate else None


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= (name == "attempts"):
        raise MrcValueError(f"storage_options {name!r} is {value!r}; expected a number that is not negative")
    return value


class Pace:
    """The rate at which an answer arrives."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since = time.monotonic()
        self._count = 0

    def arrived(self, count: int, done: int) -> None:
        """Count bytes; raise `PassingError` with the bytes that are `done` if they come too slowly."""
        self._count += count
        seconds = time.monotonic() - self._since
        least = self._limits.min_rate
        if seconds < self._limits.rate_window:
            return
        if self._count < least * seconds:
            what = f"the server sent fewer than {least:g} bytes a second (min_rate in storage_options)"
            raise PassingError(what, done, errno.ETIMEDOUT)
        self._since, self._count = self._since + seconds, 0


WAY_OUT = 'put "simplecache::" in front of the URL to download the whole file once'


def no_ranges(name: str) -> io.UnsupportedOperation:
    """Return the error for a server that sends files only whole."""
    return io.UnsupportedOperation(f"{printable(name)}: the server does not serve parts of files; {WAY_OUT}")


def judge(status: int, name: str) -> None:
    """Raise for answers that bring no bytes."""
    if status in {404, 410}:
        raise FileNotFoundError(errno.ENOENT, f"the server has no such file (status {status})", name)
    if status in {401, 403, 407}:
        raise PermissionError(errno.EACCES, f"the server does not allow it (status {status})", name)
    if status in PASSING:
        raise PassingError(f"the server answered with status {status}")
    if status not in {200, 206, 416}:
        raise OSError(errno.EIO, f"the server answered with status {status}", name)


def size_of(content_range: str) -> int | None:
    """Return the size of the file in a Content-Range, None where it is unknown."""
    found = re.search(r"/(\d{1,18})\s*$", content_range)
    return int(found[1]) if found else None


_PART = re.compile(r"\s*bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\s*", re.IGNORECASE | re.ASCII)


def part_of(content_range: str, start: int, length: int, name: str) -> tuple[int, int | None]:
    """Return how many bytes an answer has, and the size of the file if it is declared.

    Parameters
    ----------
    content_range : str
        The header of the answer (RFC 9110, 14.4).
    start, length : int
        What was asked for: the answer must begin there, and may be shorter.
    name : str
        What error texts call the file.

    Raises
    ------
    OSError
        When it is another part, or none.

    Examples
    --------
    >>> part_of("bytes 10-19/300", 10, 50, "a")
    (10, 300)
    """
    asked = f"bytes {start} to {start + length} were asked for"
    found = _PART.fullmatch(content_range)
    if found is None:
        declared = f"Content-Range: {content_range}" if content_range else "no Content-Range"
        raise OSError(
            errno.EIO, printable(f"{asked}, but the answer does not declare which bytes it has ({declared})"), name
        )
    first, last = int(found[1]), int(found[2])
    if first != start:
        what = f"bytes from {start} on were asked for, but the server sent those from {first} on"
        raise OSError(errno.EIO, what, name)
    total = None if found[3] == "*" else int(found[3])
    if not first <= last < min(start + length, last + 1 if total is None else total):
        raise OSError(errno.EIO, f"{asked}, but the answer has an impossible Content-Range: {found[0].strip()}", name)
    return last - first + 1, total

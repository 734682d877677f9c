"""Web servers on this machine that serve files, count requests, and fail on demand."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import re
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Site:
    """Files by path, and what happens to requests.

    Parameters
    ----------
    files : dict
        Path to content.
    ranges : bool
        Whether the server serves parts of files.
    sizes : bool
        Whether it says how long files are; without, it sends answers in chunks.
    encodings : dict
        Path to the Content-Encoding it is stored with.
    faults : list of callable
        Each is used up by one GET request: it is given the handler, and answers instead of the server, or returns False
        to let it answer.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    sizes: bool = True
    etags: bool = True
    encodings: dict[str, str] = field(default_factory=dict)
    faults: list[Callable[[Handler], bool]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    connections: list[socket.socket] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was counted."""
        self.requests.clear()
        self.headers.clear()
        self.sent = 0


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from the site of its server."""

    protocol_version = "HTTP/1.1"
    site: Site
    lock = threading.Lock()

    def setup(self) -> None:
        """Note the connection, which the client may keep open."""
        self.site.connections.append(self.request)
        super().setup()

    def do_HEAD(self) -> None:
        """Answer with the facts."""
        self._note()
        content = self.site.files.get(re.split("[;?]", self.path)[0])
        if content is None:
            self.answer(404)
            return
        self.send_response(200)
        if self.site.sizes:
            self.send_header("Content-Length", str(len(content)))
        self._facts(content)
        self.end_headers()

    def do_GET(self) -> None:
        """Answer with the bytes, or as the next fault wants it."""
        self._note()
        if self.site.faults and self.site.faults.pop(0)(self):
            return
        content = self.site.files.get(re.split("[;?]", self.path)[0])
        if content is None:
            self.answer(404)
            return
        start, stop = self.wanted(content)
        if start >= stop:
            self.answer(416, {"Content-Range": f"bytes */{len(content)}"} if self.site.sizes else None)
            return
        self.begin(content, start, stop)
        self.send(content[start:stop])

    def wanted(self, content: bytes) -> tuple[int, int]:
        """Return the range that is asked for, or all."""
        asked = self.headers.get("Range", "")
        if not asked or not self.site.ranges:
            return 0, len(content)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) + 1, len(content))

    def begin(self, content: bytes, start: int, stop: int) -> None:
        """Send the head of an answer."""
        partial = self.site.ranges and "Range" in self.headers
        self.send_response(206 if partial else 200)
        if partial:
            total = len(content) if self.site.sizes else "*"
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        length = ("Content-Length", str(stop - start)) if self.site.sizes else ("Transfer-Encoding", "chunked")
        self.send_header(*length)
        self._facts(content)
        self.end_headers()

    def send(self, part: bytes) -> None:
        """Send some of the body."""
        with self.lock:
            self.site.sent += len(part)
        with contextlib.suppress(OSError):  # the client may have gone
            self.wfile.write(part if self.site.sizes else b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))

    def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        """Answer without a body."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _facts(self, content: bytes) -> None:
        if self.path in self.site.encodings:
            self.send_header("Content-Encoding", self.site.encodings[self.path])
        if self.site.etags:
            self.send_header("ETag", f'"{hash(content)}"')
        else:
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")

    def _note(self) -> None:
        with self.lock:
            self.site.requests.append(f"{self.command} {self.headers.get('Range', 'all')}")
            self.site.headers.append(dict(self.headers))

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server with a long queue: clients that do not fit into it would wait for seconds."""

    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site while the context lasts."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = Server(("127.0.0.1", 0), handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for connection in site.connections:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)


# ------------------------------------------------------------------------------------------ faults


def status(code: int) -> Callable[[Handler], bool]:
    """Answer with a status and no body."""

    def fault(handler: Handler) -> bool:
        handler.answer(code)
        return True

    return fault


def cut(handler: Handler) -> bool:
    """Send half of what is asked for, and hang up."""
    content = handler.site.files[re.split("[;?]", handler.path)[0]]
    start, stop = handler.wanted(content)
    handler.begin(content, start, stop)
    handler.send(content[start : (start + stop) // 2])
    handler.wfile.flush()
    handler.connection.close()
    handler.close_connection = True
    return True


def refuse(handler: Handler) -> bool:
    """Hang up without a word."""
    handler.connection.close()
    handler.close_connection = True
    return True


def silent(until: threading.Event) -> Callable[[Handler], bool]:
    """Answer nothing until the event is set."""

    def fault(handler: Handler) -> bool:
        until.wait(20)
        handler.close_connection = True
        return True

    return fault


def shorter(handler: Handler) -> bool:
    """Send the first half of what is asked for, and say so."""
    content = handler.site.files[re.split("[;?]", handler.path)[0]]
    start, stop = handler.wanted(content)
    handler.begin(content, start, (start + stop) // 2)
    handler.send(content[start : (start + stop) // 2])
    return True


def whole(handler: Handler) -> bool:
    """Send all of it, as if no part had been asked for."""
    content = handler.site.files[re.split("[;?]", handler.path)[0]]
    del handler.headers["Range"]
    handler.begin(content, 0, len(content))
    handler.send(content)
    handler.close_connection = True  # a client that did not ask for it hangs up
    return True


def elsewhere(handler: Handler) -> bool:
    """Send another part than the one that is asked for."""
    content = handler.site.files[re.split("[;?]", handler.path)[0]]
    start, stop = handler.wanted(content)
    handler.begin(content, 7, 7 + stop - start)
    handler.send(content[7 : 7 + stop - start])
    return True


def stalled(until: threading.Event) -> Callable[[Handler], bool]:
    """Send some bytes, and no more until the event is set."""

    def fault(handler: Handler) -> bool:
        content = handler.site.files[re.split("[;?]", handler.path)[0]]
        start, stop = handler.wanted(content)
        handler.begin(content, start, stop)
        handler.send(content[start : start + 10])
        handler.wfile.flush()
        until.wait(20)
        handler.close_connection = True
        return True

    return fault


def redirected(handler: Handler) -> bool:
    """Say that the file is where it was looked for."""
    handler.answer(302, {"Location": handler.path})
    return True


# ------------------------------------------------------------------------------------------ lies


@dataclass(frozen=True)
class Lie:
    """One answer to a request for a part, with something wrong in it.

    Parameters
    ----------
    status : int
        The status.
    range_ : str or None
        The Content-Range, with ``{start}``, ``{last}`` (of the part asked for), ``{size}``; None for none.
    headers : dict
        More headers, with the same words; Content-Length is right unless it is here.
    body : callable
        Makes the body from the part that was asked for.
    chunked : bool
        Whether the body is sent in chunks, without Content-Length.
    endless : bool
        Whether the body is sent again and again until the client hangs up.
    """

    status: int = 206
    range_: str | None = "bytes {start}-{last}/{size}"
    headers: dict[str, str] = field(default_factory=dict)
    body: Callable[[bytes], bytes] = bytes
    chunked: bool = False
    endless: bool = False

    def __call__(self, handler: Handler) -> bool:
        """Answer."""
        content = handler.site.files[re.split("[;?]", handler.path)[0]]
        start, stop = handler.wanted(content)
        words = {"start": start, "last": stop - 1, "size": len(content), "next": start + 1, "after": stop}
        body = self.body(content[start:stop])
        handler.send_response(self.status)
        headers = {"Content-Length": str(len(body)), "ETag": f'"{hash(content)}"', **self.headers}
        if self.range_ is not None:
            headers["Content-Range"] = self.range_
        if self.chunked or self.endless:
            del headers["Content-Length"]
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        for name, value in headers.items():
            handler.send_header(name, value.format(**words))
        handler.close_connection = True
        with contextlib.suppress(OSError):  # the client hangs up when it has seen the wrong answer
            handler.end_headers()
            while True:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body) if self.chunked else body)
                if not self.endless:
                    break
            if self.chunked:
                handler.wfile.write(b"0\r\n\r\n")
        return True


def _packed(part: bytes) -> bytes:
    return gzip.compress(part, 1)


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"

LIES: dict[str, Lie] = {
    "no Content-Range": Lie(range_=None),
    "an empty Content-Range": Lie(range_=""),
    "a Content-Range without numbers": Lie(range_="bytes"),
    "a range of another unit": Lie(range_="items {start}-{last}/{size}"),
    "a range that begins later": Lie(range_="bytes {next}-{after}/{size}"),
    "a range that begins at 0": Lie(range_="bytes 0-{last}/{size}"),
    "a range that ends later": Lie(range_="bytes {start}-{after}/{size}"),
    "a range that ends before it begins": Lie(range_="bytes {start}-0/{size}"),
    "a range of a smaller file": Lie(range_="bytes {start}-{last}/{start}"),
    "a range of a larger file": Lie(range_="bytes {start}-{last}/99{size}"),
    "a size of thirty digits": Lie(range_="bytes {start}-{last}/" + "9" * 30),
    "a negative size": Lie(range_="bytes {start}-{last}/-1"),
    "more bytes than the range": Lie(body=lambda part: part + b"more"),
    "fewer bytes than the range": Lie(body=lambda part: part[:-5]),
    "more bytes than the range in chunks": Lie(body=lambda part: part + b"more", chunked=True),
    "fewer bytes than the range in chunks": Lie(body=lambda part: part[:-5], chunked=True),
    "an endless body": Lie(endless=True),
    "an endless body in chunks": Lie(endless=True, chunked=True),
    "a part that was compressed": Lie(headers={"Content-Encoding": "gzip"}, body=_packed),
    "a part that was compressed in chunks": Lie(headers={"Content-Encoding": "gzip"}, body=_packed, chunked=True),
    "several parts": Lie(range_=None, headers={"Content-Type": "multipart/byteranges; boundary=x"}),
    "another tag": Lie(headers={"ETag": '"another"'}),
    "no tag": Lie(headers={"ETag": ""}),
    "the whole file, which is a part": Lie(status=200, range_=None),
    "a web page": Lie(status=200, range_=None, body=lambda _: PAGE),
    "a web page as a part": Lie(range_=None, body=lambda _: PAGE),
    "nothing": Lie(body=lambda _: b""),
    "that nothing is there": Lie(status=416, range_="bytes */{size}", body=lambda _: b""),
    "that nothing is there, and no size": Lie(status=416, range_=None, body=lambda _: b""),
    "no content": Lie(status=204, range_=None, body=lambda _: b""),
    "nothing new": Lie(status=304, range_=None, body=lambda _: b""),
}
"""Answers to a request for bytes within a file; none of them can be believed."""

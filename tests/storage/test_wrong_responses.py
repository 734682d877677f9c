"""Web servers that lie: every read gives the right bytes or an error of the system, and no server holds it up."""

from __future__ import annotations

import io
import threading
import warnings
from typing import TYPE_CHECKING, Any, Self

import pytest
from fsspec.asyn import get_loop

from mrcarray.errors import MrcError, MrcValueError, MrcWarning
from mrcarray.storage import open_source
from mrcarray.storage.remote import transport
from mrcarray.storage.remote.http_response import Limits, Pace, PassingError, part_of
from mrcarray.storage.remote.s3 import S3Transport
from tests.storage.compressing import noise
from tests.storage.servers import LIES, Handler, Lie, Site

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "/data/a.mrc"
CONTENT = noise(500_000)

pytestmark = [pytest.mark.usefixtures("nothing_learnt", "_at_once"), pytest.mark.timeout(30)]


@pytest.fixture
def served(site: Site) -> Site:
    site.files[FILE] = CONTENT
    return site


@pytest.mark.parametrize("lie", LIES)
def test_wrong_part_is_refused(served: Site, lie: str) -> None:
    source = open_source(served.url + FILE)
    served.faults += [LIES[lie]] * (2 * Limits().attempts)  # aiohttp repeats requests whose old connection was closed
    with pytest.raises((OSError, MrcError)):
        source.read(100_000, 200_000)
    served.faults.clear()
    assert bytes(source.read(100_000, 200_000)) == CONTENT[100_000:200_000]


@pytest.mark.parametrize("lie", LIES)
def test_one_wrong_part_gives_right_bytes_or_an_error(served: Site, lie: str) -> None:
    source = open_source(served.url + FILE)
    served.faults += [LIES[lie]]
    try:
        got = bytes(source.read(100_000, 200_000))
    except (OSError, MrcError):
        return
    assert got == CONTENT[100_000:200_000]


@pytest.mark.filterwarnings("ignore:.*will not be noticed")
@pytest.mark.parametrize("lie", LIES)
def test_wrong_answer_at_opening_is_refused_or_harmless(served: Site, lie: str) -> None:
    served.faults += [LIES[lie]] * Limits().attempts
    try:
        source = open_source(served.url + FILE)
        got = bytes(source.read(100_000, 200_000))
    except (OSError, MrcError):
        return
    assert got in (CONTENT[100_000:200_000], b"")  # none is there where an empty file was claimed


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("no Content-Range", r"does not declare which bytes it has \(no Content-Range\)"),
        (
            "a range of another unit",
            r"does not declare which bytes it has \(Content-Range: items 100000-199999/500000\)",
        ),
        ("a range of a smaller file", "impossible Content-Range: bytes 100000-199999/100000"),
        ("a range that ends later", "impossible Content-Range: bytes 100000-200000/500000"),
        ("a range of a larger file", "size was 500000, is 99500000"),
        ("more bytes than the range", r"a part of 100000 bytes \(Content-Range\) and sent 100004 \(Content-Length\)"),
        ("an endless body", "the server sent more than the 100000 bytes it declared"),
        ("an endless body in chunks", "the server sent more than the 100000 bytes it declared"),
        ("a part that was compressed", r"compressed the part it sent \(Content-Encoding: gzip\).*simplecache::"),
        ("a part that was compressed in chunks", r"compressed the part .*Content-Encoding: gzip.*simplecache::"),
        ("that nothing is there", "the server sent fewer bytes than there are; given up after 4 attempts"),
    ],
)
def test_error_names_the_reason(served: Site, lie: str, reason: str) -> None:
    source = open_source(served.url + FILE)
    served.faults += [LIES[lie]] * Limits().attempts
    with pytest.raises((OSError, MrcError), match=reason):
        source.read(100_000, 200_000)


def test_bytes_beyond_the_part_are_not_read(served: Site) -> None:
    source = open_source(served.url + FILE)
    sent: list[int] = []

    def endless(handler: Handler) -> bool:
        handler.wfile.write(  # one answer without an end
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100000-199999/500000\r\nConnection: close\r\n\r\n"
        )
        handler.close_connection = True
        try:
            while len(sent) < 1000:
                handler.wfile.write(bytes(1 << 20))
                sent.append(1)
        except OSError:
            return True
        raise AssertionError("a thousand MiB were taken")

    served.faults += [endless]
    with pytest.raises(OSError, match="sent more than the 100000 bytes"):
        source.read(100_000, 200_000)
    assert len(sent) < 100


def test_slow_answer_is_a_timeout(served: Site) -> None:

    def drip(handler: Handler) -> bool:
        handler.begin(CONTENT, *handler.wanted(CONTENT))
        handler.close_connection = True
        try:
            while True:
                handler.wfile.write(b"x")
        except OSError:
            return True

    source = open_source(served.url + FILE, storage_options={"min_rate": 1e12, "rate_window": 0})
    served.faults += [drip] * Limits().attempts
    with pytest.raises(TimeoutError, match=r"fewer than 1e\+12 bytes a second \(min_rate in storage_options\)"):
        source.read(100_000, 500_000)


def test_min_rate_0_allows_any_rate(served: Site) -> None:
    source = open_source(served.url + FILE, storage_options={"min_rate": 0, "rate_window": 0})
    assert bytes(source.read(100_000, 500_000)) == CONTENT[100_000:]


def test_rate_is_measured_over_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(Limits())
    for second in range(0, 601, 10):  # as slow as is allowed
        now[0] = float(second)
        pace.arrived(1000, 0)
    now[0] += 59
    pace.arrived(1, 0)
    now[0] += 1
    with pytest.raises(PassingError, match="fewer than 100 bytes a second"):
        pace.arrived(1, 0)


def test_total_timeout_ends_a_read(served: Site) -> None:
    source = open_source(served.url + FILE, storage_options={"total_timeout": 0.2})
    until = threading.Event()

    def stuck(handler: Handler) -> bool:
        until.wait(20)
        handler.close_connection = True
        return True

    served.faults += [stuck]
    try:
        with pytest.raises(TimeoutError, match=r"after 0\.2 seconds \(total_timeout in storage_options\)"):
            source.read(100_000, 200_000)
    finally:
        until.set()


def test_total_timeout_ends_endless_headers(served: Site) -> None:
    source = open_source(served.url + FILE, storage_options={"total_timeout": 0.3})

    def head(handler: Handler) -> bool:
        handler.close_connection = True
        try:
            while True:
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError:
            return True

    served.faults += [head]
    with pytest.raises(OSError, match=r"total_timeout|request failed"):
        source.read(100_000, 200_000)


@pytest.mark.parametrize("options", [{"min_rate": -1}, {"total_timeout": "10"}, {"min_rate": float("nan")}])
def test_invalid_limit_is_refused(served: Site, options: dict[str, Any]) -> None:
    with pytest.raises(MrcValueError, match=r"storage_options '\w+' is .*; expected a number that is not negative"):
        open_source(served.url + FILE, storage_options=options)


def test_limits_for_other_protocols_are_refused() -> None:
    with pytest.raises(MrcValueError, match="min_rate and total_timeout are options of http, https and s3 URLs"):
        open_source("memory://a", storage_options={"min_rate": 5})


def test_limits_in_protocol_options_count() -> None:
    options = {"https": {"min_rate": 5, "headers": {"a": "b"}}, "x": 1}
    assert Limits.split(options) == (Limits(min_rate=5.0), {"https": {"headers": {"a": "b"}}, "x": 1})
    assert Limits().seconds(64 << 10) == pytest.approx(3600 + 655.36)
    assert Limits(0.0).seconds(10) is Limits(total_timeout=0.0).seconds(10) is None


def test_server_of_single_bytes_is_given_up(served: Site) -> None:
    def one(handler: Handler) -> bool:
        start, _ = handler.wanted(CONTENT)
        return Lie(range_=f"bytes {start}-{start}/*", body=lambda part: part[:1])(handler)

    source = open_source(served.url + FILE)
    served.reset()
    served.faults += [one] * 100
    with pytest.raises(OSError, match="fewer bytes than there are; given up after 4 attempts"):
        source.read(100_000, 200_000)
    assert len(served.requests) == Limits().attempts


def test_server_of_small_parts_is_read_to_the_end(served: Site) -> None:
    def some(handler: Handler) -> bool:
        start, stop = handler.wanted(CONTENT)
        stop = min(stop, start + answers_enough())
        handler.begin(CONTENT, start, stop)
        handler.send(CONTENT[start:stop])
        return True

    def answers_enough() -> int:
        return transport.ENOUGH

    source = open_source(served.url + FILE)
    served.faults += [some] * 20
    assert bytes(source.read(0, 500_000)) == CONTENT


def test_password_with_authorization_is_named(served: Site) -> None:
    url = served.url.replace("http://", "http://me:s3cr3t-pw@") + FILE
    with pytest.raises(OSError, match="Cannot combine AUTHORIZATION header") as caught:
        open_source(url, storage_options={"headers": {"Authorization": "Bearer s3cr3t-token"}})
    assert "s3cr3t" not in f"{caught.value!r}"


def test_server_without_tag_warns_once(served: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    facts: Callable[..., None] = lambda *_: None  # noqa: E731 -- what the server says of a file: nothing
    monkeypatch.setattr(Handler, "_facts", facts)
    with pytest.warns(MrcWarning, match=r"a\.mrc: the server sends neither ETag nor Last-Modified"):
        source = open_source(served.url + FILE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bytes(source.read(100_000, 200_000)) == CONTENT[100_000:200_000]


def test_empty_file_answered_whole_is_empty(served: Site) -> None:
    served.files[FILE] = b""
    served.faults += [Lie(status=200, range_=None, body=lambda _: b"")]  # as nginx answers
    assert open_source(served.url + FILE).size() == 0


def test_consistent_compressed_representation_is_decoded(served: Site) -> None:
    import gzip

    served.files[FILE] = gzip.compress(CONTENT, 1)
    served.encodings[FILE] = "gzip"
    assert bytes(open_source(served.url + FILE).read(400_000, 400_100)) == CONTENT[400_000:400_100]


@pytest.mark.parametrize(
    "text", ["", "bytes 10-19", "bytes=10-19/30", "bytes 10-/30", "bytes -19/30", "bytes 10-19/300000000000000000000"]
)
def test_invalid_content_range_is_refused(text: str) -> None:
    with pytest.raises(OSError, match="does not declare which bytes it has"):
        part_of(text, 10, 10, "a")


class LyingBucket:
    """What `S3Transport` needs of s3fs, with an object of five bytes; its body never ends."""

    def __init__(self, content_range: str) -> None:
        self.loop = get_loop()
        self.content_range = content_range
        self.asked = 0

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, key = path.split("/")
        return bucket, key, None

    async def _call_s3(self, *_: Any, **asked: Any) -> dict[str, Any]:
        start = asked["Range"].removeprefix("bytes=").partition("-")[0]
        return {"Body": self, "ContentRange": self.content_range.format(start=start), "ETag": "tag"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, amount: int) -> bytes:
        self.asked += amount
        return b"x" * min(amount, 2)


@pytest.mark.parametrize("content_range", ["", "bytes 1-4/5", "bytes 0-5/5", "bytes 0-99/100"])
def test_wrong_part_of_object_store_is_refused(content_range: str) -> None:
    lying = S3Transport(LyingBucket(content_range), "bucket/key", "s3://bucket/key")
    with pytest.raises(OSError, match="were asked for, but"):
        lying.open(memoryview(bytearray(10)))


def test_endless_object_is_read_to_its_range() -> None:
    bucket = LyingBucket("bytes 0-4/5")
    view = bytearray(10)
    assert S3Transport(bucket, "bucket/key", "a").open(memoryview(view)) == (5, (5, "tag"))
    assert bytes(view) == b"xxxxx" + bytes(5)
    assert bucket.asked <= 3 * 5


def test_slow_object_is_a_timeout() -> None:
    bucket = LyingBucket("bytes {start}-999999/1000000")
    slow = S3Transport(bucket, "bucket/key", "a", Limits(min_rate=1e12, rate_window=0))
    with pytest.raises(TimeoutError, match="min_rate in storage_options"):
        slow.open(memoryview(bytearray(1_000_000)))


def test_whole_file_answer_names_the_solution(served: Site) -> None:
    served.faults += [LIES["a web page"]]
    with pytest.raises(io.UnsupportedOperation, match="simplecache::"):
        open_source(served.url + FILE)

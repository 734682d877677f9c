"""The lazy array: NumPy's results, new arrays, small pickles, few bytes read."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import threading
import warnings
from typing import TYPE_CHECKING, Any

import dask.base
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mrcarray
from mrcarray.array import MrcArray, ReadSizes, execute
from mrcarray.errors import StaleFileError, TruncatedError
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS
from mrcarray.format.selection import plan
from mrcarray.storage import coalesce, open_source
from mrcarray.storage.coalesce import PIECE, THREADED
from mrcarray.storage.memory import MemorySource
from tests.builders import data_bytes, mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MODES = {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "6": 6, "12": 12, "16": 16, "101": 101}


class Counting:
    """A source without `view` that counts what is read."""

    name = "counting"
    fingerprint = (0,)

    def __init__(self, data: bytes, *, known: bool = True) -> None:
        self.memory = MemorySource(data)
        self.known = known
        self.nbytes = 0
        self.calls = 0
        self.most = 0

    def size(self) -> int | None:
        return self.memory.size() if self.known else None

    def read(self, start: int, stop: int) -> memoryview:
        self.most = max(self.most, stop)
        return self.memory.read(start, stop)

    def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
        assert start >= 0
        self.nbytes += out.size
        self.calls += 1
        return self.memory.read_into(start, out)


def lazy(full: np.ndarray[Any, Any], code: str = "2", order: Any = "<") -> tuple[MrcArray, Counting]:
    layout = Layout(Kind.VOLUME, full.shape, PIXELS[code], order, 7)
    source = Counting(bytes(7) + data_bytes(full, MODES[code], order))
    return MrcArray(layout, source), source


KEYS: list[Any] = [
    ...,
    3,
    np.s_[:, 5],
    np.s_[:, :, 4],
    np.s_[2:5, 3:9, 4:8],
    np.s_[::-1],
    np.s_[::-2, ::3, ::-1],
    np.s_[4:4],
    np.s_[1, 2, 3],
    np.s_[[5, 0, 3, 3]],
    np.s_[:, [7, 2], ::2],
    np.s_[[1, 2], [3, 4], [5, 6]],
    np.s_[[[1], [2]], :, [5, 6]],
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", sorted(MODES))
@pytest.mark.parametrize("piece", [4096, 1 << 20])
def test_every_mode_reads_as_numpy_indexes(code: str, order: str, piece: int) -> None:
    full = sample((6, 10, 13), MODES[code])
    pixels, source = lazy(full, code, order)
    in_memory = MemorySource(source.read(0, 10**6))
    sizes = ReadSizes(piece=piece, strip=piece // 10, shortest=piece // 100)
    for key in KEYS:
        for one in (source, in_memory):
            found = execute(plan(pixels.layout, key), one, sizes)
            assert found.dtype.isnative, key
            np.testing.assert_array_equal(found, full[key], err_msg=repr(key))
            np.testing.assert_array_equal(MrcArray(pixels.layout, one)[key], full[key], strict=True, err_msg=repr(key))


@given(st.data())
def test_scattered_reads_equal_numpy(data: st.DataObject) -> None:
    full = np.arange(4 * 40 * 3000, dtype="f4").reshape(4, 40, 3000)
    pixels, _ = lazy(full)
    picks = [np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=6)), dtype=int) for n in full.shape]
    np.testing.assert_array_equal(pixels.oindex[tuple(picks)], full[np.ix_(*picks)], strict=True)
    points = data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in full.shape)), max_size=9))
    where = tuple(np.array(points, dtype=int).reshape(-1, 3).T)
    np.testing.assert_array_equal(pixels.vindex[where], full[where], strict=True)


def test_shape_and_dtype_read_nothing() -> None:
    pixels, source = lazy(np.zeros((2, 3, 4), dtype="f4"))
    assert (pixels.shape, pixels.ndim, pixels.size, pixels.nbytes) == ((2, 3, 4), 3, 24, 96)
    assert pixels.dtype == np.float32
    assert len(pixels) == 2
    assert repr(pixels) == "MrcArray(shape=(2, 3, 4), dtype=float32, 'counting')"
    assert source.nbytes == 0
    assert not any(hasattr(pixels, name) for name in ("array", "chunks", "shards"))


class TestRepresentation:
    def test_repr_describes_the_header(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        labels = b"one".ljust(80) + b"<b>\x1b[2J".ljust(80)
        path.write_bytes(
            mrc_bytes(sample((2, 3, 4), 2), origin=(5, 0, -1), nlabl=2, labels=labels, cellb=(90, 200, 90))
        )
        pixels = mrcarray.open_array(path)
        rows = repr(pixels).splitlines()
        assert rows[:8] == [
            f"MrcArray(shape=(2, 3, 4), dtype=float32, '{path}')",
            "  kind        volume (z 2, y 3, x 4)",
            "  mode        2, float32, little endian",
            "  data        96 bytes from byte 1024",
            "  voxel size  2, 2, 2 angstrom",
            "  origin      5, 0, -1 angstrom",
            "  label 1     one",
            "  label 2     <b>\\x1b[2J",
        ]
        assert rows[8].startswith("  warning     word 15")
        page = pixels._repr_html_()
        assert "<tr><th>label 2</th><td>&lt;b&gt;\\x1b[2J</td></tr>" in page
        assert "\x1b" not in page

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("image_stack", "image_stack (section 4, y 3, x 5)"),
            ("volume", "volume (z 4, y 3, x 5)"),
            ("volume_stack", "volume_stack (volume 2, z 2, y 3, x 5)"),
        ],
    )
    def test_repr_shows_the_kind_given_at_opening(self, kind: str, text: str) -> None:
        raw = mrc_bytes(sample((4, 3, 5), 1), 1, m=(5, 3, 2), cella=(0, 0, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = repr(mrcarray.open_array(raw, kind=kind)).splitlines()
        assert f"  kind        {text}" in rows
        assert "  voxel size  unknown" in rows

    def test_repr_reads_no_pixel(self) -> None:
        source = Counting(mrc_bytes(sample((2, 300, 400), 2)))
        pixels = MrcArray(Layout(Kind.VOLUME, (2, 300, 400), PIXELS["2"], "<", 1024), source)
        assert "volume" in repr(pixels)
        assert "volume" in pixels._repr_html_()
        assert source.most == 1024

    def test_repr_of_a_missing_or_changed_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2)))
        far = pickle.loads(pickle.dumps(mrcarray.open_array(path)))
        path.write_bytes(b"something else")
        assert "  header      cannot be read: " in repr(far)
        path.unlink()
        assert "cannot be read" in far._repr_html_()


def test_array_is_read_only() -> None:
    pixels, _ = lazy(np.zeros((2, 3, 4), dtype="f4"))
    with pytest.raises(AttributeError):
        pixels.layout = Layout.raw((1,), "f4")  # type: ignore[misc]
    with pytest.raises(TypeError):
        pixels[0] = 1  # type: ignore[index]


def test_array_protocol() -> None:
    full = sample((2, 3, 4), 2)
    pixels, _ = lazy(full)
    np.testing.assert_array_equal(np.asarray(pixels), full, strict=True)
    assert np.asarray(pixels, dtype="f8").dtype == np.float64
    np.testing.assert_array_equal(np.array(pixels, copy=True), full)
    with pytest.raises(ValueError, match="without a copy"):
        np.array(pixels, copy=False)


def test_iteration_reads_one_section_at_a_time() -> None:
    full = sample((3, 30, 40), 2)
    pixels, source = lazy(full)
    sections = iter(pixels)
    assert source.nbytes == 0
    np.testing.assert_array_equal(next(sections), full[0])
    assert source.nbytes == 4800
    assert len(list(sections)) == 2


def test_array_without_axes_has_no_length() -> None:
    pixels = MrcArray(Layout.raw((), "f8"), MemorySource(np.float64(2.5).tobytes()))
    assert pixels[()] == 2.5
    with pytest.raises(TypeError, match="without axes"):
        len(pixels)


def test_pixel_is_a_scalar_and_results_are_writable() -> None:
    pixels, _ = lazy(sample((2, 3, 4), 2))
    assert isinstance(pixels[0, 0, 0], np.float32)
    section = pixels[0]
    section[:] = 0
    assert pixels[0].any()


async def test_aread_returns_the_pixels() -> None:
    full = sample((2, 3, 4), 2)
    pixels, _ = lazy(full)
    np.testing.assert_array_equal(await pixels.aread(np.s_[1, ::2]), full[1, ::2])
    np.testing.assert_array_equal(await pixels.aread(), full)


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[MrcArray, np.ndarray[Any, Any], Path]:
    full = sample((40, 200, 300), 2)
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(full))
    return MrcArray(Layout(Kind.VOLUME, full.shape, PIXELS["2"], "<", 1024), open_source(path)), full, path


def test_pickle_is_small_and_equal(on_disk: tuple[MrcArray, Any, Path]) -> None:
    pixels, full, path = on_disk
    sent = pickle.dumps(pixels, protocol=5)
    assert len(sent) <= 150 + len(str(path))
    copy = pickle.loads(sent)
    assert copy == pixels
    assert hash(copy) == hash(pixels)
    np.testing.assert_array_equal(copy[3], full[3])


def test_pickle_with_a_short_path_has_at_most_200_bytes() -> None:
    source = pickle.loads(pickle.dumps(open_source(__file__)))
    object.__setattr__(source, "path", "/data/tomograms/t1.mrc")
    pixels = MrcArray(Layout(Kind.VOLUME, (1000, 4096, 4096), PIXELS["101"], ">", 131_072), source)
    assert len(pickle.dumps(pixels, protocol=5)) <= 200


def test_raw_array_can_be_pickled() -> None:
    pixels = MrcArray(Layout.raw((2, 1), ">c16"), MemorySource(np.arange(2, dtype=">c16").tobytes()))
    copy = pickle.loads(pickle.dumps(pixels))
    assert copy == pixels
    np.testing.assert_array_equal(copy[...], [[0], [1]])


def test_token_depends_on_file_and_layout(on_disk: tuple[MrcArray, Any, Path]) -> None:
    pixels, _, path = on_disk
    token = dask.base.tokenize(pixels)
    assert token == dask.base.tokenize(pickle.loads(pickle.dumps(pixels)))
    other = MrcArray(Layout(Kind.VOLUME, (20, 400, 300), PIXELS["2"], "<", 1024), pixels.source)
    assert token != dask.base.tokenize(other)
    os.utime(path, ns=(1, 1))
    assert token != dask.base.tokenize(MrcArray(pixels.layout, open_source(path)))


@pytest.mark.parametrize("key", KEYS[:9], ids=repr)
def test_file_reads_as_numpy_indexes(on_disk: tuple[MrcArray, Any, Path], key: Any) -> None:
    pixels, full, _ = on_disk
    np.testing.assert_array_equal(pixels[key], full[key], strict=True)


@pytest.mark.parametrize("key", [..., np.s_[:, 5], np.s_[:, :, 5], np.s_[3:9, 3:9, 3:9]], ids=repr)
def test_changed_file_is_refused(on_disk: tuple[MrcArray, Any, Path], key: Any) -> None:
    pixels, _, path = on_disk
    os.truncate(path, 5000)
    with pytest.raises(StaleFileError, match="size was"):
        pixels[key]


def test_missing_pixels_are_refused_before_memory_is_allocated() -> None:
    with pytest.raises(TruncatedError, match="the pixels end at byte 4000000000000, but there are 3 bytes"):
        MrcArray(Layout.raw((1000, 1000, 1000, 1000), "f4"), MemorySource(b"abc"))[...]


def test_source_of_unknown_size_that_is_too_short() -> None:
    pixels = MrcArray(Layout.raw((100,), "u1"), Counting(b"abc", known=False))
    with pytest.raises(TruncatedError, match="counting: bytes 0 to 100 were asked for, but the file ends at 3"):
        pixels[...]


@pytest.mark.parametrize("answer", [BlockingIOError, OSError, None], ids=["waits", "cannot say", "does not wait"])
@pytest.mark.parametrize("key", [np.s_[:, 5:150:20, :], np.s_[:, 5:150, 3]], ids=["rows", "strips"])
def test_runs_that_wait_for_the_disk_are_read_by_many_threads(
    on_disk: tuple[MrcArray, Any, Path], key: Any, answer: type[OSError] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, full, _ = on_disk
    read, tickets = os.preadv, itertools.count()
    threads: set[int] = set()
    meeting = threading.Barrier(3 if answer is BlockingIOError else 1, timeout=10)

    def preadv(descriptor: int, buffers: Any, start: int, flags: int = 0) -> int:
        if flags and answer:
            raise answer
        if not flags and threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            if next(tickets) < meeting.parties:
                meeting.wait()
        return read(descriptor, buffers, start)

    monkeypatch.setattr(os, "preadv", preadv)
    np.testing.assert_array_equal(pixels[key], full[key], strict=True)
    assert (len(threads) > 2) == (answer is BlockingIOError)


def test_system_without_nowait_reads_the_same(
    on_disk: tuple[MrcArray, Any, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, full, _ = on_disk
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)
    key = np.s_[:, ::20]
    np.testing.assert_array_equal(pixels[key], full[key], strict=True)


def test_threads_need_no_lock(on_disk: tuple[MrcArray, Any, Path]) -> None:
    pixels, full, _ = on_disk
    wrong: list[int] = []

    def work(seed: int) -> None:
        sections = np.random.default_rng(seed).integers(0, 30, size=20).tolist()
        wrong.extend(z for z in sections if not np.array_equal(pixels[z, 7:90], full[z, 7:90]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "key",
    [
        np.s_[3, 5],
        np.s_[3, 5:9, 100:200],
        np.s_[:, 7],
        np.s_[::-1, 7],
        np.s_[[1, 5, 3], :, 9:900],
        np.s_[2:6, ::2],
        np.s_[5, 6, 7],
        np.s_[[0, 3, 7], [0, 30, 7], [0, 3, 1999]],
    ],
    ids=repr,
)
def test_reads_little_more_than_selected(key: Any) -> None:
    full = np.zeros((8, 40, 2000), dtype="f4")
    pixels, source = lazy(full)
    found = np.asarray(pixels[key])
    assert source.nbytes <= found.nbytes + 65536


def test_only_pages_with_selected_bytes_are_read() -> None:
    full = np.zeros((8, 40, 9000), dtype="f4")
    pixels, source = lazy(full)
    pixels[:, :, 5]
    assert source.nbytes <= 8 * 40 * 4096
    assert source.nbytes <= 320 * 4


def test_rows_close_together_take_few_calls() -> None:
    full = np.arange(8 * 400 * 500, dtype="f4").reshape(8, 400, 500)
    pixels, source = lazy(full)
    np.testing.assert_array_equal(pixels[:, :, 5], full[:, :, 5])
    assert source.calls <= 1 + full.nbytes // ReadSizes().strip + 8
    source.calls = 0
    np.testing.assert_array_equal(pixels[:, 10:300, 5:9], full[:, 10:300, 5:9])
    assert source.calls <= 8


@pytest.mark.parametrize("key", [np.s_[:, ::-1, 5], np.s_[::-1, 3:300, 5:9], np.s_[[5, 0], :, 7], np.s_[1:, 5:, -1]])
def test_rows_at_equal_distances_are_read_in_strips(key: Any) -> None:
    full = np.arange(8 * 400 * 500, dtype="f4").reshape(8, 400, 500)
    pixels, source = lazy(full, order=">")
    found = execute(plan(pixels.layout, key), source, ReadSizes(strip=100_000))
    np.testing.assert_array_equal(found, full[key], strict=True)
    assert source.calls <= 8 * 400 * 2000 // 100_000 + 16


@pytest.fixture(scope="module")
def large() -> np.ndarray[Any, Any]:
    """Return pixels that several threads read in three pieces."""
    values = np.arange(9 << 20, dtype=">u2")
    assert THREADED <= values.nbytes < 3 * PIECE
    return values


def test_threads_share_a_large_read(large: np.ndarray[Any, Any]) -> None:
    names: set[int] = set()
    barrier = threading.Barrier(2, timeout=10)

    class Slow(Counting):
        def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
            with contextlib.suppress(threading.BrokenBarrierError):
                if not names:
                    barrier.wait()
            names.add(threading.get_ident())
            return super().read_into(start, out)

    source = Slow(large.tobytes())
    np.testing.assert_array_equal(MrcArray(Layout.raw(large.shape, ">u2"), source)[...], large)
    assert len(names) >= 2
    assert source.calls == 3


def test_error_of_a_thread_is_raised(large: np.ndarray[Any, Any]) -> None:
    class Broken(Counting):
        def read_into(self, start: int, out: NDArray[np.uint8]) -> int:
            raise OSError(start, f"no {out.size}")

    with pytest.raises(OSError, match="no"):
        MrcArray(Layout.raw(large.shape, ">u2"), Broken(large.tobytes()))[...]


RUNS: list[tuple[list[int], int]] = [
    ([0], 10),
    ([0, 10, 20], 10),
    ([0, 0, 5, 5000, 200_000, 200_001], 10),
    (list(range(0, 10_000_000, 4000)), 8),
]


@pytest.mark.parametrize(("starts", "nbytes"), RUNS)
def test_segments_cover_all_runs_in_order(starts: list[int], nbytes: int) -> None:
    found = coalesce.coalesce(np.array(starts), nbytes, limit=100_000)
    assert found.first[0] == 0
    assert found.first[-1] == len(starts)
    for i in range(len(found)):
        mine = starts[found.first[i] : found.first[i + 1]]
        assert mine
        assert found.starts[i] == mine[0]
        assert found.stops[i] == mine[-1] + nbytes
        assert found.stops[i] - found.starts[i] <= 200_000

"""Random sessions give the same results and files in mrcfile and in the classic API."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.classic.conftest import COMPRESSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_STEPS = 12
#: Sessions of each kind; those that map wait for the disk more often.
SESSIONS = {"new": 30, "open": 30, "mmap": 12, "new_mmap": 12}
DTYPES = ("i1", "<i2", ">i2", "u1", "<u2", "<f4", ">f4", "<f2", ">f2")
NUMBERS = ("nxstart", "mx", "mz", "mapc", "dmax", "rms", "nversion", "ispg")
#: The statistics, whose last digit may differ, and the label with the time.
VAGUE = ((76, 88), (216, 220), (224, 304))


def values(rng: random.Random) -> np.ndarray[Any, Any]:
    """Return an array for `set_data`, in any memory order."""
    shape = tuple(rng.randint(1, 4) for _ in range(rng.choice((2, 3, 3, 4))))
    array = np.random.default_rng(rng.randrange(99)).integers(0, 100, shape).astype(rng.choice(DTYPES))
    return rng.choice((array, array.T, array[::-1], array[..., ::2]))


def set_data(rng: random.Random) -> Callable[[Any], Any]:
    array = values(rng)
    return lambda mrc: mrc.set_data(array.copy())


def set_own_data(rng: random.Random) -> Callable[[Any], Any]:
    changes: tuple[Callable[[Any], Any], ...] = (np.asarray, np.float32, lambda data: data[..., :1].copy())
    change = rng.choice(changes)
    return lambda mrc: mrc.set_data(change(mrc.data))


def edit_data(rng: random.Random) -> Callable[[Any], Any]:
    name, value = rng.choice(("data", "_data")), rng.randint(0, 90)

    def edit(mrc: Any) -> None:
        getattr(mrc, name)[-1] = value
        mrc.update_header_stats()

    return edit


def edit_header(rng: random.Random) -> Callable[[Any], Any]:
    name, value, way = rng.choice(NUMBERS), rng.choice((0, 1, 3, 401, -1, 20140)), rng.randrange(3)

    def edit(mrc: Any) -> None:
        if way == 0:
            setattr(mrc.header, name, value)
        elif way == 1:
            mrc.header[name] = value
        else:
            mrc.header[name][...] = value

    return edit


def edit_members(rng: random.Random) -> Callable[[Any], Any]:
    field, value = rng.choice(("cella", "cellb", "origin")), rng.choice(((1, 2, 3), (1.5, 2.5, 3.5)))
    return rng.choice(
        (
            lambda mrc: setattr(mrc.header, field, value),
            lambda mrc: setattr(mrc.header[field], mrc.header[field].dtype.names[1], value[1]),
            lambda mrc: mrc.header.label.__setitem__(slice(3, 5), f"{value}"),
            lambda mrc: setattr(mrc.header, "exttyp", b"FEI1"),
        )
    )


def set_extended_header(rng: random.Random) -> Callable[[Any], Any]:
    block = rng.choice((np.arange(10, dtype="i2"), np.zeros(0, "V1"), np.zeros((2, 768), "u1"), np.array([1.5])))
    return lambda mrc: mrc.set_extended_header(block.copy())


def copy_header(rng: random.Random) -> Callable[[Any], Any]:
    block = rng.choice((np.zeros(80, "V1"), np.zeros(0, "V1")))
    other = np.zeros((), classic.dtypes.HEADER_DTYPE)
    other["nsymbt"], other["mapc"], other["cella"], other["label"][3] = block.nbytes, 2, (4, 5, 6), b"copied"

    def copy(mrc: Any) -> None:
        for name in ("nsymbt", "mapc", "cella", "label"):
            mrc.header[name] = other[name]
        mrc.set_extended_header(block.copy())

    return copy


def set_lengths(rng: random.Random) -> Callable[[Any], Any]:
    name, value = rng.choice(("voxel_size", "nstart")), rng.choice((2, (1, 2, 3), [3, 2, 1], np.int16(4), "5", "x"))
    return lambda mrc: setattr(mrc, name, value)


def add_label(rng: random.Random) -> Callable[[Any], Any]:
    text = rng.choice(("text", "", "x" * 80, "x" * 81, "tab\t", "é"))
    return lambda mrc: mrc.add_label(text)


def call(rng: random.Random) -> Callable[[Any], Any]:
    name = rng.choice(
        ("set_image_stack", "set_volume", "update_header_from_data", "reset_header_stats", "flush", "get_labels")
    )
    return lambda mrc: getattr(mrc, name)()


def look(rng: random.Random) -> Callable[[Any], Any]:
    return rng.choice(
        (
            lambda mrc: [mrc.data, mrc.extended_header, mrc.nstart],
            lambda mrc: [bool(getattr(mrc, name)()) for name in ("is_single_image", "is_image_stack", "is_volume")],
            lambda mrc: [str(mrc).rpartition("/")[2], mrc.header.nx * 2, mrc.header[["ny", "nz"]].item()],
            lambda mrc: [mrc.header.label[3:], mrc.header.exttyp == b"FEI1", mrc.header.machst, mrc.header.cella],
        )
    )


KINDS = (
    *(set_data, set_own_data, edit_data, edit_data, edit_header, edit_members, set_extended_header, copy_header),
    *(set_lengths, add_label, call, call, look, look),
)


def start(api: Any, path: Path, how: str, rng: random.Random) -> Any:
    """Open a file."""
    array, shape = values(rng), (rng.randint(1, 3), 2, 3)
    if how == "new":
        return api.new(path, array, compression=COMPRESSION[path.suffix.replace(".mrc", "")], overwrite=True)
    if how == "new_mmap":
        return api.new_mmap(path, shape, rng.choice((0, 1, 2, 6, 12)), fill=rng.choice((0, 7)), overwrite=True)
    mrcfile.write(path, array, overwrite=True, voxel_size=rng.choice((1.5, 2)))
    return getattr(api, how)(path, mode="r+")


def plain(value: Any) -> Any:
    """Return the result of a call as a comparable value."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.flags.writeable, value.tobytes()
    return value


def outcome(step: Callable[[Any], Any], mrc: Any) -> tuple[Any, str]:
    """Return the result of a call, or the text of its error."""
    try:
        return plain(step(mrc)), ""
    except (ValueError, TypeError, IndexError) as error:
        return next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins"), str(error)


def exact(raw: bytes) -> bytes:
    """Return the bytes of a file except for those that may differ."""
    masked = bytearray(raw)
    for first, stop in VAGUE:
        masked[first:stop] = bytes(stop - first)
    return bytes(masked)


def numbers(raw: bytes) -> np.ndarray[Any, Any]:
    """Return the statistics of a file."""
    return np.frombuffer(raw[76:88] + raw[216:220], ">f4" if raw[212] == 0x11 else "<f4")


def run(api: Any, path: Path, how: str, seed: int) -> tuple[list[tuple[Any, str]], list[bytes]]:
    """Return the results of a session, the header after each step, and the file after the last one."""
    rng = random.Random(seed)
    outcomes, states = [], []
    with start(api, path, how, rng) as mrc:
        for _ in range(rng.randint(1, MOST_STEPS)):
            outcomes.append(outcome(rng.choice(KINDS)(rng), mrc))
            states.append(mrc.header.tobytes())
    raw = path.read_bytes()
    opener = {b"\x1f\x8b": gzip.decompress, b"BZ": bz2.decompress}.get(raw[:2], bytes)
    return outcomes, [*states, opener(raw)]


@pytest.mark.parametrize("how", list(SESSIONS))
def test_session_of_any_calls_gives_the_same_file(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic.mrcfile.MrcFile, "sync", False)
    for seed in range(SESSIONS[how]):
        suffix = random.Random(seed).choice(("", "", ".gz", ".bz2")) if how in ("new", "open") else ""
        path = tmp_path / ("a.mrc" + suffix)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of contradictions, which only ours gives
            theirs, their_bytes = run(mrcfile, path, how, seed)
            ours, our_bytes = run(classic, path, how, seed)
        for (their, text), (our, message) in zip(theirs, ours, strict=True):
            assert our == their, seed
            assert text in message, seed
        for left, right in zip(their_bytes, our_bytes, strict=True):
            assert exact(right) == exact(left), seed
            np.testing.assert_allclose(numbers(right), numbers(left), rtol=1e-3, err_msg=str(seed))
        assert classic.validate(path, io.StringIO()) == mrcfile.validate(path, io.StringIO())

"""`Writer`: the files that remain when it fails, is interrupted or is killed."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.errors import ClosedError
from mrcarray.format.builder import draft
from mrcarray.writer import Writer
from tests.processes import without_coverage
from tests.storage.faults import calls_with, failing, interrupted, killed
from tests.writing import left, put, read, sample

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["a.mrc", "a.mrc.gz", "a.mrc.bz2"]


def test_exception_in_with_leaves_the_old_file(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"old")
        with pytest.raises(ZeroDivisionError), Writer(tmp_path / name, (2, 3, 4), "f4", overwrite=True) as out:  # noqa: PT012 -- the second statement of two raises
            out[0] = 1
            raise ZeroDivisionError
        assert (tmp_path / name).read_bytes() == b"old"
    assert not left(tmp_path)


def test_closed_writer(tmp_path: Path) -> None:
    out = Writer(tmp_path / "a.mrc", (2, 3, 4), "f4")
    out[...] = 0
    out.close()
    out.close()
    out.abort()
    assert out.closed
    with pytest.raises(ClosedError):
        out[0] = 1


def test_unclosed_writer_warns(tmp_path: Path) -> None:
    out: Writer | None = Writer(tmp_path / "a.mrc", (2, 3, 4), "f4")
    assert out is not None
    out[...] = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del out
        gc.collect()
    assert [w.category for w in caught] == [ResourceWarning]
    assert "never closed" in str(caught[0].message)
    assert not list(tmp_path.iterdir())


def test_unclosed_writer_at_exit(tmp_path: Path) -> None:
    code = """
        import sys
        from mrcarray import Writer
        out = Writer(sys.argv[1], (2, 3, 4), "f4")
        out[...] = 1
    """
    command = [sys.executable, "-W", "always", "-c", textwrap.dedent(code), str(tmp_path / "a.mrc")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ResourceWarning" in done.stderr
    assert not list(tmp_path.iterdir())


def test_forked_child_writes_nothing(tmp_path: Path) -> None:
    code = """
        import os, sys
        from mrcarray import Writer
        out = Writer(sys.argv[1], (2, 3, 4), "f4")
        out[...] = 1
        child = os.fork()
        if child == 0:
            try:
                out[0] = 2
            except ValueError as error:
                print(type(error).__name__, flush=True)
            sys.exit(0)
        os.waitpid(child, 0)
        out.close()
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), str(tmp_path / "a.mrc")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "ClosedError\n"
    assert done.stderr == ""
    assert (read(tmp_path / "a.mrc") == 1).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [failing(errno.EIO), failing(errno.ENOSPC), interrupted], ids=["EIO", "ENOSPC", "^C"])
def test_failure_at_any_call_leaves_the_old_or_the_new_file(tmp_path: Path, name: str, fault: Any) -> None:
    path, old, new = tmp_path / name, sample(seed=1), sample(seed=2)
    put(path, old)
    before = path.read_bytes()
    with calls_with() as dry:
        put(path, new, overwrite=True)
    for at, call in enumerate(dry.seen):
        path.write_bytes(before)
        with calls_with(at, fault), contextlib.suppress(OSError, KeyboardInterrupt):
            put(path, new, overwrite=True)
        if path.read_bytes() != before:
            np.testing.assert_array_equal(read(path), new, err_msg=f"{at} {call}")
        assert not left(tmp_path), (at, call)


@pytest.mark.parametrize("name", NAMES)
def test_kill_at_any_call_leaves_the_old_or_the_new_file(tmp_path: Path, name: str) -> None:
    path, old, new = tmp_path / name, sample(seed=1), sample(seed=2)
    put(path, old)
    before = path.read_bytes()
    at = 0
    while killed(lambda: put(path, new, overwrite=True), at):
        if path.read_bytes() != before:
            np.testing.assert_array_equal(read(path), new, err_msg=str(at))
        assert len(left(tmp_path)) <= 1
        put(path, old, overwrite=True)
        before = path.read_bytes()
        assert not left(tmp_path)
        at += 1
    assert at > 5
    np.testing.assert_array_equal(read(path), new)


ENDLESS = """
    import os, sys
    import numpy as np
    from mrcarray import writer
    from mrcarray.format.builder import draft

    def write_for_ever():
        number = 0
        while True:
            number += 1
            values = np.full((16, 128, 128), number % 1000, dtype="f4")
            writer.write(sys.argv[1], draft(values.shape, "f4"), values, overwrite=True, sync=False)
            if number == 1:
                print(os.getpid(), flush=True)

    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            write_for_ever()
        os.waitpid(child, 0)
        print("ended", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_kill_at_random_moments_leaves_a_whole_file(tmp_path: Path, name: str) -> None:
    path, rng = tmp_path / name, np.random.default_rng(len(name))
    command = [sys.executable, "-c", textwrap.dedent(ENDLESS), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for _ in range(25):
            print("start", file=parent.stdin, flush=True)
            writing = int(parent.stdout.readline())
            time.sleep(float(rng.uniform(0, 0.05)))
            os.kill(writing, signal.SIGKILL)
            assert parent.stdout.readline() == "ended\n"
            values = read(path)
            assert (values == values[0, 0, 0]).all()
            assert mrcarray.read_header(path).dmax == values[0, 0, 0]
            assert len(left(tmp_path)) <= 1


def test_file_size_limit_is_like_a_full_disk(tmp_path: Path) -> None:
    code = """
        import resource, signal, sys
        import numpy as np
        from mrcarray import writer
        from mrcarray.format.builder import draft
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        values = np.random.default_rng(0).normal(size=(8, 128, 128)).astype("f4")
        for path in sys.argv[1:]:
            try:
                writer.write(path, draft(values.shape, "f4"), values, overwrite=True)
            except OSError as error:
                print(error.errno, error.filename)
    """
    paths = [tmp_path / name for name in NAMES]
    for path in paths:
        path.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=without_coverage())
    assert done.stdout.split() == [word for path in paths for word in (str(errno.EFBIG), str(path))]
    assert [path.read_bytes() for path in paths] == [b"old"] * 3
    assert not left(tmp_path)


def test_array_can_be_a_map_of_the_replaced_file(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mrc", sample()
    put(path, values)
    mapped = np.memmap(path, dtype="f4", mode="r", offset=1024, shape=values.shape)
    put(path, mapped[1:], overwrite=True)
    np.testing.assert_array_equal(read(path), values[1:])
    del mapped
    lazy = mrcarray.open_array(path)
    with Writer.of(path, draft(lazy.shape, "f4"), overwrite=True) as out:
        for z in range(lazy.shape[0]):
            out[z] = lazy[z] * 2
    np.testing.assert_array_equal(read(path), values[1:] * 2)

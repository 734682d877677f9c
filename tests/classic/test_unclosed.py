"""An object that is not closed is written when it is collected and when the interpreter ends.

Programs run on mrcfile, too, where its result is the same.
"""

from __future__ import annotations

import errno
import gc
import io
import subprocess
import sys
import textwrap
import threading
import warnings
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from mrcarray.errors import MrcWarning
from mrcarray.storage import atomic, threads
from tests.builders import mrc_bytes, sample
from tests.processes import without_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)
IMPORTS = ("mrcfile", "mrcarray")  # whose functions are those of mrcarray.classic: test_public_names
CLASSES: Any = classic.mrcfile.MrcFile, classic.mrcmemmap.MrcMemmap
UNCLOSED = (
    r"unclosed MrcFile\('.*a\.mrc', mode='.*'\): its changes, if any, were written now; use a with block, or close"
)


@pytest.fixture
def path(tmp_path: Path, suffix: str) -> Path:
    """Return the name of a volume in each compression."""
    name = tmp_path / f"a.mrc{suffix}"
    mrcfile.write(name, VOLUME)
    return name


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Return the name of a volume that is not compressed."""
    name = tmp_path / "a.mrc"
    name.write_bytes(mrc_bytes(VOLUME))
    return name


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Check that no temporary file and no registered object is left."""
    yield
    gc.collect()
    assert not list(tmp_path.glob(".*"))
    assert not classic.unclosed._open


def run(library: str, program: str, *options: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """Run a program in an interpreter of its own; return its standard error."""
    text = f"import numpy as np, {library} as mrcfile\nV = np.arange(60, dtype='f4').reshape(5, 3, 4)\n"
    command = [sys.executable, *options, "-c", text + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    assert done.returncode == code, done.stderr
    return done.stderr


def facts(name: Any) -> tuple[Any, float, int]:
    """Return data, voxel size and start of a file, as mrcfile reads them."""
    with mrcfile.open(name) as mrc:
        return mrc.data.copy(), float(mrc.voxel_size.x), int(mrc.header.nxstart)


EXPECTED = np.arange(60, dtype="f4").reshape(5, 3, 4)


# collection


@pytest.mark.parametrize("library", IMPORTS)
def test_new_object_that_is_only_used_once_is_written(tmp_path: Path, library: str) -> None:
    name = tmp_path / "new.mrc"
    run(library, f"mrcfile.new({str(name)!r}).set_data(V)\nassert (mrcfile.read({str(name)!r}) == V).all()")
    np.testing.assert_array_equal(facts(name)[0], EXPECTED)


@pytest.mark.parametrize("library", IMPORTS)
def test_function_that_returns_without_closing_writes(tmp_path: Path, library: str) -> None:
    names = [str(tmp_path / f"a.mrc{suffix}") for suffix in ("", ".gz", ".bz2")]
    for name in names:
        mrcfile.write(name, VOLUME)
    program = f"""
    def scale(name):
        m = mrcfile.open(name, "r+")
        m.data[:] = V * 2
        m.voxel_size = 2
    for name in {names}:
        scale(name)
        with mrcfile.open(name) as m:
            assert (m.data == V * 2).all()
    """
    run(library, program)
    for name in names:
        data, voxel, _ = facts(name)
        np.testing.assert_array_equal(data, EXPECTED * 2)
        assert voxel == 2


@pytest.mark.parametrize("library", IMPORTS)
def test_reference_cycle_is_written_when_it_is_collected(plain: Path, library: str) -> None:
    program = f"""
    import gc
    m = mrcfile.open({str(plain)!r}, "r+")
    m.header.nxstart = 7
    m.me = [m]
    del m
    gc.collect()
    with mrcfile.open({str(plain)!r}) as m:
        assert m.header.nxstart == 7
    """
    run(library, program)
    assert facts(plain)[2] == 7


@pytest.mark.parametrize("library", IMPORTS)
def test_edits_of_a_map_and_of_its_header_are_written(plain: Path, library: str) -> None:
    program = f"""
    m = mrcfile.mmap({str(plain)!r}, "r+")
    m.data[0] = 9
    m.voxel_size = 3
    """
    run(library, program)
    data, voxel, _ = facts(plain)
    assert (data[0] == 9).all()
    assert voxel == 3


@pytest.mark.parametrize("library", IMPORTS)
def test_new_object_without_data_is_written(tmp_path: Path, library: str) -> None:
    base = str(tmp_path / "new")
    run(library, f"for c in (None, 'gzip', 'bzip2'):\n    mrcfile.new({base!r} + str(c), compression=c)")
    for compression in (None, "gzip", "bzip2"):
        with mrcfile.open(base + str(compression)) as mrc:
            assert mrc.data.size == 0
            assert mrc.header.mode == 0


def test_collected_object_warns_at_the_line_that_dropped_it(plain: Path) -> None:
    held = [classic.open(plain, "r+")]
    held[0].header.nxstart = 3
    with pytest.warns(ResourceWarning, match=UNCLOSED) as caught:
        held.clear()
    assert [warning.filename for warning in caught] == [__file__]
    assert facts(plain)[2] == 3


def test_object_that_was_only_read_does_not_warn(path: Path) -> None:
    mrc = classic.open(path)
    assert mrc.data.shape == VOLUME.shape
    del mrc
    gc.collect()


def test_unchanged_object_writes_nothing(path: Path) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    held = [classic.open(path, "r+")]
    assert held[0].data is not None
    with pytest.warns(ResourceWarning) as caught:
        held.clear()
    assert len(caught) == 1
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_collected_object_is_written_through_a_temporary_file(path: Path) -> None:
    inode = path.stat().st_ino
    held = [classic.open(path, "r+")]
    held[0].set_data(VOLUME[:2])
    with pytest.warns(ResourceWarning):
        held.clear()
    assert path.stat().st_ino != inode
    np.testing.assert_array_equal(classic.read(path), VOLUME[:2])


def test_object_is_written_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = [0]
    real = classic.mrcfile.MrcFile._write_all

    def counted(self: Any) -> None:
        count[0] += 1
        real(self)

    monkeypatch.setattr(classic.mrcfile.MrcFile, "_write_all", counted)
    held = [classic.open(path, "r+")]
    held[0].set_data(VOLUME * 2)
    with pytest.warns(ResourceWarning):
        held.clear()
    with classic.open(path, "r+") as mrc:
        mrc.set_data(VOLUME * 3)
    del mrc
    gc.collect()
    assert count == [2]


def test_closed_object_is_not_written_again(plain: Path) -> None:
    mrc = classic.open(plain, "r+")
    mrc.header.nxstart = 1
    mrc.close()
    classic.write(plain, VOLUME * 2, overwrite=True)
    del mrc

    def work() -> None:
        with classic.open(plain, "r+") as mrc:
            mrc.data[:] = 0
            raise KeyError

    with pytest.raises(KeyError):
        work()
    gc.collect()
    np.testing.assert_array_equal(classic.read(plain), VOLUME * 2)


@pytest.mark.parametrize("library", IMPORTS)
def test_subclass_that_overrides_close_is_closed_by_it(tmp_path: Path, library: str) -> None:
    program = f"""
    class Labelled(mrcfile.mrcfile.MrcFile):
        def close(self):
            if self._header is not None:
                self.add_label("closed")
            super().close()
    Labelled({str(tmp_path / "a.mrc")!r}, "w+").set_data(V)
    """
    run(library, program)
    with mrcfile.open(tmp_path / "a.mrc") as mrc:
        assert mrc.get_labels()[1:] == ["closed"]
        np.testing.assert_array_equal(mrc.data, EXPECTED)


def test_subclass_whose_close_does_not_write_writes_nothing(plain: Path) -> None:
    class Idle(classic.mrcfile.MrcFile):
        def close(self) -> None:
            pass

    held = [Idle(plain, "r+")]
    held[0].header.nxstart = 3
    with pytest.warns(ResourceWarning):
        held.clear()
    assert facts(plain)[2] == 0


class Strange(classic.mrcfile.MrcFile):
    """Has __eq__ without __hash__, and fails after the file was opened."""

    def __init__(self, *args: Any, fail: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        if fail:
            raise KeyError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Strange)

    __hash__ = None  # type: ignore[assignment]


def test_object_that_cannot_be_hashed_is_written(plain: Path) -> None:
    held = [Strange(plain, "r+")]
    held[0].header.nxstart = 3
    with pytest.warns(ResourceWarning):
        held.clear()
    assert facts(plain)[2] == 3


def test_objects_whose_constructor_failed_write_nothing(plain: Path) -> None:
    before = plain.read_bytes()
    options: Any
    for options in ({"mode": "r+", "fail": True}, {"mode": "w+", "overwrite": True, "fail": True}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(KeyError):
                Strange(plain, **options)
            gc.collect()
    for mode in ("x", "w+"):
        with pytest.raises(ValueError, match=r"not supported|already exists"):
            Strange(plain, mode)
    with pytest.raises(ValueError, match="dtype 'float64'"):
        classic.new(plain, VOLUME.astype("f8"), overwrite=True)
    gc.collect()
    assert plain.read_bytes() == before


def fail_and_collect(work: Callable[[], None]) -> None:
    """Let a function fail, and collect its objects."""
    with pytest.raises(ValueError, match="invalid literal"):
        work()
    gc.collect()


@pytest.mark.parametrize("make", CLASSES)
def test_new_object_without_data_does_not_replace_a_file(plain: Path, make: Any) -> None:
    before = plain.read_bytes()

    def work() -> None:
        mrc = make(plain, "w+", overwrite=True)
        mrc.voxel_size = 2
        mrc.set_data(int("what should have made the data fails"))

    with (
        pytest.warns(MrcWarning, match="was not closed: no data were set, so the file that exists was kept"),
        pytest.warns(ResourceWarning),
    ):
        fail_and_collect(work)
    assert plain.read_bytes() == before


def test_file_that_cannot_be_written_while_it_is_collected_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(*_args: Any) -> Any:
        raise OSError(errno.ENOSPC, "disk full")

    held = [classic.open(path, "r+")]
    held[0].set_data(VOLUME * 2)
    monkeypatch.setattr(atomic.Calls, "pwrite", staticmethod(full))
    with (
        pytest.warns(MrcWarning, match=rf"{path.name}.* was not closed: changes were not written .*disk full"),
        pytest.warns(ResourceWarning, match="unclosed"),
    ):
        held.clear()
    assert path.read_bytes() == before


def test_conflict_while_an_object_is_collected_warns(plain: Path) -> None:
    held = [classic.open(plain, "r+")]
    held[0].header.nxstart = 3
    classic.write(plain, VOLUME * 2, overwrite=True)
    with pytest.warns(MrcWarning, match="another program changed the file"), pytest.warns(ResourceWarning):
        held.clear()
    np.testing.assert_array_equal(classic.read(plain), VOLUME * 2)


def test_full_disk_at_collection_keeps_the_old_file(path: Path) -> None:
    program = f"""
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    def work():
        m = mrcfile.open({str(path)!r}, "r+")
        m.set_data(np.random.default_rng(0).normal(size=(50, 50, 50)).astype("f4"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    work()
    print("done")
    """
    before = path.read_bytes()
    said = run("mrcarray", program, env=without_coverage())
    assert "was not closed: changes were not written to the file" in said
    assert str(path) in said
    assert path.read_bytes() == before


def test_warning_that_is_an_error_costs_no_data(plain: Path) -> None:
    program = f"""
    m = mrcfile.open({str(plain)!r}, "r+")
    m.set_data(V * 2)
    del m
    last = mrcfile.open({str(plain)!r}, "r+")
    last.header.nxstart = 4
    other = mrcfile.new({str(plain.with_name("other.mrc"))!r}, V)
    """
    said = run("mrcarray", program, "-W", "error")
    assert said.count("ResourceWarning: unclosed") >= 2
    data, _, start = facts(plain)
    np.testing.assert_array_equal(data, EXPECTED * 2)
    assert start == 4
    np.testing.assert_array_equal(facts(plain.with_name("other.mrc"))[0], EXPECTED)


def test_many_unclosed_objects_leave_no_descriptor_and_little_memory(plain: Path) -> None:
    program = f"""
    import os, resource, gc
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    names = [{str(plain)!r} + str(i) for i in range(400)]
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    mrcfile.mrcfile.MrcFile.sync = False
    mrcfile.new(names[0], np.zeros((64, 64, 64), "f4"))
    before = peak()
    for name in names:
        mrc = mrcfile.new(name, np.ones((64, 64, 64), "f4"), overwrite=True)
        mrc.me = mrc
    del mrc
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) < 10, os.listdir("/proc/self/fd")
    assert peak() - before < 200, peak() - before
    assert all(os.path.getsize(name) == 1024 + 4 * 64 ** 3 for name in names)
    for name in names:
        os.unlink(name)
    for _ in range(400):
        m = mrcfile.open({str(plain)!r}, "r+")
        m.header.nxstart += 1
        del m
    """
    run("mrcarray.classic", program)
    assert facts(plain)[2] == 400


def test_collection_starts_no_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    held = [classic.open(path, "r+")]
    held[0].set_data(np.zeros((9, 1024, 1024), "f4"))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.warns(ResourceWarning) as caught:
        held.clear()
    monkeypatch.undo()
    assert len(caught) == 1
    assert threads.allowed()
    assert classic.read(path).shape == (9, 1024, 1024)


# streams


@pytest.mark.parametrize("edit", ["header", "in place", "set_data", "nothing"])
def test_interpreter_writes_to_its_stream(api: Any, edit: str) -> None:
    stream = io.BytesIO(mrc_bytes(VOLUME))
    mrc = api.mrcinterpreter.MrcInterpreter(stream)
    if edit == "header":
        mrc.header.nxstart = 4
    elif edit == "in place":
        mrc.data[0] = 4
    elif edit == "set_data":
        mrc.set_data(VOLUME[:2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        held = [mrc]
        del mrc
        held.clear()
    again = mrcfile.mrcinterpreter.MrcInterpreter(io.BytesIO(stream.getvalue()))
    assert int(again.header.nxstart) == (4 if edit == "header" else 0)
    assert float(again.data[0, 0, 0]) == (4 if edit == "in place" else VOLUME[0, 0, 0])
    assert len(again.data) == (2 if edit == "set_data" else 5)
    if api is classic:
        assert len(caught) == (edit != "nothing")
        assert edit != "nothing" or stream.getvalue() == mrc_bytes(VOLUME)


def test_interpreter_with_a_read_only_stream_warns(plain: Path) -> None:
    with plain.open("rb") as stream:
        held = [classic.mrcinterpreter.MrcInterpreter(stream)]
        assert held[0].data is not None
        held.clear()
        stream.seek(0)
        held = [classic.mrcinterpreter.MrcInterpreter(stream)]
        held[0].header.nxstart = 4
        with (
            pytest.warns(MrcWarning, match="MrcInterpreter was not closed: the stream cannot be written to"),
            pytest.warns(ResourceWarning),
        ):
            held.clear()


def test_interpreter_that_only_writes_is_written_once(plain: Path) -> None:
    with plain.open("wb") as stream:
        mrc = classic.mrcinterpreter.MrcInterpreter()
        mrc._iostream = stream
        mrc._create_default_attributes()
        mrc.set_data(VOLUME * 2)
        held = [mrc]
        del mrc
        with pytest.warns(ResourceWarning):
            held.clear()
    np.testing.assert_array_equal(classic.read(plain), VOLUME * 2)


# the end of the interpreter


@pytest.mark.parametrize("library", IMPORTS)
def test_object_that_is_open_when_the_interpreter_ends_is_written(tmp_path: Path, library: str) -> None:
    names = [str(tmp_path / f"{i}.mrc") for i in range(4)]
    for name in names:
        mrcfile.write(name, VOLUME)
    program = f"""
    class Holder:
        m = None
    cycle = Holder()
    cycle.cycle = cycle
    m, global_list, Holder.m, cycle.m = [mrcfile.open(name, "r+") for name in {names}]
    for mrc in (m, global_list, Holder.m, cycle.m):
        mrc.set_data(V * 2)
        mrc.voxel_size = 2
    global_list = [global_list]
    del mrc
    """
    run(library, program)
    for name in names:
        data, voxel, _ = facts(name)
        np.testing.assert_array_equal(data, EXPECTED * 2)
        assert voxel == 2


@pytest.mark.parametrize("library", IMPORTS)
def test_new_file_appears_when_the_interpreter_ends(tmp_path: Path, library: str) -> None:
    name = tmp_path / "a.mrc"
    run(library, f"m = mrcfile.new({str(name)!r}, V)")
    np.testing.assert_array_equal(facts(name)[0], EXPECTED)


def test_end_of_the_interpreter_warns_with_the_path(plain: Path) -> None:
    said = run("mrcarray", f"m = mrcfile.open({str(plain)!r}, 'r+')", "-W", "always")
    assert f"ResourceWarning: unclosed MrcFile('{plain}', mode='r+')" in said


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ""], indirect=True)
def test_large_object_is_written_when_executors_have_ended(path: Path, suffix: str) -> None:
    program = f"""
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
    m = mrcfile.open({str(path)!r}, "r+")
    m.set_data(np.zeros((9, 1024, 1024), "f4"))
    """
    assert run("mrcarray", program) == ""
    assert facts(path)[0].shape == (9, 1024, 1024)
    assert suffix in path.name


@pytest.mark.parametrize("library", IMPORTS)
def test_uncaught_exception_writes_objects_without_a_with_block(plain: Path, library: str) -> None:
    program = f"""
    def work():
        m = mrcfile.open({str(plain)!r}, "r+")
        m.set_data(V * 2)
        raise KeyError("in flight")
    work()
    """
    assert "in flight" in run(library, program, code=1)
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED * 2)


@pytest.mark.parametrize("library", IMPORTS)
def test_sys_exit_writes(plain: Path, library: str) -> None:
    run(library, f"import sys\nm = mrcfile.open({str(plain)!r}, 'r+')\nm.set_data(V * 2)\nsys.exit(3)", code=3)
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED * 2)


@pytest.mark.parametrize("make", ["open({}, 'r+')", "mmap({}, 'r+')", "new({}, overwrite=True)"])
def test_os_exit_leaves_the_old_file_whole(plain: Path, make: str) -> None:
    before = plain.read_bytes()
    program = f"""
    import os
    m = mrcfile.{make.format(repr(str(plain)))}
    m.set_data(V * 2)
    os._exit(0)
    """
    run("mrcarray", program)
    assert plain.read_bytes() == before
    classic.write(plain, VOLUME, overwrite=True)  # removes what was begun


@pytest.mark.parametrize("how", ["os._exit(0)", "sys.exit(0)", "del m, n; gc.collect(); os._exit(0)", "raise KeyError"])
def test_forked_child_never_writes(plain: Path, how: str) -> None:
    program = f"""
    import os, sys, gc
    m = mrcfile.open({str(plain)!r}, "r+")
    m.set_data(V * 2)
    n = mrcfile.new({str(plain.with_name("new.mrc"))!r}, V)
    if os.fork() == 0:
        sys.stderr = open(os.devnull, "w")
        m.header.nxstart = 99
        {how}
    os.wait()
    assert not os.path.exists({str(plain.with_name("new.mrc"))!r})
    with mrcfile.open({str(plain)!r}) as found:
        assert found.header.nxstart == 0
    """
    assert run("mrcarray", program) == ""
    data, _, start = facts(plain)
    np.testing.assert_array_equal(data, EXPECTED * 2)
    assert start == 0
    np.testing.assert_array_equal(facts(plain.with_name("new.mrc"))[0], EXPECTED)


def test_forked_child_keeps_the_new_map_of_its_parent(plain: Path) -> None:
    program = f"""
    import os
    m = mrcfile.mmap({str(plain)!r}, "r+")
    m.set_data(V[:2])
    if os.fork() == 0:
        raise SystemExit
    os.wait()
    """
    run("mrcarray", program)
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED[:2])


@pytest.mark.parametrize("work", ["threading.Event().wait()", "while True: pass"])
def test_objects_are_written_while_daemon_threads_live(plain: Path, work: str) -> None:
    program = f"""
    import threading, time
    opened = threading.Event()
    def thread():
        m = mrcfile.open({str(plain)!r}, "r+")
        m.set_data(V * 2)
        opened.set()
        {work}
    threading.Thread(target=thread, daemon=True).start()
    opened.wait()
    """
    run("mrcarray", program)
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED * 2)


def test_objects_are_written_after_dask_worked(plain: Path) -> None:
    program = f"""
    import dask.array as da
    m = mrcfile.open({str(plain)!r}, "r+")
    m.set_data((da.from_array(V, chunks=(1, 3, 4)) * 2).compute())
    """
    run("mrcarray", program)
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED * 2)


@pytest.mark.parametrize("library", IMPORTS)
def test_object_made_by_an_exit_handler_is_written(tmp_path: Path, library: str) -> None:
    program = f"""
    import atexit
    mrcfile.new
    made = []
    @atexit.register
    def save():
        mrcfile.new({str(tmp_path / "a.mrc")!r}).set_data(V)
        made.append(mrcfile.new({str(tmp_path / "b.mrc")!r}, V))
    """
    run(library, program)
    for name in ("a.mrc", "b.mrc"):
        np.testing.assert_array_equal(facts(tmp_path / name)[0], EXPECTED)


def test_failure_at_exit_warns_and_others_are_written(tmp_path: Path) -> None:
    program = f"""
    import os, shutil
    os.mkdir({str(tmp_path / "gone")!r})
    kept = [mrcfile.new({str(tmp_path)!r} + "/" + name, V) for name in ("gone/a.mrc", "b.mrc", "c.mrc")]
    shutil.rmtree({str(tmp_path / "gone")!r})
    """
    said = run("mrcarray", program)
    assert f"MrcFile('{tmp_path / 'gone/a.mrc'}', mode='w+') was not closed: changes were not written" in said
    for name in ("b.mrc", "c.mrc"):
        np.testing.assert_array_equal(facts(tmp_path / name)[0], EXPECTED)


def test_flushing_thread_finishes_before_the_interpreter_ends(plain: Path) -> None:
    program = f"""
    import threading
    from mrcarray.storage import atomic
    began, real, writes = threading.Event(), atomic.Calls.replace, []
    def slow(*names):
        began.set()
        for _ in range(2_000_000):
            pass
        writes.append(names)
        return real(*names)
    atomic.Calls.replace = staticmethod(slow)
    m = mrcfile.open({str(plain)!r}, "r+")
    m.set_data(V * 2)
    threading.Thread(target=m.flush, daemon=True).start()
    began.wait()
    import atexit
    atexit.register(lambda: None)
    @mrcfile.classic.unclosed.atexit.register
    def _():
        mrcfile.classic.unclosed._finish_all()
        assert len(writes) == 1, writes
    """
    assert run("mrcarray", program) == ""
    np.testing.assert_array_equal(facts(plain)[0], EXPECTED * 2)


@pytest.mark.parametrize("function", [classic.open, classic.mmap])
def test_pickled_copies_are_read_only_and_write_nothing(plain: Path, function: Callable[..., Any]) -> None:
    import copy

    with function(plain) as mrc:
        other = copy.copy(mrc)
        assert not classic.unclosed._open
        other.close()
    with function(plain, "r+") as mrc, pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(mrc)

"""Conversions that are killed, or meet a full disk: old or new is there, never a mixture and never nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.conversion import convert, load
from mrcarray.errors import MrcWarning
from mrcarray.storage import atomic, orphans
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.atomic_folder import SET_ASIDE, AtomicFolder, put_back
from tests import builders
from tests.processes import without_coverage
from tests.storage.faults import calls_with, failing, interrupted, killed

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ["a.nc", "a.tif", "a.ome.tif", "a.zarr", "a.ome.zarr", "a.mrc.zst"]
OLD, NEW = (builders.sample((4, 6, 8), 1) + at for at in (0, 1))


def stack(path: Path, values: Any, tilts: list[int] | None = None) -> Path:
    """Write an int16 image stack, and its mdoc if there are tilts."""
    path.write_bytes(builders.mrc_bytes(values, 1, ispg=0, m=(8, 6, 1)))
    if tilts is not None:
        entries = (f"[ZValue = {at}]\nTiltAngle = {tilt}\n" for at, tilt in enumerate(tilts))
        path.with_name(path.name + ".mdoc").write_text("Voltage = 300\n\n" + "\n".join(entries))
    return path


def pixels(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MrcWarning)
        with load(path) as found:
            return found.values


def put(source: Path, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata")
        convert(source, target, overwrite=True)


def old_and_new(folder: Path, name: str) -> tuple[Path, Path, Callable[[], None]]:
    """Return a source of new pixels, a target with old ones, and what makes the target as it was."""
    (folder / "sources").mkdir()
    target = folder / name
    source = stack(folder / "sources/new.mrc", NEW)
    put(stack(folder / "sources/old.mrc", OLD), folder / "sources" / name)

    def restore() -> None:
        for path in folder.glob("*"):
            if path.name != "sources":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        made = folder / "sources" / name
        (shutil.copytree if made.is_dir() else shutil.copy2)(made, target)

    restore()
    return source, target, restore


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_interrupted_at_whichever_call_old_or_new_is_there_and_nothing_else(tmp_path: Path, name: str) -> None:
    source, target, restore = old_and_new(tmp_path, name)
    with calls_with() as dry:
        put(source, target)
    for at, call in enumerate(dry.seen):
        restore()
        with calls_with(at, interrupted), contextlib.suppress(OSError, KeyboardInterrupt):
            put(source, target)
        found = pixels(target)
        assert (found == OLD).all() or (found == NEW).all(), (at, call)
        if call not in ("rmtree", "unlink"):  # the next write removes what could not be removed
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "sources"]), (at, call)


@pytest.mark.parametrize("name", FORMATS)
def test_a_replaced_file_keeps_its_mode_bits_and_is_flushed(tmp_path: Path, name: str) -> None:
    source, target, _ = old_and_new(tmp_path, name)
    target.chmod(0o750)
    with calls_with() as calls:
        put(source, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert calls.seen.count("fsync") >= 2


@pytest.mark.parametrize("name", FORMATS)
def test_a_target_that_is_a_link_stays_one(tmp_path: Path, name: str) -> None:
    source, target, _ = old_and_new(tmp_path, name)
    real = target.rename(tmp_path / f"real-{name}")
    target.symlink_to(real.name)
    put(source, target)
    assert target.is_symlink()
    assert (pixels(target) == NEW).all()


def test_without_an_exchange_of_names_an_old_store_is_put_back_by_the_next_write(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"

    def fill(text: str) -> None:
        with AtomicFolder(target, overwrite=True) as folder:
            Path(folder.content).mkdir()
            (Path(folder.content) / "data").write_text(text)
            folder.commit()

    def no_exchange(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "not here")

    missing, at = 0, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.Calls, "exchange", staticmethod(no_exchange))
        fill("old")
        while killed(lambda: fill("new"), at):
            if not target.exists():
                missing += 1
                mrcarray.to_mrc(
                    NEW, tmp_path / "b.mrc", overwrite=True
                )  # sweeps the folder, but not what was set aside
                assert put_back(str(target))
                assert (target / "data").read_text() == "old"
            assert (target / "data").read_text() in ("old", "new")
            for path in tmp_path.glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            fill("old")
            at += 1
        fill("old")
        with calls_with() as dry:
            fill("new")
        assert not list(tmp_path.glob(f".*{SET_ASIDE}"))
        for at, _ in enumerate(dry.seen):
            fill("old")
            with calls_with(at, failing(errno.EIO)), contextlib.suppress(OSError):
                fill("new")
            assert (target / "data").read_text() in ("old", "new"), at
    assert missing == 1


def test_a_store_is_never_absent_where_names_can_be_exchanged(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"

    def fill(text: str) -> None:
        with AtomicFolder(target, overwrite=True) as folder:
            Path(folder.content).mkdir()
            (Path(folder.content) / "data").write_text(text)
            folder.commit()

    fill("old")
    at = 0
    while killed(lambda: fill("new"), at):
        assert (target / "data").read_text() in ("old", "new"), at
        at += 1
        fill("old")
        for folder in tmp_path.glob(".*"):
            assert not (folder / orphans.LOCK).exists(), at  # without the lock, an hour tells
            folder.rmdir()
    assert at > 10


def test_the_next_write_of_a_store_puts_the_old_one_back_before_it_fails(tmp_path: Path) -> None:
    aside = Path(orphans.new_name(str(tmp_path / "a.zarr")).removesuffix(orphans.SUFFIX) + SET_ASIDE)
    aside.mkdir()
    (aside / "old").touch()
    with pytest.raises(FileExistsError):
        AtomicFolder(tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zarr", "old"]


def test_store_created_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with AtomicFolder(tmp_path / "a.zarr") as folder:
        Path(folder.content).mkdir()
        (tmp_path / "a.zarr").mkdir()
        with pytest.raises(FileExistsError):
            folder.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


FULL = """
    import resource, signal, sys
    from mrcarray.cli import main
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
    from mrcarray.storage.atomic import Calls
    if sys.argv[2] == "late":  # no space was reserved: the disk fills while the library writes
        Calls.fallocate = staticmethod(lambda *_: None)
    sys.exit(main(["convert", "--overwrite", *sys.argv[3:]]))
"""


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("limit", [700, 9000, 100_000, 268_000])
def test_a_full_disk_while_hdf5_writes_is_one_line_and_exit_2(tmp_path: Path, limit: int, when: str) -> None:
    big = tmp_path / "big.mrc"
    big.write_bytes(builders.mrc_bytes(np.zeros((16, 64, 64), "f4"), 2))
    (tmp_path / "a.nc").write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(limit), when, str(big), str(tmp_path / "a.nc")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=without_coverage())
    assert (done.returncode, done.stderr) == (2, f"mrcarray: {tmp_path / 'a.nc'}: File too large\n")
    assert (tmp_path / "a.nc").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "big.mrc"]


# ------------------------------------------------------------------------------------------ pixels and mdoc

OLD_TILTS, NEW_TILTS = [0, 3, 6, 9], [-9, -6, -3, 0]


def tilts(path: Path) -> list[float] | None:
    """Return the tilt angles that a reader believes, None when it names an interruption instead."""
    import xarray as xr

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with xr.open_dataarray(path, engine="mrc") as found:
            angles = found.tilt_angle.values.tolist() if "tilt_angle" in found.coords else None
    named = any("interrupted between writing the image and writing" in str(warning.message) for warning in caught)
    assert named == (angles is None)
    return angles


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("fresh", [False, True], ids=["replaced", "fresh"])
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz"])
def test_a_full_disk_never_pairs_pixels_with_the_tilt_angles_of_others(
    tmp_path: Path, name: str, fresh: bool, stays: bool
) -> None:
    source = stack(tmp_path / "source.mrc", NEW, NEW_TILTS)
    work = tmp_path / "work"
    target = work / name
    at, done = 0, False
    while not done:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        if not fresh:
            put(stack(tmp_path / "old.mrc", OLD, OLD_TILTS), target)
        with calls_with(at, failing(errno.ENOSPC), stays=stays) as calls, contextlib.suppress(OSError):
            put(source, target)
        done = len(calls.seen) <= at
        if not done and calls.seen[at] == "unlink":
            at += 1
            continue
        if target.exists():
            believed = OLD_TILTS if (pixels(target) == OLD).all() else NEW_TILTS
            assert tilts(target) in (believed, None), at
        else:
            assert not list(work.iterdir()), at
        at += 1
    assert tilts(target) == NEW_TILTS


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz", "a.mrc.zst"])
def test_killed_between_pixels_and_mdoc_the_stale_mdoc_is_named_and_left_out(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stack(tmp_path / "source.mrc", NEW, NEW_TILTS), tmp_path / name
    put(stack(tmp_path / "old.mrc", OLD, OLD_TILTS), target)

    with monkeypatch.context() as patch:
        patch.setattr(AtomicFile, "commit", _commit_pixels_only)
        put(source, target)
    assert (pixels(target) == NEW).all()
    assert tilts(target) is None
    put(source, target)
    assert tilts(target) == NEW_TILTS


_commit = AtomicFile.commit


def _commit_pixels_only(self: AtomicFile) -> None:
    if self.path.endswith(".mdoc"):
        self.abort()
    else:
        _commit(self)


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[" * 4000, b"[]", b'{"image": "a.mrc", "was": 1, "mdoc": 1}', b"\xff"]
)
def test_a_hostile_mark_does_no_harm(tmp_path: Path, content: bytes) -> None:
    target = stack(tmp_path / "a.mrc", NEW, NEW_TILTS)
    (tmp_path / ".a.mrc.mdoc.mrcarray-new").write_bytes(content)
    assert tilts(target) == NEW_TILTS
    (tmp_path / ".a.mrc.mdoc.mrcarray-new").unlink()
    os.mkfifo(tmp_path / ".a.mrc.mdoc.mrcarray-new")
    assert tilts(target) == NEW_TILTS


def test_the_warning_is_one_of_ours(tmp_path: Path) -> None:
    import xarray as xr

    target = stack(tmp_path / "a.mrc", NEW, NEW_TILTS)
    stat_ = (tmp_path / "a.mrc.mdoc").stat()
    mdoc = [stat_.st_size, stat_.st_mtime_ns, stat_.st_ino]
    (tmp_path / ".a.mrc.mdoc.mrcarray-new").write_text(f'{{"image": "a.mrc", "was": null, "mdoc": {mdoc}}}')
    with pytest.warns(MrcWarning, match=r"a\.mrc\.mdoc, which is ignored; convert again, or delete"):
        xr.open_dataarray(target, engine="mrc").close()

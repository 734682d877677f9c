"""Fixtures of all tests, the doctests of the package included; those of `tests/` alone are in `tests/conftest.py`."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import hypothesis
import hypothesis.strategies
import numpy as np  # noqa: F401 -- hypothesis registers its generators only when it is imported
import pytest

from tests import builders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DESCRIPTORS = "/proc/self/fd"
_PATIENCE = 1.0  # seconds that threads of dask and distributed may take to close what they read


def _descriptors() -> dict[str, str]:
    """Return what each descriptor of this process refers to; nothing on systems without /proc."""
    found: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        for number in os.listdir(_DESCRIPTORS):  # noqa: PTH208 -- runs twice a test: a Path takes ten times as long
            with contextlib.suppress(OSError):  # closed since it was listed, such as that of the listing itself
                found[number] = os.readlink(f"{_DESCRIPTORS}/{number}")  # noqa: PTH115 -- as above
    return found


def _left_open(before: dict[str, str]) -> list[str]:
    """Return the regular files opened since, except those of installed packages: matplotlib keeps its fonts open."""
    return [
        path
        for number, path in _descriptors().items()
        if before.get(number) != path and not path.startswith(sys.prefix + os.sep) and _is_regular(number)
    ]


def _is_regular(number: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(f"{_DESCRIPTORS}/{number}").st_mode)  # noqa: PTH116 -- as above
    except OSError:
        return False


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their number: their values are poor names, and differ between processes if they contain a time."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collections, which would take 0.2 s each where a test asks for one."""
    _register_random_generators()
    gc.collect()
    gc.freeze()


def _register_random_generators() -> None:
    """Run an example of hypothesis, which registers the generators of NumPy.

    Hypothesis 6.120 looks for what refers to them by `gc.get_referrers`, which finds no frozen objects, and warns.
    """

    @hypothesis.settings(max_examples=1, database=None)
    @hypothesis.given(hypothesis.strategies.none())
    def example(_: None) -> None:
        pass

    example()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker a contiguous part of the tests, so that the servers of a module start once, not twice."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(autouse=True)
def _no_file_left_open() -> Iterator[None]:
    """Fail any test after which a regular file is open that was not open before it."""
    before = _descriptors()
    yield
    if not _left_open(before):
        return
    gc.collect()
    deadline = time.monotonic() + _PATIENCE
    while (left := _left_open(before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        pytest.fail(f"the test left files open: {sorted(left)}")


@pytest.fixture(autouse=True, scope="session")
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep examples and indexes in a folder of this run instead of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRCARRAY_CACHE_FOLDER", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _doctest_folder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each docstring in its own folder, with the files of `write_samples`."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    folder = request.getfixturevalue("tmp_path")
    write_samples(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


def write_samples(folder: Path) -> None:
    """Write the files that examples in docstrings and pages use.

    `tomo.mrc` is a float32 volume of 20 sections, 32 rows and 40 columns with 2 Å voxels; `tilts.mrcs` an int16 stack
    of 5 images of 16 x 24 pixels; `TS_01.mrc` such a stack as SerialEM writes it, with tilts in its extended header and
    an mdoc of the same tilts.
    """
    (folder / "tomo.mrc").write_bytes(builders.mrc_bytes(builders.sample((20, 32, 40), 2), 2))
    (folder / "tilts.mrcs").write_bytes(builders.mrc_bytes(builders.sample((5, 16, 24), 1), 1, ispg=0, m=(24, 16, 1)))
    _write_tilt_series(folder / "TS_01.mrc", (0, 3, -3, 6, -6))


def _write_tilt_series(path: Path, tilts: tuple[int, ...]) -> None:
    records = struct.pack(f"<{len(tilts)}h", *(100 * tilt for tilt in tilts)).ljust(1024, b"\0")
    fields = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1)}  # 2 bytes each: the tilt
    path.write_bytes(builders.mrc_bytes(builders.sample((len(tilts), 16, 24), 1), 1, "<", records, **fields))
    images = (
        f"[ZValue = {at}]\nTiltAngle = {tilt + 0.004}\nExposureDose = {2.5}\nPriorRecordDose = {2.5 * at}\n"
        f"DateTime = 08-Oct-21  07:{39 + at}:00\n"
        for at, tilt in enumerate(tilts)
    )
    path.with_name(path.name + ".mdoc").write_text("Voltage = 300\n\n" + "\n".join(images))

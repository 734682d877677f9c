"""The time and memory of checking files, compared with mrcfile, measured in turn.

The figures are printed, not asserted. Set ``MRCARRAY_BENCH=1`` for a map of 1 GiB and 10,000 small files, and
``MRCARRAY_BENCH_GIB=4`` for another size; without them tiny jobs show that the code runs.

    MRCARRAY_BENCH=1 MRCARRAY_BENCH_GIB=4 pytest tests/benchmarks/bench_validate.py -s
"""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray.validation import check
from tests import builders
from tests.benchmarks.harness import compare, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

GIB = float(os.environ.get("MRCARRAY_BENCH_GIB", "1"))
SECTIONS = size(round(GIB * 256), 4)
SIDE = size(1024, 64)
FILES = size(10_000, 200)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write a float32 map of random numbers, no holes, with true statistics; it is in the page cache afterwards."""
    path = tmp_path_factory.mktemp("bench") / "big.mrc"
    section = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    wide = section.astype(np.float64)
    statistics = {"dmin": wide.min(), "dmax": wide.max(), "dmean": wide.mean(), "rms": wide.std()}
    label = b"made for a benchmark".ljust(80)
    fields: dict[str, Any] = {"m": (SIDE, SIDE, SECTIONS), "nlabl": 1, "labels": label, **statistics}
    with path.open("wb") as file:
        file.write(builders.header_bytes(nx=SIDE, ny=SIDE, nz=SECTIONS, mode=2, **fields))
        for z in range(SECTIONS):
            file.write(np.roll(section, z, axis=0).data)
    yield path
    path.unlink()


def test_a_large_map(big: Path) -> None:
    ways: dict[str, Callable[[], bool]] = {
        "mrcarray.validation.check": lambda: check(big).codes == (),
        "mrcfile.validate": lambda: bool(mrcfile.validate(big, print_file=io.StringIO())),
    }
    compare(f"validate {big.stat().st_size / 2**30:.1f} GiB", ways, repeat=3)


PEAK = """
import re, sys
from pathlib import Path
def peak():  # of this program; ru_maxrss would be that of the process that started it, where that is larger
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
work = sys.argv[1]
if work == "mrcarray":
    import mrcarray.format.extended, mrcarray.analysis.blockwise, mrcarray.statistics, mrcarray.storage
    from mrcarray.validation import check
    run = lambda path: check(path).ok
else:
    import mrcfile
    run = mrcfile.validate
run(sys.argv[3])
before = peak()
assert run(sys.argv[2])
print(peak() - before)
"""


def test_peak_memory_above_the_start(big: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.mrc"
    small.write_bytes(builders.mrc_bytes(np.zeros((2, 3, 4), "f4")))
    print(f"\npeak memory above the start, {big.stat().st_size / 2**20:.0f} MiB")  # noqa: T201 -- a benchmark prints
    for work in ("mrcarray", "mrcfile"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, work, str(big), str(small)], capture_output=True, text=True, check=True
        )
        print(f"{work:<12}{float(done.stdout.splitlines()[-1]):>10.1f} MiB")  # noqa: T201 -- as above


def test_headers_as_whole_processes(tmp_path: Path) -> None:
    path = tmp_path / "small.mrc"
    path.write_bytes(builders.mrc_bytes(builders.sample((16, 32, 32), 2)))

    def running(*command: str) -> Callable[[], int]:
        programs = os.path.dirname(sys.executable)  # noqa: PTH120 -- of the environment, not of the interpreter's link
        line = [os.path.join(programs, command[0]), *command[1:], str(path)]  # noqa: PTH118 -- as above
        return lambda: subprocess.run(line, stdout=subprocess.DEVNULL, check=True).returncode

    ways = {
        "mrcarray header": running("mrcarray", "header"),
        "mrcfile-header": running("mrcfile-header"),
        "python -c pass": running("python", "-S", "-c", "pass"),
    }
    compare("header, whole process", ways, repeat=21)


MANY = """
import os, re, sys
from pathlib import Path
from mrcarray.cli import main
os.chdir(sys.argv[2])
names = sorted(os.listdir())[: int(sys.argv[1])]
main(["validate", sys.argv[3], names[0]])
opened = len(os.listdir("/proc/self/fd"))
status = main(["validate", sys.argv[3], "-j", "2", *names])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(status, len(names), peak, len(os.listdir("/proc/self/fd")) - opened, file=sys.stderr)
"""


def test_many_small_files(tmp_path: Path) -> None:
    """Distinct files in one call; a tenth of them in another process shows what the rest adds."""
    for number in range(FILES):
        values = np.random.default_rng(number).standard_normal((4, 16, 16), dtype=np.float32)
        with open(tmp_path / f"{number:05}.mrc", "wb") as file:  # noqa: PTH123 -- as quick as can be
            file.write(builders.mrc_bytes(values, nlabl=1, labels=b"made for a benchmark".ljust(80), rms=-1.0))
    print(f"\n{'':>8}{'files':>8}{'peak MiB':>12}{'descriptors':>13}")  # noqa: T201 -- as above
    for form, count in itertools.product(("-q", "--json", "--sarif"), (FILES // 10, FILES)):
        line = [sys.executable, "-c", MANY, str(count), str(tmp_path), form]
        done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        status, files, peak, descriptors = done.stderr.split()
        assert (status, int(files), int(descriptors)) == ("0", count, 0)
        print(f"{form:>8}{files:>8}{float(peak):>12.1f}{descriptors:>13}")  # noqa: T201 -- as above


def test_many_small_files_against_the_classic_library(tmp_path: Path) -> None:
    names = [tmp_path / f"{number}.mrc" for number in range(size(1000, 10))]
    for name in names:
        name.write_bytes(builders.mrc_bytes(builders.sample((4, 16, 16), 2), rms=-1.0, nversion=20141))
    silent = io.StringIO()
    ways: dict[str, Callable[[], int]] = {
        "mrcarray.validation.check": lambda: len([check(name).ok for name in names]),
        "mrcfile.validate": lambda: len([mrcfile.validate(name, print_file=silent) for name in names]),
    }
    compare(f"validate {len(names)} small files", ways, repeat=3)

"""The package reads, validates and writes without the system calls that Windows lacks."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.processes import without_coverage

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import numpy as np
import mrcarray

VALUES = np.arange(8 * 16 * 32, dtype="f4").reshape(8, 16, 32)
mrcarray.to_mrc(VALUES, "a.mrc", voxel_size=2)
"""

PROGRAMS = {
    "read": """
import xarray as xr
lazy = xr.open_dataarray("a.mrc", engine="mrc")
assert (lazy.values == VALUES).all()
assert (lazy[:, 3].values == VALUES[:, 3]).all()
assert (lazy[2:5, 3:9, ::2].values == VALUES[2:5, 3:9, ::2]).all()
assert (lazy[..., 5].values == VALUES[..., 5]).all()
assert xr.open_dataarray("a.mrc", engine="mrc", chunks={}).sum().compute() == VALUES.sum()
assert mrcarray.read_header("a.mrc").nx == 32
""",
    "validate": """
from mrcarray.cli import main
assert mrcarray.check("a.mrc").ok
for command in ("validate", "info", "header", "stats"):
    assert main([command, "a.mrc"]) == 0
""",
    "replace": """
import dask.array as da
for array in (VALUES + 1, da.from_array(VALUES + 2, chunks=(2, 16, 32))):
    mrcarray.to_mrc(array, "a.mrc", voxel_size=2, overwrite=True)
    assert (mrcarray.open_array("a.mrc")[:] == np.asarray(array)).all()
try:
    mrcarray.to_mrc(VALUES, "a.mrc", voxel_size=2)
except FileExistsError:
    print("refused")
""",
    "compressed": """
for suffix in ("gz", "bz2"):
    for overwrite in (False, True):
        mrcarray.to_mrc(VALUES, f"a.mrc.{suffix}", voxel_size=2, overwrite=overwrite)
    assert (mrcarray.open_array(f"a.mrc.{suffix}")[6:7, 2] == VALUES[6:7, 2]).all()
""",
    "classic": """
from mrcarray import classic
with classic.new("c.mrc", VALUES) as mrc:
    mrc.voxel_size = 3
with classic.open("c.mrc", "r+") as mrc:
    mrc.data[0] = 5
    mrc.set_data(np.concatenate([mrc.data, VALUES]))
with classic.mmap("c.mrc", "r+") as mrc:
    mrc.data[1] = 7
read = classic.read("c.mrc")
assert (read.shape, read[0].max(), read[1].max(), read[15, 0, 0]) == ((16, 16, 32), 5, 7, VALUES[7, 0, 0])
classic.write("c.mrc", VALUES, overwrite=True)
assert classic.validate("c.mrc")
try:
    classic.new_mmap("d.mrc", (4, 5, 6), 0)
except OSError as error:
    assert "use mrcarray.classic.new" in str(error)
    print("refused")
""",
    "repair": """
from mrcarray.cli import main
assert main(["edit", "a.mrc", "--set", "rms=1"]) == 0
assert mrcarray.read_header("a.mrc").rms == 1
assert main(["undo", "a.mrc"]) == 0
assert mrcarray.read_header("a.mrc").rms != 1
""",
    "fail": """
import os
import dask.array as da
def broken(block):
    raise RuntimeError("the source broke")
lazy = da.from_array(VALUES, chunks=(2, 16, 32)).map_blocks(broken, dtype="f4")
for name in ("a.mrc", "b.mrc", "b.mrc.gz"):
    try:
        mrcarray.to_mrc(lazy, name, overwrite=True)
    except RuntimeError:
        print("failed")
assert sorted(os.listdir()) == ["a.mrc", "program.py"]
assert (mrcarray.open_array("a.mrc")[:] == VALUES).all()
""",
    "convert": """
from mrcarray.cli import main
for more in ([], ["--overwrite"]):
    assert main(["convert", "a.mrc", "b.mrc", *more]) == 0
assert (mrcarray.open_array("b.mrc")[:] == VALUES).all()
assert main(["clean", "."]) == 0
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_works_without_the_calls_of_posix(name: str, project_root: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(BEGIN + PROGRAMS[name], encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "tests.reduced_system", "program.py"]
    environment = without_coverage() | {"PYTHONPATH": str(project_root)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    left = {path.name for path in tmp_path.iterdir()} - {"program.py"}
    assert not [one for one in left if one.startswith(".") and "mrcarray" in one and "undo" not in one]

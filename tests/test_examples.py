"""Every script in examples/ runs, prints what it should, and leaves no file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
MOST_LINES = 60

#: What each example must print.
PRINTS = {
    "process_larger_than_memory.py": (
        "{'z': 64, 'y': 256, 'x': 256}, voxels of 3.0 angstrom, first at (0.75, 0.75, 0.75)",
        "within the memory limit",
    ),
    "quickstart.py": (
        "<xarray.DataArray 'data' (z: 48, y: 64, x: 64)>",
        "* z        (z) float64",
        "Volume of the ball, summed by dask: 218703 cubic ångström",
        "mrcarray-section.png",
    ),
    "sample_sub_volumes.py": (
        "4 batches of shape (16, 16, 16, 16), float32",
        "the same cubes in this process: True",
    ),
    "torch_dataset.py": ("(8, 32, 32, 32) torch.float32",),
    "tilt_series_metadata.py": ("[24. 18. 12.  6.  0.  3.  9. 15. 21.]", "Written and read again: 9 tilts"),
}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)


def run(script: Path, temporary: Path, home: Path) -> str:
    """Run `script` in the folder `home`, with temporary files in `temporary`, and return what it prints."""
    environment = {**os.environ, "TMPDIR": str(temporary), "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::mrcarray.errors.MrcWarning"}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    """Return every file under `folder` that is part of the project's tree, not of a tool's cache."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in path.parts[1:])
    }


def test_every_example_has_expected_output() -> None:
    assert {script.name for script in SCRIPTS} == set(PRINTS)


@every_script
def test_example_prints_its_results_and_leaves_no_file(script: Path, tmp_path: Path) -> None:
    if script.name.startswith("torch"):
        pytest.importorskip("torch", reason="the wheels of torch bring gigabytes")
    temporary, home = tmp_path / "temporary", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    before = files(script.parent)
    printed = run(script, temporary, home)
    for text in PRINTS[script.name]:
        assert text in printed
    assert not list(home.iterdir())
    left = {path.name for path in temporary.iterdir() if "matplotlib" not in path.name}
    assert left == ({"mrcarray-section.png"} if script.name == "quickstart.py" else set())
    assert files(script.parent) == before


@every_script
def test_example_is_short(script: Path) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) <= MOST_LINES

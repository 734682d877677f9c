"""The calls of mrcfile's usage guide print the same under mrcfile and both of our names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _printed(module: str, folder: Path) -> str:
    """Return what the session prints with a module."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("usage.py")), module],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["mrcarray.classic", "mrcarray"])
def test_usage_guide_prints_the_same(module: str, tmp_path: Path) -> None:
    assert _printed(module, tmp_path / "ours") == _printed("mrcfile", tmp_path / "theirs")

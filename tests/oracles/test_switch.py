"""MRCARRAY_ORACLES=required turns skipped tests into failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPED = """
import pytest

def test_it():
    pytest.importorskip("no_such_program")

@pytest.mark.skip(reason="not today")
def test_another():
    raise AssertionError
"""


@pytest.mark.parametrize(("value", "failures", "outcome"), [("required", 1, "1 failed, 1 error"), ("", 0, "2 skipped")])
def test_skips_fail_where_all_programs_are_required(tmp_path: Path, value: str, failures: int, outcome: str) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_skipped.py").write_text(SKIPPED)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "MRCARRAY_ORACLES": value, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == failures, done.stdout
    assert outcome in done.stdout

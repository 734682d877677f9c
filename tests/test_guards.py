"""The guards of the suite can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LEAK = """
kept = []

def test_leaks(tmp_path):
    path = tmp_path / "left.bin"
    path.write_bytes(b"1")
    kept.append(path.open("rb"))

def test_closes(tmp_path):
    path = tmp_path / "closed.bin"
    path.write_bytes(b"1")
    with path.open("rb"):
        pass
"""


def test_a_file_left_open_is_an_error(project_root: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((project_root / "conftest.py").read_text())
    (tmp_path / "test_leak.py").write_text(LEAK)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", "--rootdir=."]
    command += ["--confcutdir=.", "-o", "addopts=", f"--override-ini=pythonpath={project_root}", "test_leak.py"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the plugins take most of the time
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed, 1 error" in done.stdout
    assert "left.bin" in done.stdout

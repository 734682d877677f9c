"""The guards of the suite can fail."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

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


def patched_constants(source: str) -> list[str]:
    """Return the constants of a module that a test sets: `setattr(module, "NAME", ...)`, "mrcarray.module.NAME"."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"):
            continue
        texts = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        ours = texts and ("." not in texts[0] or texts[0].startswith("mrcarray."))  # others may lack on this system
        if ours and re.fullmatch("_?[A-Z][A-Z0-9_]+", texts[0].rpartition(".")[2]):
            found.append(texts[0])
    return found


def test_no_test_patches_a_constant(project_root: Path) -> None:
    """A function or class that needs another value in a test has a parameter for it."""
    paths = sorted((project_root / "tests").rglob("*.py"))
    found = {path.name: names for path in paths if (names := patched_constants(path.read_text(encoding="utf-8")))}
    assert not found


@pytest.mark.parametrize(
    "call", ['(bzip2, "TYPICAL", 9)', '("mrcarray.conversion.tiff.PIECE", 9)', '(reader, "_MOST", 9)']
)
def test_patched_constant_is_found(call: str) -> None:
    assert len(patched_constants(f"monkeypatch.setattr{call}")) == 1


@pytest.mark.parametrize(
    "call", ['(os, "access", f)', '("fcntl.F_FULLFSYNC", 51)', '(member_decoders, "GzipDecoder", f)']
)
def test_patched_function_is_no_constant(call: str) -> None:
    assert not patched_constants(f"monkeypatch.setattr{call}")

"""Run the command line in this process, which is fast, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.cli import main
from tests.cases import clean

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """Exit status and output of a run."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Return a function that runs the program in this process, in a directory with `good.mrc` and `bad.mrc`."""
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)

    def call(*args: Any) -> Done:
        status = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Done(status, out, err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs the program as a process, in such a directory."""
    fill(tmp_path)

    def call(*args: Any, stdin: bytes = b"", **env: str) -> Done:
        done = subprocess.run(
            command(*args), input=stdin, capture_output=True, cwd=tmp_path, env=environment(**env), check=False
        )
        return Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    return call


def command(*args: Any) -> list[Any]:
    """Return the command line of the program."""
    return [sys.executable, "-m", "mrcarray.cli", *args]


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which this package is imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def fill(folder: Path) -> None:
    """Write a valid file and one with errors."""
    (folder / "good.mrc").write_bytes(clean())
    (folder / "bad.mrc").write_bytes(clean(map=b"MAP\0", nversion=0, rms=0.0))

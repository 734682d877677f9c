"""What the program prints, to the letter: each file of `snapshots` holds calls, what they print, and their status.

A call is a line that starts with a dollar sign; what follows is what it prints, lines of standard error after a bar,
and the status in brackets. Set ``MRCARRAY_SNAPSHOTS=write`` to write the files again, and read the difference.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.cases import IMAGES, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done

FOLDER = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.iterdir()))
def test_output_matches_the_snapshot(name: str, run: Callable[..., Done]) -> None:
    Path("tilts.mrcs").write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1)))
    Path("short.mrc").write_bytes(clean()[:-40])
    Path("odd.mrc").write_bytes(builders.header_bytes(mode=99))
    snapshot = FOLDER / f"{name}.txt"
    expected = snapshot.read_text(encoding="utf-8")
    calls = [line for line in expected.splitlines() if line.startswith("$ mrcarray ")]
    found = "".join(_shown(call, run(*shlex.split(call)[2:])) for call in calls)
    if os.environ.get("MRCARRAY_SNAPSHOTS") == "write":
        snapshot.write_text(found, encoding="utf-8")
    assert found == expected


def _shown(call: str, done: Done) -> str:
    errors = "".join(f"| {line}\n" for line in done.err.replace(f"{Path.cwd()}{os.sep}", "").splitlines())
    return f"{call}\n{done.out}{errors}[{done.status}]\n"

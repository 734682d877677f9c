"""A small project of RELION: two stacks, and the STAR file that lists their particles out of order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

STAR = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnVoltage #3
_rlnImagePixelSize #4
7 grid_b 200.000000 2.000000
3 grid_a 300.000000 2.000000

data_particles

loop_
_rlnImageName #1
_rlnDefocusU #2
_rlnAngleRot #3
_rlnOpticsGroup #4
_rlnMicrographName #5
000003@Extract/a.mrcs 9000.125000 10.5 3 mic/a.mrc
000002@Extract/b.mrcs 9001.250000 20.5 7 mic/b.mrc
000001@Extract/a.mrcs 9002.000000 30.5 3 mic/a.mrc

000003@Extract/a.mrcs 9003.500000 -40.5 3 mic/a.mrc
"""
LINES = (20, 21, 22, 24)
"""Lines of the rows of `STAR`, counted from 1."""


@dataclass(frozen=True)
class Project:
    """The folder, the STAR file, and what its rows select."""

    folder: Path
    star: Path
    pixels: np.ndarray


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with two stacks of 3 and 2 images of 6 x 8 pixels, and a STAR file with four rows."""
    pytest.importorskip("starfile", reason="starfile is not installed (extra: star)")
    a, b = sample((3, 6, 8), 2, seed=1), sample((2, 6, 8), 2, seed=2)
    (tmp_path / "Extract").mkdir()
    for name, values in (("a", a), ("b", b)):
        (tmp_path / "Extract" / f"{name}.mrcs").write_bytes(mrc_bytes(values, 2, ispg=0, m=(8, 6, 1)))
    star = tmp_path / "Extract" / "particles.star"
    star.write_text(STAR)
    return Project(tmp_path, star, np.stack([a[2], b[1], a[0], a[2]]))

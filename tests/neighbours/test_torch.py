"""PyTorch: a `DataLoader` whose workers are forked or spawned; in a process of its own, as users start it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.builders import mrc_bytes, sample
from tests.processes import without_coverage

pytest.importorskip("torch", reason="torch is not installed: its wheels for CUDA have gigabytes")
pytest.importorskip("starfile", reason="starfile is not installed (extra: star)")

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/mrcarray-with-others.md"
STAR = "data_particles\n\nloop_\n_rlnImageName #1\n000003@a.mrcs\n000001@a.mrcs\n000002@a.mrcs\n000004@a.mrcs\n"


@pytest.mark.slow
@pytest.mark.parametrize("start", ["spawn", "fork", "forkserver"])
def test_loader_of_the_page_gives_the_images(tmp_path: Path, start: str) -> None:
    values = sample((4, 6, 8), 2)
    (tmp_path / "a.mrcs").write_bytes(mrc_bytes(values, 2, ispg=0, m=(8, 6, 1)))
    (tmp_path / "particles.star").write_text(STAR)
    found = re.search(r"<!-- torch -->\n```py\n(.*?)\n\nloader = (.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    loop = """
        if __name__ == "__main__":
            import numpy
            loader = LOADER
            numpy.save("out.npy", numpy.concatenate([batch.numpy() for batch in loader]))
    """
    loader = " ".join(found[2].replace('"spawn"', repr(start)).split())
    script = tmp_path / "train.py"
    script.write_text(found[1] + textwrap.dedent(loop).replace("LOADER", loader))
    subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path, env=without_coverage())
    import numpy as np

    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), values[[2, 0, 1, 3]])

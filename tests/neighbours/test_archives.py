"""The code of the page for public archives, with a server on this machine in the place of theirs."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from tests.builders import mrc_bytes, sample
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra: remote)")
pytest.importorskip("zarr", reason="zarr is not installed (extra: ome-zarr)")

PAGE = Path(__file__).resolve().parents[2] / "docs/howto/mrcarray-with-others.md"
EMDB = "/pub/databases/emdb/structures/EMD-11075/map/emd_11075.map.gz"
EMPIAR = "/empiar/world_availability/10940/data/EMPIAR/Class2D/768px/run_it020_classes.mrcs"
PORTAL = "/10000/TS_037/Reconstructions/VoxelSpacing13.480/Tomograms/100/TS_037"
VALUES = sample((16, 32, 64), 2)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Site]:
    """Serve a file under each path that the page names."""
    volume, stack = mrc_bytes(VALUES, 2, m=(64, 32, 16)), mrc_bytes(VALUES, 2, ispg=0, m=(64, 32, 1))
    (tmp_path / "tomo.mrc").write_bytes(volume)
    store = Path(mrcarray.convert(tmp_path / "tomo.mrc", tmp_path / "portal.ome.zarr", preset="portal"))
    files = {
        f"{PORTAL}.zarr/{path.relative_to(store)}": path.read_bytes() for path in store.rglob("*") if path.is_file()
    }
    files |= {EMDB: gzip.compress(volume), EMPIAR: stack, f"{PORTAL}.mrc": volume}
    with serving(Site(files)) as site:
        yield site


def test_code_of_the_page_runs(archive: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = re.search(r"<!-- archives -->\n```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    code, hosts = re.subn(r"https://[\w.]+", archive.url, found[1])
    assert hosts == 3
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 -- the page
    assert names["density"].dims == ("z", "y", "x")
    assert names["classes"].shape == VALUES.shape
    assert names["classes"].dims[0] != "z"
    np.testing.assert_array_equal(names["section"], VALUES[8])
    quarter = mrcarray.open_dataarray("quarter.mrc")
    assert (quarter.shape, quarter.mrc.voxel_size, quarter.mrc.origin) == ((4, 8, 16), (8.0,) * 3, (3.0,) * 3)


def test_section_of_a_remote_file_sends_its_bytes(archive: Site) -> None:
    with mrcarray.open_dataarray(f"{archive.url}{PORTAL}.mrc", chunks={"z": 1}) as found:
        archive.reset()
        found[10].compute(scheduler="synchronous")
        assert archive.sent == VALUES[10].nbytes

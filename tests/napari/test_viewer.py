"""The plugin in napari itself: manifest, opening, saving, and a picture of the canvas."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.builders import mrc_bytes, sample
from tests.napari.test_layers import tilt_series

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("npe2") is None, reason="npe2 is not installed (extra: neighbours)"),
    pytest.mark.skipif(
        importlib.util.find_spec("napari") is None, reason="napari is not installed (extra: neighbours)"
    ),
]

needs_display = pytest.mark.skipif(
    shutil.which("xvfb-run") is None, reason="xvfb-run is not installed: OpenGL needs a display"
)

SCRIPT = Path(__file__).with_name("viewing.py")


def napari(*arguments: Any, display: bool = False) -> dict[str, Any]:
    """Run `viewing.py`; with a display, in a virtual X server."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "LIBGL_ALWAYS_SOFTWARE": "1"}
    if display:
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24", *command]
        environment["QT_QPA_PLATFORM"] = "xcb"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_manifest_is_valid() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "npe2", "validate", "mrcarray"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_volume_opens_and_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "tomo.mrc"
    path.write_bytes(mrc_bytes(sample((6, 30, 40), 2) + np.float32(100), 2, origin=(7, -3, 10)))
    found = napari(path)
    assert found["kind"] == "Image"
    assert found["lazy"]
    assert (found["scale"], found["translate"]) == ([2.0] * 3, [10.0, -3.0, 7.0])
    assert (found["units"], found["axis_labels"]) == (["angstrom"] * 3, ["z", "y", "x"])
    assert 97 < found["contrast_limits"][0] < found["contrast_limits"][1] < 103
    mean, spread = found["thumbnail"]
    assert 20 < mean < 235
    assert spread > 20
    assert found["saved"] == [str(tmp_path / "saved.mrc")]
    one, two = (xr.open_dataset(tmp_path / name, engine="mrc") for name in ("tomo.mrc", "saved.mrc"))
    xr.testing.assert_equal(one, two)
    command = [sys.executable, "-m", "mrcarray", "diff", str(path), str(tmp_path / "saved.mrc")]
    command += ["--ignore", "labels,nlabl,dmin,dmax,dmean,rms"]  # what every write adds
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tilt_series_opens_and_is_saved(tmp_path: Path) -> None:
    found = napari(tilt_series(tmp_path / "a.mrc"))
    assert found["units"] == ["pixel", "angstrom", "angstrom"]
    assert "tilt_angle" in found["sections"]
    one, two = (xr.open_dataset(tmp_path / name, engine="mrc") for name in ("a.mrc", "saved.mrc"))
    xr.testing.assert_equal(one, two)


def test_labels_open_and_are_saved(tmp_path: Path) -> None:
    values = (np.arange(4 * 20 * 30).reshape(4, 20, 30) // 50 % 5).astype("i2")
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(values, 1))
    found = napari(tmp_path / "a.mrc")
    assert found["kind"] == "Labels"
    np.testing.assert_array_equal(xr.open_dataarray(tmp_path / "saved.mrc", engine="mrc").values, values)


def test_sample_opens_from_the_menu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRCARRAY_CACHE_FOLDER", str(tmp_path))
    found: Any = napari("sample:half_maps")
    assert [layer["kind"] for layer in found] == ["Image", "Image"]
    assert found[0]["units"] == ["angstrom"] * 3
    assert found[0]["name"] != found[1]["name"]
    assert all(20 < layer["thumbnail"][0] < 235 for layer in found)


@needs_display
@pytest.mark.data
def test_canvas_is_neither_black_nor_white(tmp_path: Path, shared_data: Path) -> None:
    found = napari(shared_data / "serialem_tilt.mrc", tmp_path / "canvas.png", display=True)
    assert 30 < found["mean"] < 200
    assert found["std"] > 30


@needs_display
@pytest.mark.data
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_image_is_seen_in_the_viewer(tmp_path: Path, shared_data: Path, version: str) -> None:
    pytest.importorskip("napari_ome_zarr", reason="napari-ome-zarr is not installed (extra: neighbours)")
    array = xr.open_dataarray(shared_data / "serialem_tilt.mrc", engine="mrc")
    store = array.mrc.to_ome_zarr(tmp_path / "tilt.ome.zarr", version=version)
    found = napari(store, tmp_path / "canvas.png", "napari-ome-zarr", display=True)
    assert 30 < found["mean"] < 200
    assert found["std"] > 30
    assert found["scale"] == [1.0, 7.88, 7.88]
    assert found["units"] == ["pixel", "angstrom", "angstrom"]

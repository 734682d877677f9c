"""Runs napari in a process of its own: `python viewing.py FILE [PICTURE [PLUGIN]]`, or `sample:KEY`.

napari brings plugins and warnings of its own into whatever imports it, and a window needs a display. What the viewer
has is printed as JSON: one entry for each step of `steps`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any


def facts(layer: Any) -> dict[str, Any]:
    """Return what napari made of a layer."""
    thumbnail = layer.thumbnail[..., :3]
    return {
        "kind": type(layer).__name__,
        "name": layer.name,
        "scale": layer.scale.tolist(),
        "translate": layer.translate.tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        "lazy": type(layer.data).__module__.startswith("dask"),
        "contrast_limits": list(getattr(layer, "contrast_limits", [])),
        "sections": sorted(layer.metadata["coords"]),
        "thumbnail": [float(thumbnail.mean()), float(thumbnail.std())],
    }


def model(path: Path) -> None:
    """Open a file in a viewer without a window, and save the layer as another file."""
    import npe2
    from napari.components import ViewerModel

    npe2.PluginManager.instance().discover()
    viewer = ViewerModel()
    (layer,) = viewer.open(str(path), plugin="mrcarray")
    saved = layer.save(str(path.with_name("saved.mrc")), plugin="mrcarray")
    sys.stdout.write(json.dumps({**facts(layer), "saved": saved}))


def sample(key: str) -> None:
    """Open sample data by the menu's key, in a viewer without a window."""
    import npe2
    from napari.components import ViewerModel

    npe2.PluginManager.instance().discover()
    layers = ViewerModel().open_sample("mrcarray", key)
    sys.stdout.write(json.dumps([facts(layer) for layer in layers]))


def window(path: Path, picture: Path, plugin: str = "mrcarray") -> None:
    """Open a file in a window, and write a picture of its canvas."""
    import napari
    from PIL import Image
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    with contextlib.redirect_stdout(sys.stderr):  # napari-ome-zarr prints the metadata
        (layer,) = viewer.open(str(path), plugin=plugin)
    for _ in range(30):
        QApplication.processEvents()
    shot = viewer.screenshot(canvas_only=True, flash=False)
    Image.fromarray(shot).save(picture)
    level = layer.data_level if layer.multiscale else None
    viewer.close()
    grey = shot[..., :3].mean(axis=-1)
    placed = {"scale": layer.scale.tolist(), "units": [str(unit) for unit in layer.units], "level": level}
    sys.stdout.write(json.dumps({"mean": float(grey.mean()), "std": float(grey.std()), **placed}))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1].startswith("sample:"):
        sample(sys.argv[1].removeprefix("sample:"))
    elif len(sys.argv) > 2:
        window(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    else:
        model(Path(sys.argv[1]))

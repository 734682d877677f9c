"""The sample data of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mrcarray.napari import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_every_sample_is_in_the_menu(project_root: Path) -> None:
    import yaml  # type: ignore[import-untyped]  # comes with dask

    found = yaml.safe_load((project_root / "mrcarray/napari/napari.yaml").read_text())["contributions"]
    commands = {command["id"]: command["python_name"] for command in found["commands"]}
    menu = {one["key"]: commands[one["command"]] for one in found["sample_data"]}
    assert menu == {name: f"mrcarray.napari.samples:{name}" for name in samples.__all__}


@pytest.mark.parametrize("name", samples.__all__)
def test_sample_has_layers_in_angstrom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRCARRAY_CACHE_FOLDER", str(tmp_path))
    layers = getattr(samples, name)()
    assert len(layers) == (2 if name == "half_maps" else 1)
    for data, kwargs, kind in layers:
        assert kind == "image"
        assert type(data).__module__.startswith("dask")
        assert kwargs["units"][-2:] == ("angstrom", "angstrom")
        assert kwargs["contrast_limits"][0] < kwargs["contrast_limits"][1]

"""A missing package is named in one sentence, by one function."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mrcarray.errors import MissingDependencyError, missing_package

_ROOT = Path(__file__).parents[1]


def test_missing_package_names_what_to_install() -> None:
    found = missing_package("reading HTTP", "aiohttp.client", "remote")
    assert isinstance(found, MissingDependencyError)
    assert str(found) == found.command_text == 'reading HTTP needs aiohttp: pip install "mrcarray[remote]"'
    assert str(missing_package("reading gs://", "gcsfs")) == "reading gs:// needs gcsfs: pip install gcsfs"


def test_one_function_makes_the_error() -> None:
    makers = {
        path.name
        for path in (_ROOT / "mrcarray").rglob("*.py")
        if re.search(r"MissingDependencyError\(\w*[f\"']", path.read_text())
    }
    assert makers == {"errors.py"}


def test_extras_that_errors_name_exist() -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [path.read_text() for path in (_ROOT / "mrcarray").rglob("*.py")]
    named = {extra for text in sources for extra in re.findall(r'missing_package\(.*, "([\w-]+)"\)', text)}
    assert {"netcdf", "zarr", "tiff", "plot", "star", "virtual", "ome-zarr"} <= named <= set(extras)


@pytest.mark.parametrize("extra", ["all", "complete"])
def test_the_extra_for_everything_installs_every_optional_package(extra: str) -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    everything = re.findall(r"[\w-]+", re.search(r"\[(.*)\]", extras["all"][0])[1])  # type: ignore[index]
    assert set(everything) == set(extras) - {"all", "complete", "test", "oracles", "neighbours", "docs", "dev"}
    assert extra in extras

"""Fixtures of the classic room: one body runs on the original library and on ours."""

from __future__ import annotations

import importlib
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.builders import FIELDS, mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

#: Modes the original library knows.
MODES = (0, 1, 2, 4, 6, 12)
#: Shapes by kind, as the header decides it.
SHAPES = {"image": (3, 4), "image_stack": (5, 3, 4), "volume": (5, 3, 4), "volume_stack": (2, 5, 3, 4)}
#: Names of the classes by suffix.
SUFFIXES = {"": "MrcFile", ".gz": "GzipMrcFile", ".bz2": "Bzip2MrcFile"}
COMPRESSION = {"": None, ".gz": "gzip", ".bz2": "bzip2"}


@pytest.fixture(params=["mrcfile", "mrcarray.classic"])
def api(request: pytest.FixtureRequest) -> Any:
    """Return the original library, then ours."""
    return importlib.import_module(request.param)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> int:
    """Return each mode number the original library reads."""
    return int(request.param)


@pytest.fixture(params=list(SHAPES))
def kind(request: pytest.FixtureRequest) -> str:
    """Return each kind of file."""
    return str(request.param)


@pytest.fixture(params=["<", ">"])
def byteorder(request: pytest.FixtureRequest) -> Any:
    """Return each byte order."""
    return request.param


@pytest.fixture(params=list(SUFFIXES))
def suffix(request: pytest.FixtureRequest) -> str:
    """Return each compression, by the end of the file name."""
    return str(request.param)


@pytest.fixture
def data() -> np.ndarray[Any, Any]:
    """Return a small volume."""
    return np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Return the name of a plain float volume with true statistics unset."""
    path = tmp_path / "volume.mrc"
    path.write_bytes(mrc_bytes(sample((5, 3, 4), 2)))
    return path


def patched(content: bytes, byteorder: str = "<", **changes: Any) -> bytes:
    """Return an MRC file with header fields overwritten, whatever its data say."""
    raw = bytearray(content)
    places = {name: (offset, code) for name, offset, code in FIELDS}
    for name, value in changes.items():
        offset, code = places[name]
        struct.pack_into(byteorder + code, raw, offset, *(value if isinstance(value, tuple) else (value,)))
    return bytes(raw)

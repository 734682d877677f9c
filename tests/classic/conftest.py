"""Fixtures of the classic API: most tests run on mrcfile and on `mrcarray.classic`."""

from __future__ import annotations

import importlib
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.storage.atomic import Calls
from tests.builders import FIELDS, mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

#: Modes that mrcfile reads.
MODES = (0, 1, 2, 4, 6, 12)
#: Shapes by kind, as the header decides it.
SHAPES = {"image": (3, 4), "image_stack": (5, 3, 4), "volume": (5, 3, 4), "volume_stack": (2, 5, 3, 4)}
#: Names of the classes by suffix.
SUFFIXES = {"": "MrcFile", ".gz": "GzipMrcFile", ".bz2": "Bzip2MrcFile"}
COMPRESSION = {"": None, ".gz": "gzip", ".bz2": "bzip2"}


#: The pixels of the file `path`.
VOLUME = sample((5, 3, 4), 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a volume with an extended header."""
    name = tmp_path / "volume.mrc"
    name.write_bytes(mrc_bytes(VOLUME, extended=b"e" * 80, exttyp=b"CCP4"))
    return name


@pytest.fixture(params=["mrcfile", "mrcarray.classic"])
def api(request: pytest.FixtureRequest) -> Any:
    """Return mrcfile, then `mrcarray.classic`."""
    return importlib.import_module(request.param)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> int:
    """Return each mode number that mrcfile reads."""
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
    """Return an MRC file with header fields overwritten."""
    raw = bytearray(content)
    places = {name: (offset, code) for name, offset, code in FIELDS}
    for name, value in changes.items():
        offset, code = places[name]
        struct.pack_into(byteorder + code, raw, offset, *(value if isinstance(value, tuple) else (value,)))
    return bytes(raw)


@pytest.fixture
def refusing_folder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes every folder refuse new files, with an error number."""
    real = Calls.open

    def refuse(number: int) -> None:
        def opened(name: Any, flags: int, *rest: Any) -> int:
            if flags & os.O_CREAT:
                raise OSError(number, "refused", name)
            return real(name, flags, *rest)

        monkeypatch.setattr(Calls, "open", staticmethod(opened))

    return refuse


def facts(path: Path) -> tuple[bytes, int, int]:
    """Return bytes, size and modification time of a file."""
    found = path.stat()
    return path.read_bytes(), found.st_size, found.st_mtime_ns


def long_ago(path: Path) -> None:
    """Set a file's time back, so that any write shows."""
    os.utime(path, ns=(10**18, 10**18))

"""``import mrcarray as mrcfile``: the public functions and classes are those of `mrcarray.classic`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import mrcfile
import numpy as np
import pytest

import mrcarray
from mrcarray import classic

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = ("open", "new", "read", "write", "mmap", "new_mmap", "open_async", "validate")
CLASSES = {
    "MrcFile": "mrcfile",
    "GzipMrcFile": "gzipmrcfile",
    "Bzip2MrcFile": "bzip2mrcfile",
    "MrcMemmap": "mrcmemmap",
    "MrcObject": "mrcobject",
    "MrcInterpreter": "mrcinterpreter",
    "FutureMrcFile": "future_mrcfile",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_classic(name: str) -> None:
    assert getattr(mrcarray, name) is getattr(classic, name)
    assert callable(getattr(mrcfile, name))


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_those_of_classic(name: str) -> None:
    assert getattr(mrcarray, name) is getattr(getattr(classic, CLASSES[name]), name)


def test_common_script_runs(tmp_path: Path) -> None:
    program = """
import mrcarray as mrcfile
import numpy as np
with mrcfile.new("a.mrc") as mrc:
    mrc.set_data(np.zeros((3, 4), dtype=np.int8))
    mrc.data[1] = 2
    assert isinstance(mrc, mrcfile.MrcFile)
with mrcfile.open("a.mrc") as mrc:
    print(int(mrc.data.sum()))
mrcfile.validate("a.mrc")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "8\nChecking if a.mrc is a valid MRC2014 file...\nFile appears to be valid.\n"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        classic.nothing  # noqa: B018 -- the module raises
    assert np.dtype("f4") == classic.utils.dtype_from_mode(2)

"""The typed options of ``.mrc.to_mrc`` are those of `to_mrc`, which writes files only."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray
from mrcarray.errors import MrcValueError
from mrcarray.xarray_backend.write_options import WriteKeywords

if TYPE_CHECKING:
    from pathlib import Path


def test_pipe_is_refused_with_what_to_type(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(MrcValueError, match="is a pipe or a device, not a file; write a file, then"):
        mrcarray.to_mrc(np.zeros((2, 3), "f4"), pipe)


def test_typed_options_are_those_of_function() -> None:
    options = {
        name: str(one.annotation)
        for name, one in inspect.signature(mrcarray.to_mrc).parameters.items()
        if one.kind is one.KEYWORD_ONLY
    }
    typed = {name: getattr(one, "__forward_arg__", str(one)) for name, one in WriteKeywords.__annotations__.items()}
    assert typed == options

"""The typed options of ``.mrc.to_mrc`` are those of `to_mrc`."""

from __future__ import annotations

import inspect

import mrcarray
from mrcarray.xarray_backend.write_options import WriteKeywords


def test_typed_options_are_those_of_the_function() -> None:
    options = {
        name: str(one.annotation)
        for name, one in inspect.signature(mrcarray.to_mrc).parameters.items()
        if one.kind is one.KEYWORD_ONLY
    }
    typed = {name: getattr(one, "__forward_arg__", str(one)) for name, one in WriteKeywords.__annotations__.items()}
    assert typed == options

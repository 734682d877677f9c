"""The pixel codec, through both registries by which Zarr finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.registry import get_codec_class

from mrcarray.errors import MrcValueError
from mrcarray.virtual import pixel_codec
from tests.builders import data_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path

CASES = [(mode, order, columns) for mode in (3, 101) for order in "<>" for columns in (6, 7)]


@pytest.mark.parametrize(("mode", "order", "columns"), CASES)
def test_numcodecs_finds_it_by_its_name(mode: int, order: str, columns: int) -> None:
    values = sample((2, 5, columns), mode)
    stored = data_bytes(values, mode, order)
    codec = numcodecs.get_codec({"id": "mrcarray.pixels", "pixel": str(mode), "columns": columns, "byteorder": order})
    found = codec.decode(stored)
    np.testing.assert_array_equal(found.view(values.dtype).reshape(values.shape), values)
    out = np.empty_like(values)
    codec.decode(stored, out)
    np.testing.assert_array_equal(out, values)
    assert bytes(codec.encode(values)) == stored
    assert numcodecs.get_codec(codec.get_config()) == codec


@pytest.mark.parametrize(("mode", "order", "columns"), CASES)
def test_zarr_finds_it_by_its_name(tmp_path: Path, mode: int, order: str, columns: int) -> None:
    values = sample((2, 5, columns), mode)
    codec: Any = get_codec_class("mrcarray.pixels").from_dict(
        {
            "name": "mrcarray.pixels",
            "configuration": {"pixel": str(mode), "columns": columns, "byteorder": order},
        }
    )
    written = zarr.create_array(
        tmp_path / "a.zarr", shape=values.shape, chunks=(1, 5, columns), dtype=values.dtype, compressors=[codec]
    )
    written[...] = values
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[...], values)
    assert (tmp_path / "a.zarr/c/1/0/0").read_bytes() == data_bytes(values[1:], mode, order)
    size = codec.compute_encoded_size(values.nbytes, None)
    assert size == len(data_bytes(values, mode, order))


@pytest.mark.parametrize("wrong", [{"pixel": "99"}, {"columns": 0}, {"columns": "7"}, {"byteorder": "="}])
def test_wrong_configuration_is_refused(wrong: dict[str, object]) -> None:
    given = {"pixel": "101", "columns": 7, "byteorder": "<", **wrong}
    with pytest.raises(MrcValueError, match=r"the codec mrcarray\.pixels has"):
        pixel_codec.checked(given["pixel"], given["columns"], given["byteorder"])
    with pytest.raises(MrcValueError, match=r"mrcarray\.pixels"):
        numcodecs.get_codec({"id": "mrcarray.pixels", **given})

"""The convention: dims, coords, attrs and encoding, from values alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import PIXELS
from mrcarray.xarray_backend.convention import Convention, PreferredChunks, convention_of, kind_of, preferred_chunks
from mrcarray.xarray_backend.storage_facts import KEPT
from tests.builders import header_bytes


def _described(kind: str = "auto", coords: Any = "physical", place: str = "auto", **fields: Any) -> Convention:
    header, _ = Header.parse(header_bytes(**fields))
    layout = interpret(header, None, kind=kind).layout
    assert layout is not None
    return convention_of(header, layout, Geometry.from_header(header, layout, place), kind=kind, coords=coords)


class TestDims:
    @pytest.mark.parametrize(
        ("fields", "dims"),
        [
            ({"ispg": 0, "nz": 1}, ("y", "x")),
            ({"ispg": 0}, ("section", "y", "x")),
            ({"ispg": 1}, ("z", "y", "x")),
            ({"ispg": 401, "nz": 6, "m": (4, 3, 2)}, ("volume", "z", "y", "x")),
            ({"ispg": 0, "nz": 1, "mode": 16}, ("y", "x", "rgb")),
            ({"ispg": 0, "mode": 16}, ("section", "y", "x", "rgb")),
        ],
    )
    def test_they_follow_from_kind(self, fields: dict[str, Any], dims: tuple[str, ...]) -> None:
        assert _described(**fields).dims == dims

    @pytest.mark.parametrize(
        ("kind", "first"),
        [("image_stack", "section"), ("tilt_series", "tilt"), ("movie", "frame"), ("particles", "particle")],
    )
    def test_first_dim_of_stack_is_named_by_kind_asked_for(self, kind: str, first: str) -> None:
        found = _described(kind=kind)
        assert found.dims == (first, "y", "x")
        assert kind_of(found.dims) == kind

    @pytest.mark.parametrize(
        ("mapcrs", "dims"),
        [
            ((1, 2, 3), ("z", "y", "x")),
            ((2, 1, 3), ("z", "x", "y")),
            ((3, 1, 2), ("y", "x", "z")),
            ((3, 2, 1), ("x", "y", "z")),
            ((1, 3, 2), ("y", "z", "x")),
            ((2, 3, 1), ("x", "z", "y")),
        ],
    )
    def test_permuted_axes_are_solved_by_names(self, mapcrs: tuple[int, int, int], dims: tuple[str, ...]) -> None:
        found = _described(mapcrs=mapcrs, m=(10, 20, 30), cella=(10.0, 40.0, 90.0), nstart=(5, 6, 7))
        assert found.dims == dims
        lengths = dict(zip(dims, (2, 3, 4), strict=True))
        starts = dict(zip(dims, (7, 6, 5), strict=True))
        for axis, step in {"x": 1.0, "y": 2.0, "z": 3.0}.items():
            expected = (starts[axis] + np.arange(lengths[axis])) * step
            np.testing.assert_array_equal(found.coords[axis].values, expected)


class TestCoords:
    def test_they_are_voxel_centres_in_angstroms_by_cella_over_m(self) -> None:
        found = _described(m=(8, 6, 4), cella=(16.0, 15.0, 16.0))
        assert found.coords["x"].values.tolist() == [0.0, 2.0, 4.0, 6.0]
        assert found.coords["y"].values.tolist() == [0.0, 2.5, 5.0]
        assert found.coords["z"].values.tolist() == [0.0, 4.0]
        assert found.coords["x"].values.dtype == np.float64
        assert found.coords["x"].attrs == {"units": "angstrom", "axis": "X", "long_name": "x of the voxel centre"}

    def test_two_writers_roundings_of_one_voxel_size_give_equal_coords(self) -> None:
        exact = np.float32(1.08 * 400)
        first = _described(nx=400, m=(400, 3, 2), cella=(float(exact), 6.0, 4.0))
        second = _described(nx=400, m=(400, 3, 2), cella=(float(np.nextafter(exact, np.float32(0))), 6.0, 4.0))
        np.testing.assert_array_equal(first.coords["x"].values, second.coords["x"].values)

    def test_sections_are_counted_without_unit(self) -> None:
        coord = _described(ispg=0).coords["section"]
        assert coord.values.tolist() == [0, 1]
        assert coord.values.dtype.kind == "i"
        assert "units" not in coord.attrs

    def test_stacks_do_not_care_for_height_of_voxel(self) -> None:
        found = _described(ispg=0, cella=(8.0, 6.0, 0.0))
        assert found.unknown == ()
        assert found.coords["x"].attrs["units"] == "angstrom"

    @pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
    def test_where_voxel_size_is_unknown_they_count_pixels_from_nstart(self, bad: float) -> None:
        found = _described(cella=(8.0, bad, 4.0), nstart=(0, 5, 0))
        assert found.unknown == ("y",)
        assert found.coords["y"].attrs["units"] == "pixel"
        assert found.coords["y"].values.tolist() == [5.0, 6.0, 7.0]
        assert found.coords["x"].attrs["units"] == "angstrom"

    def test_pixels_asked_for_start_where_voxels_are(self) -> None:
        fields: dict[str, Any] = {"nstart": (-2, 0, 0)}
        assert _described(coords="pixel", **fields).coords["x"].values[0] == -2
        assert _described(coords="pixel", place="zero", **fields).coords["x"].values[0] == 0
        assert _described(coords="pixel", place="zero", cella=(0.0, 0.0, 0.0), **fields).coords["x"].values[0] == 0
        assert _described(coords="pixel").unknown == ()

    def test_none_leaves_out_grid_only(self) -> None:
        assert set(_described(ispg=0, coords=None).coords) == {"section"}

    def test_colours_have_names(self) -> None:
        assert _described(ispg=0, mode=16).coords["rgb"].values.tolist() == ["red", "green", "blue"]


class TestAttrs:
    def test_plain_file_has_attributes_of_table(self) -> None:
        attrs = _described().attrs
        assert {name: value for name, value in attrs.items() if not isinstance(value, np.ndarray)} == {
            "space_group": 1,
            "mrc_kind": "volume",
            "mrc_mode": 2,
            "mrc_nversion": 20141,
            "mrc_placement": "origin",
        }
        arrays = {name: value.tolist() for name, value in attrs.items() if isinstance(value, np.ndarray)}
        assert arrays == {
            "mrc_voxel_size": [2.0, 2.0, 2.0],
            "mrc_origin": [0.0, 0.0, 0.0],
            "mrc_nstart": [0, 0, 0],
            "mrc_unit_cell": [8.0, 6.0, 4.0, 90.0, 90.0, 90.0],
            "mrc_sampling": [4, 3, 2],
        }

    def test_attributes_state_what_differs_from_defaults(self) -> None:
        stamp = b"\0" * 40 + (1146047817).to_bytes(4, "little") + (5).to_bytes(4, "little") + (1).to_bytes(2, "little")
        attrs = _described(
            ispg=419, nz=6, m=(8, 3, 2), nlabl=2, labels=b"one".ljust(80) + b"two\x07".ljust(80), exttyp=b"SERI",
            origin=(1.0, 2.0, 3.0), nstart=(4, 5, 6), cellb=(90.0, 100.0, 90.0), extra2=stamp.ljust(84, b"\0"),
        ).attrs  # fmt: skip
        assert attrs["space_group"] == 19
        assert attrs["labels"] == "one\ntwo\\x07"
        assert attrs["mrc_exttyp"] == "SERI"
        assert attrs["mrc_origin"].tolist() == [1.0, 2.0, 3.0]
        assert attrs["mrc_nstart"].tolist() == [4, 5, 6]
        assert attrs["mrc_unit_cell"].tolist()[3:] == [90.0, 100.0, 90.0]
        assert attrs["mrc_sampling"].tolist() == [8, 3, 2]
        assert attrs["mrc_kind"] == "volume_stack"
        assert attrs["imod_flags"] == 5
        assert attrs["imod_type"] == 1

    def test_placement_attribute_names_other_words_than_origin(self) -> None:
        assert _described(nstart=(1, 0, 0)).attrs["mrc_placement"] == "nstart"
        assert _described(nstart=(1, 0, 0), place="zero").attrs["mrc_placement"] == "zero"

    def test_nothing_in_them_is_volatile_or_nested(self) -> None:
        attrs = _described(dmin=1.0, dmax=9.0, dmean=5.0, rms=2.0, nlabl=1, labels=b"x").attrs
        assert not {f"mrc_{name}" for name in ("dmin", "dmax", "dmean", "rms", "nx", "ny", "nz")} & set(attrs)
        json.dumps({name: value.tolist() if hasattr(value, "tolist") else value for name, value in attrs.items()})

    @pytest.mark.parametrize("exttyp", [b"", b"    ", b"\xff\xfe\0\0", b"\x01ab\0"])
    def test_blank_or_binary_type_is_left_out(self, exttyp: bytes) -> None:
        assert "mrc_exttyp" not in _described(exttyp=exttyp).attrs

    def test_facts_for_writer_are_left_out_of_plain_files(self) -> None:
        assert KEPT not in _described().attrs
        assert json.loads(_described(nstart=(1, 0, 0)).attrs[KEPT]) == {"nstart": [1, 0, 0], "placement": "nstart"}
        assert "origin" not in json.loads(_described(origin=(float("nan"), 0.0, 0.0)).attrs.get(KEPT, "{}"))


class TestEncoding:
    def test_encoding_describes_file(self) -> None:
        encoding = _described(byteorder=">").encoding
        assert encoding["byteorder"] == "big"
        assert encoding["mode"] == 2
        assert encoding["dtype"] == np.dtype("f4")
        assert encoding["dtype"].isnative
        assert encoding["data_offset"] == 1024
        assert encoding["kind"] == "volume"


def _layout(shape: tuple[int, ...], code: str = "2", kind: Kind = Kind.VOLUME) -> Layout:
    return Layout(kind, shape, PIXELS[code], "<", 1024)


class TestPreferredChunks:
    @pytest.mark.parametrize(
        ("shape", "code", "expected"),
        [
            ((300, 1024, 1024), "2", {"z": 6}),
            ((300, 511, 512), "2", {"z": 20}),
            ((20000, 256, 256), "2", {"z": 80}),
            ((20, 20, 20), "2", {}),
            ((10, 8192, 11520), "2", {"z": 1, "y": 2048}),
            ((10, 8191, 11520), "2", {"z": 1, "y": 2048}),
            ((3, 2, 0), "2", {}),
            ((0, 3, 4), "2", {}),
        ],
    )
    def test_sections_are_grouped_or_split_by_rows(
        self, shape: tuple[int, ...], code: str, expected: dict[str, int]
    ) -> None:
        assert dict(preferred_chunks(_layout(shape, code), ("z", "y", "x"))) == expected

    def test_volumes_of_stack_are_grouped_when_they_are_small(self) -> None:
        dims = ("volume", "z", "y", "x")
        small, large = (_layout((1000, n, 32, 32), kind=Kind.VOLUME_STACK) for n in (32, 5000))
        assert dict(preferred_chunks(small, dims)) == {"volume": 143}
        assert dict(preferred_chunks(large, dims)) == {"volume": 1}

    def test_image_is_one_chunk(self) -> None:
        assert preferred_chunks(_layout((4092, 5760), kind=Kind.IMAGE), ("y", "x")) == {}

    def test_they_propose_sizes_and_deny_stored_chunks(self) -> None:
        chunks = PreferredChunks(z=4)
        assert chunks.get("z", 100) == 4
        assert chunks.get("y", 100) == 100
        assert chunks.get("z") is None
        assert chunks["z"] == 4
        assert type(chunks.copy()) is PreferredChunks


class TestKinds:
    def test_volumes_need_three_axes_and_images_two(self) -> None:
        assert kind_of(("volume", "y", "x")) is None
        assert kind_of(("section", "x")) is None
        assert kind_of(("a", "b", "y", "x")) is None

"""The contract of the engine with xarray, line by line."""

from __future__ import annotations

import copy
import io
import math
import multiprocessing
import os
import pickle
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import psutil
import pytest
import xarray as xr
from xarray.backends.plugins import guess_engine
from xarray.testing.assertions import _assert_internal_invariants

import mrcarray
from conftest import write_samples
from mrcarray.array import MrcArray
from mrcarray.errors import MrcFormatError, MrcValueError, MrcWarning, StaleFileError
from mrcarray.xarray_backend.engine import MrcBackendArray, MrcBackendEntrypoint
from tests.builders import header_bytes, mrc_bytes, sample
from tests.xarray_backend.helpers import sparse, watch_reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GUESS = MrcBackendEntrypoint().guess_can_open


class TestGuessing:
    def test_magic_is_recognised_in_path_string_and_bytes(self, volume_path: Path, tmp_path: Path) -> None:
        plain = tmp_path / "no suffix at all"
        plain.write_bytes(volume_path.read_bytes())
        assert GUESS(volume_path)
        assert GUESS(str(plain))
        assert GUESS(volume_path.read_bytes())
        assert GUESS(memoryview(volume_path.read_bytes()))

    def test_file_that_may_not_be_read_is_error(self, volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", forbidden)
        with pytest.raises(PermissionError):
            GUESS(volume_path)

    def test_file_object_that_is_closed_is_declined(self) -> None:
        file = io.BytesIO()
        file.close()
        assert not GUESS(file)

    def test_file_object_keeps_its_position(self, volume_path: Path) -> None:
        file = io.BytesIO(volume_path.read_bytes())
        file.seek(77)
        assert GUESS(file)
        assert file.tell() == 77

    def test_xarray_finds_engine_by_itself(self, volume_path: Path) -> None:
        assert guess_engine(volume_path) == "mrc"
        assert xr.open_dataarray(volume_path).dims == ("z", "y", "x")

    def test_big_endian_files_are_recognised(self) -> None:
        assert GUESS(mrc_bytes(sample((2, 3, 4), 1), 1, ">"))

    @pytest.mark.parametrize("name", ["missing.mrc", ".", "short", "zarr", "netcdf", "text.map"])
    def test_guess_declines_other_files_without_warning(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "short").write_bytes(b"0123456789")
        (tmp_path / "text.map").write_text("[map]\n" * 400)
        xr.Dataset({"a": ("x", [1, 2])}).to_zarr(tmp_path / "zarr", consolidated=False)
        xr.Dataset({"a": ("x", [1, 2])}).to_netcdf(tmp_path / "netcdf", engine="h5netcdf")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert not GUESS(tmp_path / name)

    @pytest.mark.parametrize("thing", [None, 3, b"", io.StringIO("text " * 400), object()])
    def test_things_that_are_no_files_are_declined(self, thing: Any) -> None:
        assert not GUESS(thing)

    def test_named_pipe_is_not_touched(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mrc")
        assert not GUESS(tmp_path / "pipe.mrc")

    def test_permission_errors_are_not_hidden(self, volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied", str(volume_path))

        monkeypatch.setattr("builtins.open", refuse)
        with pytest.raises(PermissionError):
            GUESS(volume_path)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://host/emd_1.map.gz?download=1", True),
            ("s3://bucket/tilt.st", True),
            ("zip://a.mrc::s3://b/c.mrc", True),
            ("https://host/data.nc", False),
            ("https://host/mrc", False),
        ],
    )
    def test_urls_are_judged_by_suffix_and_never_fetched(self, url: str, expected: bool) -> None:
        assert GUESS(url) is expected

    def test_old_files_without_magic_are_recognised_when_their_size_fits(self, tmp_path: Path) -> None:
        path = tmp_path / "old.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), 2, map=b"", machst=b""))
        assert GUESS(path)

    def test_engine_describes_itself(self) -> None:
        text = repr(xr.backends.list_engines()["mrc"])
        assert "MRC" in text
        assert "https://" in text


class TestImports:
    def test_engine_module_loads_neither_dask_nor_remote_libraries(self) -> None:
        code = (
            "import sys, xarray; before = set(sys.modules);"
            "import mrcarray.xarray_backend.engine;"
            "new = {m.split('.')[0] for m in set(sys.modules) - before};"
            "print(sorted(new & {'dask', 'fsspec', 'obstore', 'zarr', 'mrcfile', 'rich', 'click', 'gemmi'}))"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "[]"

    def test_opened_and_closed_file_prints_nothing(self, child: tuple[str, str, str]) -> None:
        _, _, err = child
        assert "ResourceWarning" not in err
        assert "mrcarray" not in err

    def test_dask_name_is_same_in_every_process(self, child: tuple[str, str, str]) -> None:
        path, out, _ = child
        assert out.strip() == mrcarray.open_dataarray(path, chunks={}).data.name


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Return a file, and the output and errors of a process that opened, read and closed it."""
    path = tmp_path_factory.mktemp("child") / "volume.mrc"
    path.write_bytes(mrc_bytes(sample((6, 5, 7), 2)))
    code = f"import xarray as xr; ds = xr.open_dataset({str(path)!r}); ds.data[0].load(); ds.close();"
    code += f"import mrcarray; print(mrcarray.open_dataarray({str(path)!r}, chunks={{}}).data.name)"
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(path), done.stdout, done.stderr


class TestOpening:
    def test_nothing_but_headers_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((6, 5, 7), 2), extended=bytes(160)))
        ranges = watch_reads(monkeypatch)
        opened = xr.open_dataset(path, engine="mrc", chunks={})
        repr(opened)
        opened._repr_html_()
        opened.data.mrc  # noqa: B018 -- to be looked at is what it is for
        assert max(stop for _, stop in ranges) <= 1024 + 160

    def test_indexes_exist_without_default_indexes(self, volume_path: Path) -> None:
        assert set(xr.open_dataset(volume_path).xindexes) == {"x", "y", "z"}
        bare = xr.open_dataset(volume_path, create_default_indexes=False)
        assert set(bare.xindexes) == {"x", "y", "z"}
        assert not bare.drop_indexes(["x", "y", "z"]).xindexes
        assert bare.x.attrs["units"] == "angstrom"
        assert bare.x.dtype == np.float64

    def test_without_default_indexes_series_still_has_one_that_takes_masks_by_label(self, tmp_path: Path) -> None:
        write_samples(tmp_path)
        path = tmp_path / "TS_01.mrc"
        asked = xr.open_dataset(path, engine="mrc", kind="tilt_series", create_default_indexes=False)
        assert set(asked.xindexes) == {"tilt_angle", "x", "y"}
        assert not asked.drop_indexes(["tilt_angle", "x", "y"]).xindexes
        plain = xr.open_dataset(path, engine="mrc", create_default_indexes=False)
        assert set(plain.xindexes) == {"section", "x", "y"}
        assert not plain.drop_indexes(["section", "x", "y"]).xindexes

    @pytest.mark.parametrize("name", ["z", ["z", "x"]])
    def test_coordinates_can_be_dropped(self, volume_path: Path, name: Any) -> None:
        opened = xr.open_dataset(volume_path, drop_variables=name)
        assert not set([name] if isinstance(name, str) else name) & set(opened.coords)
        assert "data" in opened

    def test_data_can_be_dropped(self, volume_path: Path) -> None:
        assert list(xr.open_dataset(volume_path, drop_variables="data").data_vars) == []

    @pytest.mark.parametrize(
        "options",
        [
            {"decode_cf": False},
            {"cache": False},
            {"chunks": {}, "inline_array": True},
            {"chunks": {}, "from_array_kwargs": {"asarray": True}},
            {"chunks": {}, "chunked_array_type": "dask"},
        ],
        ids="-".join,
    )
    def test_xarrays_own_options_are_taken(self, volume_path: Path, options: dict[str, Any]) -> None:
        expected = xr.open_dataarray(volume_path).load()
        xr.testing.assert_identical(xr.open_dataarray(volume_path, engine="mrc", **options), expected)

    def test_options_we_do_not_have_are_refused(self, volume_path: Path) -> None:
        with pytest.raises(TypeError):
            xr.open_dataset(volume_path, engine="mrc", sections=3)

    def test_all_ways_of_xarray_to_open_lead_to_same(self, volume_path: Path) -> None:
        expected = xr.open_dataset(volume_path).load()
        xr.testing.assert_identical(xr.load_dataset(volume_path), expected)
        xr.testing.assert_identical(xr.load_dataarray(volume_path), expected.data)
        with xr.open_datatree(volume_path, engine="mrc") as tree:
            xr.testing.assert_identical(tree.to_dataset(), expected)
        groups = xr.open_groups(volume_path, engine="mrc")
        assert list(groups) == ["/"]
        xr.testing.assert_identical(groups["/"], expected)

    @pytest.mark.parametrize("as_what", [bytes, memoryview, io.BytesIO])
    def test_bytes_and_file_objects_are_opened(self, volume_path: Path, as_what: Callable[[bytes], Any]) -> None:
        raw = volume_path.read_bytes()
        given = as_what(raw)
        opened = xr.open_dataarray(given, engine="mrc")
        np.testing.assert_array_equal(opened.values, xr.open_dataarray(volume_path).values)
        assert "source" not in opened.encoding

    def test_file_object_is_not_closed(self, volume_path: Path) -> None:
        with volume_path.open("rb") as file:
            opened = xr.open_dataset(file, engine="mrc")
            opened.load()
            opened.close()
            assert not file.closed

    def test_invariants_hold(self, volume_path: Path) -> None:
        _assert_internal_invariants(xr.open_dataset(volume_path), check_default_indexes=True)

    def test_kind_option_overrides_header(self, volume_path: Path) -> None:
        assert xr.open_dataarray(volume_path, engine="mrc", kind="tilt_series").dims == ("tilt", "y", "x")

    def test_origin_option_selects_words(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), origin=(10.0, 20.0, 30.0), nstart=(1, 2, 3)))
        starts = {
            word: float(xr.open_dataarray(path, engine="mrc", origin=word).x[0])
            for word in ("auto", "origin", "nstart", "zero")
        }
        assert starts == {"auto": 10.0, "origin": 10.0, "nstart": 2.0, "zero": 0.0}

    def test_mode0_option_sets_sign(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 0), 0))
        assert xr.open_dataarray(path, engine="mrc", mode0="unsigned").dtype == np.uint8
        assert xr.open_dataarray(path, engine="mrc").dtype == np.int8

    def test_coordinates_can_count_pixels_or_be_left_out(self, volume_path: Path) -> None:
        pixels = xr.open_dataarray(volume_path, engine="mrc", coords="pixel")
        assert pixels.x.attrs["units"] == "pixel"
        assert pixels.x.values.tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert not xr.open_dataarray(volume_path, engine="mrc", coords=None).coords

    @pytest.mark.parametrize(
        "option", [{"coords": "angstrom"}, {"kind": "cube"}, {"mode0": "both"}, {"origin": "here"}]
    )
    def test_unknown_option_value_is_refused(self, volume_path: Path, option: dict[str, Any]) -> None:
        with pytest.raises(MrcValueError, match=f"{next(iter(option))} is '{next(iter(option.values()))}'"):
            xr.open_dataset(volume_path, engine="mrc", **option)

    def test_unknown_voxel_size_gives_pixels_and_one_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), cella=(0.0, -1.0, float("nan"))))
        with pytest.warns(
            MrcWarning, match=r"a\.mrc: the voxel size is unknown along x, y, z .*ylen -1.*count pixels; .*mrcarray fix"
        ) as seen:
            opened = xr.open_dataarray(path, engine="mrc")
        assert len(seen) == 1
        assert seen[0].filename == __file__
        assert {opened[axis].attrs["units"] for axis in "xyz"} == {"pixel"}

    def test_symmetry_records_come_along_and_can_be_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ccp4"
        records = b"X,Y,Z".ljust(80) + b"-X,Y+1/2,-Z".ljust(80)
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), ispg=4, extended=records))
        assert xr.open_dataarray(path).attrs["symmetry"] == "X,Y,Z\n-X,Y+1/2,-Z"
        assert "symmetry" not in xr.open_dataarray(path, engine="mrc", extended=False).attrs

    def test_control_characters_of_file_reach_no_terminal(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(
            mrc_bytes(
                sample((2, 3, 4), 2), labels=b"\x1b[2J\x07 gone", nlabl=1, exttyp=b"\x1b[2J", extended=b"\x1b" * 80
            )
        )
        with pytest.warns(MrcWarning, match="exttyp") as seen:
            opened = xr.open_dataset(path, engine="mrc", extended="all")
        shown = [repr(opened), repr(opened.data), repr(opened.data.mrc), *(str(one.message) for one in seen)]
        for text in shown:
            assert "\x1b" not in text
            assert "\x07" not in text
        for values in (*opened.data.attrs.values(), *opened.attrs.values()):
            assert "\x1b" not in "".join(values if isinstance(values, list) else [str(values)])

    def test_binary_extended_headers_are_no_symmetry(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 2), extended=b"\x01\xff" * 80))
        assert "symmetry" not in xr.open_dataarray(path).attrs

    def test_wrong_files_raise_our_errors_through_xarray(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(header_bytes(mode=99))
        with pytest.raises(MrcFormatError, match=r"a\.mrc: word 4 \(mode\) is 99"):
            xr.open_dataset(path, engine="mrc")

    def test_permissive_opening_of_data_that_cannot_be_found_gives_header_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(header_bytes(mode=99, ispg=19))
        with pytest.warns(MrcWarning, match="mode"):
            opened = xr.open_dataset(path, engine="mrc", permissive=True)
        assert not opened.variables
        assert opened.attrs["space_group"] == 19
        assert opened.encoding["source"] == str(path)

    def test_permissive_opening_of_truncated_file_gives_its_whole_sections(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        values = sample((6, 5, 7), 2)
        path.write_bytes(mrc_bytes(values)[:-200])
        with pytest.warns(MrcWarning, match="MRC201"):
            opened = xr.open_dataarray(path, engine="mrc", permissive=True)
        np.testing.assert_array_equal(opened.values, values[:4])


class TestChunks:
    SHAPES: ClassVar[dict[str, tuple[tuple[int, ...], int, str]]] = {
        "movie": ((50, 4092, 5760), 0, "image_stack"),
        "tomogram": ((300, 1023, 1440), 2, "volume"),
        "particles": ((20000, 256, 256), 2, "particles"),
        "map": ((512, 512, 512), 2, "volume"),
        "superresolution": ((8, 8184, 11520), 2, "movie"),
        "micrograph": ((4092, 5760), 2, "image"),
    }

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("chunks", [{}, "auto", -1, {"y": 512}, {"section": 100, "z": 10, "particle": 100}])
    def test_chunks_are_single_runs_of_bytes_and_bring_no_warning(
        self, shape: str, chunks: Any, tmp_path: Path
    ) -> None:
        lengths, mode, kind = self.SHAPES[shape]
        path = sparse(tmp_path / "a.mrc", lengths, mode)
        if isinstance(chunks, dict):
            dims = xr.open_dataset(path, engine="mrc", kind=kind).data.dims
            chunks = {dim: n for dim, n in chunks.items() if dim in dims}
        opened = xr.open_dataset(path, engine="mrc", kind=kind, chunks=chunks)
        array = opened["data"]
        assert array.chunks is not None
        assert array.chunks[-1] == (lengths[-1],)
        if chunks in ({}, "auto"):
            _assert_contiguous(array.chunks, array.shape)
            assert math.prod(max(sizes) for sizes in array.chunks) * array.dtype.itemsize <= 128 << 20

    def test_no_chunks_means_no_dask(self, volume_path: Path) -> None:
        assert xr.open_dataarray(volume_path, chunks=None).chunks is None

    def test_small_sections_are_grouped(self, tmp_path: Path) -> None:
        path = sparse(tmp_path / "a.mrcs", (20000, 256, 256), 2, ispg=0, m=(256, 256, 1))
        assert xr.open_dataarray(path, engine="mrc", chunks={}).chunksizes["section"][0] == 80

    def test_user_may_prefer_other_chunks(self, volume_path: Path) -> None:
        opened = xr.open_dataarray(volume_path, engine="mrc", chunks={}, preferred_chunks={"z": 4})
        assert opened.chunksizes["z"] == (4, 2)

    def test_preferred_chunks_of_unknown_dims_are_refused(self, volume_path: Path) -> None:
        with pytest.raises(MrcValueError, match=r"preferred_chunks names \['t'\].*\['z', 'y', 'x'\]"):
            xr.open_dataset(volume_path, engine="mrc", preferred_chunks={"t": 4})


class TestIdentity:
    def test_two_files_of_one_relative_name_have_different_dask_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names, arrays = set(), []
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            path = tmp_path / folder / "x.mrc"
            path.write_bytes(mrc_bytes(np.full((2, 3, 4), ord(folder), np.float32)))
            os.utime(path, (1e9, 1e9))
            monkeypatch.chdir(tmp_path / folder)
            arrays.append(mrcarray.open_dataarray("x.mrc", chunks={}))
            names.add(arrays[-1].data.name)
        assert len(names) == 2
        both = xr.concat(arrays, "file").values
        assert (both[0] == ord("a")).all()
        assert (both[1] == ord("b")).all()

    def test_rewritten_file_of_same_time_has_another_name(self, volume_path: Path) -> None:
        os.utime(volume_path, (1e9, 1e9))
        before = mrcarray.open_dataarray(volume_path, chunks={}).data.name
        fresh = volume_path.with_name("fresh")
        fresh.write_bytes(mrc_bytes(sample((6, 5, 7), 2, seed=9)))
        fresh.replace(volume_path)
        os.utime(volume_path, (1e9, 1e9))
        assert mrcarray.open_dataarray(volume_path, chunks={}).data.name != before

    def test_fingerprint_of_another_file_is_refused(self, volume_path: Path) -> None:
        with pytest.raises(StaleFileError, match=r"volume\.mrc"):
            xr.open_dataset(volume_path, engine="mrc", fingerprint=(1, 2, 3))

    @pytest.mark.parametrize("chunks", [None, {}])
    def test_file_replaced_after_opening_is_never_read(self, volume_path: Path, chunks: Any) -> None:
        opened = mrcarray.open_dataarray(volume_path, chunks=chunks)
        pickled = pickle.dumps(opened)
        volume_path.write_bytes(mrc_bytes(sample((6, 5, 7), 2, seed=5)))
        os.utime(volume_path, (1e9, 1e9))
        with pytest.raises(StaleFileError, match=r"volume\.mrc.*changed"):
            opened.isel(z=0).compute()
        with pytest.raises(StaleFileError, match=r"volume\.mrc.*changed"):
            pickle.loads(pickled).isel(z=0).compute()

    def test_file_truncated_after_opening_is_error(self, volume_path: Path) -> None:
        opened = xr.open_dataarray(volume_path)
        os.truncate(volume_path, 1100)
        with pytest.raises(StaleFileError):
            opened.load()


class TestPickling:
    def test_array_is_small_recipe(self, volume_path: Path) -> None:
        lazy = mrcarray.open_array(volume_path)
        assert len(pickle.dumps(lazy)) <= 200 + len(str(volume_path))
        assert len(pickle.dumps(MrcBackendArray(lazy))) <= 300 + len(str(volume_path))

    @pytest.mark.parametrize("method", ["spawn", "fork"])
    def test_datasets_are_read_by_other_processes(self, volume_path: Path, method: str) -> None:
        opened = xr.open_dataset(volume_path)
        expected = float(opened.data.values.sum())
        if method == "fork" and sys.version_info >= (3, 12):
            pytest.skip("forking with threads warns from Python 3.12")
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(_total, (opened,)) == expected
            opened.close()
            assert pool.apply(_total, (opened,)) == expected

    def test_copies_are_lazy_and_share_recipe(self, volume_path: Path) -> None:
        opened = xr.open_dataarray(volume_path, cache=False)
        for twin in (copy.copy(opened), copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
            assert not twin.variable._in_memory
            np.testing.assert_array_equal(twin.values, opened.values)

    def test_open_file_object_can_be_copied_deeply(self, volume_path: Path) -> None:
        opened = xr.open_dataarray(io.BytesIO(volume_path.read_bytes()), engine="mrc")
        np.testing.assert_array_equal(opened.copy(deep=True).values, opened.values)

    def test_dask_token_is_that_of_file(self, volume_path: Path) -> None:
        first, second = (MrcBackendArray(mrcarray.open_array(volume_path)) for _ in range(2))
        assert first.__dask_tokenize__() == second.__dask_tokenize__()


class TestGuests:
    @pytest.mark.parametrize("mode", [0, 1, 2, 6, 101])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_netcdf_keeps_data_and_attrs(self, tmp_path: Path, mode: int, byteorder: str) -> None:
        opened = _rich(tmp_path, mode, byteorder)
        opened.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
            xr.testing.assert_equal(back, opened)
            _assert_same_attrs(back.data.attrs, opened.data.attrs)
            _assert_same_attrs(back.x.attrs, opened.x.attrs)

    @pytest.mark.parametrize("mode", [0, 1, 2, 4, 6, 12, 101])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_zarr_keeps_data_and_attrs(self, tmp_path: Path, mode: int, byteorder: str) -> None:
        opened = _rich(tmp_path, mode, byteorder)
        opened.to_zarr(tmp_path / "a.zarr", consolidated=False)
        back = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
        xr.testing.assert_equal(back, opened)
        assert set(back.data.attrs) == set(opened.data.attrs)

    @pytest.mark.parametrize("chunks", [None, {}, "auto"])
    def test_texts_per_section_and_colours_are_chunked_and_saved(self, tmp_path: Path, chunks: Any) -> None:
        path = tmp_path / "a.mrc"
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 16), 16, ispg=0, m=(4, 3, 1)))
        opened = xr.open_dataset(path, engine="mrc", chunks=chunks)
        assert opened.rgb.values.tolist() == ["red", "green", "blue"]
        opened.to_zarr(tmp_path / "a.zarr", consolidated=False)
        opened.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
            xr.testing.assert_equal(back, opened)

    @pytest.mark.parametrize("parallel", [False, True])
    def test_many_files_open_as_one(self, tmp_path: Path, parallel: bool) -> None:
        values = sample((3, 4, 5, 6), 2)
        for i, one in enumerate(values):
            (tmp_path / f"{i}.mrc").write_bytes(mrc_bytes(one))
        paths = sorted(tmp_path.glob("*.mrc"))
        with xr.open_mfdataset(
            paths,
            engine="mrc",
            combine="nested",
            concat_dim="file",
            parallel=parallel,
            join="exact",
            compat="override",
            coords="minimal",
            data_vars="all",
        ) as opened:
            np.testing.assert_array_equal(opened.data.values, values)

    async def test_loading_works_in_event_loop(self, volume_path: Path) -> None:
        opened = xr.open_dataset(volume_path)
        loaded = await opened.isel(z=[4, 1]).load_async()
        np.testing.assert_array_equal(loaded.data.values, xr.open_dataarray(volume_path).values[[4, 1]])

    async def test_several_loads_overlap(self, volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import asyncio
        import threading

        meet = threading.Barrier(3, timeout=20)
        read = MrcArray._read

        def slow(self: MrcArray, key: Any, indexing: Any) -> Any:
            meet.wait()
            return read(self, key, indexing)

        monkeypatch.setattr(MrcArray, "_read", slow)
        opened = [xr.open_dataset(volume_path) for _ in range(3)]
        await asyncio.gather(*(one.load_async() for one in opened))
        assert all(one.data.variable._in_memory for one in opened)

    def test_no_descriptor_is_held_open_or_closed(self, volume_path: Path) -> None:
        process = psutil.Process()
        before = {file.path for file in process.open_files()}
        with xr.open_dataset(volume_path) as opened:
            opened.data[2].load()
            assert {file.path for file in process.open_files()} == before
        np.testing.assert_array_equal(opened.data[1].values.shape, (5, 7))


class TestReading:
    def test_section_is_read_once_and_nothing_else(self, volume_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = xr.open_dataarray(volume_path, cache=False)
        ranges = watch_reads(monkeypatch)
        opened.isel(z=2).load()
        plane = 5 * 7 * 4
        assert ranges == [(1024 + 2 * plane, 1024 + 3 * plane)]

    def test_points_do_not_read_box_around_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = sparse(tmp_path / "a.mrc", (64, 512, 512), 2)
        opened = xr.open_dataarray(path, cache=False)
        ranges = watch_reads(monkeypatch)
        points = {"z": xr.DataArray([0, 63], dims="p"), "y": xr.DataArray([0, 511], dims="p")}
        opened.isel(points).load()
        assert sum(stop - start for start, stop in ranges) <= 2 * 512 * 4 + 2 * 65536

    def test_transposed_array_is_read_without_large_index_arrays(self, tmp_path: Path) -> None:
        import tracemalloc

        path = sparse(tmp_path / "a.mrc", (32, 128, 128), 2)
        turned = xr.open_dataarray(path, cache=False).transpose("x", "y", "z")
        tracemalloc.start()
        values = turned.values
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert values.shape == (128, 128, 32)
        assert peak <= 2.2 * values.nbytes


def _total(opened: xr.Dataset) -> float:
    return float(opened.data.values.sum())


def _assert_contiguous(chunks: tuple[tuple[int, ...], ...], shape: tuple[int, ...]) -> None:
    """Every axis behind the first one cut into pieces of more than 1 is whole."""
    cut = [axis for axis, sizes in enumerate(chunks) if len(sizes) > 1]
    if cut:
        last = cut[-1]
        assert all(sizes == (shape[axis],) for axis, sizes in enumerate(chunks) if axis > last)
        assert all(max(chunks[axis]) == 1 for axis in range(last))


def _rich(folder: Path, mode: int, byteorder: str) -> xr.Dataset:
    """Open a file whose header has something to say in every attr."""
    labels = b"first".ljust(80) + b"second".ljust(80)
    path = folder / "rich.ccp4"
    path.write_bytes(
        mrc_bytes(
            sample((2, 3, 4), mode),
            mode,
            byteorder,
            extended=b"X,Y,Z".ljust(80),
            ispg=4,
            nlabl=2,
            labels=labels,
            origin=(1.0, 2.0, 3.0),
            nstart=(1, 1, 1),
            cellb=(90.0, 110.0, 90.0),
            m=(8, 6, 4),
            exttyp=b"CCP4",
        )
    )
    return xr.open_dataset(path, engine="mrc")


def _assert_same_attrs(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


@pytest.mark.parametrize("option", ["bogus", "decode_times", "header_only"])
def test_unknown_option_names_function_and_its_options(tmp_path: Path, option: str) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(header_bytes(nx=1, ny=1, nz=1, mode=0) + b"\0")
    with pytest.raises(TypeError, match=rf"engine=\"mrc\"\) got an unexpected .*'{option}'; expected one of .*kind"):
        xr.open_dataset(path, engine="mrc", **cast("Any", {option: True}))
    functions: tuple[Any, ...] = (mrcarray.open_array, mrcarray.from_mrc)
    for function in functions:
        with pytest.raises(TypeError, match=rf"^{function.__name__}\(\) got an unexpected .*'{option}'"):
            function(path, **{option: True})

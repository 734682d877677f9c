"""The writer: what it writes, and what it refuses."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import dask.array as da
import gemmi
import hypothesis.strategies as st
import mrcfile
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

import mrcarray
from mrcarray import block_writer
from mrcarray.errors import MrcValueError, MrcWarning
from mrcarray.format.builder import Draft, draft
from mrcarray.format.header import Header
from mrcarray.region_writer import create, finalize, write_region
from mrcarray.statistics import Stats
from mrcarray.writer import Writer
from tests import builders
from tests.writing import left, put, read, sample

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = ["i1", "i2", "u2", "f2", "f4", "c8", "u1", "?"]
NAMES = ["a.mrc", "a.mrc.gz", "a.mrc.bz2"]


# ------------------------------------------------------------------------------------------ what is written


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_mrcfile_reads_what_was_written_and_calls_it_valid(tmp_path: Path, dtype: str, name: str) -> None:
    values, path = sample(dtype=dtype), tmp_path / name
    put(path, values, voxel_size=1.5)
    with mrcfile.open(path) as found:
        np.testing.assert_array_equal(found.data, values)
        assert found.voxel_size.x == 1.5
    assert mrcfile.validate(path, print_file=io.StringIO())


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4"])
def test_gemmi_reads_what_was_written(tmp_path: Path, dtype: str) -> None:
    values = sample(dtype=dtype)
    put(tmp_path / "a.map", values, voxel_size=2.0)
    found = gemmi.read_ccp4_map(str(tmp_path / "a.map"))
    np.testing.assert_array_equal(found.grid.array.transpose(), values.astype("f4"))
    assert found.grid.unit_cell.a == 2.0 * values.shape[2]


@pytest.mark.parametrize(("shape", "kind"), [((7, 9), "image"), ((3, 7, 9), "volume"), ((2, 3, 7, 9), "volume_stack")])
def test_the_kind_follows_from_the_axes(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    put(tmp_path / "a.mrc", sample(shape))
    with mrcfile.open(tmp_path / "a.mrc") as found:
        assert found.data.shape == shape
    assert mrcarray.open_array(tmp_path / "a.mrc").layout.kind == kind


@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    mode=st.sampled_from([0, 1, 2, 3, 4, 6, 12, 101]),
    order=st.sampled_from("<>"),
    extended=st.binary(max_size=200),
    seed=st.integers(0, 99),
)
def test_every_mode_in_both_byte_orders_has_the_bytes_of_the_oracle(  # noqa: PLR0917 -- drawn by name
    tmp_path: Path, shape: list[int], mode: int, order: str, extended: bytes, seed: int
) -> None:
    values = builders.sample(tuple(shape), mode, seed)
    put(tmp_path / "a.mrc", values, mode=mode, byteorder=order, extended=extended, overwrite=True, sync=False)
    raw = (tmp_path / "a.mrc").read_bytes()
    assert raw[1024 : 1024 + len(extended)] == extended
    assert raw[1024 + len(extended) :] == builders.data_bytes(values, mode, order)
    assert raw[212:214] == (b"DD" if order == "<" else b"\x11\x11")
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)


@given(data=st.data())
def test_regions_in_any_order_make_the_array_and_its_statistics(tmp_path: Path, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 8), min_size=3, max_size=3)))
    values = sample(shape, data.draw(st.sampled_from(["i2", "f4", "c8"])))
    cuts = [sorted({0, n, *data.draw(st.sets(st.integers(0, n), max_size=3))}) for n in shape]
    keys = [
        tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
        for starts, stops in zip(
            (tuple(p) for p in np.array(np.meshgrid(*(c[:-1] for c in cuts), indexing="ij")).reshape(3, -1).T),
            (tuple(p) for p in np.array(np.meshgrid(*(c[1:] for c in cuts), indexing="ij")).reshape(3, -1).T),
            strict=True,
        )
    ]
    with Writer(tmp_path / "a.mrc", shape, values.dtype, overwrite=True, sync=False) as out:
        for key in data.draw(st.permutations(keys)):
            out[key] = values[key]
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)
    header = mrcarray.read_header(tmp_path / "a.mrc")
    wide = values.astype("c16" if values.dtype.kind == "c" else "f8")
    assert header.rms == pytest.approx(wide.std(), rel=1e-6, abs=1e-7)
    if values.dtype.kind != "c":
        assert (header.dmin, header.dmax) == (values.min(), values.max())


def test_keys_are_integers_slices_and_dots_as_in_numpy(tmp_path: Path) -> None:
    expected = np.zeros((4, 5, 6), dtype="i2")
    with Writer(tmp_path / "a.mrc", (4, 5, 6), "i2") as out:
        for target in (expected, out):
            target[...] = 1
            target[-1] = np.arange(6)
            target[1:3, 2] = 7
            target[..., -2:] = 9
            target[0, 0, 0] = 5
            target[2:1] = 3
        warning = pytest.warns(MrcWarning, match="exactly once")
        with warning:
            out.close()
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), expected)
    assert mrcarray.read_header(tmp_path / "a.mrc").rms == pytest.approx(expected.std(), rel=1e-6)


def test_wrong_keys_are_refused(tmp_path: Path) -> None:
    out = Writer(tmp_path / "a.mrc", (4, 5, 6), "i2")
    key: Any
    for key in (slice(0, 4, 2), [1, 2], np.array([True] * 4), None):
        with pytest.raises(MrcValueError):
            out[key] = 1
    for key in (4, (0, 0, 0, 0), (..., ...)):
        with pytest.raises(IndexError):
            out[key] = 1
    with pytest.raises(MrcValueError, match=r"shape \(6, 5\); the region to be written has \(5, 6\)"):
        out[0] = np.zeros((6, 5))
    out.abort()


def test_sections_can_be_appended_without_knowing_how_many(tmp_path: Path) -> None:
    values = sample((5, 7, 9), "i2")
    for name in NAMES:
        with Writer(tmp_path / name, (None, 7, 9), "i2", voxel_size=2.0) as out:
            for section in values[:3]:
                out.append(section)
            out.append(values[3:])
            assert out.shape == (5, 7, 9)
        with mrcfile.open(tmp_path / name) as found:
            np.testing.assert_array_equal(found.data, values)
            assert found.header.mz == 5
            assert found.header.cella.z == 10.0
        header = mrcarray.read_header(tmp_path / name)
        assert header.rms == pytest.approx(values.std(), rel=1e-6)


def test_an_appended_image_stack_keeps_mz_1(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.mrc", (None, 7, 9), "i2", kind="image_stack") as out:
        out.append(sample((2, 7, 9), "i2"))
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.nz, header.mz, header.ispg) == (2, 1, 0)


def test_appending_wrong_things_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MrcValueError, match="fixed"), Writer(tmp_path / "a.mrc", (2, 3), "i2") as out:
        out.append(np.zeros((3,)))
    with (
        pytest.raises(MrcValueError, match="expected \\(7, 9\\)"),
        Writer(tmp_path / "a.mrc", (None, 7, 9), "i2") as out,
    ):
        out.append(np.zeros((9, 7)))
    with pytest.raises(MrcValueError, match="volume_stack"):
        Writer(tmp_path / "a.mrc", (None, 2, 7, 9), "i2")
    with pytest.raises(MrcValueError, match="no section"), Writer(tmp_path / "a.mrc", (None, 7, 9), "i2"):
        pass
    assert not list(tmp_path.iterdir())


def test_threads_may_write_at_once(tmp_path: Path) -> None:
    values = sample((32, 64, 64))
    with Writer(tmp_path / "a.mrc", values.shape, "f4") as out:

        def some(first: int) -> None:
            for z in range(first, 32, 4):
                out[z] = values[z]

        threads = [threading.Thread(target=some, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)
    assert mrcarray.read_header(tmp_path / "a.mrc").dmean == pytest.approx(values.mean(dtype="f8"), rel=1e-5, abs=1e-7)


def test_large_arrays_are_written_in_pieces_by_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_writer, "PIECE", 1000)
    monkeypatch.setattr("mrcarray.storage.coalesce.THREADED", 0)
    values = sample((20, 50, 60), "i2")
    put(tmp_path / "a.mrc", values)
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)
    assert mrcarray.read_header(tmp_path / "a.mrc").rms == pytest.approx(values.std(), rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [lambda a: a.T, lambda a: a[::-1, :, ::2], lambda a: a.astype(">f4"), np.asfortranarray],
    ids=["transposed", "strided", "big-endian", "fortran"],
)
def test_arrays_in_any_memory_order_and_byte_order(tmp_path: Path, change: Any) -> None:
    values = change(sample())
    put(tmp_path / "a.mrc", values)
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)


@pytest.mark.parametrize("extreme", [1e30, 1e-30, 3.4e38])
def test_statistics_of_extreme_floats_are_right(tmp_path: Path, extreme: float) -> None:
    values = (sample((8, 64, 64)) * 0.2 * extreme).clip(-3.4e38, 3.4e38).astype("f4")
    put(tmp_path / "a.mrc", values)
    header, wide = mrcarray.read_header(tmp_path / "a.mrc"), values.astype("f8")
    assert header.rms == pytest.approx(wide.std(), rel=1e-6)
    assert header.dmean == pytest.approx(wide.mean(), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_leave_the_statistics_undetermined_with_a_warning(
    tmp_path: Path, bad: float
) -> None:
    values = sample()
    values[1, 2, 3] = bad
    with pytest.warns(MrcWarning, match="undetermined") as caught:
        put(tmp_path / "a.mrc", values)
    assert len(caught) == 1
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert (header.dmin, header.dmax, header.dmean, header.rms) == (0, -1, -2, -1)
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)


def test_complex_values_have_an_rms_alone(tmp_path: Path) -> None:
    values = sample(dtype="c8")
    put(tmp_path / "a.mrc", values)
    header = mrcarray.read_header(tmp_path / "a.mrc")
    assert header.dmax < header.dmin
    assert header.rms == pytest.approx(values.astype("c16").std(), rel=1e-6)


def test_statistics_given_by_the_caller_are_taken(tmp_path: Path) -> None:
    out = Writer(tmp_path / "a.mrc", (2, 3, 4), "f4")
    out[...] = 1
    assert out.stats is not None
    out.close(Stats.of(np.arange(24)))
    assert mrcarray.read_header(tmp_path / "a.mrc").dmax == 23


def test_a_pickled_writer_writes_regions_from_elsewhere_and_the_statistics_are_read(tmp_path: Path) -> None:
    values = sample((6, 7, 9))
    with Writer(tmp_path / "a.mrc", values.shape, "f4") as out:
        there = pickle.loads(pickle.dumps(out))
        there[:3] = values[:3]
        there[3:] = values[3:]
        assert (there.shape, there.dtype, there.ndim) == (out.shape, out.dtype, out.ndim)
    np.testing.assert_array_equal(read(tmp_path / "a.mrc"), values)
    assert mrcarray.read_header(tmp_path / "a.mrc").dmin == values.min()
    with Writer(tmp_path / "a.mrc.gz", values.shape, "f4") as packed:
        with pytest.raises(TypeError, match="plain file"):
            pickle.dumps(packed)
        packed.abort()


# ------------------------------------------------------------------------------------------ compressed targets


def test_gzip_and_bzip2_read_the_files_and_the_first_member_holds_the_header(tmp_path: Path) -> None:
    values = sample((64, 200, 200))
    for name, module in (("a.mrc.gz", gzip), ("a.mrc.bz2", bz2)):
        put(tmp_path / name, values, extended=b"x" * 160)
        with module.open(tmp_path / name) as stream:
            raw = stream.read()
        assert raw[1184:] == values.tobytes()
        assert Header(raw[:1024]).dmax == values.max()
        tool = {"a.mrc.gz": "gzip", "a.mrc.bz2": "bzip2"}[name]
        try:
            done = subprocess.run([tool, "-t", str(tmp_path / name)], check=False, capture_output=True)
        except FileNotFoundError:
            continue
        assert done.returncode == 0


@pytest.mark.parametrize("module", ["isal.isal_zlib", "zlib_ng.zlib_ng", "zlib"])
def test_gzip_is_written_by_whatever_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    pytest.importorskip(module)
    from mrcarray.storage.compression import writer

    function = {"isal.isal_zlib": writer._isal, "zlib_ng.zlib_ng": writer._zlib_ng, "zlib": writer._zlib}[module]
    monkeypatch.setattr(writer, "_gzip_function", lambda: function)
    values = sample((64, 200, 200), "i2")
    put(tmp_path / "a.mrc.gz", values, level=1)
    np.testing.assert_array_equal(
        np.frombuffer(gzip.decompress((tmp_path / "a.mrc.gz").read_bytes())[1024:], "i2"), values.ravel()
    )


def test_without_faster_libraries_the_standard_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    from mrcarray.storage.compression import writer

    for name in ("isal.isal_zlib", "zlib_ng.zlib_ng", "isal", "zlib_ng"):
        monkeypatch.setitem(sys.modules, name, None)
    assert writer._gzip_function() is writer._zlib


def test_a_compressed_file_is_written_in_order(tmp_path: Path) -> None:
    with (
        pytest.raises(MrcValueError, match="first section to the last"),
        Writer(tmp_path / "a.gz", (3, 4, 5), "i2") as out,
    ):
        out[1] = 0
    with pytest.raises(MrcValueError, match="regions are missing"), Writer(tmp_path / "a.gz", (3, 4, 5), "i2") as out:
        out[0] = 0
    assert not list(tmp_path.iterdir())


def test_compression_goes_by_suffix_unless_it_is_asked_for(tmp_path: Path) -> None:
    values = sample()
    put(tmp_path / "a.mrc", values, compression="gzip")
    put(tmp_path / "b.mrc.gz", values, compression=None)
    assert (tmp_path / "a.mrc").read_bytes()[:2] == b"\x1f\x8b"
    assert (tmp_path / "b.mrc.gz").read_bytes()[208:212] == b"MAP "
    for wrong in ({"compression": "xz"}, {"compression": "gzip", "level": 10}):
        with pytest.raises(MrcValueError):
            put(tmp_path / "c.mrc", values, **wrong)


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dtype": "f8"}, "no MRC mode stores dtype float64 exactly.*dtype=.*mode="),
        ({"dtype": "i4"}, "int32"),
        ({"dtype": "U3"}, "no MRC mode"),
        ({"mode": 99}, "mode is 99; expected one of 0, 1"),
        ({"mode": True}, "mode is True; expected one of 0, 1"),
        ({"dtype": "c8", "mode": 2}, "pass mode=4, or write .real"),
        ({"shape": (5,)}, "1 axes"),
        ({"shape": ()}, "0 axes"),
        ({"shape": (1, 1, 1, 1, 1)}, "5 axes"),
        ({"shape": (2, -1, 3)}, "no shape"),
        ({"shape": (2**31, 2, 2)}, "nz is 2147483648"),
        ({"kind": "image"}, "3 axes"),
        ({"kind": "cube"}, "expected one of"),
        ({"voxel_size": -1.0}, "voxel_size"),
        ({"voxel_size": float("nan")}, "voxel_size"),
        ({"voxel_size": (1, 2)}, "voxel_size"),
        ({"byteorder": "="}, "byteorder"),
        ({"exttyp": "TOOLONG"}, "four characters"),
        ({"mode": 16}, "last axis of length 3"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_touched(
    tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    (tmp_path / "a.mrc").write_bytes(b"old")
    full = {"shape": (2, 3, 4), "dtype": "f4", **options}
    with pytest.raises(MrcValueError, match=text):
        Writer(tmp_path / "a.mrc", full.pop("shape"), full.pop("dtype"), overwrite=True, **full)
    assert (tmp_path / "a.mrc").read_bytes() == b"old"
    assert not left(tmp_path)


def test_names_may_be_bytes(tmp_path: Path) -> None:
    values: Any = np.arange(60, dtype="f4").reshape(3, 4, 5)
    folder: Any = os.fsencode(tmp_path)
    names = [folder + b"/" + name for name in (b"a.mrc", b"b.mrc.gz", b"c.mrcs", b"caf\xe9.mrc")]
    arrays = (values, values, xr.DataArray(values, dims=("section", "y", "x")), da.from_array(values))
    for name, array in zip(names, arrays, strict=True):
        assert mrcarray.to_mrc(array, name) == os.fsdecode(os.path.realpath(name))
        assert (mrcarray.open_array(os.fsdecode(name))[...] == values).all()
    with Writer(folder + b"/d.mrc", (3, 4, 5), "f4") as out:
        out[...] = values
    made = folder + b"/e.mrc"
    create(made, (3, 4, 5), "f4")
    write_region(made, slice(None), values)
    mrcarray.to_mrc(values[0], made, region={"z": 2})
    finalize(made)
    assert (mrcarray.open_array(os.fsdecode(made))[2] == values[0]).all()


def test_a_value_out_of_range_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(b"old")
    with pytest.raises(MrcValueError, match="value 70000 does not fit mode 6"):
        put(tmp_path / "a.mrc", np.full((2, 3, 4), 70000.0), mode=6, overwrite=True)
    assert (tmp_path / "a.mrc").read_bytes() == b"old"
    assert not left(tmp_path)


def test_a_plan_whose_parts_contradict_each_other_is_refused() -> None:
    plan = draft((2, 3, 4), "f4")
    for header in (plan.header.replace(nx=5), plan.header.replace(mode=1), plan.header.replace(nsymbt=80)):
        with pytest.raises(MrcValueError, match="the data to be written need"):
            Draft(plan.layout, header)
    with pytest.raises(MrcValueError, match="byte order"):
        Draft(plan.layout, draft((2, 3, 4), "f4", byteorder=">").header)


@pytest.mark.parametrize("name", ["a.mrc.xz", "a.map.ZST", "a.mrc.zstd"])
def test_a_name_that_promises_a_compression_we_only_read_is_refused(tmp_path: Path, name: str) -> None:
    values = np.zeros((3, 4, 5), "f4")
    with pytest.raises(MrcValueError, match=f"{name}.*only read; write .gz or .bz2"):
        mrcarray.to_mrc(values, tmp_path / name)
    assert not list(tmp_path.iterdir())
    mrcarray.to_mrc(values, tmp_path / name, compression=None)
    assert mrcarray.open_array(tmp_path / name).shape == (3, 4, 5)

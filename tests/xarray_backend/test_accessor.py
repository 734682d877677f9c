"""The accessor ``.mrc``, and how it gets there."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.errors import MrcValueError, MrcWarning
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path


IMPORT_ORDERS = [
    "import mrcarray, sys; assert 'xarray' not in sys.modules; import xarray",
    "import xarray; import mrcarray",
    "import mrcarray; import importlib.util; importlib.util.find_spec('xarray'); import xarray",
    "import mrcarray; from xarray import DataArray; import xarray",
    "import mrcarray; import xarray.core.dataset; import xarray",
    "import xarray; xarray.open_dataset({path!r}, engine='mrc')",
    "import xarray; xarray.open_dataset({path!r})",
]
FORK = """\
import json, os, sys, traceback
import numpy, pandas  # what xarray imports is loaded once, and xarray itself by each child
for code in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        try:
            exec(code, {})
        except BaseException:
            traceback.print_exc()
            print("in:", code, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""
"""Runs each of several programs in a fork of one process."""


class TestImportHook:
    def test_accessor_is_registered_in_any_import_order(self, volume_path: Path) -> None:
        check = "; assert xarray.DataArray([[1]], dims=('y', 'x')).mrc.kind == 'image'"
        check += "; assert hasattr(xarray.Dataset, 'mrc')"
        _run(*(order.format(path=str(volume_path)) + check for order in IMPORT_ORDERS))

    def test_import_of_xarray_is_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "xarray").mkdir()
        (tmp_path / "xarray" / "__init__.py").write_text("raise RuntimeError('broken')")
        loader = (
            "import mrcarray, sys, xarray; from mrcarray.xarray_backend import import_hook;"
            "assert type(xarray.__loader__).__module__ == '_frozen_importlib_external';"
            "assert xarray.__spec__.loader is xarray.__loader__;"
            "assert not [f for f in sys.meta_path if type(f).__module__ == import_hook.__name__]"
        )
        missing = (
            "import sys; sys.modules['xarray'] = None; import mrcarray; mrcarray.read_header;"
            "del sys.modules['xarray']; sys.path[:] = []; sys.path_importer_cache.clear()\n"
            "try: import xarray\nexcept ModuleNotFoundError: pass\nelse: raise SystemExit(1)"
        )
        failed_once = (
            f"import mrcarray, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "try: import xarray\nexcept RuntimeError: pass\nelse: raise SystemExit(1)\n"
            f"sys.path.remove({str(tmp_path)!r})\n"
            "import xarray; assert xarray.DataArray([1]).mrc.kind is None"
        )
        installed_twice = (
            "import mrcarray, sys; from mrcarray.xarray_backend import import_hook; import_hook.install();"
            "assert sum(type(f).__module__ == import_hook.__name__ for f in sys.meta_path) == 1;"
            "import xarray; import_hook.install(); assert xarray.DataArray([1]).mrc.kind is None"
        )
        _run(loader, missing, failed_once, installed_twice)

    def test_find_spec_does_not_import_xarray(self) -> None:
        assert importlib.util.find_spec("xarray") is not None

    def test_failing_child_fails_test(self) -> None:
        with pytest.raises(AssertionError, match=r"in: 1 / 0"):
            _run("pass", "1 / 0")


def _run(*codes: str) -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", FORK, json.dumps(codes)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr


@pytest.fixture
def volume(tmp_path: Path) -> xr.DataArray:
    """Return a volume with three different voxel lengths, away from zero."""
    path = tmp_path / "volume.mrc"
    cella = (7 * 2.0, 5 * 2.5, 6 * 3.0)
    path.write_bytes(mrc_bytes(sample((6, 5, 7), 2), cella=cella, origin=(10.0, 20.0, 30.0)))
    return xr.open_dataarray(path)


class TestPlace:
    def test_voxel_size_and_origin_are_those_of_coords(self, volume: xr.DataArray) -> None:
        assert volume.mrc.voxel_size == (2.0, 2.5, 3.0)
        assert volume.mrc.origin == (10.0, 20.0, 30.0)

    def test_they_follow_selection_and_binning(self, volume: xr.DataArray) -> None:
        assert volume.isel(x=slice(1, None, 2)).mrc.voxel_size == (4.0, 2.5, 3.0)
        assert volume.isel(x=slice(1, None, 2)).mrc.origin == (12.0, 20.0, 30.0)
        assert volume.coarsen(z=2).mean().mrc.voxel_size == (2.0, 2.5, 6.0)

    def test_they_survive_arithmetic_and_turning(self, volume: xr.DataArray) -> None:
        assert (2 * volume.T).mrc.voxel_size == (2.0, 2.5, 3.0)

    def test_they_are_same_for_dataset(self, volume: xr.DataArray) -> None:
        assert volume.to_dataset(name="data").mrc.origin == volume.mrc.origin

    def test_step_that_is_unknown_or_not_constant_is_nan(self, volume: xr.DataArray) -> None:
        assert math.isnan(volume.isel(z=[0, 1, 3]).mrc.voxel_size[2])
        assert math.isnan(volume.isel(z=[2]).mrc.voxel_size[2])
        assert math.isnan(volume.isel(z=2, drop=True).mrc.voxel_size[2])
        assert math.isnan(volume.drop_vars("z").mrc.origin[2])

    def test_pixels_are_not_taken_for_angstroms(self, volume: xr.DataArray) -> None:
        pixels = xr.open_dataarray(volume.encoding["source"], engine="mrc", coords="pixel")
        assert all(map(math.isnan, pixels.mrc.voxel_size))

    def test_selected_section_has_position(self, volume: xr.DataArray) -> None:
        assert volume.isel(z=2).mrc.origin == (10.0, 20.0, 36.0)


class TestKind:
    @pytest.mark.parametrize(
        ("dims", "kind"),
        [
            ("y x", "image"),
            ("section y x", "image_stack"),
            ("tilt y x", "tilt_series"),
            ("frame y x", "movie"),
            ("particle y x", "particles"),
            ("y x z", "volume"),
            ("volume z y x", "volume_stack"),
            ("y x rgb", "image"),
            ("volume y x", None),
            ("section z y x", None),
            ("time", None),
        ],
    )
    def test_kind_follows_dims(self, dims: str, kind: str | None) -> None:
        names = dims.split()
        assert xr.DataArray(np.zeros((2,) * len(names)), dims=names).mrc.kind == kind


class TestHeader:
    def test_it_is_read_from_file_again(self, volume: xr.DataArray) -> None:
        assert volume.mrc.header == mrcarray.read_header(volume.encoding["source"])
        assert volume.isel(z=0).mrc.header.nz == 6

    def test_header_repr_shows_fields_and_issues(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mrc"
        old = np.full((1024, 32), 45, "<f4").tobytes()
        path.write_bytes(mrc_bytes(sample((2, 3, 4), 1), 1, "<", old, ispg=0, exttyp=b"FEI1", machst=bytes(4)))
        with pytest.warns(MrcWarning, match="MRC401"):
            header = xr.open_dataarray(path, engine="mrc").mrc.header
        fields, *notes = str(header).splitlines()
        assert fields.startswith("OpenedHeader(nx=4, ny=3, nz=2, mode=1,")
        assert (
            "note: word 54 (machine stamp) is 00 00 00 00; read as little-endian, which its words suggest [MRC161]"
            in notes
        )
        assert any(note.startswith("warning: word 27 (exttyp) is 'FEI1', but") for note in notes)
        plain = mrcarray.read_header(path, permissive=True)
        assert header == plain
        assert plain == header
        assert hash(header) == hash(plain)

    def test_it_is_there_for_dataset(self, volume: xr.DataArray) -> None:
        assert xr.open_dataset(volume.encoding["source"]).mrc.header.nx == 7

    def test_array_without_file_is_refused(self, volume: xr.DataArray) -> None:
        with pytest.raises(MrcValueError, match=r"does not know its file.*read_header"):
            (volume * 2).mrc.header  # noqa: B018 -- to be looked at is what it is for


class TestSameGrid:
    def test_values_do_not_matter(self, volume: xr.DataArray) -> None:
        assert volume.mrc.same_grid(volume * 2)
        assert volume.mrc.same_grid(volume.to_dataset(name="data"))

    def test_rounding_does_not_matter(self, volume: xr.DataArray) -> None:
        assert volume.mrc.same_grid(volume.assign_coords(x=("x", volume.x.values + 1e-5, volume.x.attrs)))

    def test_position_step_length_order_unit_and_labels_matter(self, volume: xr.DataArray) -> None:
        others = [
            volume.assign_coords(x=("x", volume.x.values + 1, volume.x.attrs)),
            volume.assign_coords(x=("x", volume.x.values * 1.01, volume.x.attrs)),
            volume.assign_coords(x=("x", volume.x.values, {"units": "nm"})),
            volume.isel(x=slice(1, None)),
            volume.transpose(),
            volume.drop_vars("x"),
        ]
        assert not any(volume.mrc.same_grid(other) for other in others)

    def test_two_without_coords_are_same(self, volume: xr.DataArray) -> None:
        bare = volume.drop_vars(["x", "y", "z"])
        assert bare.mrc.same_grid(bare + 1)


class TestRepr:
    def test_repr_shows_array_and_header(self, volume: xr.DataArray, volume_path: Path) -> None:
        first, *rows = repr(volume.mrc).splitlines()
        assert first == "<mrc volume (z 6, y 5, x 7); voxel size (x, y, z) 2, 2.5, 3 angstrom>"
        assert f"  file        {volume_path}" in rows
        assert any(row.startswith("  mode        2, little endian") for row in rows)
        assert any("[MRC301]" in row for row in rows)
        assert "no MRC kind" in repr(xr.DataArray([1], dims="<b>").mrc)

    def test_repr_shows_position_of_part(self, volume: xr.DataArray) -> None:
        part = volume.isel(z=slice(2, None)) * 1
        first, *rows = repr(part.mrc).splitlines()
        assert "(z 4, y 5" in first
        assert rows[0] == "  origin      {:g}, {:g}, {:g} angstrom".format(*part.mrc.origin)
        labels = [f"  label {n:<5} {text}" for n, text in enumerate(volume.attrs.get("labels", ()), 1)]
        assert rows[1:] == labels

    def test_repr_of_other_format_shows_attributes(self, volume: xr.DataArray, tmp_path: Path) -> None:
        volume.attrs["labels"] = ["<b>one</b>", "two\x1b"]
        volume.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xr.open_dataarray(tmp_path / "a.nc", engine="h5netcdf") as found:
            assert repr(found.mrc).splitlines()[2:] == [
                f"  file        {tmp_path / 'a.nc'}",
                "  label 1     <b>one</b>",
                "  label 2     two\\x1b",
            ]
            with pytest.raises(MrcValueError, match="read from a file of another format"):
                found.mrc.header  # noqa: B018 -- to be looked at is what it is for
            found.attrs["labels"] = 7
            assert len(repr(found.mrc).splitlines()) == 3

    def test_file_that_is_gone_or_far_away_is_no_reason_to_fail(self, volume: xr.DataArray) -> None:
        volume.encoding["source"] = "/nowhere/a.mrc"
        assert "  header      cannot be read: No such file or directory" in repr(volume.mrc).splitlines()
        volume.encoding["source"] = "http://127.0.0.1:9/a.mrc"
        assert repr(volume.mrc).splitlines()[-1] == "  file        http://127.0.0.1:9/a.mrc"

    def test_html_is_escaped(self, volume: xr.DataArray) -> None:
        assert "&lt;b&gt;" in xr.DataArray([1], dims="<b>").mrc._repr_html_()
        volume.encoding["source"] = "/nowhere/<script>\x1b.mrc"
        page = volume.mrc._repr_html_()
        assert "<th>file</th><td>/nowhere/&lt;script&gt;\\x1b.mrc</td>" in page

    def test_html_has_table_of_header_fields(self, volume: xr.DataArray) -> None:
        row = "<td>4</td><td>mode</td><td>2</td>"
        for page in (volume.mrc._repr_html_(), volume.mrc.header._repr_html_()):
            assert page.count("<td>nxstart, nystart, nzstart</td>") + page.count("<td>nstart</td>") == 1
            assert row in page
        assert "[MRC301]</td>" in volume.mrc.header._repr_html_()
        assert row not in (volume + 1).mrc._repr_html_()  # a computed array has no header

    def test_dataset_without_data_is_refused_with_its_variables(self) -> None:
        with pytest.raises(MrcValueError, match=r"no variable 'data'; it has \['a'\]; pass variable='a'"):
            xr.Dataset({"a": 1}).mrc.data  # noqa: B018 -- to be looked at is what it is for


@pytest.mark.parametrize(("unit", "factor"), [("nm", 10.0), ("Å", 1.0), ("Angstrom", 1.0), ("µm", 1e4), ("um", 1e4)])
def test_accessor_knows_units_of_writer(tmp_path: Path, unit: str, factor: float) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), nstart=(3, 0, 0)))
    opened = xr.open_dataarray(tmp_path / "a.mrc")
    other = opened.assign_coords({dim: (dim, opened[dim].values / factor, {"units": unit}) for dim in "xyz"})
    assert other.mrc.voxel_size == pytest.approx(opened.mrc.voxel_size)
    assert other.mrc.origin == pytest.approx(opened.mrc.origin)
    assert other.mrc.same_grid(opened)
    assert xr.open_dataarray(other.mrc.to_mrc(tmp_path / "b.mrc")).mrc.voxel_size == opened.mrc.voxel_size

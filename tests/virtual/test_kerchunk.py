"""`to_kerchunk`: references as JSON, read back by fsspec and zarr."""

from __future__ import annotations

import gzip
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray.cli import main
from mrcarray.errors import MrcValueError, OutputExistsError
from mrcarray.format.layout import Layout
from mrcarray.virtual import to_kerchunk
from mrcarray.virtual.reference import chunk_shape
from tests.builders import ITEMS, mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODES = (*ITEMS, 101)


def opened(references: Any) -> xr.Dataset:
    """Return what xarray reads through fsspec's reference file system and zarr."""
    options = {"fo": references, "remote_protocol": "file"}
    how: dict[str, Any] = {"consolidated": False, "storage_options": options}
    return xr.open_dataset("reference://", engine="zarr", backend_kwargs=how)


def tilt_series(path: Path, tilts: tuple[int, ...], seed: int = 0) -> Path:
    """Write an image stack with a tilt angle a section in its extended header, as SerialEM does."""
    records = struct.pack(f"<{len(tilts)}h", *(100 * tilt for tilt in tilts)).ljust(1024, b"\0")
    fields = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1), "m": (8, 6, 1)}
    path.write_bytes(mrc_bytes(sample((len(tilts), 6, 8), 1, seed), 1, "<", records, **fields))
    return path


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("columns", [8, 9])
def test_every_mode_and_byte_order_reads_the_same(tmp_path: Path, mode: int, order: str, columns: int) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((4, 6, columns), mode), mode, order))
    with opened(to_kerchunk(path)) as found:
        expected = xr.open_dataset(path, engine="mrc")
        xr.testing.assert_equal(found.load(), expected)
        assert found.data.dtype.newbyteorder("=") == expected.data.dtype


@pytest.mark.parametrize("mode", [0, 1, 2, 6])
def test_zero_pixels_stay_zero(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(np.zeros((2, 3, 4)), mode))
    with opened(to_kerchunk(path)) as found:
        assert (found.data.values == 0).all()
        assert found.data.dtype == np.dtype(ITEMS[mode])


def test_per_section_metadata_are_coordinates(tmp_path: Path) -> None:
    path = tilt_series(tmp_path / "a.mrc", (0, 3, -3))
    (tmp_path / "a.mrc.mdoc").write_text(
        "\n".join(f"[ZValue = {at}]\nDateTime = 08-Oct-21  07:3{at}:00\nSubFramePath = f{at}.tif\n" for at in range(3))
    )
    expected = xr.open_dataset(path, engine="mrc")
    assert {"tilt_angle", "datetime", "frames_file"} <= set(expected.coords)
    with opened(to_kerchunk(path)) as found:
        xr.testing.assert_equal(found.load(), expected)
        assert set(found.coords) == set(expected.coords)
        assert found.tilt_angle.attrs == expected.tilt_angle.attrs
        assert found.data.attrs["space_group"] == 0


def test_json_file_is_what_is_returned(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), 2))
    references = to_kerchunk(tmp_path / "a.mrc", tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == references
    assert references["refs"]["data/0.0.0"] == [str(tmp_path / "a.mrc"), 1024, 96]
    assert json.loads(references["refs"]["data/.zarray"])["fill_value"] is None
    with pytest.raises(OutputExistsError):
        to_kerchunk(tmp_path / "a.mrc", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == text


def test_files_are_stacked_along_a_new_dimension(tmp_path: Path) -> None:
    paths = [tilt_series(tmp_path / f"{at}.mrc", (0, 3 + at, -3), at) for at in range(8)]
    with opened(to_kerchunk(paths, dim="series")) as found:
        assert found.data.dims == ("series", "section", "y", "x")
        assert found.series.values.tolist() == [path.name for path in paths]
        assert found.tilt_angle.dims == ("series", "section")
        for at, path in enumerate(paths):
            one = xr.open_dataset(path, engine="mrc")
            np.testing.assert_array_equal(found.data[at].values, one.data.values)
            np.testing.assert_array_equal(found.tilt_angle[at].values, one.tilt_angle.values)


def test_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for name, shape in (("a", (2, 3, 4)), ("b", (2, 3, 5))):
        (tmp_path / f"{name}.mrc").write_bytes(mrc_bytes(sample(shape, 2), 2))
    with pytest.raises(MrcValueError, match=r"b\.mrc: \(2, 3, 5\) float32 z, y, x; expected \(2, 3, 4\) .*a\.mrc"):
        to_kerchunk([tmp_path / "a.mrc", tmp_path / "b.mrc"])
    with pytest.raises(MrcValueError, match="dim is 'z', which the files have already"):
        to_kerchunk([tmp_path / "a.mrc"] * 2, dim="z")
    with pytest.raises(MrcValueError, match="no files"):
        to_kerchunk([])


def test_compressed_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    import bz2

    (tmp_path / "a.mrc.bz2").write_bytes(bz2.compress(mrc_bytes(sample((2, 3, 4), 2), 2)))
    with pytest.raises(MrcValueError, match=r"bzip2: .* ranges of bytes of the file, which a compressed file does not"):
        to_kerchunk(tmp_path / "a.mrc.bz2")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((60, 4096, 4096), (1, 1024, 4096)),
        ((60, 1024, 1024), (1, 1024, 1024)),
        ((60, 256, 256), (60, 256, 256)),
        ((1200, 256, 256), (60, 256, 256)),
        ((61, 400, 400), (1, 400, 400)),
        ((4096, 5000), (512, 5000)),
        ((3, 1200, 64, 64), (1, 600, 64, 64)),
    ],
)
def test_chunks_divide_the_array_and_have_at_most_16_mib(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    layout = Layout.raw(shape, "<f4")
    chunks = chunk_shape(layout)
    assert chunks == expected
    assert all(n % chunk == 0 for n, chunk in zip(shape, chunks, strict=True))
    assert 4 * np.prod(chunks) <= 16 << 20


@pytest.mark.parametrize("mode", [1, 16, 101])
def test_split_and_grouped_chunks_read_the_same(tmp_path: Path, mode: int) -> None:
    for name, shape in (("split", (2, 6000, 3001)), ("grouped", (20, 300, 500))):
        path = tmp_path / f"{name}.mrc"
        path.write_bytes(mrc_bytes(sample(shape, mode), mode))
        references = to_kerchunk(path)
        assert len([key for key in references["refs"] if key.startswith("data/") and key[5].isdigit()]) >= 1
        key = {"z": 1, "y": slice(100, 299, 50)}
        expected = xr.open_dataset(path, engine="mrc").data.isel(key)
        with opened(references) as found:
            np.testing.assert_array_equal(found.data.isel(key).values, expected.values)


def test_shifted_bytes_of_imod_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(sample((2, 3, 4), 0), 0, extra2=bytes(40) + struct.pack("<2i", 1146047817, 1)))
    expected = mrcarray.open_array(path, imod_bytes="shifted")[...]
    with opened(to_kerchunk(path, imod_bytes="shifted")) as found:
        np.testing.assert_array_equal(found.data.values, expected)
        assert found.data.dtype == np.uint8


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["serialem_tilt.mrc", "EMD-3197.map", "1jzv.ccp4", "fei_old_header.mrc", "hand.5.mrcs"]
)
@pytest.mark.filterwarnings("ignore::mrcarray.MrcWarning")
def test_real_files_read_the_same(shared_data: Path, name: str) -> None:
    expected = xr.open_dataset(shared_data / name, engine="mrc")
    with opened(to_kerchunk(shared_data / name)) as found:
        xr.testing.assert_equal(found.load(), expected)


class TestCommand:
    """`mrcarray convert --virtual`."""

    @pytest.fixture
    def convert(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
        """Return what runs the command, and gives its exit status and its errors."""

        def run(*args: object) -> tuple[int, str]:
            status = main(["convert", "--virtual", *map(str, args)])
            return status, capsys.readouterr().err

        return run

    def test_one_file_is_written_as_the_function_writes_it(
        self, tmp_path: Path, convert: Callable[..., tuple[int, str]]
    ) -> None:
        path = tilt_series(tmp_path / "a.mrc", (0, 3, -3))
        assert convert(path, tmp_path / "out.json") == (0, "")
        assert json.loads((tmp_path / "out.json").read_text()) == to_kerchunk(path)
        assert opened(str(tmp_path / "out.json")).data.dims == ("section", "y", "x")

    def test_several_files_become_one_array(self, tmp_path: Path, convert: Callable[..., tuple[int, str]]) -> None:
        paths = [tilt_series(tmp_path / name, (0, 3), seed) for seed, name in enumerate(("a.mrc", "b.mrc"))]
        assert convert(*paths, tmp_path / "out.json") == (0, "")
        found = opened(str(tmp_path / "out.json"))
        assert (found.data.dims, found.file.values.tolist()) == (("file", "section", "y", "x"), ["a.mrc", "b.mrc"])
        np.testing.assert_array_equal(found.data, np.stack([sample((2, 6, 8), 1, seed) for seed in range(2)]))

    def test_kind_is_that_of_the_option(self, tmp_path: Path, convert: Callable[..., tuple[int, str]]) -> None:
        path = tilt_series(tmp_path / "a.mrc", (0, 3, -3))
        assert convert("--kind", "volume", path, tmp_path / "out.json")[0] == 0
        assert opened(str(tmp_path / "out.json")).data.dims == ("z", "y", "x")

    def test_existing_output_is_kept_without_overwrite(
        self, tmp_path: Path, convert: Callable[..., tuple[int, str]]
    ) -> None:
        path, out = tilt_series(tmp_path / "a.mrc", (0,)), tmp_path / "out.json"
        out.write_text("kept")
        assert convert(path, out) == (2, f"mrcarray: {out}: file exists; pass --overwrite\n")
        assert out.read_text() == "kept"
        assert convert("--overwrite", path, out) == (0, "")

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("a.mrc", "b.mrc"), "OUT is b.mrc; expected a name that ends in .json"),
            (("--bin", "2", "a.mrc", "out.json"), "cannot be used with --bin"),
            (("-", "out.json"), "needs the names of files"),
            (("a.mrc", "nosuch.mrc", "out.json"), "nosuch.mrc: No such file or directory"),
            (("packed.mrc.gz", "out.json"), "a compressed file does not have"),
        ],
    )
    def test_wrong_use_is_one_line_and_writes_nothing(
        self,
        args: tuple[str, ...],
        message: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        convert: Callable[..., tuple[int, str]],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        tilt_series(tmp_path / "a.mrc", (0,))
        (tmp_path / "packed.mrc.gz").write_bytes(gzip.compress((tmp_path / "a.mrc").read_bytes()))
        status, err = convert(*args)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc", "packed.mrc.gz"]


def test_several_files_without_virtual_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "a.mrc", "b.mrc", "c.mrc"]) == 2
    assert "several inputs need a folder, and 'c.mrc' is none" in capsys.readouterr().err

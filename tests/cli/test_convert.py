"""``mrcarray convert``: to every format and back."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import resource
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.conversion import _binned, convert, load
from mrcarray.conversion.netcdf import from_netcdf
from mrcarray.errors import MrcValueError
from mrcarray.validation import check
from tests import builders
from tests.cases import IMAGES, VOLUME, clean
from tests.cli.conftest import command, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done

TARGETS = ("x.mrc", "x.map.gz", "x.mrc.bz2", "x.mrc.zst", "x.nc", "x.zarr", "x.tif", "x.ome.tif")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mode", [1, 2, 6])
def test_pixels_and_geometry_round_trip(target: str, mode: int, run: Callable[..., Done]) -> None:
    values = builders.sample((4, 6, 8), mode)
    Path("in.mrc").write_bytes(clean(values, mode, cella=(12, 9, 8)))
    assert run("convert", "in.mrc", target).status == 0
    assert run("convert", target, "back.mrc").status == 0
    back = mrcarray.open_dataarray("back.mrc")
    assert (back.values == values).all()
    assert back.mrc.voxel_size == pytest.approx((1.5, 1.5, 2.0))
    assert check("back.mrc").ok
    assert not [entry for entry in Path().iterdir() if "tmp" in entry.name]


def test_mrc_to_mrc_keeps_both_headers(run: Callable[..., Done]) -> None:
    raw = clean(extended=bytes(range(160)), exttyp=b"MRCO", origin=(4, 6, 8))
    Path("in.mrc").write_bytes(raw)
    assert run("convert", "in.mrc", "out.mrc").status == 0
    assert run("diff", "--ignore", "labels,nlabl", "in.mrc", "out.mrc").out == ""
    assert Path("out.mrc").read_bytes()[1024:1184] == bytes(range(160))


def test_sel_and_isel_crop(run: Callable[..., Done]) -> None:
    assert run("convert", "--isel", "z=1:3,x=2:", "good.mrc", "a.mrc").status == 0
    assert (mrcarray.open_dataarray("a.mrc").values == VOLUME[1:3, :, 2:]).all()
    assert run("convert", "--sel", "y=4:8", "good.mrc", "b.mrc").status == 0
    found = mrcarray.open_dataarray("b.mrc")
    assert (found.values == VOLUME[:, 2:5]).all()
    assert found.mrc.origin == (0.0, 4.0, 0.0)


def test_bin_averages(run: Callable[..., Done]) -> None:
    assert run("convert", "--bin", "2", "good.mrc", "a.mrc").status == 0
    found = mrcarray.open_dataarray("a.mrc")
    expected = VOLUME.reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    assert found.mrc.voxel_size == (4.0, 4.0, 4.0)
    assert found.mrc.origin == (1.0, 1.0, 1.0)


def test_binned_volumes_have_no_records_and_binned_images_keep_theirs(run: Callable[..., Done]) -> None:
    records = struct.pack("<4h", 100, 300, 500, 700)  # tilt angles in hundredths of a degree
    nint_nreal = bytes(16) + struct.pack("<hh", 2, 1) + bytes(64)
    Path("tomo.mrc").write_bytes(clean(extended=records, exttyp=b"SERI", extra2=nint_nreal))
    for target, options in (("a.nc", ()), ("a.mrc", ("--placement", "origin"))):
        done = run("convert", "--bin", "2", *options, "tomo.mrc", target)
        assert (done.status, done.err) == (0, "")
    with load("a.nc") as found:
        assert set(found.coords) == {"z", "y", "x"}
    assert mrcarray.read_header("a.mrc").nsymbt == 0
    Path("stack.mrc").write_bytes(clean(ispg=0, m=(8, 6, 1), extended=records, exttyp=b"SERI", extra2=nint_nreal))
    assert run("convert", "--bin", "2", "stack.mrc", "b.mrc").err == ""
    assert mrcarray.open_dataarray("b.mrc").tilt_angle.values.tolist() == [1.0, 3.0, 5.0, 7.0]


MDOC = """\
PixelSpacing = 2
ImageFile = series.mrc
ImageSize = 8 6

[T = made for a test]

""" + "\n".join(
    f"[ZValue = {n}]\nTiltAngle = {3 * n}\nExposureDose = {n + 1}\nPixelSpacing = 2\nMinMaxMean = 0 9 4\nNote = n{n}\n"
    for n in range(4)
)


def series() -> None:
    """Write a tilt series without extended header, and an mdoc beside it."""
    Path("series.mrc").write_bytes(clean(ispg=0, m=(8, 6, 1), cella=(16, 12, 2)))
    Path("series.mrc.mdoc").write_text(MDOC)


@pytest.mark.parametrize("target", ["a.mrc", "a.mrc.gz", "a.mrc.zst"])
def test_mdoc_is_copied_with_the_written_sections(target: str, run: Callable[..., Done]) -> None:
    series()
    done = run("convert", "--isel", "section=1:3", "series.mrc", target)
    assert (done.status, done.err) == (0, "")
    found = mrcarray.open_dataarray(target)
    assert (found.tilt_angle.values.tolist(), found.exposure_dose.values.tolist()) == ([3.0, 6.0], [2.0, 3.0])
    text = Path("a.mrc.mdoc").read_text()
    expected = MDOC.replace("series.mrc", "a.mrc")
    for n in (0, 3):
        expected = expected.replace(f"[ZValue = {n}]" + expected.split(f"[ZValue = {n}]")[1].split("[")[0], "")
    expected = expected.replace("[ZValue = 1]", "[ZValue = 0]").replace("[ZValue = 2]", "[ZValue = 1]")
    assert text.rstrip() == expected.rstrip()


def test_mdoc_of_binned_images_has_their_pixel_size(run: Callable[..., Done]) -> None:
    series()
    done = run("convert", "--bin", "2", "series.mrc", "a.mrc")
    assert (done.status, done.err) == (0, "")
    text = Path("a.mrc.mdoc").read_text()
    assert (text.count("PixelSpacing = 4\n"), text.count("PixelSpacing"), text.count("MinMaxMean")) == (5, 5, 0)
    assert "ImageSize = 4 3\n" in text
    assert mrcarray.open_dataarray("a.mrc").pixel_size.values.tolist() == [4.0] * 4


def test_mdoc_is_not_copied(run: Callable[..., Done]) -> None:
    series()
    assert "[MRC411]" in run("convert", "--no-mdoc", "series.mrc", "a.mrc").err
    assert run("convert", "series.mrc", "a.tif").status == 0
    assert run("convert", "--kind", "volume", "series.mrc", "b.mrc").status == 0
    assert run("convert", "--dtype", "uint16", "series.mrc", "c.mrc").status == 2
    assert [entry.name for entry in sorted(Path().glob("*.mdoc"))] == ["series.mrc.mdoc"]
    Path("d.mrc.mdoc").write_text("[ZValue = 0]\nTiltAngle = 50\n")
    assert "[MRC424]" in run("convert", "series.mrc", "d.mrc").err
    assert run("convert", "--overwrite", "--dtype", "uint16", "series.mrc", "d.mrc").status == 2
    assert Path("d.mrc.mdoc").read_text() == "[ZValue = 0]\nTiltAngle = 50\n"
    assert run("convert", "--overwrite", "series.mrc", "d.mrc").err == ""
    assert "TiltAngle = 9" in Path("d.mrc.mdoc").read_text()
    assert "[MRC424]" in run("convert", "--overwrite", "--isel", "section=1:", "series.mrc", "series.mrc").err
    assert Path("series.mrc.mdoc").read_text() == MDOC


def test_warnings_name_the_final_file(run: Callable[..., Done], process: Callable[..., Done]) -> None:
    series()
    lost = "an MRC file cannot store the coordinates tilt_angle, exposure_dose"
    assert run("convert", "--no-mdoc", "series.mrc", "a.mrc.zst").err.startswith(
        f"mrcarray: warning: a.mrc.zst: {lost}"
    )
    assert process("convert", "series.mrc", "-").err.startswith(f"mrcarray: warning: <stdout>: {lost}")


@pytest.mark.parametrize("target", ["a.mrc", "a.zarr"])
def test_kind_volume_crops_and_bins_z(target: str, run: Callable[..., Done]) -> None:
    Path("relion.mrc").write_bytes(clean(ispg=0, m=(8, 6, 4), cella=(16, 12, 8)))
    expected = VOLUME.reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    assert run("convert", "--kind", "volume", "--bin", "2", "relion.mrc", target).status == 0
    with load(target) as found:
        np.testing.assert_allclose(found.values, expected, rtol=1e-5)
        assert found.mrc.voxel_size == (4.0, 4.0, 4.0)
    assert run("convert", "--kind", "volume", "--sel", "z=2:4", "--isel", "z=2:", "relion.mrc", "b.mrc").status == 0
    cut = mrcarray.open_dataarray("b.mrc")
    assert (cut.values == VOLUME[2:3]).all()
    assert (cut.mrc.kind, cut.mrc.origin) == ("volume", (0.0, 0.0, 4.0))


def test_bin_averages_numbers_and_drops_text(run: Callable[..., Done]) -> None:
    records = struct.pack("<4h", 100, 300, 500, 700)  # tilt angles in hundredths of a degree
    nint_nreal = bytes(16) + struct.pack("<hh", 2, 1) + bytes(64)
    Path("tomo.mrc").write_bytes(clean(extended=records, exttyp=b"SERI", extra2=nint_nreal))
    mrcarray.open_dataset("tomo.mrc", extended="all").to_netcdf("tomo.nc", engine="h5netcdf")
    for target in ("a.nc", "a.mrc"):
        done = run("convert", "--bin", "2", "tomo.nc", target)
        assert done.status == 0
        assert "tomo.nc: texts cannot be averaged: the binned sections have no extended_record" in done.err
    assert "an MRC file cannot store the coordinate tilt_angle" in done.err
    with load("a.nc") as found:
        assert found.tilt_angle.values.tolist() == [2.0, 6.0]


def test_bin_warns_about_the_rounded_nstart(run: Callable[..., Done]) -> None:
    done = run("convert", "--bin", "2", "good.mrc", "a.mrc")
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert "are 1 Å along x, 1 Å along y, 1 Å along z off" in done.err
    assert run("convert", "--bin", "2", "--placement", "origin", "good.mrc", "b.mrc").err == ""
    for name in ("a.mrc", "b.mrc"):
        assert mrcarray.open_dataarray(name).mrc.origin == (1.0, 1.0, 1.0)
    assert "Å along x" in run("convert", "--bin", "2", "--placement", "nstart", "good.mrc", "c.mrc").err
    assert mrcarray.open_dataarray("c.mrc").mrc.origin == (0.0, 0.0, 0.0)
    assert run("convert", "--placement", "start", "good.mrc", "d.mrc").status == 2
    assert "--placement" in run("convert", "--help").out


def test_flip_keeps_the_grid(run: Callable[..., Done]) -> None:
    assert run("convert", "--flip", "z", "--flip", "x", "good.mrc", "a.mrc").err == ""
    found = mrcarray.open_dataarray("a.mrc")
    assert (found.values == VOLUME[::-1, :, ::-1]).all()
    assert found.mrc.same_grid(mrcarray.open_dataarray("good.mrc"))
    done = run("convert", "--flip", "section", "good.mrc", "b.mrc")
    assert (done.status, Path("b.mrc").exists()) == (2, False)
    assert "there is no dim 'section' to flip; the dims are z, y, x" in done.err


def test_flip_reorders_the_mdoc(run: Callable[..., Done]) -> None:
    series()
    assert run("convert", "--flip", "section", "series.mrc", "a.mrc").err == ""
    found = mrcarray.open_dataarray("a.mrc")
    assert (found.values == VOLUME[::-1]).all()
    assert found.tilt_angle.values.tolist() == [9.0, 6.0, 3.0, 0.0]


@pytest.mark.parametrize("to", ["a.mrc", "a.nc"])
def test_bin_of_a_guessed_stack_needs_kind(to: str, tmp_path: Path) -> None:
    (tmp_path / "in.mrc").write_bytes(clean(ispg=0, m=(8, 6, 4), cella=(16, 12, 8)))
    array = mrcarray.open_dataarray(tmp_path / "in.mrc", kind="image_stack")
    array.encoding["kind_from"] = "flat"
    with pytest.raises(MrcValueError, match=r"pass kind='image_stack' or 'volume'"):
        _binned(array, 2)
    for kind, shape in (("image_stack", (4, 3, 4)), ("volume", (2, 3, 4))):
        out = convert(tmp_path / "in.mrc", tmp_path / to, bin=2, kind=kind, overwrite=True, **ORIGIN[to])
        with load(out) as found:
            assert found.shape == shape


ORIGIN: dict[str, dict[str, Any]] = {"a.mrc": {"placement": "origin"}, "a.nc": {}}


def test_bin_of_a_volume_includes_z(run: Callable[..., Done]) -> None:
    Path("run_class001.mrc").write_bytes(clean(ispg=0, m=(8, 6, 4), cella=(8.8, 6.6, 4.4)))
    done = run("convert", "--kind", "volume", "--bin", "2", "--placement", "origin", "run_class001.mrc", "a.mrc")
    assert (done.status, done.err) == (0, "")
    head = mrcarray.read_header("a.mrc")
    assert (head.nx, head.ny, head.nz, *head.m) == (4, 3, 2, 4, 3, 2)
    assert head.cella == pytest.approx((8.8, 6.6, 4.4))


def test_kind_is_refused_for_other_formats(run: Callable[..., Done]) -> None:
    assert run("convert", "good.mrc", "a.nc").status == 0
    done = run("convert", "--kind", "volume", "a.nc", "b.zarr")
    assert (done.status, done.err) == (2, "mrcarray: a.nc: Zarr files have no option kind; omit --kind\n")


@pytest.mark.parametrize("target", ["a.mrc", "a.nc", "a.zarr", "a.tif"])
def test_values_out_of_range_are_refused(target: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(VOLUME * 100))
    done = run("convert", "--dtype", "int8", "in.mrc", target)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "does not fit" in done.err
    assert sorted(map(str, Path().iterdir())) == ["bad.mrc", "good.mrc", "in.mrc"]
    assert run("convert", "--lossy", "--dtype", "int16", "in.mrc", target).status == 0
    with load(target) as found:
        assert (found.values == np.rint(VOLUME * 100)).all()


def test_mode_and_byteorder(run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(np.abs(VOLUME).astype("i2"), 1))
    assert run("convert", "--mode", "101", "in.mrc", "a.mrc").status == 0
    assert run("convert", "--byteorder", "big", "--kind", "image_stack", "in.mrc", "b.mrc").status == 0
    assert mrcarray.read_header("a.mrc").mode == 101
    header = mrcarray.read_header("b.mrc")
    assert (header.byteorder, header.ispg) == (">", 0)
    assert run("convert", "--mode", "1", "in.mrc", "a.nc").status == 2


def test_existing_output_needs_overwrite(run: Callable[..., Done]) -> None:
    for target in ("bad.mrc", "x.zarr", "x.nc", "x.tif"):
        run("convert", "good.mrc", target)
        done = run("convert", "good.mrc", target)
        assert done.status == 2
        assert done.err == f"mrcarray: {target}: file exists; pass --overwrite\n"
        assert run("convert", "--overwrite", "good.mrc", target).status == 0


def test_file_converts_onto_itself(run: Callable[..., Done]) -> None:
    Path("link.mrc").symlink_to("good.mrc")
    assert run("convert", "--overwrite", "--bin", "2", "good.mrc", "link.mrc").status == 0
    assert mrcarray.read_header("good.mrc").nx == 4
    run("convert", "good.mrc", "x.zarr")
    assert run("convert", "--overwrite", "x.zarr", "x.zarr").status == 2


@pytest.mark.parametrize(
    "args",
    [
        ("--isel", "z"),
        ("--isel", "z=a:b"),
        ("--isel", "w=1:2"),
        ("--isel", "z=9:12"),
        ("--bin", "5"),
        ("--bin", "0"),
        ("--dtype", "int64"),
    ],
)
def test_wrong_options_leave_no_file(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    done = run("convert", *args, "good.mrc", "a.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert sorted(map(str, Path().iterdir())) == ["bad.mrc", "good.mrc"]


@pytest.mark.parametrize("target", ["a.png", "a.mrc.xz", "a.tif.gz", "a.nc.zst", "a.h5"])
def test_wrong_suffix_is_refused(target: str, run: Callable[..., Done]) -> None:
    done = run("convert", "good.mrc", target)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"mrcarray: {target}: cannot write files with the suffix ")
    assert "; expected one of .mrc" in done.err
    assert not Path(target).exists()
    assert "cannot write to the URL" in run("convert", "good.mrc", "https://127.0.0.1/a.mrc").err


def test_dash_is_standard_input_and_output(tmp_path: Path) -> None:
    line, packed = command("convert", "--sel", "z=0:2", "-", "-"), gzip.compress(clean())
    done = subprocess.run(line, input=packed, capture_output=True, cwd=tmp_path, env=environment(), check=True)
    assert done.stderr == b""
    assert (mrcarray.open_array(done.stdout)[...] == VOLUME[:2]).all()
    assert not list(tmp_path.iterdir())


def test_streams_convert_like_files(tmp_path: Path) -> None:
    out = io.BytesIO()
    assert convert(io.BytesIO(clean()), out, isel={"z": slice(1, 3)}) == "<stream>"
    assert (mrcarray.open_array(out.getvalue())[...] == VOLUME[1:3]).all()
    os.mkfifo(tmp_path / "pipe.mrc")
    (tmp_path / "good.mrc").write_bytes(clean())
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe.mrc").read_bytes)
        convert(tmp_path / "good.mrc", tmp_path / "pipe.mrc")
        assert (mrcarray.open_array(read.result())[...] == VOLUME).all()
    os.mkfifo(tmp_path / "pipe.zarr")
    with pytest.raises(MrcValueError, match="a Zarr store, which is a folder"):
        convert(tmp_path / "good.mrc", tmp_path / "pipe.zarr")


def test_failed_conversion_writes_nothing_to_a_stream() -> None:
    out = io.BytesIO()
    with pytest.raises(MrcValueError, match="does not fit"):
        convert(io.BytesIO(clean(VOLUME * 100)), out, dtype="int8")
    assert out.getvalue() == b""


@pytest.mark.parametrize("target", ["a.mrc", "a.mrc.zst", "a.nc", "a.tif", "a.zarr"])
def test_full_disk_is_one_line_and_leaves_no_file(target: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(np.random.default_rng(0).normal(size=(4, 128, 128)).astype("f4")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        done = run("convert", "in.mrc", target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err == f"mrcarray: {target}: File too large\n"
    assert sorted(map(str, Path().iterdir())) == ["bad.mrc", "good.mrc", "in.mrc"]


@pytest.mark.parametrize(
    ("target", "module", "extra"), [("a.tif", "tifffile", "tiff"), ("a.png", "matplotlib.figure", "plot")]
)
def test_missing_library_is_named(
    target: str, module: str, extra: str, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = run(*(("view", "-o", target, "good.mrc") if extra == "plot" else ("convert", "good.mrc", target)))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f'pip install "mrcarray[{extra}]"' in done.err


def test_float64_becomes_float32(tmp_path: Path) -> None:
    import xarray as xr

    xr.DataArray(VOLUME.astype("f8"), dims=("z", "y", "x"), name="data").to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
    convert(tmp_path / "d.nc", tmp_path / "d.mrc")
    assert (mrcarray.open_array(tmp_path / "d.mrc")[...] == VOLUME).all()
    with pytest.raises(MrcValueError, match="has no coordinates; cut it with isel"):
        convert(tmp_path / "d.nc", tmp_path / "e.mrc", sel={"z": slice(0, 2)})
    with pytest.raises(MrcValueError, match="bin is 0"):
        convert(tmp_path / "d.nc", tmp_path / "e.mrc", bin=0)


def test_warnings_are_one_line_each(run: Callable[..., Done]) -> None:
    Path("long.mrc").write_bytes(clean() + bytes(3))
    done = run("convert", "long.mrc", "a.mrc")
    assert done.status == 0
    assert done.err.count("\n") == done.err.count("mrcarray: warning: ") >= 1


MEMORY = """
import re, sys
from pathlib import Path
from mrcarray.conversion import convert
def peak():  # of this program; ru_maxrss would be that of the process that started it, where that is larger
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
source, small, *targets = sys.argv[1:]
for target in targets:
    convert(small, target)
before = peak()
for target in targets:
    convert(source, target, isel={"z": slice(4, None)}, bin=2, overwrite=True)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_bounded(tmp_path: Path) -> None:
    big, small = tmp_path / "big.mrc", tmp_path / "small.mrc"
    small.write_bytes(clean())
    big.write_bytes(builders.header_bytes(nx=1024, ny=1024, nz=96, m=(1024, 1024, 96)))
    os.truncate(big, 1024 + 4 * 1024 * 1024 * 96)
    targets = [tmp_path / name for name in ("a.mrc", "a.tif")]
    line: list[Any] = [sys.executable, "-c", MEMORY, big, small, *targets]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment())
    assert float(done.stdout) < 160  # of 384 MiB: two chunks of 24 MiB, and what is made of them
    assert mrcarray.open_dataarray(targets[0]).shape == (46, 512, 512)


@pytest.mark.parametrize("target", TARGETS)
def test_progress_is_one_bar_that_ends_at_100_percent(target: str, run: Callable[..., Done]) -> None:
    done = run("convert", "--progress", "good.mrc", target)
    assert (done.status, done.out) == (0, "")
    assert re.findall(r"^converting .*?(\d+)%", done.err, re.MULTILINE) == ["100"]
    assert run("convert", target, "back.mrc").err == ""


def test_files_of_other_programs_are_read_if_unambiguous(tmp_path: Path) -> None:
    import tifffile
    import xarray as xr

    values = np.arange(24, dtype="u2").reshape(2, 3, 4)
    one = xr.DataArray(values, dims=("z", "y", "x"), name="density")
    one.to_dataset().to_netcdf(tmp_path / "one.nc", engine="h5netcdf")
    xr.Dataset({"a": one, "b": one}).to_netcdf(tmp_path / "two.nc", engine="h5netcdf")
    with load(tmp_path / "one.nc") as found:
        assert (found.values == values).all()
    with pytest.raises(MrcValueError, match=r"2 variables \(a, b\)"):
        load(tmp_path / "two.nc")
    tifffile.imwrite(tmp_path / "plane.tif", values[0])
    assert load(tmp_path / "plane.tif").dims == ("y", "x")
    for strange in (np.zeros((4, 5, 3), "u2"), np.zeros((4, 5, 4), "u1")):
        tifffile.imwrite(tmp_path / "rgb.tif", strange, photometric="rgb")
        with pytest.raises(MrcValueError, match="expected one channel, or red, green and blue bytes"):
            load(tmp_path / "rgb.tif")
    planes = np.arange(120, dtype="u1").reshape(2, 4, 5, 3)
    for colours in (planes, planes[0]):
        tifffile.imwrite(tmp_path / "rgb.tif", colours, photometric="rgb")
        with load(tmp_path / "rgb.tif") as found:
            assert found.dims[-3:] == ("y", "x", "rgb")
            assert (found.values == colours).all()


def test_contiguous_netcdf_is_read_in_contiguous_chunks(tmp_path: Path) -> None:
    import xarray as xr

    values = np.arange(6 * 8 * 10, dtype="f4").reshape(6, 8, 10)
    whole = xr.DataArray(values, dims=("z", "y", "x"), name="data").to_dataset()
    whole.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    own = {"data": {"chunksizes": (3, 4, 5)}}
    whole.to_netcdf(tmp_path / "b.nc", engine="h5netcdf", encoding=own)
    for size, first in ((10**6, (6, 8, 10)), (700, (2, 8, 10)), (200, (1, 5, 10)), (3, (1, 1, 1))):
        with from_netcdf(tmp_path / "a.nc", piece=size) as found:
            assert tuple(lengths[0] for lengths in found.chunks or ()) == first
            assert (found.values == values).all()
    with load(tmp_path / "b.nc") as found:
        assert found.chunks == ((3, 3), (4, 4), (5, 5))


@pytest.mark.parametrize("sections", [1, 6])
@pytest.mark.parametrize("target", ["a.tif", "a.nc", "a.zarr"])
def test_colours_round_trip(target: str, sections: int, run: Callable[..., Done]) -> None:
    values = np.random.default_rng(0).integers(0, 255, (sections, 8, 10, 3)).astype("u1")
    Path("in.mrc").write_bytes(
        builders.mrc_bytes(values, 16, m=(10, 8, sections), cella=(20, 16, 2 * sections), ispg=1)
    )
    assert run("convert", "in.mrc", target).status == 0
    assert run("convert", "--kind", "volume", target, "back.mrc").status == 0
    back = mrcarray.open_dataarray("back.mrc")
    assert (back.dims, mrcarray.read_header("back.mrc").mode) == (("z", "y", "x", "rgb"), 16)
    assert (back.values == values).all()
    assert back.mrc.voxel_size[: 2 + (sections > 1)] == (2.0, 2.0, 2.0)[: 2 + (sections > 1)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--dtype", "uint8"), ""),
        (("--mode", "16"), ""),
        (("--dtype", "int16"), "dtype int16 has one value a pixel"),
        (("--mode", "2"), "mode 2 has one value a pixel"),
    ],
)
def test_colours_need_uint8(options: tuple[str, ...], told: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 6, 8), 16), 16))
    done = run("convert", *options, "in.mrc", "out.mrc")
    assert (done.status, Path("out.mrc").exists()) == ((2, False) if told else (0, True))
    assert told in done.err
    assert told or mrcarray.read_header("out.mrc").mode == 16


def test_binned_colours_round_trip_as_tiff(run: Callable[..., Done]) -> None:
    values = builders.sample((2, 6, 8), 16)
    Path("in.mrc").write_bytes(builders.mrc_bytes(values, 16, ispg=0))
    assert run("convert", "--bin", "2", "in.mrc", "small.tif").status == 0
    assert run("convert", "small.tif", "back.mrc").status == 0
    means = values.reshape(2, 3, 2, 4, 2, 3).astype("f8").mean((2, 4))
    assert np.abs(np.asarray(mrcarray.open_array("back.mrc")).astype("f8") - means).max() <= 0.5


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz", ".mrc.bz2", ".nc", ".zarr", ".tif"])
@pytest.mark.parametrize("letter", ["x", "\u96fb"])
def test_longest_output_name_works(suffix: str, letter: str, run: Callable[..., Done]) -> None:
    name = letter * ((255 - len(suffix)) // len(letter.encode())) + suffix
    assert (run("convert", "good.mrc", name).status, run("convert", name, "back.mrc").err) == (0, "")
    assert run("diff", "--ignore", "labels,nlabl", "back.mrc", "good.mrc").out == ""
    assert {path.name for path in Path().iterdir()} == {"good.mrc", "bad.mrc", "back.mrc", name}


def test_longest_input_name_has_no_sidecars(tmp_path: Path) -> None:
    path = tmp_path / f"{'x' * 251}.mrc"
    path.write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1)))
    assert mrcarray.open_dataarray(path).dims == ("section", "y", "x")


def test_too_long_mdoc_name_fails_before_writing(
    run: Callable[..., Done],
) -> None:
    Path("tilts.mrc").write_bytes(clean(IMAGES, ispg=0, m=(6, 4, 1)))
    Path("tilts.mrc.mdoc").write_text("[ZValue = 0]\nTiltAngle = 1\n\n[ZValue = 1]\nTiltAngle = 2\n")
    name = f"{'x' * 251}.mrc"
    done = run("convert", "tilts.mrc", name)
    assert (done.status, done.err.count("\n"), Path(name).exists()) == (2, 1, False)
    assert done.err.endswith(".mdoc: File name too long\n")
    assert (run("convert", "--no-mdoc", "tilts.mrc", name).status, Path(name).exists()) == (0, True)


def test_unknown_dtype_is_refused(run: Callable[..., Done]) -> None:
    done = run("convert", "--dtype", "foo", "good.mrc", "a.mrc")
    assert (done.status, "'--dtype': 'foo': expected the name of a dtype" in done.err) == (2, True)


def test_fractions_as_integers_need_lossy(run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(VOLUME * 0 + np.float32(2.6)))
    done = run("convert", "--dtype", "int16", "in.mrc", "a.mrc")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "value 2.6 is not a whole number" in done.err
    assert "pass --lossy" in done.err
    assert run("convert", "--mode", "1", "in.mrc", "a.mrc").status == 2
    assert not Path("a.mrc").exists()
    assert run("convert", "--lossy", "--dtype", "int16", "in.mrc", "a.mrc").status == 0
    assert np.unique(mrcarray.open_dataarray("a.mrc")).tolist() == [3]


@pytest.mark.parametrize("target", ["a.mrc", "a.nc", "a.zarr", "a.tif"])
def test_lossy_clips_to_the_range(target: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(VOLUME * 1000))
    assert run("convert", "--lossy", "--dtype", "int8", "in.mrc", target).status == 0
    with load(target) as found:
        assert (int(found.min()), int(found.max())) == (int(max(-128, np.rint(VOLUME * 1000).min())), 127)


def test_whole_and_floating_numbers_need_no_option(run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(np.rint(VOLUME)))
    assert run("convert", "--dtype", "int8", "in.mrc", "a.mrc").status == 0
    assert run("convert", "--dtype", "float16", "good.mrc", "b.mrc").status == 0


def test_several_inputs_go_to_a_folder(run: Callable[..., Done]) -> None:
    Path("out").mkdir()
    Path("c.mrc.xz").write_bytes(lzma.compress(clean()))
    Path("d.mrc.gz").write_bytes(gzip.compress(clean()))
    done = run("convert", "good.mrc", "missing.mrc", "c.mrc.xz", "d.mrc.gz", "out/")
    assert done.status == 2
    assert done.err == "mrcarray: missing.mrc: No such file or directory\n"
    assert sorted(path.name for path in Path("out").iterdir()) == ["c.mrc", "d.mrc.gz", "good.mrc"]
    assert run("convert", "--suffix", ".nc", "good.mrc", "out").status == 0
    assert Path("out/good.nc").exists()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("good.mrc", "bad.mrc", "new/"), "create it with: mkdir -p new/"),
        (("good.mrc", "new/"), "create it with: mkdir -p new/"),
        (("good.mrc", "bad.mrc", "good.mrc"), "several inputs need a folder"),
        (("good.mrc", "./good.mrc", "."), "would both be written to"),
        (("--suffix", ".nc", "good.mrc", "x.nc"), "--suffix is for outputs in a folder"),
        (("good.mrc",), "missing OUT"),
        (("-", "."), "standard input has no name"),
        (("good.mrc", "out.png"), "mrcarray view -o out.png FILE"),
    ],
)
def test_wrong_output_says_what_to_type(args: tuple[str, ...], expected: str, run: Callable[..., Done]) -> None:
    done = run("convert", *args)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert expected in done.err


@pytest.mark.parametrize("target", ["results.zarr", "results.ome.zarr"])
def test_overwrite_never_removes_a_folder_of_other_files(target: str, run: Callable[..., Done]) -> None:
    Path(target).mkdir()
    Path(target, "thesis.txt").write_text("years of work")
    done = run("convert", "--overwrite", "good.mrc", target)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "is a folder that is not a Zarr store; it is never replaced" in done.err
    assert Path(target, "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("target", ["a.zarr", "a.ome.zarr"])
def test_overwrite_replaces_a_store(target: str, run: Callable[..., Done]) -> None:
    assert run("convert", "good.mrc", target).status == 0
    assert run("convert", "--overwrite", "good.mrc", target).status == 0

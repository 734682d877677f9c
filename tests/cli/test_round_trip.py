"""``mrcarray convert`` to another format and back: what the header said is said again."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.conversion import convert, load
from mrcarray.conversion.coords_json import from_json, to_json
from mrcarray.conversion.tiff import TAG, from_tiff
from mrcarray.errors import MrcWarning
from tests import builders
from tests.cases import IMAGES, IMOD_STAMP, VOLUME, clean, fei, labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from tests.cli.conftest import Done

FORMATS = ("nc", "tif", "ome.tif", "zarr")
STACK: dict[str, Any] = {"ispg": 0, "m": (8, 6, 1)}
SERIAL = struct.pack("<4h", 100, 300, 500, 700)
NINT_NREAL = bytes(16) + struct.pack("<2h", 2, 1) + bytes(64)

FILES: dict[str, bytes] = {
    "volume": clean(nlabl=3, labels=labels(b"one", b"two \xe9", b"<b>three</b>")),
    "image": clean(VOLUME[0], ispg=0),
    "one section": clean(VOLUME[:1], m=(8, 6, 1)),
    "image stack": clean(**STACK, origin=(4, 6, 0)),
    "image stack whose cell has all sections": clean(ispg=0, m=(8, 6, 4)),
    "volume stack": clean(VOLUME.reshape(2, 2, 6, 8), ispg=405),
    "columns along z": clean(mapcrs=(3, 1, 2), m=(6, 4, 8), cella=(6, 8, 24)),
    "origin": clean(origin=(4, 6.5, -8)),
    "nstart": clean(nstart=(4, 6, -8)),
    "nstart beside an origin": clean(nstart=(4, 6, -8), origin=(8, 12, -16)),
    "crystal": clean(ispg=19, m=(16, 12, 8), cella=(32, 24, 16), cellb=(90, 90, 120), nstart=(2, 1, 1)),
    "unknown voxel size": clean(cella=(0, 0, 0)),
    "version and words nobody uses": clean(nversion=20140, extra1=b"12345678", extra2=bytes(range(84))),
    "big-endian": clean(byteorder=">", origin=(1, 2, 3)),
    "half bytes": clean(builders.sample((4, 6, 7), 101), 101),
    "pairs of integers": clean(builders.sample((4, 6, 8), 3), 3),
    "half floats": clean(builders.sample((4, 6, 8), 12), 12),
    "signed bytes of IMOD": clean(
        builders.sample((4, 6, 8), 0), 0, extra2=bytes(40) + struct.pack("<2i", IMOD_STAMP, 1)
    ),
    "colours": clean(builders.sample((4, 6, 8), 16), 16, nversion=0),
    "unknown extended header": clean(extended=bytes(range(160)), exttyp=b"MRCO"),
    "symmetry": clean(extended=b"X,Y,Z".ljust(80) + b"-X,-Y,Z".ljust(80), exttyp=b"CCP4", ispg=3),
    "FEI": clean(**STACK, extended=fei(a=(100, "d", 6.0), b=(8, "I", 1 << 7)) * 4, exttyp=b"FEI1"),
    "SerialEM": clean(**STACK, extended=SERIAL, exttyp=b"SERI", extra2=NINT_NREAL),
}


@pytest.mark.parametrize("name", FILES)
def test_every_header_word_round_trips(name: str, tmp_path: Path) -> None:
    there, back = tmp_path / "there.mrc", tmp_path / "back.mrc"
    there.write_bytes(FILES[name])
    for suffix in FORMATS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MrcWarning)
            warnings.filterwarnings("ignore", message=".*Zarr")
            convert(there, tmp_path / f"x.{suffix}")
            convert(tmp_path / f"x.{suffix}", back, overwrite=True, label="")
        found, expected = back.read_bytes(), there.read_bytes()
        statistics = {*range(76, 88), *range(216, 220)}  # summed up in another order
        if (name, suffix) == ("half floats", "ome.tif"):  # OME-TIFF has none
            assert (mrcarray.open_array(back)[...] == mrcarray.open_array(there)[...]).all()
            assert mrcarray.read_header(back).mode == 2
            continue
        differ = {at for at, (one, two) in enumerate(zip(found, expected, strict=True)) if one != two}
        assert differ <= statistics, (suffix, sorted(differ))


@pytest.mark.parametrize("suffix", FORMATS)
def test_crop_keeps_valid_fields(suffix: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(ispg=19, extended=bytes(range(160)), exttyp=b"MRCO", extra1=b"12345678"))
    done = run("convert", "--isel", "z=1:", "--sel", "x=4:", "in.mrc", f"x.{suffix}")
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert f"warning: x.{suffix}: the extended header (160 bytes) is not written" in done.err
    run("convert", f"x.{suffix}", "a.mrc")
    run("convert", "--isel", "z=1:", "--sel", "x=4:", "in.mrc", "b.mrc")
    assert run("diff", "--ignore", "labels", "a.mrc", "b.mrc").out == ""  # they tell the second
    assert (mrcarray.open_dataarray("a.mrc").mrc.origin, mrcarray.read_header("a.mrc").ispg) == ((4.0, 0.0, 2.0), 19)


@pytest.mark.parametrize("suffix", FORMATS)
def test_too_large_extended_header_warns(suffix: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(extended=bytes(17 << 20), exttyp=b"ABCD"))
    done = run("convert", "in.mrc", f"x.{suffix}")
    assert done.status == 0
    assert f"x.{suffix}: the extended header ({17 << 20} bytes of unknown kind) is not written" in done.err


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_dtype_drops_the_stored_mode(suffix: str, run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(FILES["half bytes"])
    assert run("convert", "--dtype", "int16", "in.mrc", f"x.{suffix}").status == 0
    assert run("convert", f"x.{suffix}", "a.mrc").status == 0
    assert mrcarray.read_header("a.mrc").mode == 1


def tiff(path: str, values: np.ndarray[Any, Any], told: str, **options: Any) -> None:
    """Write a TIFF file as another program does that keeps tags it does not know."""
    import tifffile

    tifffile.imwrite(path, values, extratags=[(TAG, 2, None, told, True)], photometric="minisblack", **options)


def tag(path: str) -> str:
    """Return our tag of a TIFF file."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        return str(file.pages.first.tags.valueof(TAG))


def test_tag_of_another_image_is_ignored(run: Callable[..., Done]) -> None:
    Path("in.mrc").write_bytes(clean(**STACK, origin=(4, 6, 0)))
    run("convert", "in.mrc", "x.tif")
    told, voxel = tag("x.tif"), {"unit": "angstrom", "spacing": 2.0}
    same: dict[str, Any] = {"imagej": True, "metadata": {"axes": "ZYX", **voxel}, "resolution": (0.5, 0.5)}
    for values, changes, why in (
        (VOLUME[:, 1:], {}, "pixels of shape (4, 6, 8), but the file has the shape (4, 5, 8)"),
        (VOLUME[1:], {}, "pixels of shape (4, 6, 8), but the file has the shape (3, 6, 8)"),
        (VOLUME.astype("u2"), {}, "pixels of dtype float32, but the file has uint16"),
        (VOLUME, {"resolution": (0.25, 0.25)}, "2 x 2 x 2 angstrom, but the image has 2 x 4 x 4 angstrom"),
        (VOLUME, {"imagej": False, "metadata": None, "resolution": None}, "but the image has unknown size"),
    ):
        tiff("y.tif", values, told, **same | changes)
        done = run("convert", "--overwrite", "y.tif", "y.mrc")
        assert (done.status, done.err.count("\n")) == (0, 1)
        assert (
            f"warning: y.tif: tag {TAG}, with coordinates and header of an MRC file, is ignored: it describes"
            in done.err
        )
        assert why in done.err
        header = mrcarray.read_header("y.mrc")
        assert (header.ispg, header.m, header.origin) == (1, values.shape[::-1], (0.0, 0.0, 0.0))
    tiff("y.tif", VOLUME, told, **same)
    assert run("convert", "--overwrite", "y.tif", "y.mrc").err == ""
    assert mrcarray.open_dataarray("y.mrc").mrc.origin[:2] == (4.0, 6.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told[:-5],
        lambda told: told.replace('"mrcarray": 1', '"mrcarray": 2'),
        lambda told: told.replace('"coords"', '"cords"'),
        lambda told: told.replace('"coords": {', '"coords": {"w": 1, '),
        lambda told: told.replace('"dtype": "<f4"', '"dtype": "float99"'),
        lambda told: json.dumps({**json.loads(told), "shape": None}),
        lambda told: json.dumps({**json.loads(told), "attrs": 3}),
    ],
)
def test_damaged_tag_warns(change: Any, run: Callable[..., Done]) -> None:
    run("convert", "good.mrc", "x.tif")
    tiff("y.tif", VOLUME, change(tag("x.tif")))
    done = run("convert", "y.tif", "y.mrc")
    assert (done.status, done.err.count("\n"), "is ignored" in done.err) == (0, 1, True)
    assert (mrcarray.open_array("y.mrc")[...] == VOLUME).all()


def test_foreign_tag_is_ignored(run: Callable[..., Done]) -> None:
    tiff("y.tif", VOLUME, "a microscope's")
    done = run("convert", "y.tif", "y.mrc")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_damaged_attribute_warns(suffix: str, run: Callable[..., Done]) -> None:
    with load("good.mrc") as array:
        plain = array.drop_encoding()
        for text in ("no JSON", "[]", "{}", '{"header": "AAAA", "byteorder": "little", "pixel": "2"}'):
            changed = plain.assign_attrs(mrc_file=text).to_dataset(name="data")
            changed.to_netcdf("x.nc", engine="h5netcdf") if suffix == "nc" else changed.to_zarr(
                "x.zarr", mode="w", consolidated=False
            )
            done = run("convert", "--overwrite", f"x.{suffix}", "y.mrc")
            assert (done.status, done.err.count("\n")) == (0, 1)
            assert f"warning: x.{suffix}: attribute mrc_file is damaged, and is ignored" in done.err
    assert (mrcarray.open_array("y.mrc")[...] == VOLUME).all()


def test_imagej_tags_are_written(run: Callable[..., Done]) -> None:
    import tifffile

    Path("in.mrc").write_bytes(clean(mapcrs=(3, 1, 2), m=(6, 4, 8), cella=(6, 8, 24)))
    run("convert", "in.mrc", "x.tif")
    with tifffile.TiffFile("x.tif") as file:
        found, page = file.imagej_metadata or {}, file.pages.first
        assert (found["unit"], found["spacing"], found["images"]) == ("angstrom", 2.0, 4)
        assert file.series[0].shape == (4, 6, 8)
        (nx, dx), (ny, dy) = page.tags["XResolution"].value, page.tags["YResolution"].value
    assert (dx / nx, dy / ny) == pytest.approx((3.0, 1.0))  # the columns run along z, the rows along x


def test_values_without_json_are_named() -> None:
    import xarray as xr

    array: xr.DataArray = xr.DataArray(IMAGES, dims=("section", "y", "x"), attrs={"odd": {1, 2}, "size": np.float32(2)})
    when = np.array(["2026-01-02T03:04:05", "NaT"], dtype="M8[ns]")
    array = array.assign_coords(
        datetime=("section", when),
        note=("section", np.array(["a", "\u00b5"], dtype=object)),
        amplitude=("section", np.array([1j, 2])),
        dose=("section", np.array([1.5, np.nan], dtype="f4"), {"units": "e"}),
    )
    text, issues = to_json(array)
    assert "attribute odd" in issues[0].message
    assert "coordinate amplitude" in issues[0].message
    found = from_json(IMAGES, text)
    expected = array.drop_vars("amplitude").drop_attrs(deep=False).assign_attrs(size=2.0)
    assert found.identical(expected.rename("data"))
    assert found.dose.dtype == np.float32


def test_small_pages_are_read_together(run: Callable[..., Done]) -> None:
    run("convert", "good.mrc", "x.tif")
    for size, chunks in ((10**6, (4,)), (3 * 6 * 8 * 4, (3, 1)), (1, (1, 1, 1, 1))):
        found = from_tiff("x.tif", piece=size)
        assert (found.chunks or ((),))[0] == chunks
        assert (found.values == VOLUME).all()

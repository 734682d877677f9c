"""`open_stack`: many files of one shape as one array."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray.errors import MrcFormatError, MrcValueError, MrcWarning
from tests.builders import header_bytes, mrc_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANGLES = (-3.0, 0.0, 3.0)


def values_of(number: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(number).normal(size=shape).astype("f4")


def images(folder: Path, count: int = 5, **fields: Any) -> list[str]:
    """Write images of 4 x 6 pixels, and return their names."""
    for number in range(count):
        (folder / f"frame-{number}.mrc").write_bytes(mrc_bytes(values_of(number, (1, 4, 6)), ispg=0, **fields))
    return [str(folder / f"frame-{number}.mrc") for number in range(count)]


def test_images_become_stack_with_name_of_each_file(tmp_path: Path) -> None:
    names = images(tmp_path)
    stack = mrcarray.open_stack(names)
    assert stack.dims == ("section", "y", "x")
    assert stack.section.values.tolist() == [0, 1, 2, 3, 4]
    assert stack.file.values.tolist() == names
    assert stack.mrc.voxel_size[:2] == mrcarray.open_dataarray(names[0]).mrc.voxel_size[:2]
    np.testing.assert_array_equal(stack, [values_of(number, (4, 6)) for number in range(5)])


def test_pattern_is_sorted(tmp_path: Path) -> None:
    names = images(tmp_path)
    assert mrcarray.open_stack(str(tmp_path / "frame-*.mrc")).file.values.tolist() == names


def test_volumes_become_stack_of_volumes(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.mrc").write_bytes(mrc_bytes(values_of(number, (3, 4, 5)), ispg=1))
    stack = mrcarray.open_stack([tmp_path / "0.mrc", tmp_path / "1.mrc"])
    assert stack.dims == ("volume", "z", "y", "x")
    np.testing.assert_array_equal(stack.isel(volume=1, z=2), values_of(1, (3, 4, 5))[2])


def test_stacks_are_joined_along_their_sections_with_metadata(tmp_path: Path) -> None:
    for number, count in enumerate((3, 2)):
        path = tmp_path / f"{number}.mrcs"
        path.write_bytes(mrc_bytes(values_of(number, (count, 4, 5)), ispg=0))
        (tmp_path / f"{number}.rawtlt").write_text("\n".join(str(angle + number) for angle in ANGLES[:count]))
    stack = mrcarray.open_stack([tmp_path / "0.mrcs", tmp_path / "1.mrcs"])
    assert stack.dims[0] == "section"
    assert stack.tilt_angle.values.tolist() == [-3, 0, 3, -2, 1]
    assert [name[-6:] for name in stack.file.values] == ["0.mrcs"] * 3 + ["1.mrcs"] * 2
    np.testing.assert_array_equal(stack[3:], values_of(1, (2, 4, 5)))
    together = np.concatenate([values_of(0, (3, 4, 5)), values_of(1, (2, 4, 5))])
    np.testing.assert_array_equal(stack[4:0:-2, ::-1], together[4:0:-2, ::-1])
    np.testing.assert_array_equal(stack[2], together[2])


def test_metadata_that_file_lacks_is_left_out(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.mrcs").write_bytes(mrc_bytes(values_of(number, (3, 4, 5)), ispg=0))
    (tmp_path / "0.rawtlt").write_text("\n".join(map(str, ANGLES)))
    assert "tilt_angle" not in mrcarray.open_stack([tmp_path / "0.mrcs", tmp_path / "1.mrcs"]).coords


def test_another_dim_is_new_axis(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.mrcs").write_bytes(mrc_bytes(values_of(number, (3, 4, 5)), ispg=0))
    movies = mrcarray.open_stack([tmp_path / "0.mrcs", tmp_path / "1.mrcs"], dim="movie")
    assert movies.dims == ("movie", "section", "y", "x")
    np.testing.assert_array_equal(movies[1], values_of(1, (3, 4, 5)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda: mrc_bytes(values_of(9, (1, 4, 7)), ispg=0), r"shape is \(4, 7\), but \(4, 6\) in .*frame-0.mrc"),
        (lambda: mrc_bytes(values_of(9, (1, 4, 6)).astype("i2"), 1, ispg=0), "dtype is int16, but float32"),
        (lambda: mrc_bytes(values_of(9, (1, 4, 6)), ispg=0, cella=(99.0, 99.0, 1.0)), r"voxel size is \(16.5, 24.75\)"),
        (lambda: mrc_bytes(values_of(9, (3, 4, 6)), ispg=1), "kind is volume, but image"),
    ],
)
def test_file_that_does_not_agree_is_named(tmp_path: Path, change: Callable[[], bytes], text: str) -> None:
    names = images(tmp_path)
    (tmp_path / "frame-3.mrc").write_bytes(change())
    with pytest.raises(MrcFormatError, match=rf"frame-3.mrc: {text}.*open_mfdataset"):
        mrcarray.open_stack(names)


def test_file_that_is_no_map_is_named(tmp_path: Path) -> None:
    names = images(tmp_path)
    (tmp_path / "frame-2.mrc").write_bytes(b"no map" * 400)
    with pytest.raises(MrcFormatError, match=r"frame-2\.mrc"):
        mrcarray.open_stack(names)


def test_other_origins_warn(tmp_path: Path) -> None:
    names = images(tmp_path)
    (tmp_path / "frame-3.mrc").write_bytes(mrc_bytes(values_of(3, (1, 4, 6)), ispg=0, origin=(9.0, 0.0, 0.0)))
    with pytest.warns(MrcWarning, match=r"1 files, such as .*frame-3.mrc, have another origin than .*frame-0.mrc"):
        mrcarray.open_stack(names)


@pytest.mark.parametrize(("paths", "text"), [([], "paths is empty"), ("none-*.mrc", r"no file matches none-\*\.mrc")])
def test_no_file_is_refused(paths: Any, text: str) -> None:
    with pytest.raises(MrcValueError, match=text):
        mrcarray.open_stack(paths)


def test_chunk_contains_several_files(tmp_path: Path) -> None:
    """Only headers are read before the array is computed, and a task has no list of all files."""
    names = images(tmp_path, 40)
    stack = mrcarray.open_stack(names, chunks=(10, -1, -1))
    assert stack.data.numblocks == (4, 1, 1)
    for name in names[10:]:
        (tmp_path / name).unlink()
    np.testing.assert_array_equal(stack[2:8], [values_of(number, (4, 6)) for number in range(2, 8)])
    assert mrcarray.open_stack(names[:10]).data.numblocks == (1, 1, 1)


def test_stack_is_pickled_and_written(tmp_path: Path) -> None:
    stack = pickle.loads(pickle.dumps(mrcarray.open_stack(images(tmp_path))))
    path = stack.drop_vars("file").mrc.to_mrc(tmp_path / "all.mrcs")
    assert mrcarray.open_dataarray(path).dims == ("section", "y", "x")
    np.testing.assert_array_equal(mrcarray.open_dataarray(path), stack)


def test_headers_without_pixels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(header_bytes(nx=4, ny=4, nz=1))
    with pytest.raises(MrcFormatError, match=r"a\.mrc"):
        mrcarray.open_stack([tmp_path / "a.mrc"])

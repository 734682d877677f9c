"""Idioms of programs that use mrcfile, with mrcfile and with ``import mrcarray as mrcfile``."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mrcfile as original
import numpy as np
import pytest

from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLUME = sample((5, 3, 4), 2)


@pytest.fixture(params=["mrcfile", "mrcarray"])  # whose functions are those of mrcarray.classic: test_public_names
def mrcfile(request: pytest.FixtureRequest) -> Any:
    """Return mrcfile, then the import that replaces it."""
    return importlib.import_module(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the name of a volume."""
    name = tmp_path / "volume.mrc"
    name.write_bytes(mrc_bytes(VOLUME))
    return name


# files that other programs have open


@pytest.fixture(params=["", ".mrc", ".map"])
def held(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a temporary file that is open."""
    with tempfile.NamedTemporaryFile(suffix=request.param) as file:
        yield file


def test_named_temporary_file_is_filled_by_write(mrcfile: Any, held: Any) -> None:
    mrcfile.write(held.name, VOLUME, overwrite=True)
    held.seek(0)
    content = held.read()
    assert len(content) == 1024 + VOLUME.nbytes
    np.testing.assert_array_equal(np.frombuffer(content[1024:], "f4").reshape(VOLUME.shape), VOLUME)


def test_named_temporary_file_is_filled_by_a_session(mrcfile: Any, held: Any) -> None:
    with mrcfile.new(held.name, overwrite=True) as mrc:
        mrc.set_data(VOLUME)
        mrc.voxel_size = 2
    held.seek(0)
    with original.mrcinterpreter.MrcInterpreter(held) as mrc:
        np.testing.assert_array_equal(mrc.data, VOLUME)
        assert float(mrc.voxel_size.x) == 2
        mrc._read_only = True


def test_named_temporary_file_is_filled_through_a_map(mrcfile: Any, held: Any) -> None:
    with mrcfile.new_mmap(held.name, VOLUME.shape, 2, overwrite=True) as mrc:
        mrc.data[:] = VOLUME
        mrc.voxel_size = 2
        data = mrc.data
    held.seek(1024)
    np.testing.assert_array_equal(np.frombuffer(held.read(), "f4").reshape(VOLUME.shape), VOLUME)
    assert data is not None
    with original.open(held.name) as mrc:
        assert float(mrc.voxel_size.x) == 2


@pytest.mark.parametrize("compression", ["gzip", "bzip2"])
def test_named_temporary_file_is_filled_by_a_compressed_session(mrcfile: Any, held: Any, compression: str) -> None:
    with mrcfile.new(held.name, VOLUME, compression=compression, overwrite=True):
        pass
    held.seek(0)
    Path(held.name + ".copy").write_bytes(held.read())
    try:
        np.testing.assert_array_equal(original.read(held.name + ".copy"), VOLUME)
    finally:
        Path(held.name + ".copy").unlink()


def test_map_in_a_growing_empty_file_is_seen_by_its_holder(mrcfile: Any, held: Any) -> None:
    with mrcfile.mrcmemmap.MrcMemmap(held.name, mode="w+", overwrite=True) as mrc:
        mrc.set_data(VOLUME)
        mrc.flush()
        mrc.data[0] = 7
    held.seek(1024)
    found = np.frombuffer(held.read(), "f4").reshape(VOLUME.shape)
    assert (found[0] == 7).all()
    np.testing.assert_array_equal(found[1:], VOLUME[1:])


def test_file_made_by_mkstemp_is_written(mrcfile: Any, tmp_path: Path) -> None:
    descriptor, name = tempfile.mkstemp(suffix=".mrc", dir=tmp_path)
    mrcfile.write(name, VOLUME, overwrite=True)
    assert os.fstat(descriptor).st_size == 1024 + VOLUME.nbytes
    os.close(descriptor)


# maps keep their file


def test_map_reads_a_file_that_was_deleted_after_opening(mrcfile: Any, path: Path) -> None:
    mrc = mrcfile.mmap(path)
    path.unlink()
    np.testing.assert_array_equal(mrc.data, VOLUME)
    mrc.close()


def test_map_reads_a_file_that_was_renamed_after_opening(mrcfile: Any, path: Path) -> None:
    with mrcfile.mmap(path) as mrc:
        path.rename(path.with_name("other.mrc"))
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_map_reads_the_opened_file_after_a_replacement(mrcfile: Any, path: Path) -> None:
    with mrcfile.mmap(path) as mrc:
        other = path.with_name("other.mrc")
        other.write_bytes(mrc_bytes(VOLUME[:1] * 9))
        other.replace(path)
        np.testing.assert_array_equal(mrc.data, VOLUME)


def test_map_for_writing_holds_a_file_that_was_deleted(mrcfile: Any, path: Path) -> None:
    mrc = mrcfile.mmap(path, mode="r+")
    path.unlink()
    mrc.data[0] = 5
    assert (mrc.data[0] == 5).all()
    mrc.close()
    assert not path.exists()


def test_map_in_a_temporary_folder_outlives_it(mrcfile: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder, "a.mrc")
        name.write_bytes(mrc_bytes(VOLUME))
        mrc = mrcfile.mmap(name)
    np.testing.assert_array_equal(mrc.data, VOLUME)
    mrc.close()


def test_map_knows_the_name_of_its_file(mrcfile: Any, path: Path) -> None:
    with mrcfile.mmap(path) as mrc:
        assert str(mrc.data.filename) == str(path)


# submodules

SUBMODULES = {
    "bzip2mrcfile": "Bzip2MrcFile",
    "command_line": "print_headers",
    "constants": "MAP_ID",
    "dtypes": "HEADER_DTYPE",
    "future_mrcfile": "FutureMrcFile",
    "gzipmrcfile": "GzipMrcFile",
    "load_functions": "new_mmap",
    "mrcfile": "MrcFile",
    "mrcinterpreter": "MrcInterpreter",
    "mrcmemmap": "MrcMemmap",
    "mrcobject": "MrcObject",
    "utils": "mode_from_dtype",
    "validator": "validate_all",
    "version": "__version__",
}


def test_submodules_are_those_of_mrcfile() -> None:
    folder = Path(str(original.__file__)).parent
    assert {file.stem for file in folder.glob("*.py")} - {"__init__"} == set(SUBMODULES)


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    return subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=True)


@pytest.mark.parametrize("module", ["mrcarray", "mrcarray.classic"])
def test_submodules_are_found_as_attributes(module: str) -> None:
    lines = [f"mrcfile.{submodule}.{name}" for submodule, name in SUBMODULES.items()]
    run(
        "\n".join(
            [
                f"import {module} as mrcfile",
                *lines,
                "assert mrcfile.mrcfile.MrcFile is mrcfile.open.__globals__['MrcFile']",
            ]
        )
    )


@pytest.mark.parametrize("module", ["mrcarray", "mrcarray.classic"])
def test_submodules_are_imported_from(module: str) -> None:
    lines = [f"from {module}.{submodule} import {name}" for submodule, name in SUBMODULES.items()]
    lines += [f"import {module}.utils, {module}.mrcfile as m", "import mrcarray.classic.mrcfile as home"]
    run("\n".join([*lines, "assert m is home", "assert m.__spec__.name == m.__name__ == 'mrcarray.classic.mrcfile'"]))


def test_submodules_are_listed_and_found_once() -> None:
    import mrcarray

    assert set(SUBMODULES) <= set(dir(mrcarray))
    assert set(SUBMODULES) <= set(dir(mrcarray.classic)) | {"command_line", "validator"}
    assert importlib.import_module("mrcarray.utils") is mrcarray.classic.utils is mrcarray.utils
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mrcarray.nothing")


def test_importing_the_package_loads_no_submodule() -> None:
    done = run("import mrcarray, sys; print([name for name in sys.modules if 'classic' in name])")
    assert done.stdout == "[]\n"


# a touch between opening and closing

LARGE = (3, 320, 320)  # more than 1 MiB, of which no copy is kept


def touch(name: Path) -> None:
    """Set the modification time of a file, like ``touch``."""
    os.utime(name, ns=(10**18, 10**18))


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
@pytest.mark.parametrize("shape", [(5, 3, 4), LARGE])
@pytest.mark.parametrize("edit", ["header", "in place", "set_data", "extended header", "twice"])
def test_touch_between_opening_and_closing_loses_no_edit(
    mrcfile: Any, tmp_path: Path, suffix: str, shape: tuple[int, ...], edit: str
) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype("f4")
    name = tmp_path / f"a.mrc{suffix}"
    original.write(name, values)
    with mrcfile.open(name, "r+") as mrc:
        touch(name)
        if edit == "header":
            mrc.header.nxstart = 3
        elif edit == "in place":
            mrc.data[0] = 7
        elif edit == "set_data":
            mrc.set_data(values * 2)
        elif edit == "extended header":
            mrc.set_extended_header(np.zeros(80, "V1"))
        else:
            mrc.data[0] = 7
            mrc.flush()
            os.utime(name, ns=(10**17, 10**17))
            mrc.data[1] = 8
    with original.open(name) as mrc:
        assert int(mrc.header.nxstart) == (3 if edit == "header" else 0)
        assert mrc.extended_header.nbytes == (80 if edit == "extended header" else 0)
        if edit in ("in place", "twice"):
            values[0] = 7
        if edit == "twice":
            values[1] = 8
        np.testing.assert_array_equal(mrc.data, values * (2 if edit == "set_data" else 1))


def test_touch_loses_no_edit_of_a_map_or_of_a_header_alone(mrcfile: Any, path: Path) -> None:
    with mrcfile.mmap(path, "r+") as mrc:
        touch(path)
        mrc.data[0] = 7
        mrc.voxel_size = 2
    with mrcfile.open(path, "r+") as mrc:
        touch(path)
        mrc.header.nystart = 4
    with original.open(path) as mrc:
        assert (mrc.data[0] == 7).all()
        assert (float(mrc.voxel_size.x), int(mrc.header.nystart)) == (2, 4)


# errors


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [
        ("f8", "float32"),
        ("i4", "int16) if the values fit, or data.astype(np.float32"),
        ("i8", "int16) if the values fit, or data.astype(np.float32"),
        ("u4", "uint16) if the values fit, or data.astype(np.float32"),
        ("?", "int8"),
        ("c16", "complex64"),
    ],
)
def test_dtype_without_a_mode_is_refused_with_advice(mrcfile: Any, tmp_path: Path, dtype: str, advice: str) -> None:
    values = np.ones((5, 5), dtype)
    with pytest.raises(ValueError, match=f"^dtype '{values.dtype}' cannot be converted to an MRC file mode") as caught:
        mrcfile.write(tmp_path / "a.mrc", values)
    if mrcfile is not original:
        assert str(caught.value).endswith(f"; pass data.astype(np.{advice})")
        assert not (tmp_path / "a.mrc").exists()
        for name in re.findall(r"data.astype\(np.(\w+)\)", str(caught.value)):
            mrcfile.write(tmp_path / "a.mrc", values.astype(name), overwrite=True)


@pytest.mark.parametrize("values", [np.array([["a"]]), np.array([[None]]), np.array([["2020"]], "M8[D]")])
def test_array_without_numbers_is_refused(mrcfile: Any, tmp_path: Path, values: Any) -> None:
    with pytest.raises(ValueError, match="cannot be converted to an MRC file mode"):
        mrcfile.write(tmp_path / "a.mrc", values)


WRONG: list[Any] = [
    None,
    [],
    [1],
    [1, 2],
    [1, 2, 3, 4],
    {},
    object(),
    1j,
    (None, None, None),
    slice(1),
    np.array([None]),
]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["voxel_size", "nstart"])
def test_invalid_triple_is_a_type_error(mrcfile: Any, path: Path, name: str, value: Any) -> None:
    with mrcfile.open(path, "r+") as mrc, pytest.raises(TypeError):
        setattr(mrc, name, value)


@pytest.mark.parametrize("name", ["voxel_size", "nstart"])
def test_text_without_a_number_is_a_value_error(mrcfile: Any, path: Path, name: str) -> None:
    with mrcfile.open(path, "r+") as mrc, pytest.raises(ValueError, match=r"abc|three"):
        setattr(mrc, name, "abc")


@pytest.mark.parametrize("mode", [None, 1, 1.5, b"r", object()])
def test_invalid_mode_is_a_type_error(mrcfile: Any, path: Path, mode: Any) -> None:
    with pytest.raises(TypeError):
        mrcfile.open(path, mode=mode)
    with pytest.raises(ValueError, match="not supported"):
        mrcfile.open(path, mode="x")


@pytest.mark.parametrize("value", [None, 1, "text", []])
def test_printable_string_is_made_of_bytes(mrcfile: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        mrcfile.utils.printable_string_from_bytes(value)
    assert mrcfile.utils.printable_string_from_bytes(np.bytes_(b"a\0")) == "a"

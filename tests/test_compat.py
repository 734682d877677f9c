"""The private attributes of other libraries exist and mean what `mrcarray._compat` says."""

from __future__ import annotations

import ast
import asyncio
import io
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mrcarray
from mrcarray import _compat

PACKAGE = Path(_compat.__file__).parent


def test_is_in_memory_tells_loaded_values(tmp_path: Path) -> None:
    mrcarray.to_mrc(np.zeros((2, 3, 4), "f4"), tmp_path / "a.mrc", voxel_size=1.0)
    with xr.open_dataarray(tmp_path / "a.mrc", engine="mrc") as array:
        assert not _compat.is_in_memory(array.variable)
        assert not _compat.is_in_memory(array.chunk().variable)
        assert _compat.is_in_memory(array.load().variable)


def test_set_close_of_calls_the_function_of_the_dataset() -> None:
    calls: list[str] = []
    dataset = xr.Dataset()
    dataset.set_close(lambda: calls.append("closed"))
    tree = xr.DataTree(dataset)
    _compat.set_close_of(tree, dataset)
    tree.close()
    assert calls == ["closed"]


def test_set_dtype_reinterprets_a_subclass_in_place() -> None:
    array = np.zeros(2, [("a", "<i4")]).view(np.recarray)
    array["a"] = 1
    _compat.set_dtype(array, array.dtype.newbyteorder(">"))
    assert array["a"].tolist() == [1 << 24, 1 << 24]


def test_warning_filters_include_those_of_the_context() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BytesWarning)
        action, _, category, _, _ = _compat.warning_filters()[0]
        assert (action, category) == ("ignore", BytesWarning)


async def test_file_info_passes_the_cache_of_fsspec() -> None:
    class FileSystem:
        async def _info(self, path: str, **options: Any) -> dict[str, Any]:
            return {"name": path, **options}

    assert await _compat.file_info(FileSystem(), "a") == {"name": "a", "refresh": True}
    assert asyncio.iscoroutinefunction(pytest.importorskip("fsspec.asyn").AsyncFileSystem._info)


def test_calls_s3_tells_s3fs_from_other_file_systems() -> None:
    s3fs = pytest.importorskip("s3fs")
    assert _compat.calls_s3(s3fs.S3FileSystem(anon=True))
    assert not _compat.calls_s3(object())


def test_call_s3_has_the_signature_of_s3fs() -> None:
    s3fs = pytest.importorskip("s3fs")
    call = _compat.call_s3(s3fs.S3FileSystem(anon=True, asynchronous=True), "get_object", Bucket="a", Key="b")
    assert asyncio.iscoroutine(call)
    call.close()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_member_facts_locate_the_compressed_bytes(method: int) -> None:
    data, whole = bytes(range(256)) * 9, io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        archive.writestr("a", data)
    with zipfile.ZipFile(whole) as archive, archive.open("a") as member:
        facts = _compat.zip_member_facts(member)
        assert facts is not None
        _, start, kind, packed, size, crc = facts
    stored = whole.getvalue()[start : start + packed]
    assert (kind, size, crc) == (method, len(data), zlib.crc32(data))
    assert (stored if method == zipfile.ZIP_STORED else zlib.decompress(stored, -15)) == data


def test_zip_member_facts_of_another_file_are_none() -> None:
    assert _compat.zip_member_facts(io.BytesIO()) is None


def test_private_attributes_of_other_libraries_occur_nowhere_else() -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    own = {name for tree in trees.values() for name in _defined(tree)}
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.attr}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own | DOCUMENTED
        if path.name != "_compat.py"
    ]
    assert not found


DOCUMENTED = {"_asdict", "_fields", "_getframe", "_make", "_replace"}
"""Names with an underscore that the documentation of Python lists."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _defined(tree: ast.AST) -> set[str]:
    """Return the names that a module defines: functions, classes, variables, and attributes it assigns."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found

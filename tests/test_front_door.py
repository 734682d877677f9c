"""The package as it is imported: small, lazy and complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mrcarray

HEAVY = ("xarray", "dask", "rich", "click", "fsspec", "pandas", "zarr", "matplotlib", "distributed", "gemmi", "mrcfile")


def _run(code: str) -> str:
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return out.stdout.strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert _run(f"import sys, mrcarray; print([m for m in {HEAVY!r} if m in sys.modules])") == "[]"


def test_reading_a_header_imports_nothing_heavy() -> None:
    code = f"import sys, mrcarray; mrcarray.read_header; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert _run(code) == "[]"


def test_all_is_sorted_complete_and_fetched() -> None:
    assert list(mrcarray.__all__) == sorted(mrcarray.__all__)
    assert set(mrcarray.__all__) == set(mrcarray._HOME)
    for name in mrcarray.__all__:
        assert getattr(mrcarray, name).__module__.startswith("mrcarray."), name


def test_every_error_class_is_a_public_name() -> None:
    from mrcarray import errors

    assert {name for name in errors.__all__ if name[0].isupper()} <= set(mrcarray.__all__)


def test_dir_lists_what_has_not_been_fetched_yet() -> None:
    assert _run("import mrcarray; print(set(mrcarray.__all__) <= set(dir(mrcarray)))") == "True"


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mrcarray.nothing  # noqa: B018 -- to be looked at is what it is for

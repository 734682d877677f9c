"""What users may rely on by name, and what importing it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import typing

import pytest

import mrcarray
from mrcarray import errors

HEAVY = {"xarray", "dask", "pandas", "fsspec", "distributed", "click", "rich", "matplotlib", "scipy"}


def imported_by(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after `statement` in a fresh interpreter."""
    code = f"import sys, json; {statement}; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_names_of_the_front_door_are_sorted_and_unique() -> None:
    assert list(mrcarray.__all__) == sorted(set(mrcarray.__all__))


@pytest.mark.parametrize("name", sorted(mrcarray.__all__))
def test_every_name_of_the_front_door_is_there_and_described(name: str) -> None:
    thing = getattr(mrcarray, name)
    if not isinstance(thing, str):
        assert inspect.getdoc(thing)
    assert name in dir(mrcarray)


def test_the_front_door_shows_nothing_that_it_does_not_offer() -> None:
    things = {name: thing for name, thing in vars(mrcarray).items() if not name.startswith("_")}
    tools = {name for name, thing in things.items() if inspect.ismodule(thing) or vars(typing).get(name) is thing}
    assert set(things) - tools - {"annotations"} <= set(mrcarray.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mrcarray.nothing  # noqa: B018 -- looking it up is the test


def _is_exception(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def test_package_offers_every_exception() -> None:
    offered = set(mrcarray.__all__)
    exceptions = {name for name in errors.__all__ if _is_exception(getattr(errors, name))}
    assert exceptions <= offered
    assert all(getattr(mrcarray, name) is getattr(errors, name) for name in exceptions)


def test_every_exception_has_one_root_and_is_listed_in_the_tree() -> None:
    for name in errors.__all__:
        thing = getattr(errors, name)
        if _is_exception(thing):
            assert issubclass(thing, errors.MrcError | errors.MrcWarning)
            assert name in (errors.__doc__ or "")


def test_errors_are_caught_by_the_builtin_that_fits() -> None:
    for error in (errors.MrcFormatError, errors.MrcValueError, errors.StaleFileError, errors.ClosedError):
        assert issubclass(error, ValueError)
    assert issubclass(errors.MissingDependencyError, ImportError)
    assert issubclass(errors.MrcWarning, RuntimeWarning)


def test_import_mrcarray_loads_nothing_heavy() -> None:
    assert not imported_by("import mrcarray") & HEAVY


def test_reading_a_header_loads_nothing_heavy() -> None:
    assert not imported_by("import mrcarray; mrcarray.read_header") & HEAVY


def test_a_system_without_positional_reads_is_told_so_at_the_door() -> None:
    code = "import os; del os.preadv; import mrcarray"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: mrcarray reads and writes at positions of a file")


def test_the_package_runs_as_its_command() -> None:
    done = subprocess.run([sys.executable, "-m", "mrcarray", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"mrcarray {mrcarray.__version__}\n")

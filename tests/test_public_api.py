"""Public names: what users can rely on, and what importing them costs."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import mrcarray
from mrcarray import errors
from tests.cases import clean

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"xarray", "dask", "pandas", "fsspec", "distributed", "click", "rich", "matplotlib", "scipy"}


def imported_by(statement: str) -> set[str]:
    """Return the top-level modules that are loaded after `statement` in a fresh interpreter."""
    code = f"import sys, json; {statement}; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_public_names_are_sorted_and_unique() -> None:
    assert list(mrcarray.__all__) == sorted(set(mrcarray.__all__))


@pytest.mark.parametrize("name", sorted(mrcarray.__all__))
def test_public_name_is_documented(name: str) -> None:
    thing = getattr(mrcarray, name)
    if not isinstance(thing, str):
        assert inspect.getdoc(thing)
    assert name in dir(mrcarray)


def test_package_has_no_other_public_names() -> None:
    things = {name: thing for name, thing in vars(mrcarray).items() if not name.startswith("_")}
    tools = {name for name, thing in things.items() if inspect.ismodule(thing) or vars(typing).get(name) is thing}
    assert set(things) - tools - {"annotations"} <= set(mrcarray.__all__)


COMMANDS = {
    "check": "validate",
    "convert": "convert",
    "diff": "diff",
    "fix": "fix",
    "header_report": "header",
    "plot": "view",
    "stats": "stats",
}
"""Functions of the package that are commands too."""


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_a_typed_documented_function(name: str) -> None:
    function = getattr(mrcarray, name)
    assert inspect.isfunction(function)
    assert function.__name__ == name
    parameters = inspect.signature(function).parameters.values()
    assert all(one.annotation is not one.empty for one in parameters)
    assert inspect.signature(function).return_annotation not in ("Any", inspect.Signature.empty)
    text = inspect.getdoc(function) or ""
    assert all(f"{one.name}" in text for one in parameters)
    assert re.search(r"^Returns\n-+$", text, re.MULTILINE)
    source = (ROOT / f"mrcarray/cli/{COMMANDS[name]}.py").read_text(encoding="utf-8")
    source += (ROOT / "mrcarray/cli/explain.py").read_text(encoding="utf-8")
    assert re.search(rf"\b(mrcarray\.)?{name}\(", source)


def test_validate_is_that_of_mrcfile() -> None:
    from mrcarray import classic

    assert mrcarray.validate is classic.validate


def test_no_module_hides_a_public_name() -> None:
    modules = {info.name for info in pkgutil.iter_modules(mrcarray.__path__)}
    assert not modules & set(mrcarray.__all__)


def test_values_show_themselves_as_text_and_html(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(clean(map=b"MAP\0", labels=b"<b>\x1b[2J"))
    header, report = mrcarray.header_report(path), mrcarray.check(path)
    assert "   4  mode      2 " in repr(header)
    assert str(header) == repr(header)
    assert repr(report).startswith(f"{path}: valid\n  warning: word 53 (map)")
    for value in (header, report):
        page = value._repr_html_()
        assert "MRC153" in page
        assert "word 53 (map)" in page
        assert "\x1b" not in repr(value) + page
        assert "<b>" not in page
    assert "&lt;b&gt;" in header._repr_html_()
    assert "count  192" in repr(mrcarray.stats(path))
    assert repr(mrcarray.diff(path, path)) == "no differences"


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mrcarray.nothing  # noqa: B018 -- looking it up is the test


def _is_exception(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def test_package_offers_every_exception() -> None:
    offered = set(mrcarray.__all__)
    exceptions = {name for name in errors.__all__ if _is_exception(getattr(errors, name))}
    assert exceptions <= offered
    assert all(getattr(mrcarray, name) is getattr(errors, name) for name in exceptions)


def test_exceptions_have_one_root_and_are_in_the_tree() -> None:
    for name in errors.__all__:
        thing = getattr(errors, name)
        if _is_exception(thing):
            assert issubclass(thing, errors.MrcError | errors.MrcWarning)
            assert name in (errors.__doc__ or "")


def test_exceptions_derive_from_builtins() -> None:
    for error in (errors.MrcFormatError, errors.MrcValueError, errors.StaleFileError, errors.ClosedError):
        assert issubclass(error, ValueError)
    assert issubclass(errors.MissingDependencyError, ImportError)
    assert issubclass(errors.MrcWarning, RuntimeWarning)


def test_import_mrcarray_loads_nothing_heavy() -> None:
    assert not imported_by("import mrcarray") & HEAVY


def test_reading_a_header_loads_nothing_heavy() -> None:
    assert not imported_by("import mrcarray; mrcarray.read_header") & HEAVY


def test_python_m_runs_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "mrcarray", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"mrcarray {mrcarray.__version__}\n")

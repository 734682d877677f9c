"""All public names of mrcfile exist with the same signature; compared by inspection."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import mrcfile
import pytest

from mrcarray import classic

MODULES = (
    "load_functions",
    "mrcobject",
    "mrcinterpreter",
    "mrcfile",
    "mrcmemmap",
    "gzipmrcfile",
    "bzip2mrcfile",
    "future_mrcfile",
    "validator",
    "command_line",
    "utils",
    "dtypes",
    "constants",
)
CLASSES = (
    ("mrcobject", "MrcObject"),
    ("mrcinterpreter", "MrcInterpreter"),
    ("mrcfile", "MrcFile"),
    ("mrcmemmap", "MrcMemmap"),
    ("gzipmrcfile", "GzipMrcFile"),
    ("bzip2mrcfile", "Bzip2MrcFile"),
    ("future_mrcfile", "FutureMrcFile"),
)
#: Methods that mrcfile documents for subclasses.
HOOKS = (
    "_check_writeable",
    "_create_default_attributes",
    "_close_data",
    "_set_new_data",
    "_read",
    "_read_header",
    "_read_extended_header",
    "_read_data",
    "_read_bytearray_from_stream",
    "_open_memmap",
)
#: Names of other libraries and of Python 2 that modules of mrcfile import.
NOT_ITS_OWN = {"absolute_import", "division", "print_function", "unicode_literals"}


def public_names(module: Any) -> list[str]:
    """Return the names a module defines itself."""
    names = []
    for name, value in vars(module).items():
        own = getattr(value, "__module__", module.__name__) in (module.__name__, None)
        if not name.startswith("_") and not inspect.ismodule(value) and own and name not in NOT_ITS_OWN:
            names.append(name)
    return names


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    """Return name, kind and default of each parameter."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in found]


@pytest.mark.parametrize("name", MODULES)
def test_modules_have_the_names_and_signatures_of_mrcfile(name: str) -> None:
    theirs = importlib.import_module(f"mrcfile.{name}")
    ours = importlib.import_module(f"mrcarray.classic.{name}")
    for public in public_names(theirs):
        original = getattr(theirs, public)
        assert hasattr(ours, public), f"{name}.{public} is missing"
        if inspect.isfunction(original):
            assert parameters(getattr(ours, public)) == parameters(original), public


def test_package_has_the_names_of_mrcfile() -> None:
    for name, value in vars(mrcfile).items():
        if not name.startswith("_") and name not in NOT_ITS_OWN and name != "version":
            assert hasattr(classic, name), name
            if inspect.isfunction(value):
                assert parameters(getattr(classic, name)) == parameters(value), name


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_classes_have_the_methods_and_signatures_of_mrcfile(module: str, name: str) -> None:
    theirs = getattr(importlib.import_module(f"mrcfile.{module}"), name)
    ours = getattr(importlib.import_module(f"mrcarray.classic.{module}"), name)
    assert parameters(ours.__init__) == parameters(theirs.__init__)
    for attribute in dir(theirs):
        if attribute.startswith("_") and attribute not in HOOKS:
            continue
        original = inspect.getattr_static(theirs, attribute)
        mine = inspect.getattr_static(ours, attribute)
        assert type(mine) is type(original), attribute
        if isinstance(original, property):
            assert (mine.fset is None) == (original.fset is None), attribute
        elif (
            inspect.isfunction(original) and attribute != "_read_data"
        ):  # its signature differs between mrcfile's classes
            assert parameters(mine) == parameters(original), attribute


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_classes_inherit_as_in_mrcfile(module: str, name: str) -> None:
    theirs = getattr(importlib.import_module(f"mrcfile.{module}"), name)
    ours = getattr(importlib.import_module(f"mrcarray.classic.{module}"), name)
    names = [cls.__name__ for cls in ours.__mro__]
    assert [cls.__name__ for cls in theirs.__mro__ if cls.__name__ in names] == [
        n for n in names if n in [cls.__name__ for cls in theirs.__mro__]
    ]
    assert all(cls.__name__ in names for cls in theirs.__mro__)


@pytest.mark.parametrize(
    "cls", [classic.gzipmrcfile.GzipMrcFile, classic.bzip2mrcfile.Bzip2MrcFile, classic.mrcmemmap.MrcMemmap]
)
def test_compression_and_mapping_are_choices_not_methods(cls: type) -> None:
    replaced = {
        name for name, value in vars(cls).items() if inspect.isroutine(value) and hasattr(classic.mrcfile.MrcFile, name)
    }
    assert replaced == set()


def test_every_public_name_is_documented() -> None:
    for name in MODULES:
        module = importlib.import_module(f"mrcarray.classic.{name}")
        assert module.__doc__, name
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isfunction(value) or inspect.isclass(value):
                assert value.__doc__, f"{name}.{public}"

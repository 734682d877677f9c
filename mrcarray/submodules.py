"""The submodules of mrcfile under ``import mrcarray as mrcfile``: names for the modules of `mrcarray.classic`.

`mrcarray.utils` is the module `mrcarray.classic.utils` itself: a class is the same class under both names. The
attribute comes from ``mrcarray.__getattr__``; ``from mrcarray.utils import ...`` uses a finder at the end of
``sys.meta_path``, which Python asks only for names that no other finder finds.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader, MetaPathFinder
    from types import ModuleType
else:  # importlib.abc imports many modules, and the import system accepts any object with the methods
    Loader = MetaPathFinder = object

__all__ = ["SUBMODULES", "install", "submodule"]

SUBMODULES = frozenset({
    "bzip2mrcfile",
    "command_line",
    "constants",
    "dtypes",
    "future_mrcfile",
    "gzipmrcfile",
    "load_functions",
    "mrcfile",
    "mrcinterpreter",
    "mrcmemmap",
    "mrcobject",
    "utils",
    "validator",
    "version",
})  # fmt: skip
"""Modules of mrcfile 1.5.4."""

_PACKAGE = "mrcarray"


def submodule(name: str) -> ModuleType:
    """Return the module of the classic API with the name of a module of mrcfile.

    Examples
    --------
    >>> submodule("mrcfile").MrcFile.__name__
    'MrcFile'
    """
    return importlib.import_module(f"{_PACKAGE}.classic.{name}")


def install() -> None:
    """Add the finder, so that the names can be imported as submodules of the package."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder):
    """Finds the submodules of mrcfile in this package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the names in `SUBMODULES`."""
        del path, target
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, _Loader(name)) if package == _PACKAGE and name in SUBMODULES else None


class _Loader(Loader):
    """Returns the module of the classic API and does not change it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module of the classic API."""
        del spec
        module = submodule(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec of the module, which the import system replaced."""
        module.__spec__ = self._spec

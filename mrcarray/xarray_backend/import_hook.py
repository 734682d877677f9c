"""Register the accessor ``.mrc`` as soon as xarray is imported, without this package importing xarray.

`install` registers the accessor at once if xarray is imported, and else adds a finder to ``sys.meta_path`` that waits
for it. When a program imports xarray, the usual finders find and run it, the accessor is registered, and the finder
removes itself. No other import is affected, and that of xarray is not changed.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["install"]

if not TYPE_CHECKING:  # importlib.abc imports half of the standard library; duck typing does
    Loader = MetaPathFinder = object

_AWAITED = "xarray"
_ACCESSOR = "mrcarray.accessor"


def install() -> None:
    """Register the accessor now if xarray is imported, else when it is imported."""
    if sys.modules.get(_AWAITED) is not None:
        importlib.import_module(_ACCESSOR)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finder that waits for the import of xarray."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the other finders for xarray, with a loader that registers afterwards; None for the rest.

        A module that is looked for need not be imported (`importlib.util.find_spec`), so the finder stays until the
        module has run. A second finder, of a second copy of this package, would ask this one back: it gets None.
        """
        if fullname != _AWAITED or self._asking:
            return None
        self._asking = True
        try:
            others = (finder for finder in sys.meta_path if finder is not self)
            specs = (finder.find_spec(fullname, path, target) for finder in others)
            spec = next((found for found in specs if found is not None), None)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)
        return spec


class _Loader(Loader):
    """Loader that runs the loader of xarray, and then registers the accessor."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module with the loader of xarray."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own loader back, run it, and register the accessor."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        importlib.import_module(_ACCESSOR)

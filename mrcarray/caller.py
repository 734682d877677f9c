"""Warnings that name the line that called the package, and that filters written for mrcfile match.

A filter with ``module="mrcfile"`` matches warnings that modules of mrcfile raise. A warning of this package names the
caller's file and line, so its module is the caller's. `warn` therefore lets a filter match any of three names: the
caller's module, the modules of this package in the call stack, and mrcfile's names for those of the classic API:
`mrcarray.classic.mrcobject` also counts as ``mrcfile.mrcobject``.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from mrcarray import _compat
from mrcarray.errors import MrcWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["outside", "warn"]

_OURS = frozenset({"mrcarray", "xarray", "importlib"})
_CLASSIC, _ORIGINAL = "mrcarray.classic.", "mrcfile."


def outside() -> int:
    """Return the `stacklevel` of a warning that names the first line outside this package and xarray."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001 -- warnings offers it from Python 3.12
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    return level


def warn(text: str, category: type[Warning] = MrcWarning, source: Any = None) -> None:
    """Warn at the first line outside this package and xarray.

    Parameters
    ----------
    text : str
        The message.
    category : type
        Class of the warning.
    source : object, optional
        The object that a `ResourceWarning` is about.
    """
    frame, passed = sys._getframe(1), []  # noqa: SLF001 -- as above
    while frame.f_back is not None and _is_ours(frame):
        passed.append(_name(frame))
        frame = frame.f_back
    line = frame.f_code.co_filename, frame.f_lineno
    module = _filtered_name([_name(frame), *_aliases(passed)], text, category, frame.f_lineno)
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, category, *line, module, registry, source=source)


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_ours(frame: FrameType) -> bool:
    return _name(frame).partition(".")[0] in _OURS


def _aliases(passed: list[str]) -> Iterator[str]:
    """Yield the modules in the call stack, each followed by mrcfile's name for it."""
    for name in dict.fromkeys(passed):
        yield name
        if name.startswith(_CLASSIC):
            yield _ORIGINAL + name.removeprefix(_CLASSIC)


def _filtered_name(names: list[str], text: str, category: type[Warning], line: int) -> str:
    """Return the name that the first matching filter matches; without such a filter, the first name."""
    for _, message, kind, module, at in _compat.warning_filters():
        if at in (0, line) and issubclass(category, kind) and _matches(message, text):
            for name in names:
                if _matches(module, name):
                    return name
    return names[0]


def _matches(pattern: Any, text: str) -> bool:
    """Return whether a part of a filter matches; the interpreter's own filters are plain texts."""
    if pattern is None or isinstance(pattern, str):
        return pattern in (None, text)
    return pattern.match(text) is not None

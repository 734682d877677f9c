"""Write objects that nobody closed: when they are collected, and when the interpreter ends.

Programs written for mrcfile rely on that: ``mrcfile.new(path).set_data(data)`` writes a file there. `finish` closes an
object by its own `close`, in one thread, and warns afterwards, so that a filter that makes the warning an error costs
no data. Nothing is written in a forked child, whose parent has the same object.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Any, Protocol

from mrcarray.caller import warn
from mrcarray.errors import MrcWarning, printable
from mrcarray.storage import threads

__all__ = ["finish", "forget", "watch"]

_HINT = "use a with block, or close()"


class Closable(Protocol):
    """What is asked of an object that nobody closed."""

    _pid: int

    def close(self) -> None: ...
    def _abort(self) -> None: ...
    def _needs_closing(self) -> bool: ...
    def _unclosed_name(self) -> str: ...
    def _reason_to_discard(self) -> str: ...


_open: dict[int, weakref.ref[Any]] = {}
"""The objects that are open for writing, by identity: they need not be hashable."""


def watch(obj: Closable) -> None:
    """Have an object closed when the interpreter ends."""
    _open[id(obj)] = weakref.ref(obj)


def forget(obj: Closable) -> None:
    """Leave an object alone, because it is closed."""
    _open.pop(id(obj), None)


def finish(obj: Closable) -> None:
    """Close an object that nobody closed, and warn if something would have been lost.

    Warns
    -----
    ResourceWarning
        For every object that needs closing.
    MrcWarning
        When the object could not be written, or was not on purpose.
    """
    if os.getpid() != obj._pid or not obj._needs_closing():  # noqa: SLF001 - the other half of the objects
        obj._abort()  # noqa: SLF001 - as above
        return
    name = printable(obj._unclosed_name())  # noqa: SLF001 - as above
    lost = _close(obj)
    try:
        if lost:
            warn(f"{name} was not closed: {lost}; {_HINT}", MrcWarning)
    finally:
        written = "" if lost else "its changes, if any, were written now; "
        warn(f"unclosed {name}: {written}{_HINT}", ResourceWarning, source=obj)


def _close(obj: Closable) -> str:
    """Close an object; return what is lost, and why."""
    try:
        reason = obj._reason_to_discard()  # noqa: SLF001 - as above
        if not reason:
            with threads.without():
                obj.close()
    except Exception as error:  # noqa: BLE001 - it cannot be raised while an object is collected
        reason = f"changes were not written to the file: {str(error) or type(error).__name__}"
    finally:
        obj._abort()  # noqa: SLF001 - as above
    return reason


@atexit.register
def _finish_all() -> None:
    """Close what is open when the interpreter ends; a warning that is an error stops none of it."""
    errors = []
    for reference in list(_open.values()):
        obj = reference()
        if obj is not None:
            try:
                finish(obj)
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
    if errors:
        raise errors[0]

"""Write objects that were not closed, when they are collected and when the interpreter ends.

Programs for mrcfile rely on this: there, ``mrcfile.new(path).set_data(data)`` writes a file. `finish` calls the
object's own `close`, without other threads, and warns afterwards: a filter that makes the warning an error loses no
data. A forked child writes nothing, because its parent has the same object.
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
    """An object that `finish` can close."""

    _pid: int

    def close(self) -> None: ...
    def _abort(self) -> None: ...
    def _needs_closing(self) -> bool: ...
    def _unclosed_name(self) -> str: ...
    def _reason_to_discard(self) -> str: ...


_open: dict[int, weakref.ref[Any]] = {}
"""The objects that are open for writing, by identity, because they need not be hashable."""


def watch(obj: Closable) -> None:
    """Register an object to be closed when the interpreter ends."""
    _open[id(obj)] = weakref.ref(obj)


def forget(obj: Closable) -> None:
    """Unregister an object, because it is closed."""
    _open.pop(id(obj), None)


def finish(obj: Closable) -> None:
    """Close an object that was not closed, and warn if changes would have been lost.

    Warns
    -----
    ResourceWarning
        For every object that needs closing.
    MrcWarning
        When the object is not written, because of an error or on purpose.
    """
    if os.getpid() != obj._pid or not obj._needs_closing():  # noqa: SLF001 - the private half of `Closable`
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
    """Close an object; return which changes are lost and why, empty for none."""
    try:
        reason = obj._reason_to_discard()  # noqa: SLF001 - as above
        if not reason:
            with threads.without():
                obj.close()
    except Exception as error:  # noqa: BLE001 - Python cannot raise it while an object is collected
        reason = f"changes were not written to the file: {str(error) or type(error).__name__}"
    finally:
        obj._abort()  # noqa: SLF001 - as above
    return reason


@atexit.register
def _finish_all() -> None:
    """Close all open objects when the interpreter ends; a warning that is an error does not prevent the next one."""
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

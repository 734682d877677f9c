"""Run a program as on a system without the calls that Windows lacks: ``python -m tests.reduced_system program.py``.

Besides the calls that are taken away, a file that is open cannot be renamed, replaced or removed, and a directory
cannot be opened. This shows that the package does not need these calls, and not that it works on Windows.
"""

from __future__ import annotations

import errno
import importlib
import mmap
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

CALLS = (
    *("chown", "fchmod", "fchown", "fork", "getuid", "geteuid", "getxattr", "lchown", "listxattr", "mkfifo", "pipe2"),
    *("posix_fadvise", "posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "readv", "register_at_fork"),
    *("sched_getaffinity", "setxattr", "statvfs", "sysconf", "uname", "writev", "sync", "fdatasync"),
    *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "RWF_NOWAIT"),
)
MAPPINGS = ("MADV_RANDOM", "MADV_DONTNEED", "MADV_SEQUENTIAL", "MAP_PRIVATE", "MAP_SHARED", "PROT_READ", "PROT_WRITE")
SIGNALS = ("SIGURG", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGIO", "SIGALRM", "SIGKILL")
MODULES = ("fcntl", "grp", "pwd", "resource", "termios")
AHEAD = (
    "numpy",
    "xarray",
    "dask.array",
    "dask.threaded",
    "click",
    "rich.progress",
    "tempfile",
    "subprocess",
    "asyncio",
)
"""Imported before anything is taken away: how they do without is not the question here."""


def take_away() -> None:
    """Remove the calls from `os`, `mmap` and `signal`, and hide the modules."""
    for name in AHEAD:
        importlib.import_module(name)
    for module, names in ((os, CALLS), (mmap, MAPPINGS), (signal, SIGNALS)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
    for name in ("rename", "replace", "remove", "unlink"):
        setattr(os, name, _refusing(getattr(os, name)))
    os.open = _opening(os.open)


def _opened(path: Any) -> bool:
    """Return whether this process has a file open, or mapped."""
    if not isinstance(path, str | os.PathLike) or not os.path.exists(path):  # noqa: PTH110 -- any path
        return False
    wanted, folder = os.stat(path), "/proc/self/fd"  # noqa: PTH116 -- any path
    for name in os.listdir(folder):  # noqa: PTH208 -- pathlib is slower
        try:
            if os.path.samestat(wanted, os.stat(f"{folder}/{name}")):  # noqa: PTH116 -- as above
                return True
        except OSError:
            continue
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return f" {os.path.realpath(path)}\n" in mapped


def _refusing(call: Any) -> Any:
    """Return a call that refuses files which are open."""

    def refusing(*paths: Any, **options: Any) -> Any:
        for path in paths:
            if _opened(path):
                raise PermissionError(errno.EACCES, "a process has the file open", str(path))
        return call(*paths, **options)

    return refusing


def _opening(call: Any) -> Any:
    """Return `os.open` that refuses directories."""

    def opening(path: Any, *rest: Any, **options: Any) -> Any:
        if os.path.isdir(path):  # noqa: PTH112 -- any path
            raise PermissionError(errno.EACCES, "is a directory", str(path))
        return call(path, *rest, **options)

    return opening


if __name__ == "__main__":
    take_away()
    program, *sys.argv = sys.argv[1], *sys.argv[1:]
    runpy.run_path(program, run_name="__main__")

"""System calls that fail on command."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mrcarray.storage.syscalls import Calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Faulty:
    """Replaces the calls of `mrcarray.storage.syscalls`: counts and names them; the `at`-th has a fault.

    When the fault `stays`, every later call that needs space on the disk has it, too. When a write is `torn`, half of
    its bytes reach the file before the fault.
    """

    def __init__(self, at: int, fault: Callable[[], Any] | None, *, stays: bool = False, torn: bool = False) -> None:
        self.seen: list[str] = []
        self._at, self._fault, self._stays, self._torn = at, fault, stays, torn

    def replacement(self, name: str) -> Callable[..., Any]:
        """Return what is called instead of a system call."""
        real = getattr(Calls, name)

        def call(*args: Any, **options: Any) -> Any:
            self.seen.append(name)
            if self._fault is not None and self._is_hit(name, args):
                if name == "close":  # a close that fails has closed all the same
                    real(*args)
                if name == "pwrite" and self._torn:
                    view = memoryview(args[1]).cast("B")
                    real(args[0], view[: len(view) // 2], args[2])
                self._fault()
            return real(*args, **options)

        return call

    def _is_hit(self, name: str, args: tuple[Any, ...]) -> bool:
        now = len(self.seen) - 1
        if not self._stays or now <= self._at or self._at < 0:
            return now == self._at
        return name in _NEEDS_SPACE or (name == "open" and bool(args[1] & os.O_CREAT))


_NEEDS_SPACE = frozenset({"fallocate", "fsync", "ftruncate", "link", "mkdir", "pwrite"})


def failing(number: int) -> Callable[[], Any]:
    """Return a fault that is an OSError."""

    def fault() -> None:
        raise OSError(number, os.strerror(number))

    return fault


def interrupted() -> None:
    """Be Ctrl-C."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def calls_with(
    at: int = -1, fault: Callable[[], Any] | None = None, *, stays: bool = False, torn: bool = False
) -> Iterator[Faulty]:
    """Let the `at`-th call fail while the context lasts, or all from there on."""
    faulty = Faulty(at, fault, stays=stays, torn=torn)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in vars(Calls) if not name.startswith("_")]:
            patch.setattr(Calls, name, staticmethod(faulty.replacement(name)))
        yield faulty


def killed(work: Callable[[], Any], at: int) -> bool:
    """Do `work` in a forked child that is killed at its `at`-th call; return whether it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork; the child only does the work
        child = os.fork()
    if child == 0:
        code = 1
        try:
            with calls_with(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS: dict[str, tuple[Callable[[], Any], dict[str, bool]]] = {
    "kill": (die, {}),
    "torn": (die, {"torn": True}),
    "ENOSPC": (failing(errno.ENOSPC), {}),
    "EIO": (failing(errno.EIO), {}),
    "full": (failing(errno.ENOSPC), {"stays": True}),
}
"""How a call can go wrong: the process is killed at it, or within a write; it fails once; the disk stays full."""


class Zygote:
    """A program that imports the library and does nothing with it, so that its children may use threads.

    A child of a program that has used dask or Zarr waits for threads that it does not have.
    """

    def __init__(self) -> None:
        code = "from tests.storage.faults import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )

    def run(self, module: str, function: str, *args: str, fault: str = "", at: int = -1) -> tuple[str, list[str]]:
        """Call a function of a module in a child, with a fault at one of its calls.

        Returns
        -------
        outcome : str
            "done", "killed", or the text of the error.
        seen : list of str
            The calls it made; empty when it was killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([module, function, args, fault, at]), file=self._process.stdin, flush=True)
        outcome, seen = json.loads(self._process.stdout.readline())
        return outcome, seen

    def close(self) -> None:
        """End the program."""
        self._process.communicate()


_AHEAD = (
    "backports.zstd",
    "bz2",
    "dask.array",
    "dask.callbacks",
    "dask.threaded",
    "distributed",
    "h5netcdf",
    "isal.isal_zlib",
    "mrcarray.classic",
    "mrcarray.accessor",
    "mrcarray.conversion",
    "mrcarray.dask_io.writing",
    "mrcarray.xarray_backend.metadata_write",
    "mrcarray.xarray_backend.roundtrip_check",
    "mrcarray.xarray_backend.write",
    "mrcarray.xarray_backend.engine",
    "mrcarray.repair",
    "tests.storage.sweeping",
    "tifffile",
    "xarray.backends.h5netcdf_",
    "xarray.backends.zarr",
    "zarr",
)
"""What children need: to import it again in each takes longer than their work."""


def serve() -> None:
    """Fork a child for each line of standard input; print what became of it."""
    for module in _AHEAD:
        importlib.import_module(module)
    gc.freeze()  # children collect garbage: without this, each copies the pages of all imported modules
    for line in sys.stdin:
        module, function, args, fault, at = json.loads(line)
        work = getattr(importlib.import_module(module), function)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _in_child(lambda: work(*args), fault, at, writer)  # noqa: B023 -- called at once
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        print(said or json.dumps(["killed", []]), flush=True)  # noqa: T201 -- what the caller reads


def _in_child(work: Callable[[], Any], fault: str, at: int, writer: int) -> None:
    try:
        act, how = FAULTS[fault] if fault else (None, {})
        outcome = "done"
        with calls_with(at, act, **how) as calls:
            try:
                work()
            except Exception as error:  # noqa: BLE001 -- whatever it is, the caller judges
                outcome = f"{type(error).__name__}: {error}"
                error.__traceback__ = None
                del error
                gc.collect()
        os.write(writer, json.dumps([outcome, calls.seen]).encode())
    finally:
        os._exit(0)

"""Threads that outlive the main thread, and exit handlers, write files."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mrcarray import classic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("module", ["mrcarray", "mrcfile"])
@pytest.mark.parametrize("moment", ["thread", "end"])
def test_file_is_written_after_the_main_thread_has_ended(tmp_path: Path, module: str, moment: str) -> None:
    names = [str(tmp_path / f"a.mrc{suffix}") for suffix in ("", ".gz", ".bz2")]
    program = f"""
import atexit, threading
import numpy as np
import {module} as mrcfile
def write():
    for name in {names}:
        mrcfile.write(name, np.ones((2, 3, 4), "f4"))
if {moment!r} == "thread":
    threading.Thread(target=lambda: (threading.main_thread().join(), write())).start()
else:
    atexit.register(write)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    for name in names:
        np.testing.assert_array_equal(classic.read(name), np.ones((2, 3, 4)))

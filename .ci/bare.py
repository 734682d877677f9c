"""Run every command without an optional package: each works, or says in one sentence what to install.

Run it in an environment that has nothing but what mrcarray depends on.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import mrcarray
from mrcarray.cli import COMMANDS

SENTENCE = re.compile(r'needs [\w.-]+: pip install ("mrcarray\[[\w-]+\]"|[\w.-]+)$', re.MULTILINE)
"""What a missing package gives, in the one form of all."""

CALLS: tuple[tuple[str, ...], ...] = (
    ("header", "a.mrc"),
    ("stats", "a.mrc"),
    ("validate", "a.mrc"),
    ("diff", "a.mrc", "a.mrc"),
    ("fix", "--dry-run", "a.mrc"),
    ("clean", "."),
    ("convert", "a.mrc", "b.mrc"),
    ("convert", "a.mrc", "b.mrc.gz"),
    ("convert", "a.mrc", "b.tif"),
    ("convert", "a.mrc", "b.nc"),
    ("convert", "a.mrc", "b.zarr"),
    ("convert", "a.mrc", "b.ome.zarr"),
    ("header", "http://127.0.0.1:9/a.mrc"),
    ("header", "s3://bucket/a.mrc"),
    ("header", "gs://bucket/a.mrc"),
    ("view", "a.mrc", "--output", "a.png"),
    *((name, "--help") for name in COMMANDS),
)


def main() -> int:
    """Run the commands in a temporary folder, and return the number of those that failed otherwise."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        mrcarray.to_mrc(np.arange(24, dtype="f4").reshape(2, 3, 4), Path(folder) / "a.mrc", voxel_size=2.0)
        for call in CALLS:
            done = subprocess.run(  # noqa: S603 -- our own command
                [sys.executable, "-m", "mrcarray", *call], cwd=folder, capture_output=True, text=True, check=False
            )
            told = done.stderr.count("\n") == 1 and SENTENCE.search(done.stderr)
            if done.returncode and not told:
                failed += 1
                print(f"mrcarray {' '.join(call)}: status {done.returncode}\n{done.stderr}")  # noqa: T201 -- its output
    return failed


if __name__ == "__main__":
    sys.exit(main())

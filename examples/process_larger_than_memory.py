"""Filter and bin a map that is larger than the memory the script allows itself, and write the result.

With `--cluster`, two processes do it; on a real cluster, give `Client` the address of its scheduler.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import xarray as xr

import mrcarray

SHAPE = (128, 512, 512)  # 128 MiB as float32
ALLOWED = 96 << 20  # bytes on top of what Python and its libraries take


def smooth(block: np.ndarray) -> np.ndarray:
    """Average every voxel with its six neighbours."""
    around = [np.roll(block, shift, axis) for axis in range(3) for shift in (1, -1)]
    return sum(around, block) / np.float32(7)


def process(source: Path, target: Path) -> str:
    """Smooth with one voxel of overlap between chunks, bin by two, write; coordinates come along."""
    volume = xr.open_dataarray(source, engine="mrc", chunks={"z": 4})
    smoothed = volume.copy(data=da.map_overlap(smooth, volume.data, depth=1, boundary="nearest", dtype="float32"))
    binned = smoothed.coarsen(z=2, y=2, x=2).mean().astype("float32")
    return str(binned.mrc.to_mrc(target, progress=False))


def main() -> None:
    """Make a map, process it, and say what came out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noise = da.random.default_rng(1).normal(size=SHAPE, chunks=(4, 512, 512))
        mrcarray.to_mrc(noise, folder / "map.mrc", dtype="float32", voxel_size=1.5, progress=False)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        process(folder / "map.mrc", folder / "binned.mrc")
        used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before
        result = xr.open_dataarray(folder / "binned.mrc", engine="mrc")
        print(f"{dict(result.sizes)}, voxels of {result.mrc.voxel_size[0]} angstrom, first at {result.mrc.origin}")
        print("within the memory allowed" if used < ALLOWED else f"took {used >> 20} MiB")


if __name__ == "__main__":
    if "--cluster" in sys.argv:
        from distributed import Client

        with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
            main()
    else:
        with dask.config.set(scheduler="threads", num_workers=2):
            main()

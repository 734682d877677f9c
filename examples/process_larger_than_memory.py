"""Smooth and bin a map that is larger than the memory limit below; with `--cluster`, in two processes."""

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
LIMIT = 96 << 20  # bytes in addition to Python and its libraries


def smooth(block: np.ndarray) -> np.ndarray:
    """Average every voxel with its six neighbours."""
    return sum((np.roll(block, shift, axis) for axis in range(3) for shift in (1, -1)), block) / np.float32(7)


def process(source: Path, target: Path) -> str:
    """Smooth with one voxel of overlap between chunks, bin by two and write; coordinates follow."""
    volume = xr.open_dataarray(source, engine="mrc", chunks={"z": 4})
    smoothed = volume.copy(data=da.map_overlap(smooth, volume.data, depth=1, boundary="nearest", dtype="float32"))
    binned = smoothed.coarsen(z=2, y=2, x=2).mean().astype("float32")
    return str(binned.mrc.to_mrc(target, placement="origin", progress=False))


def peak() -> int:
    """Return the peak memory of this process in bytes, from /proc where it exists."""
    status = Path("/proc/self/status")
    found = status.read_text().partition("VmHWM:")[2].split() if status.exists() else []
    return int(found[0] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) << 10


def main() -> None:
    """Write a map, process it, and print the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noise = da.random.default_rng(1).normal(size=SHAPE, chunks=(4, 512, 512))
        mrcarray.to_mrc(noise, folder / "map.mrc", dtype="float32", voxel_size=1.5, progress=False)
        before = peak()
        result = xr.open_dataarray(process(folder / "map.mrc", folder / "binned.mrc"), engine="mrc")
        used = peak() - before
        print(f"{dict(result.sizes)}, voxels of {result.mrc.voxel_size[0]} angstrom, first at {result.mrc.origin}")
        print("within the memory limit" if used < LIMIT else f"took {used >> 20} MiB")


if __name__ == "__main__":
    if "--cluster" in sys.argv:
        from distributed import Client

        with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):  # or the address of a scheduler
            main()
    else:
        with dask.config.set(scheduler="threads", num_workers=2):
            main()

"""Write a small map, open it as a lazy, labelled volume, compute with it, and plot a section.

Run it with ``python examples/quickstart.py``. It leaves one picture, whose path it prints, in the temporary directory.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import mrcarray

VOXEL = 2.5  # ångström


def make_map(path: Path) -> None:
    """Write a ball of density 1 in an empty box of 48 x 64 x 64 voxels."""
    z, y, x = np.ogrid[:48, :64, :64]
    ball = (z - 24) ** 2 + (y - 32) ** 2 + (x - 32) ** 2 < 15**2
    mrcarray.to_mrc(ball.astype("float32"), path, voxel_size=VOXEL, kind="volume")


def save_section(section: xr.DataArray, path: Path) -> None:
    """Save a plot of one section if matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        print('No plot: matplotlib is not installed (pip install "mrcarray[plot]").')
        return
    section.mrc.plot().save(path, overwrite=True)
    print(f"The section at z = {float(section.z)} ångström is in {path}")


def main() -> None:
    """Write, open, compute, plot."""
    with tempfile.TemporaryDirectory() as folder:
        make_map(Path(folder, "ball.mrc"))
        with xr.open_dataset(Path(folder, "ball.mrc"), engine="mrc", chunks={}) as ds:
            print(ds.data)
            volume = float(ds.data.sum().compute()) * VOXEL**3
            print(f"\nVolume of the ball, summed by dask: {volume:.0f} cubic ångström")
            save_section(ds.data.sel(z=60, method="nearest"), Path(tempfile.gettempdir(), "mrcarray-section.png"))


if __name__ == "__main__":
    main()

"""Open a tilt series with its metadata, sort and select its images, plot the dose, and write the selection.

The series is written by the script, as SerialEM writes it. Run ``python examples/tilt_series_metadata.py``.
"""

import importlib.util
import struct
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

TILTS = [0, *(sign * tilt for tilt in range(10, 61, 10) for sign in (1, -1))]  # 0, 10, -10, 20, ...


def make_series(path: Path) -> None:
    """Write images that get darker with the tilt, a record of two bytes for each, and an mdoc."""
    images = [np.full((32, 48), 1000 * np.cos(np.radians(tilt)), "<i2") for tilt in TILTS]
    records = struct.pack(f"<{len(TILTS)}h", *(100 * tilt for tilt in TILTS)).ljust(1024, b"\0")
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 48, 32, len(TILTS), 1)  # columns, rows, sections; mode 1 is int16
    struct.pack_into("<3i6f3i", header, 28, 48, 32, 1, 48 * 4.0, 32 * 4.0, 4.0, 90, 90, 90, 1, 2, 3)  # 4 Å a pixel
    struct.pack_into(
        "<2i8x4si", header, 88, 0, len(records), b"SERI", 20140
    )  # images; the extended header and its type
    struct.pack_into("<2h", header, 128, 2, 1)  # two bytes per image: the tilt angle
    struct.pack_into("<4s4sf", header, 208, b"MAP ", b"\x44\x44\0\0", 1)
    path.write_bytes(bytes(header) + records + b"".join(image.tobytes() for image in images))
    entry = "[ZValue = {0}]\nTiltAngle = {1}\nExposureDose = 3\nPriorRecordDose = {2}\n\n"
    path.with_name("TS_01.mrc.mdoc").write_text("".join(entry.format(n, t, 3 * n) for n, t in enumerate(TILTS)))


def plot(series: xr.DataArray, path: Path) -> None:
    """Plot the dose before each tilt against its angle if matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    import matplotlib.pyplot as plt

    series.prior_dose.plot(x="tilt_angle", marker="o")
    plt.savefig(path)
    print(f"Saved a plot of the dose against the angle in {path.name}.")


def main() -> None:
    """Open, sort, select, plot, write, compare."""
    with tempfile.TemporaryDirectory() as folder:
        make_series(Path(folder, "TS_01.mrc"))
        series = xr.open_dataarray(Path(folder, "TS_01.mrc"), engine="mrc", kind="tilt_series").sortby("tilt_angle")
        low = series.sel(tilt_angle=slice(-40, 40))
        print(low.tilt_angle.values, low.prior_dose.values, sep="\n")
        plot(low, Path(folder, "dose.png"))
        low.mrc.to_mdoc(Path(folder, "low.mrc"))
        again = xr.open_dataarray(low.mrc.to_mrc(Path(folder, "low.mrc")), engine="mrc", kind="tilt_series")
        xr.testing.assert_equal(again.drop_vars("section"), low.drop_vars("section"))
        print(f"Written and read again: {again.sizes['tilt']} tilts, with the same pixels and metadata.")


if __name__ == "__main__":
    main()

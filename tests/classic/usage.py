"""The calls that mrcfile's usage guide shows, in one session; run with mrcfile and with both forms of this package."""

from __future__ import annotations

import gzip
import importlib
import sys
import warnings
from pathlib import Path

import numpy as np


def show(*values: object) -> None:
    """Print values so that types of NumPy and Python look the same."""
    print(*(value.tolist() if isinstance(value, np.ndarray | np.generic) else value for value in values))  # noqa: T201


def main(module: str) -> None:  # noqa: PLR0915 -- one session, as in the guide
    """Run the session in the current directory."""
    mrcfile = importlib.import_module(module)
    warnings.simplefilter("ignore")

    with mrcfile.new("tmp.mrc") as mrc:
        mrc.set_data(np.zeros((5, 5), dtype=np.int8))
        show(mrc.data)
        mrc.data[1:4, 1:4] = 10
        show(mrc.data)
    with mrcfile.open("tmp.mrc") as mrc:
        show(mrc.data, mrc.data.dtype, mrc.header.mode, mrc.header.nx)
        try:
            mrc.data[0, 0] = 1
        except ValueError as error:
            show(error)
    mrc = mrcfile.open("tmp.mrc", mode="r+")
    mrc.set_data(mrc.data.astype(np.float32) * 2)
    mrc.flush()
    show(mrc.data.sum(), mrc.header.mode, mrc.header.dmax)
    mrc.close()
    show(mrc.data is None, mrc.header is None)

    show(mrcfile.read("tmp.mrc"))
    mrcfile.write("written.mrc", np.ones((4, 4), np.int16), overwrite=True, voxel_size=(2, 2, 1))
    try:
        mrcfile.new("written.mrc")
    except ValueError as error:
        show("exists" in str(error))
    with mrcfile.new("packed.mrc.gz", compression="gzip") as mrc:
        mrc.set_data(np.arange(24, dtype=np.uint16).reshape(2, 3, 4))
    show(Path("packed.mrc.gz").read_bytes()[:2].hex(), len(gzip.decompress(Path("packed.mrc.gz").read_bytes())))
    with mrcfile.open("packed.mrc.gz") as mrc:
        show(mrc.data[1], type(mrc).__name__)

    with mrcfile.new_mmap("mapped.mrc", shape=(3, 4, 5), mrc_mode=2) as mrc:
        mrc.data[:] = np.arange(60).reshape(3, 4, 5)
        mrc.update_header_stats()
    with mrcfile.mmap("mapped.mrc", mode="r") as mrc:
        show(type(mrc).__name__, isinstance(mrc.data, np.memmap), mrc.data[2, 1], mrc.header.dmean)

    with mrcfile.open("mapped.mrc", mode="r+") as mrc:
        show(mrc.is_single_image(), mrc.is_image_stack(), mrc.is_volume(), mrc.is_volume_stack())
        show(*(bool(x) is True for x in (mrc.is_volume(),)))
        mrc.set_image_stack()
        show(mrc.is_image_stack(), mrc.header.ispg, mrc.header.mz)
        mrc.set_volume()
        show(mrc.is_volume(), mrc.header.ispg, mrc.header.mz)
        mrc.voxel_size = 1.5
        show(mrc.voxel_size.x, mrc.voxel_size, mrc.header.cella)
        mrc.voxel_size = (1.0, 2.0, 3.0)
        show(mrc.voxel_size.tolist())
        mrc.nstart = (1, 2, 3)
        show(mrc.nstart.tolist(), mrc.header.nxstart)
        mrc.header.origin.x = 7
        show(mrc.header.origin, mrc.header.exttyp, mrc.header.map, mrc.header.machst)
        mrc.set_extended_header(np.array([1, 2, 3], "<f8"))
        show(mrc.header.nsymbt, mrc.extended_header.nbytes, mrc.data.shape)
        mrc.add_label("a label")
        show(len(mrc.get_labels()), mrc.get_labels()[-1][:7], mrc.header.nlabl)
        mrc.update_header_from_data()
        show(mrc.validate())
    show(mrcfile.validate("mapped.mrc"))

    raw = bytearray(Path("mapped.mrc").read_bytes())
    raw[208:212] = b"map "
    Path("broken.mrc").write_bytes(raw)
    show(mrcfile.validate("broken.mrc"))
    try:
        mrcfile.open("broken.mrc")
    except ValueError as error:
        show("Map ID string not found - not an MRC file, or file is corrupt" in str(error))  # ours names the file too
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mrc = mrcfile.open("broken.mrc", permissive=True)
    show([str(one.message) for one in caught][:1], mrc.data.shape)
    mrc.close()
    reading = mrcfile.open_async("mapped.mrc")
    mrc = reading.result()
    show(reading.done(), mrc.data.shape)
    mrc.close()
    with mrcfile.open("mapped.mrc", header_only=True) as mrc:
        show(mrc.header.nz, mrc.data)


if __name__ == "__main__":
    main(sys.argv[1])

"""Read random cubes of many tomograms, plain and compressed, for a training loop, in several processes."""

import multiprocessing
import tempfile
from pathlib import Path

import numpy as np

import mrcarray

EDGE = 16
SHAPE = (48, 64, 64)


class Cubes:
    """Random cubes of files; pickles to a few hundred bytes per file, because its arrays are lazy.

    Parameters
    ----------
    paths : list of path
        The tomograms.
    seed : int
        Seed of the random numbers, which makes the cubes reproducible.
    """

    def __init__(self, paths: list[Path], seed: int = 0) -> None:
        self.arrays = [mrcarray.open_array(path) for path in paths]
        self.seed = seed

    def __getitem__(self, number: int) -> np.ndarray:
        """Return cube `number`, shape (section, row, column), with zero mean and unit variance."""
        rng = np.random.default_rng((self.seed, number))
        array = self.arrays[rng.integers(len(self.arrays))]
        corner = [rng.integers(size - EDGE + 1) for size in array.shape]
        cube: np.ndarray = array[tuple(slice(start, start + EDGE) for start in corner)].astype("float32")
        cube -= cube.mean()
        cube /= cube.std()
        return cube


def main() -> None:
    """Write tomograms, and read batches of cubes from them in two processes."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"tomo-{number}.mrc{suffix}" for number in range(4) for suffix in ("", ".gz")]
        for path in paths:
            mrcarray.to_mrc(rng.integers(-99, 99, size=SHAPE).astype("int8"), path, voxel_size=10.0)
        cubes = Cubes(paths)
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            drawn = pool.map(cubes.__getitem__, range(64), chunksize=8)
        batches = np.stack(drawn).reshape(4, 16, EDGE, EDGE, EDGE)
        print(f"{len(batches)} batches of shape {batches[0].shape}, {batches[0].dtype}")
        print("the same cubes in this process:", all(np.array_equal(cubes[n], drawn[n]) for n in range(64)))


if __name__ == "__main__":
    main()

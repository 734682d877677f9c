"""A data set of random cubes of tomograms for PyTorch: copy `Cubes` into your training script.

``python torch_dataset.py`` makes two small tomograms and trains nothing: it prints the shape of the batches.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

import mrcarray


class Cubes:
    """Batches of cubes at random positions of tomograms, each read into the memory of one tensor."""

    def __init__(self, paths: list[Path], edge: int, batch: int, batches: int) -> None:
        self.tomograms = [mrcarray.open_array(path) for path in paths]  # some hundred bytes each, no open file
        self.edge, self.batch, self.batches = edge, batch, batches

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> torch.Tensor:
        rng = np.random.default_rng(index)  # the same cubes for any number of workers
        tomogram = self.tomograms[rng.integers(len(self.tomograms))]
        low = self.edge // 2
        high = np.array(tomogram.shape) - (self.edge - low) + 1
        out = torch.empty((self.batch, *(self.edge,) * 3), dtype=torch.float32)
        tomogram.boxes(rng.integers(low, high, (self.batch, 3)), self.edge, out=out)
        return out


def main() -> None:
    """Make two tomograms, and load batches of them in two processes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"tomo-{number}.mrc") for number in range(2)]
        for number, path in enumerate(paths):
            values = np.random.default_rng(number).normal(size=(64, 96, 96)).astype("f4")
            mrcarray.to_mrc(values, path, voxel_size=10)
        cubes = Cubes(paths, edge=32, batch=8, batches=6)
        for batch in DataLoader(cubes, batch_size=None, num_workers=2, multiprocessing_context="spawn"):
            print(tuple(batch.shape), batch.dtype)


if __name__ == "__main__":
    main()

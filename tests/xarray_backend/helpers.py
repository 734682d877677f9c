"""What several tests of the integrations need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.builders import header_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def watch_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that fills with the byte ranges read from now on."""
    ranges: list[tuple[int, int]] = []
    preadv, pread = os.preadv, os.pread

    def watch_many(fd: int, buffers: Any, offset: int, *rest: Any) -> int:
        ranges.append((offset, offset + sum(memoryview(buffer).nbytes for buffer in buffers)))
        return preadv(fd, buffers, offset, *rest)

    def watch(fd: int, length: int, offset: int) -> bytes:
        ranges.append((offset, offset + length))
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "preadv", watch_many)
    monkeypatch.setattr(os, "pread", watch)
    return ranges


def sparse(path: Path, shape: tuple[int, ...], mode: int, **fields: Any) -> Path:
    """Make a file of zeros that takes no space on the disk."""
    sizes = {"nx": shape[-1], "ny": shape[-2], "nz": shape[0] if len(shape) == 3 else 1}
    if len(shape) == 2:
        sizes["ispg"] = 0
    header = header_bytes(mode=mode, **{**sizes, **fields})
    path.write_bytes(header)
    bits = {0: 8, 2: 32}[mode]
    os.truncate(path, 1024 + int(np.prod(shape)) * bits // 8)
    return path

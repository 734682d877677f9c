"""``python -m mrcarray``: the command ``mrcarray``, where scripts are not on the path."""

from __future__ import annotations

from mrcarray.cli import run

if __name__ == "__main__":
    run()

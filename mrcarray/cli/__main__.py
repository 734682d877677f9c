"""``python -m mrcarray.cli`` is the program ``mrcarray``."""

from mrcarray.cli import run

run()

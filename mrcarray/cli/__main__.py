"""``python -m mrcarray.cli`` runs the command ``mrcarray``."""

from mrcarray.cli import run

run()

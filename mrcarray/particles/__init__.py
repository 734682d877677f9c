"""Particle images as one lazy dataset, from the table that lists them.

`open_particles` reads the table (a STAR file of RELION, a ``.cs`` file of cryoSPARC, or a pandas DataFrame) and gives a
Dataset with the dims ``particle``, ``y`` and ``x``; `to_star` writes one back. `table` contains the facts both formats
share, `star` and `cryosparc` read a format each, and `stack` is the lazy array.
"""

from mrcarray.particles.dataset import open_particles
from mrcarray.particles.write import to_star

__all__ = ["open_particles", "to_star"]

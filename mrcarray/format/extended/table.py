"""`DIALECTS`: the table of dialects, in the order in which they are tried on a block without a correct type.

Text and signatures come before AGAR, whose only evidence is that two counts fit. To add a dialect, write one file and
add one row; coordinates, the docs and the command line use the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrcarray.format.extended.agard import AGAR, MRCO
from mrcarray.format.extended.blocks import CCP4, HDF5, JSON, RAW
from mrcarray.format.extended.fei import FEI1, FEI2, OLD_FEI
from mrcarray.format.extended.serialem import SERI

if TYPE_CHECKING:
    from mrcarray.format.extended.records import Dialect

__all__ = ["DIALECTS"]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (FEI1, FEI2, SERI, OLD_FEI, CCP4, HDF5, JSON, AGAR, MRCO, RAW)
}

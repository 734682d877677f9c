"""Change headers in place: `fix` repairs what the checks find, `edit` sets fields, `undo` undoes the last change.

Only those bytes of the main header that differ are written, by one positional write; the pixels are never touched. An
undo record is written first, in the folder of the file. A value that the header does not contain, such as the
voxel size, is a parameter and never guessed.

`api` contains `fix` and `edit`, `fixes` the table of repairs by code, `undo` and `undo_log` the undo records, `model`
the values.
"""

from __future__ import annotations

from mrcarray.repair.api import edit, fix
from mrcarray.repair.fixes import REPAIRS
from mrcarray.repair.model import Change, Repair
from mrcarray.repair.undo import undo
from mrcarray.repair.undo_log import undo_path

__all__ = ["REPAIRS", "Change", "Repair", "edit", "fix", "undo", "undo_path"]

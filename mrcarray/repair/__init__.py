"""Changing headers in place: `fix`, `edit`, `undo`.

Only bytes of the main header change, and only those that differ, by one positional write; the data block is not
touched. Before that an undo record is written beside the file. What a header cannot tell (a voxel size, what the
sections are) is asked for and never guessed.

`model` holds the values, `remedies` what can be done about each finding, `treatment` the two ways to change a header,
`patching` the writing, `record` the undo record, `undoing` the way back.
"""

from __future__ import annotations

from mrcarray.repair.api import edit, fix
from mrcarray.repair.fixes import REPAIRS
from mrcarray.repair.model import Change, Repair
from mrcarray.repair.undo import undo
from mrcarray.repair.undo_log import undo_path

__all__ = ["REPAIRS", "Change", "Repair", "edit", "fix", "undo", "undo_path"]

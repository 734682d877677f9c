"""What makes a file good or bad: `CHECKS`, the table of rules, and `judge`, which asks them.

Pure: rules look at `Facts` that somebody else gathered. `mrcarray.validation.validate` gathers them from a file.

Examples
--------
>>> from mrcarray.format.header import Header
>>> facts = Facts(Header.blank(nx=4, ny=3, nz=2, mode=2, m=(4, 3, 2), cella=(8, 6, 4), map=b"MAP" + bytes(1)))
>>> [issue.code for issue in judge(facts, "strict") if issue.is_error]
['MRC153']
"""

from __future__ import annotations

from mrcarray.validation.checks.model import STANDARD_MODES, Check, Facts, Found, Statistics
from mrcarray.validation.checks.profiles import PROFILES, Profile, judge
from mrcarray.validation.checks.table import CHECKS
from mrcarray.validation.checks.writers import WRITERS, Writer, culprit, writers

__all__ = [
    "CHECKS",
    "PROFILES",
    "STANDARD_MODES",
    "WRITERS",
    "Check",
    "Facts",
    "Found",
    "Profile",
    "Statistics",
    "Writer",
    "culprit",
    "judge",
    "writers",
]

"""The rules: `CHECKS` is the table, `run_checks` applies those of a profile to the facts of a file.

Pure functions of `CheckFacts`, which `mrcarray.validation.check` reads from a file.

Examples
--------
>>> from mrcarray.format.header import Header
>>> facts = CheckFacts(Header.blank(nx=4, ny=3, nz=2, mode=2, m=(4, 3, 2), cella=(8, 6, 4), map=b"MAP" + bytes(1)))
>>> [issue.code for issue in run_checks(facts, "strict") if issue.is_error]
['MRC153']
"""

from __future__ import annotations

from mrcarray.validation.checks.model import STANDARD_MODES, Check, CheckFacts, Found, Statistics
from mrcarray.validation.checks.profiles import PROFILES, Profile, run_checks
from mrcarray.validation.checks.table import CHECKS
from mrcarray.validation.checks.writers import WRITERS, Writer, known_cause, writers

__all__ = [
    "CHECKS",
    "PROFILES",
    "STANDARD_MODES",
    "WRITERS",
    "Check",
    "CheckFacts",
    "Found",
    "Profile",
    "Statistics",
    "Writer",
    "known_cause",
    "run_checks",
    "writers",
]

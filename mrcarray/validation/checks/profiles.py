"""Sets of rules: `PROFILES`, and `run_checks`, which applies every rule of one of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.issues import Issue, Severity
from mrcarray.validation.checks.model import STANDARD_MODES, Check, CheckFacts, Found
from mrcarray.validation.checks.table import CHECKS
from mrcarray.validation.checks.writers import known_cause

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "Profile", "run_checks"]

_N, _W, _E = Severity.NOTE, Severity.WARNING, Severity.ERROR


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of rules: those for every file and those of the profile, with its own severities.

    Parameters
    ----------
    name : str
        What users call it.
    doc : str
        One line.
    severities : mapping
        Severity by code, where it differs from the table.
    modes : frozenset of int
        Modes it accepts.
    """

    name: str
    doc: str
    severities: Mapping[str, Severity] = field(default_factory=dict)
    modes: frozenset[int] = STANDARD_MODES

    def includes(self, check: Check) -> bool:
        """Whether the rule belongs to the profile."""
        return check.profile in ("", self.name)


_FORMALITIES = ("MRC127", "MRC128", "MRC153", "MRC156", "MRC157", "MRC158", "MRC161")
"""Words that old programs leave blank or count in another way, and that no reader needs."""

_FORMAL = dict.fromkeys(_FORMALITIES, _W)
_STRICT = dict.fromkeys(("MRC117", "MRC504"), _E)  # whose rules make a zero a warning
_RECOMPUTED = dict.fromkeys(("MRC501", "MRC502", "MRC503", "MRC504", "MRC508"), _W)
_REWRITTEN = dict.fromkeys(("MRC123", "MRC153", "MRC156", "MRC157", "MRC158", "MRC161", "MRC162"), _W)

PROFILES: dict[str, Profile] = {
    row.name: row
    for row in (
        Profile("mrc2014", "the specification; what only formally breaks it in old files is a warning", _FORMAL),
        Profile("strict", "the specification literally, as mrcfile's validator reads it", _STRICT),
        Profile(
            "emdb",
            "what deposition at EMDB requires; what EMDB repairs itself is a warning",
            {**_FORMAL, **_RECOMPUTED, **_REWRITTEN, "MRC128": _N, "MRC127": _W},
        ),
        Profile("imod", "what IMOD reads", {**_FORMAL, "MRC128": _N, "MRC205": _N}, STANDARD_MODES | {16}),
        Profile("relion", "what RELION reads", {**_FORMAL, "MRC128": _N, "MRC303": _N}),
    )
}
"""The profiles by name."""


def run_checks(facts: CheckFacts, profile: str = "mrc2014") -> tuple[Issue, ...]:
    """Apply every rule of a profile.

    Parameters
    ----------
    facts : CheckFacts
        The facts of the file.
    profile : str
        A name of `PROFILES`.

    Returns
    -------
    tuple of Issue
        In the order of `CHECKS`; for a file that is not MRC only the issue about its format.

    Raises
    ------
    MrcValueError
        When `profile` is not in `PROFILES`.
    """
    if profile not in PROFILES:
        raise MrcValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    chosen = PROFILES[profile]
    facts = replace(facts, modes=chosen.modes)
    foreign = any(code.startswith("MRC9") for code in facts.seen)
    rows = (row for row in CHECKS.values() if chosen.includes(row) and (not foreign or row.code.startswith("MRC9")))
    return tuple(_issue(facts, chosen, row, found) for row in rows for found in row.rule(facts))


def _issue(facts: CheckFacts, profile: Profile, row: Check, found: Found) -> Issue:
    severity = profile.severities.get(row.code) or found.severity or row.severity
    cause = known_cause(facts, row.code)
    message = printable(found.message) + (f" ({cause})" if cause else "")
    word = row.word if found.word is None else found.word
    return Issue(row.code, severity, message, word, printable(found.found), printable(found.expected), found.hint)

"""Whose rules count: `PROFILES`, and `judge`, which asks every rule of one of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mrcarray.errors import MrcValueError, printable
from mrcarray.format.issues import Issue, Severity
from mrcarray.validation.checks.model import STANDARD_MODES, Check, Facts, Found
from mrcarray.validation.checks.table import CHECKS
from mrcarray.validation.checks.writers import culprit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PROFILES", "Profile", "judge"]

_N, _W, _E = Severity.NOTE, Severity.WARNING, Severity.ERROR


@dataclass(frozen=True, slots=True)
class Profile:
    """A set of rules: those that hold for every file, and those of the profile, with its own severities.

    Parameters
    ----------
    name : str
        What users call it.
    doc : str
        One line.
    severities : mapping
        Severity by code, where it is not that of the table.
    modes : frozenset of int
        Modes that are accepted.
    """

    name: str
    doc: str
    severities: Mapping[str, Severity] = field(default_factory=dict)
    modes: frozenset[int] = STANDARD_MODES

    def holds(self, check: Check) -> bool:
        """Whether the profile asks the rule."""
        return check.profile in ("", self.name)


_FORMALITIES = ("MRC127", "MRC128", "MRC153", "MRC156", "MRC157", "MRC158", "MRC161")
"""Words that old programs leave blank or count otherwise, and that no reader needs."""

_FORMAL = dict.fromkeys(_FORMALITIES, _W)
_STRICT = dict.fromkeys(("MRC117", "MRC504"), _E)  # whose rules are lenient with a zero
_RECOMPUTED = dict.fromkeys(("MRC501", "MRC502", "MRC503", "MRC504", "MRC508"), _W)
_REWRITTEN = dict.fromkeys(("MRC123", "MRC153", "MRC156", "MRC157", "MRC158", "MRC161", "MRC162"), _W)

PROFILES: dict[str, Profile] = {
    row.name: row
    for row in (
        Profile(
            "mrc2014", "what the specification asks of the content; formalities of old files are warnings", _FORMAL
        ),
        Profile("strict", "the specification to the letter, as the classic validator has it", _STRICT),
        Profile(
            "emdb",
            "what deposition at EMDB requires; what it repairs by itself is a warning",
            {**_FORMAL, **_RECOMPUTED, **_REWRITTEN, "MRC128": _N, "MRC127": _W},
        ),
        Profile("imod", "what IMOD reads", {**_FORMAL, "MRC128": _N, "MRC205": _N}, STANDARD_MODES | {16}),
        Profile("relion", "what RELION reads", {**_FORMAL, "MRC128": _N, "MRC303": _N}),
    )
}
"""The profiles by name."""


def judge(facts: Facts, profile: str = "mrc2014") -> tuple[Issue, ...]:
    """Ask every rule of a profile.

    Parameters
    ----------
    facts : Facts
        What is known of the file.
    profile : str
        A name of `PROFILES`.

    Returns
    -------
    tuple of Issue
        In the order of `CHECKS`. Of a file that is no MRC file only that is said.

    Raises
    ------
    MrcValueError
        When `profile` is no name of `PROFILES`.
    """
    if profile not in PROFILES:
        raise MrcValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    chosen = PROFILES[profile]
    facts = replace(facts, modes=chosen.modes)
    foreign = any(code.startswith("MRC9") for code in facts.seen)
    rows = (row for row in CHECKS.values() if chosen.holds(row) and (not foreign or row.code.startswith("MRC9")))
    return tuple(_issue(facts, chosen, row, found) for row in rows for found in row.rule(facts))


def _issue(facts: Facts, profile: Profile, row: Check, found: Found) -> Issue:
    severity = profile.severities.get(row.code) or found.severity or row.severity
    because = culprit(facts, row.code)
    message = printable(found.message) + (f" ({because})" if because else "")
    word = row.word if found.word is None else found.word
    return Issue(row.code, severity, message, word, printable(found.found), printable(found.expected), found.hint)

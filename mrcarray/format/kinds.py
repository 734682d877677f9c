"""Decide what the sections of a file are: image, stack of images, volume, stack of volumes.

The header alone rarely decides: most maps have space group 0 and mz = nz, like many movies and tilt series. `LINES` is
the table of evidence in a fixed order, one function a line; the first line that applies decides. The last four are
guesses, and are reported as guesses.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.fields import STACK_GROUPS, VOLUME_GROUPS
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.urls import file_name, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "GUESSES",
    "KINDS",
    "LINES",
    "NO_FACTS",
    "STACK_SUFFIXES",
    "VOLUME_SUFFIXES",
    "KindChoice",
    "KindEvidence",
    "KindFacts",
    "Line",
    "choose_kind",
    "kind_hint",
    "kind_of_name",
    "suffix",
]

KINDS: dict[str, Kind | None] = {
    "auto": None,
    **{kind.value: kind for kind in Kind},
    "tilt_series": Kind.IMAGE_STACK,
    "movie": Kind.IMAGE_STACK,
    "particles": Kind.IMAGE_STACK,
}
"""Values of the parameter `kind`; the last three are other names of an image stack."""

STACK_SUFFIXES = frozenset({".mrcs", ".st", ".ali", ".preali"})
VOLUME_SUFFIXES = frozenset({".map", ".ccp4", ".rec"})
_STACK_STEMS = ("_st", "_ali", "_preali", "_frames", ".frames", "_fractions", "_movie", "_particles")
_VOLUME_STEMS = ("_rec", "_full_rec", "_vol")
_VOLUME_PROGRAMS = re.compile(rb"\b(?:chimerax?|relion|eman2?|gemmi|phenix)\b", re.IGNORECASE)
_MICROGRAPH, _MANY = 2000, 200
_WIDE, _FLAT = 900, 16  # tomograms are thicker than 1/16 of their width, in all files of known kind that we have


class KindFacts(NamedTuple):
    """Facts about the kind from outside the header, which the reader collects.

    Parameters
    ----------
    sidecar : str
        Name of a sidecar that describes as many sections as the file has; empty without one.
    records : bool
        Whether the extended header contains records of sections: it has a known dialect and is not all zero bytes.
    """

    sidecar: str = ""
    records: bool = False


NO_FACTS = KindFacts()


class KindEvidence(NamedTuple):
    """The facts that decide a kind.

    Parameters
    ----------
    nx, ny, nz, mz, ispg : int
        Words 1-3, 10 and 23.
    tilt_series : bool
        Whether IMOD's stamp is present and its idtype is 1.
    label : bytes
        The first label.
    name : str
        Path or URL of the file; empty without one.
    facts : KindFacts
        Facts from outside the header.
    """

    nx: int
    ny: int
    nz: int
    mz: int
    ispg: int
    tilt_series: bool = False
    label: bytes = b""
    name: str = ""
    facts: KindFacts = NO_FACTS


class KindChoice(NamedTuple):
    """A kind, the name of the line that decided it, and the issues about it."""

    kind: Kind
    line: str
    issues: tuple[Issue, ...]


class Line(NamedTuple):
    """One line of evidence.

    Parameters
    ----------
    name : str
        Its name in ``encoding["kind_from"]``.
    evidence, gives : str
        The rule in words, for the documentation.
    decide : callable
        Takes `KindEvidence` and returns a kind and the reason for it, or None if the line does not apply.
    guess : bool
        Whether the line is a guess.
    """

    name: str
    evidence: str
    gives: str
    decide: Callable[[KindEvidence], tuple[Kind, str] | None]
    guess: bool = False


def suffix(name: str) -> str:
    """Return the lower-case suffix of a file name, ignoring a compression suffix.

    Examples
    --------
    >>> suffix("run/TS_01.MRCS"), suffix("emd_1234.map.gz"), suffix("README")
    ('.mrcs', '.map', '')
    """
    return _split(name)[1]


def _split(name: str) -> tuple[str, str]:
    """Return stem and suffix of the last part of a name, in lower case, without a compression suffix."""
    name = unpacked(file_name(name).replace("\\", "/").rsplit("/", 1)[-1].lower())
    stem, dot, last = name.rpartition(".")
    return (stem, dot + last) if stem else (name, "")


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that the suffix of a file name declares, or else the end of its stem.

    Examples
    --------
    >>> kind_of_name("TS_01.st"), kind_of_name("TS_01_Vol.mrc.gz"), kind_of_name("TS_01.mrc")
    (<Kind.IMAGE_STACK: 'image_stack'>, <Kind.VOLUME: 'volume'>, None)
    """
    stem, last = _split(name)
    if last in STACK_SUFFIXES:
        return Kind.IMAGE_STACK
    if last in VOLUME_SUFFIXES:
        return Kind.VOLUME
    if stem.endswith(_STACK_STEMS):
        return Kind.IMAGE_STACK
    return Kind.VOLUME if stem.endswith(_VOLUME_STEMS) else None


def _by_stack_group(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.ispg in STACK_GROUPS:
        return Kind.VOLUME_STACK, "word 23 (ispg) is in 401-630"
    return None


def _by_volume_group(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.ispg not in VOLUME_GROUPS or kind_of_name(e.name) is Kind.IMAGE_STACK or _is_micrograph_movie(e):
        return None
    return Kind.VOLUME, "word 23 (ispg) is in 1-230"


def _is_micrograph_movie(e: KindEvidence) -> bool:
    """Whether there are few large sections and mz is 1: some programs write such movies with ispg 1."""
    return e.mz == 1 < e.nz < _MANY and min(e.nx, e.ny) > _MICROGRAPH


def _by_one_section(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.nz != 1 or e.ispg in VOLUME_GROUPS:
        return None
    if e.ispg == 0:
        return Kind.IMAGE, "word 3 (nz) is 1 and word 23 (ispg) is 0"
    return Kind.IMAGE_STACK, "word 3 (nz) is 1, but word 23 (ispg) is not 0"


def _by_mz(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.mz == 1:
        return Kind.IMAGE_STACK, "word 10 (mz) is 1"
    if e.tilt_series:
        return Kind.IMAGE_STACK, "IMOD marks a tilt series (idtype 1)"
    return None


def _by_name(e: KindEvidence) -> tuple[Kind, str] | None:
    kind = kind_of_name(e.name)
    return None if kind is None else (kind, "the file name says so")


def _by_sidecar(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.facts.sidecar:
        return Kind.IMAGE_STACK, f"the sidecar {e.facts.sidecar} describes as many sections"
    return None


def _by_records(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.facts.records:
        return Kind.IMAGE_STACK, "the extended header contains records of sections"
    return None


def _by_label(e: KindEvidence) -> tuple[Kind, str] | None:
    found = _VOLUME_PROGRAMS.search(e.label)
    if found is None:
        return None
    return Kind.VOLUME, f"the first label names {found[0].decode()}, which writes .mrc for volumes only"


def _by_cube(e: KindEvidence) -> tuple[Kind, str] | None:
    if e.nx == e.ny == e.nz:
        return Kind.VOLUME, f"nx, ny and nz are all {e.nx}"
    return None


def _by_flatness(e: KindEvidence) -> tuple[Kind, str] | None:
    if min(e.nx, e.ny) >= max(_WIDE, _FLAT * e.nz):
        return Kind.IMAGE_STACK, f"{e.nz} sections of {e.nx} x {e.ny} pixels are flatter than a tomogram"
    return None


def _by_default(_e: KindEvidence) -> tuple[Kind, str] | None:
    return Kind.VOLUME, "neither header nor name says otherwise"


LINES: tuple[Line, ...] = (
    Line("argument", "`kind=`", "the requested kind", lambda _e: None),  # `choose_kind` implements it
    Line("ispg_401", "word 23 (ispg) is 401-630", "volume stack", _by_stack_group),
    Line("ispg", "ispg is 1-230, and neither the name nor a micrograph movie contradicts", "volume", _by_volume_group),
    Line("nz", "nz is 1", "image", _by_one_section),
    Line("mz", "mz is 1, or IMOD's stamp with idtype 1", "image stack", _by_mz),
    Line("name", "the suffix, or the end of the stem", "image stack or volume", _by_name),
    Line("sidecar", "a sidecar that names the file and has as many sections", "image stack", _by_sidecar),
    Line("records", "the extended header contains records and is not all zero bytes", "image stack", _by_records),
    Line(
        "label", "the first label names a program that writes `.mrc` for volumes only", "volume", _by_label, guess=True
    ),
    Line("cube", "nx = ny = nz", "volume", _by_cube, guess=True),
    Line("flat", "min(nx, ny) >= 900 and 16 nz <= min(nx, ny)", "image stack", _by_flatness, guess=True),
    Line("default", "nothing else applies", "volume", _by_default, guess=True),
)
"""The lines of evidence in order; the first one that applies decides."""

GUESSES = frozenset(line.name for line in LINES if line.guess)
"""Names of the lines that are guesses, which `KindFacts` overrule."""


def choose_kind(evidence: KindEvidence, requested: str = "auto") -> KindChoice:
    """Decide what the sections of a file are.

    Parameters
    ----------
    evidence : KindEvidence
        The facts.
    requested : str
        A key of `KINDS`.

    Returns
    -------
    KindChoice
        Its last issue is a note (MRC301, or MRC303 for a guess) about the evidence that decided.

    Raises
    ------
    MrcValueError
        When `requested` is not a key of `KINDS`.
    """
    if requested not in KINDS:
        raise MrcValueError(f"kind is {requested!r}; expected one of {', '.join(KINDS)}")
    kind = KINDS[requested]
    if kind is None:
        return _by_lines(evidence)
    if kind is Kind.IMAGE and evidence.nz != 1:
        text = f"kind 'image' was requested, but word 3 (nz) is {evidence.nz}; expected 1 for an image"
        hint = kind_hint(Kind.IMAGE_STACK, Kind.VOLUME)
        impossible = Issue("MRC302", Severity.ERROR, text, 3, str(evidence.nz), "1", hint)
        found = _by_lines(evidence)
        return found._replace(issues=(impossible, *found.issues))
    return KindChoice(kind, LINES[0].name, (_REQUESTED,))


_REQUESTED = Issue("MRC301", Severity.NOTE, "kind: as requested", 23)


def _by_lines(e: KindEvidence) -> KindChoice:
    for line in LINES[1:]:
        found = line.decide(e)
        if found is not None:
            break
    kind, why = found if found is not None else (Kind.VOLUME, "")
    note = _note(kind, why, guess=line.guess)
    if e.ispg == 0 or e.ispg in VOLUME_GROUPS or e.ispg in STACK_GROUPS:
        return KindChoice(kind, line.name, (note,))
    text = f"word 23 (ispg) is {e.ispg}; expected 0 for images, 1-230 for a volume, 401-630 for a stack of volumes"
    invalid = Issue("MRC123", Severity.WARNING, text, 23, str(e.ispg), "0-230 or 401-630")
    return KindChoice(kind, line.name, (invalid, note))


@functools.lru_cache(maxsize=64)  # making an issue takes half the time of all lines
def _note(kind: Kind, why: str, *, guess: bool) -> Issue:
    """Return the note about the evidence; for a guess it names the argument to pass."""
    if not guess:
        return Issue("MRC301", Severity.NOTE, f"kind: {_A[kind]}, since {why}", 23)
    other = Kind.VOLUME if kind is Kind.IMAGE_STACK else Kind.IMAGE_STACK
    text = f"kind: {_A[kind]}, a guess, since {why}"
    hint = kind_hint(other)
    hint = Hint(*(f"if it is a {_A[other]}, {advice}" for advice in (hint.python, hint.command)))
    return Issue("MRC303", Severity.NOTE, text, 23, hint=hint)


_A = {Kind.IMAGE_STACK: "stack of images", Kind.VOLUME_STACK: "stack of volumes"}
_A |= {kind: str(kind) for kind in (Kind.IMAGE, Kind.VOLUME)}


def kind_hint(*kinds: Kind) -> Hint:
    """Return the hint how to read a file as one of `kinds`.

    Examples
    --------
    >>> kind_hint(Kind.VOLUME).python, kind_hint(Kind.IMAGE, Kind.VOLUME).command
    ("pass kind='volume'", 'pass --kind image or --kind volume')
    """
    python = " or ".join(f"kind='{kind}'" for kind in kinds)
    command = " or ".join(f"--kind {kind}" for kind in kinds)
    return Hint(f"pass {python}", f"pass {command}")

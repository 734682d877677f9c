"""What the sections of a file are: image, stack of images, volume, stack of volumes.

The header rarely settles it alone, so the evidence is weighed in one fixed order: the caller's word, the space group,
the name of the file, the number of intervals in Z, IMOD's file type, the type of the extended header.
"""

from __future__ import annotations

from typing import NamedTuple

from mrcarray.errors import MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.suffixes import named, unpacked

__all__ = ["KINDS", "STACK_SUFFIXES", "KindEvidence", "choose_kind", "suffix"]

KINDS: dict[str, Kind | None] = {
    "auto": None,
    **{kind.value: kind for kind in Kind},
    "tilt_series": Kind.IMAGE_STACK,
    "movie": Kind.IMAGE_STACK,
    "particles": Kind.IMAGE_STACK,
}
"""Words a caller may use for a kind; three of them are other names of an image stack."""

STACK_SUFFIXES = frozenset({".mrcs", ".st", ".ali", ".preali"})
_VOLUME_SUFFIXES = frozenset({".map", ".ccp4", ".rec"})
_STACK_EXTTYPS = frozenset({b"SERI", b"FEI1", b"FEI2", b"AGAR"})
_VOLUME_GROUPS, _STACK_GROUPS = range(1, 231), range(401, 631)
_MICROGRAPH, _MANY = 2000, 200


class KindEvidence(NamedTuple):
    """The facts a kind is judged by."""

    nx: int
    ny: int
    nz: int
    mz: int
    ispg: int
    exttyp: bytes
    tilt_series: bool
    suffix: str


def suffix(name: str) -> str:
    """Return the lower-case suffix of a file name, without that of a compression.

    Examples
    --------
    >>> suffix("run/TS_01.MRCS"), suffix("emd_1234.map.gz"), suffix("README")
    ('.mrcs', '.map', '')
    """
    name = unpacked(named(name).replace("\\", "/").rsplit("/", 1)[-1].lower())
    stem, dot, last = name.rpartition(".")
    return dot + last if stem else ""


def _because(text: str, code: str = "MRC301") -> Issue:
    return Issue(code, Severity.NOTE, text, 23)


_ASKED = _because("kind: as asked by the caller")
_VOLUME_STACK = _because("kind: volume stack, since word 23 (ispg) lies in 401-630")
_VOLUME = _because("kind: volume, since word 23 (ispg) lies in 1-230")
_BY_NAME = _because("kind: image stack by the suffix of the name, against word 23 (ispg)")
_BY_SIZE = _because("kind: image stack, since it has few large sections and word 10 (mz) is 1, against word 23 (ispg)")
_IMAGE = _because("kind: image, since word 23 (ispg) is 0 and there is one section")
_BY_MZ = _because("kind: image stack, since words 23 (ispg) and 10 (mz) are 0 and 1")
_BY_IMOD = _because("kind: image stack, since IMOD marks a tilt series")
_BY_TYPE = _because("kind: image stack by the type of the extended header")
_STACK_NAME = _because("kind: image stack by the suffix of the name")
_VOLUME_NAME = _because("kind: volume by the suffix of the name")
_UNDECIDED = _because("kind: neither header nor name tell images from a volume; read as an image stack", "MRC303")


def choose_kind(evidence: KindEvidence, asked: str = "auto") -> tuple[Kind, tuple[Issue, ...]]:
    """Weigh the evidence.

    Parameters
    ----------
    evidence : KindEvidence
        The facts.
    asked : str
        A word of `KINDS`.

    Returns
    -------
    kind : Kind
    issues : tuple of Issue
        One note with the deciding evidence, after errors and warnings if there are any.

    Raises
    ------
    MrcValueError
        When `asked` is not a word of `KINDS`.
    """
    if asked not in KINDS:
        raise MrcValueError(f"kind is {asked!r}; expected one of {', '.join(KINDS)}")
    wanted = KINDS[asked]
    if wanted is None:
        return _by_header(evidence)
    trouble = _impossible(evidence, wanted)
    if trouble is None:
        return wanted, (_ASKED,)
    kind, issues = _by_header(evidence)
    return kind, (trouble, *issues)


def _impossible(e: KindEvidence, kind: Kind) -> Issue | None:
    if kind is Kind.IMAGE and e.nz != 1:
        text = f"asked for kind 'image', but word 3 (nz) is {e.nz}; an image has one section"
        return Issue("MRC302", Severity.ERROR, text, 3, str(e.nz), "1")
    return None


def _by_header(e: KindEvidence) -> tuple[Kind, tuple[Issue, ...]]:
    if e.ispg in _STACK_GROUPS:
        return Kind.VOLUME_STACK, (_VOLUME_STACK,)
    if e.ispg in _VOLUME_GROUPS:
        return _volume_or_not(e)
    if e.ispg == 0:
        return _images_or_not(e)
    text = f"word 23 (ispg) is {e.ispg}; expected 0 for images, 1-230 for a volume, 401-630 for a stack of volumes"
    strange = Issue("MRC123", Severity.WARNING, text, 23, str(e.ispg), "0-230 or 401-630")
    kind, issues = _images_or_not(e)
    return Kind.IMAGE_STACK if kind is Kind.IMAGE else kind, (strange, *issues)


def _volume_or_not(e: KindEvidence) -> tuple[Kind, tuple[Issue, ...]]:
    if e.suffix in STACK_SUFFIXES:
        return Kind.IMAGE_STACK, (_BY_NAME,)
    if min(e.nx, e.ny) > _MICROGRAPH and e.nz < _MANY and e.mz == 1 < e.nz:
        return Kind.IMAGE_STACK, (_BY_SIZE,)
    return Kind.VOLUME, (_VOLUME,)


def _images_or_not(e: KindEvidence) -> tuple[Kind, tuple[Issue, ...]]:
    if e.nz == 1:
        return Kind.IMAGE, (_IMAGE,)
    for holds, issue in (
        (e.mz == 1, _BY_MZ),
        (e.tilt_series, _BY_IMOD),
        (e.exttyp in _STACK_EXTTYPS, _BY_TYPE),
        (e.suffix in STACK_SUFFIXES, _STACK_NAME),
    ):
        if holds:
            return Kind.IMAGE_STACK, (issue,)
    if e.suffix in _VOLUME_SUFFIXES:
        return Kind.VOLUME, (_VOLUME_NAME,)
    return Kind.IMAGE_STACK, (_UNDECIDED,)

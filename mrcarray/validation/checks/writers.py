"""Which program wrote a file, as far as its header shows, and which defects it is known for.

To add a program, add a row to `WRITERS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mrcarray.format.fields import DELTAVISION

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.validation.checks.model import CheckFacts

__all__ = ["WRITERS", "Writer", "known_cause", "writers"]


@dataclass(frozen=True, slots=True)
class Writer:
    """One row of the table of programs.

    Parameters
    ----------
    name : str
        The program.
    evidence : str
        How its files are recognised.
    recognise : callable
        Takes `CheckFacts` and returns whether the evidence is present.
    habits : dict
        Code of an issue and the sentence that explains it.
    """

    name: str
    evidence: str
    recognise: Callable[[CheckFacts], bool] = field(repr=False)
    habits: dict[str, str] = field(default_factory=dict)


def _label(text: bytes) -> Callable[[CheckFacts], bool]:
    return lambda facts: text in facts.text


def _motioncor(facts: CheckFacts) -> bool:
    h = facts.header
    return h.map == b"MAP\0" or (h.imod.creatid == DELTAVISION and h.map[:3] == b"MAP" and h.exttyp == b"AGAR")


def _cryodrgn(facts: CheckFacts) -> bool:
    h = facts.header
    return not any(h.map + h.machst) and (h.dmin, h.dmax, h.dmean, h.rms) == (-1, -2, -3, -1)


def _cryosparc(facts: CheckFacts) -> bool:
    h = facts.header
    plain = h.nversion == h.ispg == h.nlabl == 0 and h.rms == 0 and not any(facts.filled)
    return plain and h.map == b"MAP " and h.machst == b"\x44\x41\0\0"


def _amira(facts: CheckFacts) -> bool:
    h = facts.header
    return "MRC125" not in facts.seen and h.map[:3] != b"MAP" and any(h.map) and any(h.machst) and h.nversion == 0


def _eman(facts: CheckFacts) -> bool:
    h = facts.header
    return h.machst[:2] == b"\x44\x41" and any(h.nstart) and h.nstart == (-(h.nx // 2), -(h.ny // 2), -(h.nz // 2))


def _epu(facts: CheckFacts) -> bool:
    return facts.header.exttyp in (b"FEI1", b"FEI2") and not facts.header.imod.stamped


_MOTIONCOR = {
    "MRC153": "MotionCor2 and MotionCor3 write 'MAP' and a zero byte",
    "MRC504": "MotionCor2 and MotionCor3 write rms 0 whatever the pixels are",
    "MRC104": "MotionCor2 writes sums of unsigned bytes as mode 5",
    "MRC646": "MotionCor3 writes this number; the file is not a DeltaVision file",
}
_RELION = {
    "MRC128": "RELION does not declare a version",
    "MRC303": "RELION writes space group 0 and mz = nz for all files",
}

WRITERS: tuple[Writer, ...] = (
    Writer("MotionCor", "'MAP' and a zero byte, or type AGAR with Priism's creator number", _motioncor, _MOTIONCOR),
    Writer("RELION", "a label", _label(b"Relion "), _RELION),
    Writer(
        "cryoDRGN",
        "no identifier, no stamp, statistics -1, -2, -3, -1",
        _cryodrgn,
        {
            "MRC153": "cryoDRGN before 2.3 wrote stacks without identifier",
            "MRC161": "cryoDRGN before 2.3 wrote stacks without machine stamp",
        },
    ),
    Writer(
        "cryoSPARC",
        "stamp 44 41, no labels, no version, rms 0",
        _cryosparc,
        {"MRC128": "cryoSPARC does not declare a version", "MRC504": "cryoSPARC writes rms 0 whatever the pixels are"},
    ),
    Writer(
        "SerialEM",
        "a label",
        _label(b"SerialEM:"),
        {
            "MRC158": "SerialEM of 2018 leaves text in all ten labels",
            "MRC154": "SerialEM before 2018 wrote stamps of its own",
            "MRC510": "older SerialEM stores unsigned bytes in mode 0",
            "MRC128": "SerialEM does not declare a version for bytes, RGB and 4-bit frames",
        },
    ),
    Writer(
        "IMOD",
        "its stamp",
        lambda facts: facts.header.imod.stamped,
        {"MRC128": "IMOD before 4.7 does not declare a version"},
    ),
    Writer("EMDB", "a label", _label(b"::::EMDATABANK.org::::"), {"MRC128": "EMDB's maps do not declare a version"}),
    Writer("EPU", "the type of the extended header", _epu, {"MRC112": "EPU leaves the third cell length 0"}),
    Writer(
        "EMAN2",
        "stamp 44 41, nstart of minus half the size",
        _eman,
        {"MRC151": "EMAN2 writes nstart of minus half the size, whatever the origin is"},
    ),
    Writer("cisTEM", "a label", _label(b"** GuiX **")),
    Writer("gemmi", "a label", _label(b"written by GEMMI")),
    Writer("MRCZ", "a label", _label(b"MRCZ"), {"MRC109": "MRCZ does not write the intervals"}),
    Writer("mrcfile", "a label", _label(b"Created by mrcfile.py")),
    Writer("ChimeraX", "a label", _label(b"Chimera")),
    Writer(
        "Amira",
        "floats in the words of identifier and stamp",
        _amira,
        {
            "MRC153": "headers before 2000, which Amira still writes, store the origin here",
            "MRC161": "headers before 2000, which Amira still writes, store the origin here",
        },
    ),
)
"""Programs, the surest evidence first."""


def writers(facts: CheckFacts) -> tuple[Writer, ...]:
    """Return the programs whose evidence the file contains."""
    return tuple(row for row in WRITERS if row.recognise(facts))


def known_cause(facts: CheckFacts, code: str) -> str:
    """Return the sentence that explains an issue by the program that wrote the file, empty when none does."""
    if code == "MRC203":
        return "cryoCARE copies this word without the extended header, and old EMDB maps declare records as well"
    return next((row.habits[code] for row in writers(facts) if code in row.habits), "")

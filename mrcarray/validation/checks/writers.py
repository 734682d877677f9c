"""Which program wrote a file, where its traces are clear, and which defects it is known for.

To add a program, add a row to `WRITERS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.validation.checks.model import Facts

__all__ = ["WRITERS", "Writer", "culprit", "writers"]

_PRIISM = -16224


@dataclass(frozen=True, slots=True)
class Writer:
    """One row of the table of programs.

    Parameters
    ----------
    name : str
        The program.
    evidence : str
        What gives it away.
    recognise : callable
        Takes `Facts` and tells whether the evidence is there.
    habits : dict
        Code of a finding and the sentence that explains it.
    """

    name: str
    evidence: str
    recognise: Callable[[Facts], bool] = field(repr=False)
    habits: dict[str, str] = field(default_factory=dict)


def _label(text: bytes) -> Callable[[Facts], bool]:
    return lambda facts: text in facts.text


def _motioncor(facts: Facts) -> bool:
    h = facts.header
    return h.map == b"MAP\0" or (h.imod.creatid == _PRIISM and h.map[:3] == b"MAP" and h.exttyp == b"AGAR")


def _cryodrgn(facts: Facts) -> bool:
    h = facts.header
    return not any(h.map + h.machst) and (h.dmin, h.dmax, h.dmean, h.rms) == (-1, -2, -3, -1)


def _cryosparc(facts: Facts) -> bool:
    h = facts.header
    plain = h.nversion == h.ispg == h.nlabl == 0 and h.rms == 0 and not any(facts.filled)
    return plain and h.map == b"MAP " and h.machst == b"\x44\x41\0\0"


def _amira(facts: Facts) -> bool:
    h = facts.header
    return "MRC125" not in facts.seen and h.map[:3] != b"MAP" and any(h.map) and any(h.machst) and h.nversion == 0


def _eman(facts: Facts) -> bool:
    h = facts.header
    return h.machst[:2] == b"\x44\x41" and any(h.nstart) and h.nstart == (-(h.nx // 2), -(h.ny // 2), -(h.nz // 2))


def _epu(facts: Facts) -> bool:
    return facts.header.exttyp in (b"FEI1", b"FEI2") and not facts.header.imod.stamped


_MOTIONCOR = {
    "MRC153": "MotionCor2 and MotionCor3 write 'MAP' and a zero byte",
    "MRC504": "MotionCor2 and MotionCor3 write rms 0 whatever the pixels are",
    "MRC104": "MotionCor2 writes sums of unsigned bytes as mode 5",
    "MRC646": "MotionCor3 writes this mark; the file is not DeltaVision's",
}
_RELION = {"MRC128": "RELION declares no version", "MRC303": "RELION writes space group 0 and mz = nz for all files"}

WRITERS: tuple[Writer, ...] = (
    Writer("MotionCor", "'MAP' and a zero byte, or AGAR beside Priism's mark", _motioncor, _MOTIONCOR),
    Writer("RELION", "a label", _label(b"Relion "), _RELION),
    Writer(
        "cryoDRGN",
        "no identifier, no stamp, statistics -1, -2, -3, -1",
        _cryodrgn,
        {
            "MRC153": "cryoDRGN before 2.3 wrote no identifier into stacks",
            "MRC161": "cryoDRGN before 2.3 wrote no machine stamp into stacks",
        },
    ),
    Writer(
        "cryoSPARC",
        "stamp 44 41, no labels, no version, rms 0",
        _cryosparc,
        {"MRC128": "cryoSPARC declares no version", "MRC504": "cryoSPARC writes rms 0 whatever the pixels are"},
    ),
    Writer(
        "SerialEM",
        "a label",
        _label(b"SerialEM:"),
        {
            "MRC158": "SerialEM of 2018 left text in all ten labels",
            "MRC154": "SerialEM before 2018 wrote stamps of its own",
            "MRC510": "older SerialEM stores unsigned bytes in mode 0",
            "MRC128": "SerialEM declares no version for bytes, colours and 4-bit frames",
        },
    ),
    Writer("IMOD", "its stamp", lambda facts: facts.header.imod.stamped, {"MRC128": "IMOD before 4.7 declares none"}),
    Writer("EMDB", "a label", _label(b"::::EMDATABANK.org::::"), {"MRC128": "the archive's maps declare no version"}),
    Writer("EPU", "the type of the extended header", _epu, {"MRC112": "EPU leaves the third length 0"}),
    Writer(
        "EMAN2",
        "stamp 44 41, a start of minus half the size",
        _eman,
        {"MRC151": "EMAN2 writes a start of minus half the size, whatever the origin is"},
    ),
    Writer("cisTEM", "a label", _label(b"** GuiX **")),
    Writer("gemmi", "a label", _label(b"written by GEMMI")),
    Writer("MRCZ", "a label", _label(b"MRCZ"), {"MRC109": "MRCZ writes no intervals"}),
    Writer("mrcfile", "a label", _label(b"Created by mrcfile.py")),
    Writer("ChimeraX", "a label", _label(b"Chimera")),
    Writer(
        "Amira",
        "floats where identifier and stamp belong",
        _amira,
        {
            "MRC153": "headers before 2000, which Amira still writes, keep the origin here",
            "MRC161": "headers before 2000, which Amira still writes, keep the origin here",
        },
    ),
)
"""Programs, the surest evidence first."""


def writers(facts: Facts) -> tuple[Writer, ...]:
    """Return the programs whose traces the file bears."""
    return tuple(row for row in WRITERS if row.recognise(facts))


def culprit(facts: Facts, code: str) -> str:
    """Return the sentence that explains a finding, empty when nobody is known for it."""
    if code == "MRC203":
        return "cryoCARE copies this word without the extended header, and old maps of the EMDB claim records too"
    return next((row.habits[code] for row in writers(facts) if code in row.habits), "")

"""Which pixel format a header means, where the mode number alone does not say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.modes import MODES, PIXELS

if TYPE_CHECKING:
    from mrcarray.format.header import Header
    from mrcarray.format.modes import PixelFormat

__all__ = ["IMOD_BYTES", "MODE0", "PixelEvidence", "choose_pixel", "is_half_width"]

MODE0 = ("auto", "signed", "unsigned")
"""Words a caller may use for the bytes of mode 0."""

IMOD_BYTES = ("raw", "shifted")
"""Words a caller may use for signed bytes under IMOD's stamp."""

_HALF_FRAMES = tuple(
    pair for x, y in ((7676, 7420), (7680, 7424), (11520, 8184)) for pair in ((x // 2, y), (y // 2, x))
)
"""(nx, ny) of 4-bit frames stored as bytes of half the width."""

_SIGN_BIT = 128
_MRCZ_STEP = 1000
_UNFINISHED = -1000
"""A file that is being filled says -1000 minus its mode."""


class PixelEvidence(NamedTuple):
    """The facts a pixel format is judged by."""

    nx: int
    ny: int
    nz: int
    mode: int
    dmin: float
    dmax: float
    imod_flags: int | None
    """IMOD's flags; None without its stamp."""
    deltavision: bool
    available: int | None
    """Bytes behind header and extended header; None when unknown."""


def _note(code: str, text: str) -> Issue:
    return Issue(code, Severity.NOTE, text, 4)


_SIGNED_IMOD = _note("MRC304", "word 4 (mode) is 0: signed bytes, as IMOD's flags say")
_UNSIGNED_IMOD = _note("MRC304", "word 4 (mode) is 0: unsigned bytes, as IMOD's flags say")
_UNSIGNED_STATS = _note("MRC304", "word 4 (mode) is 0: unsigned bytes, since words 20-21 (dmin, dmax) are 0 or more")
_SIGNED_STATS = _note("MRC304", "word 4 (mode) is 0: signed bytes, since word 20 (dmin) is negative")
_SIGNED_DEFAULT = _note("MRC304", "word 4 (mode) is 0: signed bytes, the rule of MRC2014, without further evidence")
_ASKED = _note("MRC304", "word 4 (mode) is 0: bytes read as the caller asked")
_SHIFTED = _note("MRC306", "word 4 (mode) is 0: 128 is added to IMOD's signed bytes, as the caller asked")
_UNSHIFTED = replace(
    _note("MRC306", "word 4 (mode) is 0: IMOD means 128 more than the bytes it stores"),
    hint=Hint("pass imod_bytes='shifted' to add 128"),
)
_HALF_WIDTH = _note(
    "MRC205", "word 4 (mode) is 0, but each byte holds two 4-bit pixels: the width is twice word 1 (nx)"
)


def choose_pixel(
    header: Header, facts: PixelEvidence, mode0: str = "auto", imod_bytes: str = "raw"
) -> tuple[PixelFormat | None, list[Issue]]:
    """Find the pixel format, None for an unknown mode.

    Parameters
    ----------
    header : Header
        Read only for its labels, and only in mode 0.
    facts : PixelEvidence
        The facts.
    mode0 : {"auto", "signed", "unsigned"}
        How to read bytes of mode 0.
    imod_bytes : {"raw", "shifted"}
        Whether signed bytes under IMOD's stamp are the numbers stored, or those IMOD means: 128 more.

    Raises
    ------
    MrcValueError
        When `mode0` or `imod_bytes` is none of its words.
    """
    if mode0 not in MODE0:
        raise MrcValueError(f"mode0 is {mode0!r}; expected one of {', '.join(MODE0)}")
    if imod_bytes not in IMOD_BYTES:
        raise MrcValueError(f"imod_bytes is {imod_bytes!r}; expected one of {', '.join(IMOD_BYTES)}")
    mode = MODES.get(facts.mode)
    if mode is None:
        return None, [_unknown(facts.mode)]
    if facts.mode == 0:
        pixel, issues = _bytes(header, facts, mode0)
        if pixel.code == "0" and facts.imod_flags is not None:
            return (PIXELS["0s"], [*issues, _SHIFTED]) if imod_bytes == "shifted" else (pixel, [*issues, _UNSHIFTED])
        return pixel, issues
    if facts.mode == 5:  # noqa: PLR2004 - the one other mode with two widths
        return _mode5(facts)
    if not mode.standard:
        text = f"word 4 (mode) is {facts.mode}, {mode.name} ({mode.source}); the specification does not list it"
        return mode.pixel, [_note("MRC104", text)]
    return mode.pixel, []


def _unknown(mode: int) -> Issue:
    if _UNFINISHED - mode in MODES:
        text = f"the file is unfinished (word 4 (mode) is {mode}): not all of its pixels have been written"
        text += "; write the rest, then call mrcarray.finalize(path)"
        return Issue("MRC106", Severity.ERROR, text, 4, str(mode), ", ".join(map(str, MODES)))
    text = f"word 4 (mode) is {mode}; known modes are {', '.join(map(str, MODES))}"
    if mode >= _MRCZ_STEP and mode % _MRCZ_STEP in MODES:
        text += "; this one marks pixels compressed by MRCZ, which cannot be read"
    hint = Hint("pass permissive=True to read only the header")
    return Issue("MRC104", Severity.ERROR, text, 4, str(mode), ", ".join(map(str, MODES)), hint)


def is_half_width(header: Header, nx: int, ny: int, imod_flags: int | None) -> bool:
    """Whether bytes of mode 0 hold two 4-bit pixels each.

    Either IMOD's flag says so, or the one label does and the size is that of a known super-resolution camera.
    """
    if imod_flags is not None and imod_flags & 16:
        return True
    if not any(abs(nx - x) <= 2 and abs(ny - y) <= 2 for x, y in _HALF_FRAMES):  # noqa: PLR2004 - IMOD's tolerance
        return False
    return header.nlabl == 1 and b"4 bits packed" in header.labels[0]


def _bytes(header: Header, facts: PixelEvidence, mode0: str) -> tuple[PixelFormat, list[Issue]]:
    if is_half_width(header, facts.nx, facts.ny, facts.imod_flags):
        return PIXELS["0n"], [_HALF_WIDTH]
    if mode0 != "auto":
        return PIXELS["0" if mode0 == "signed" else "0u"], [_ASKED]
    signed, issue = _sign(facts)
    return PIXELS["0" if signed else "0u"], [issue]


def _sign(facts: PixelEvidence) -> tuple[bool, Issue]:
    if facts.imod_flags is not None:
        return (True, _SIGNED_IMOD) if facts.imod_flags & 1 else (False, _UNSIGNED_IMOD)
    low, high = facts.dmin, facts.dmax
    if low < 0 and high >= _SIGN_BIT:
        signed = -low > high - _SIGN_BIT
        text = (
            f"word 4 (mode) is 0, but no byte spans {low:g} to {high:g} (words 20-21); read as "
            f"{'signed' if signed else 'unsigned'} bytes; mode0='signed' or 'unsigned' overrides"
        )
        return signed, Issue("MRC305", Severity.WARNING, text, 4, f"{low:g} to {high:g}", "-128 to 127 or 0 to 255")
    if low >= 0 and high >= _SIGN_BIT:
        return False, _UNSIGNED_STATS
    return True, _SIGNED_STATS if low < 0 and high >= low else _SIGNED_DEFAULT


def _mode5(facts: PixelEvidence) -> tuple[PixelFormat, list[Issue]]:
    count = facts.nx * facts.ny * facts.nz
    wide = facts.deltavision or (facts.available is not None and 0 < 2 * count == facts.available)
    width = "16-bit signed integers, as Priism writes" if wide else "8-bit unsigned integers, as MotionCor2 writes"
    text = f"word 4 (mode) is 5, a historic mode; read as {width}"
    return PIXELS["5w" if wide else "5"], [_note("MRC207", text)]

"""From a header to the location of the pixels: pixel format, kind, shape and data offset.

`interpret` decides them with the size of the file as evidence and reports in issues what it did not take literally. It
never raises because of the contents of a file, and its layout never reaches beyond the end of the file.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.errors import Hint, MrcValueError
from mrcarray.format.byteorder import IMOD_STAMP, is_vax
from mrcarray.format.fields import DELTAVISION, HEADER_NBYTES, UNFINISHED
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import GUESSES, NO_FACTS, KindEvidence, KindFacts, choose_kind, kind_hint
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import MODES, PIXELS, Packing

if TYPE_CHECKING:
    from mrcarray.format.header import Header
    from mrcarray.format.modes import PixelFormat

__all__ = ["IMOD_BYTES", "MODE0", "Interpretation", "interpret"]

MODE0 = ("auto", "signed", "unsigned")
"""Values of the parameter `mode0`: how to read the bytes of mode 0."""

IMOD_BYTES = ("raw", "shifted")
"""Values of the parameter `imod_bytes`: signed bytes under IMOD's stamp as stored, or with 128 added as IMOD means."""

_CODE = "4i20xi36x2f4x2ih54x2ih46x4s"
_WORDS = {"<": struct.Struct("<" + _CODE), ">": struct.Struct(">" + _CODE)}
_TILT_SERIES = 1
_FIRST_LABEL = slice(224, 304)


class _Words(NamedTuple):
    """The header words that decide; decoding them at once is a third of the time of one attribute at a time."""

    nx: int
    ny: int
    nz: int
    mode: int
    mz: int
    dmin: float
    dmax: float
    ispg: int
    nsymbt: int
    creatid: int
    imod_stamp: int
    imod_flags: int
    idtype: int
    map: bytes

    @property
    def imod(self) -> bool:
        return self.imod_stamp == IMOD_STAMP

    @property
    def deltavision(self) -> bool:
        return self.creatid == DELTAVISION and self.map[:3] != b"MAP"


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a header means.

    Parameters
    ----------
    layout : Layout or None
        Where the pixels are; None when they cannot be located. For a truncated file, its complete sections.
    issues : tuple of Issue
        Errors, warnings and notes, in the order they were found.
    extended : tuple of int
        First byte of the extended header and the byte after its last, within the file.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.
    """

    layout: Layout | None
    issues: tuple[Issue, ...]
    extended: tuple[int, int] = (HEADER_NBYTES, HEADER_NBYTES)
    kind_from: str = ""

    @property
    def guessed(self) -> bool:
        """Whether the kind is a guess, which facts from outside the header may replace."""
        return self.kind_from in GUESSES

    @property
    def evidence(self) -> tuple[Issue, ...]:
        """The notes: which evidence decided what the header leaves open."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.NOTE)


def interpret(  # noqa: PLR0913 -- every way in which a caller may overrule a header
    header: Header,
    file_size: int | None = None,
    *,
    name: str = "",
    kind: str = "auto",
    mode0: str = "auto",
    imod_bytes: str = "raw",
    facts: KindFacts = NO_FACTS,
) -> Interpretation:
    """Locate the pixels and decide their format and kind.

    Parameters
    ----------
    header : Header
        The header.
    file_size : int, optional
        Size of the file in bytes; without it the header is believed.
    name : str, optional
        Name of the file, which is evidence for the kind.
    kind : str
        A key of `mrcarray.format.kinds.KINDS`: "auto", a kind, or another name of one.
    mode0 : {"auto", "signed", "unsigned"}
        How to read the bytes of mode 0.
    imod_bytes : {"raw", "shifted"}
        Whether to read signed bytes under IMOD's stamp as stored, or to add 128, as IMOD does.
    facts : KindFacts, optional
        Facts about the kind from outside the header; they count where the kind would be a guess.

    Returns
    -------
    Interpretation

    Raises
    ------
    MrcValueError
        When `kind`, `mode0` or `imod_bytes` has an unknown value; nothing in a file raises.

    Examples
    --------
    >>> from mrcarray.format.header import Header
    >>> header = Header.blank(nx=64, ny=32, nz=10, mode=2, ispg=1, m=(64, 32, 10))
    >>> found = interpret(header, file_size=1024 + 64 * 32 * 10 * 4)
    >>> found.layout.kind.value, found.layout.shape, found.layout.offset
    ('volume', (10, 32, 64), 1024)
    """
    words = _Words._make(_WORDS[header.byteorder].unpack_from(header.raw))
    issues = _bad_dimensions(words)
    has_size = not any(issue.is_error for issue in issues)
    pixel, pixel_issues = _choose_pixel(header, words, file_size, mode0, imod_bytes)
    tilts, label = words.imod and words.idtype == _TILT_SERIES, header.raw[_FIRST_LABEL]
    evidence = KindEvidence(words.nx, words.ny, words.nz, words.mz, words.ispg, tilts, label, name, facts)
    chosen, kind_from, kind_issues = choose_kind(evidence, kind)
    issues += pixel_issues
    issues += kind_issues
    stop = HEADER_NBYTES + max(0, words.nsymbt)
    if file_size is not None:
        stop = max(HEADER_NBYTES, min(stop, file_size))
    shape, shape_issue = _shape(words, chosen, pixel)
    if shape_issue is not None:
        issues.append(shape_issue)
    if not has_size or pixel is None or shape is None or (pixel.stored[0] in "fc" and is_vax(header.raw)):
        if words.nsymbt < 0:
            issues.append(_negative_extended(words.nsymbt))
        return Interpretation(None, tuple(issues), (HEADER_NBYTES, stop), kind_from)
    declared = Layout(chosen, shape + pixel.trailing, pixel, header.byteorder, HEADER_NBYTES + max(0, words.nsymbt))
    found = _locate(declared, words.nsymbt, file_size)
    extended = (HEADER_NBYTES, min(stop, found.extended_stop))
    return Interpretation(found.layout, (*issues, *found.issues), extended, kind_from)


def _bad_dimensions(w: _Words) -> list[Issue]:
    if w.nx > 0 and w.ny > 0 and w.nz > 0:
        return []
    if w.nx == w.ny == w.nz == 0:
        return [Issue("MRC208", Severity.NOTE, "words 1-3 (nx, ny, nz) are 0: the file declares no data", 1, "0")]
    return [
        Issue("MRC101", Severity.ERROR, f"word {word} ({name}) is {n}; expected a positive number", word, str(n), "> 0")
        for word, name, n in ((1, "nx", w.nx), (2, "ny", w.ny), (3, "nz", w.nz))
        if n <= 0
    ]


def _shape(w: _Words, kind: Kind, pixel: PixelFormat | None) -> tuple[tuple[int, ...] | None, Issue | None]:
    columns = 2 * w.nx if pixel is not None and pixel.mode == 0 and pixel.packing is Packing.NIBBLE else w.nx
    if kind is Kind.IMAGE:
        return (w.ny, columns), None
    if kind is not Kind.VOLUME_STACK:
        return (w.nz, w.ny, columns), None
    if w.nx == w.ny == w.nz == 0:
        return (0, 0, 0, 0), None
    if w.mz <= 0 or w.nz % w.mz:
        rule = "a positive divisor of word 3 (nz)"
        text = f"word 10 (mz) is {w.mz}; for a stack of volumes expected {rule}, which is {w.nz}"
        hint = kind_hint(Kind.VOLUME, Kind.IMAGE_STACK)
        return None, Issue("MRC110", Severity.ERROR, text, 10, str(w.mz), rule, hint)
    return (w.nz // w.mz, w.mz, w.ny, columns), None


def _negative_extended(nsymbt: int) -> Issue:
    text = f"word 24 (nsymbt) is {nsymbt}; expected the length of the extended header, 0 or more"
    return Issue("MRC124", Severity.ERROR, text, 24, str(nsymbt), ">= 0")


# ------------------------------------------------------------------------------------- pixel format

_HALF_FRAMES = tuple(
    pair for x, y in ((7676, 7420), (7680, 7424), (11520, 8184)) for pair in ((x // 2, y), (y // 2, x))
)
"""(nx, ny) of the cameras whose 4-bit frames are stored as bytes of half the width."""

_SIGN_BIT = 128
_MRCZ_STEP = 1000


def _note(code: str, text: str) -> Issue:
    return Issue(code, Severity.NOTE, text, 4)


_SIGNED_IMOD = _note("MRC304", "word 4 (mode) is 0: signed bytes, by IMOD's flags")
_UNSIGNED_IMOD = _note("MRC304", "word 4 (mode) is 0: unsigned bytes, by IMOD's flags")
_UNSIGNED_STATS = _note("MRC304", "word 4 (mode) is 0: unsigned bytes, since words 20-21 (dmin, dmax) are 0 or more")
_SIGNED_STATS = _note("MRC304", "word 4 (mode) is 0: signed bytes, since word 20 (dmin) is negative")
_SIGNED_DEFAULT = _note("MRC304", "word 4 (mode) is 0: signed bytes, the rule of MRC2014, without further evidence")
_REQUESTED = _note("MRC304", "word 4 (mode) is 0: bytes read as requested")
_SHIFTED = _note("MRC306", "word 4 (mode) is 0: 128 is added to IMOD's signed bytes, as requested")
_UNSHIFTED = replace(
    _note("MRC306", "word 4 (mode) is 0: the stored bytes are 128 less than the values IMOD shows"),
    hint=Hint("pass imod_bytes='shifted' to add 128"),
)
_HALF_WIDTH = _note("MRC205", "word 4 (mode) is 0, but bytes contain two 4-bit pixels: the width is 2 * word 1 (nx)")


def _choose_pixel(
    header: Header, w: _Words, file_size: int | None, mode0: str, imod_bytes: str
) -> tuple[PixelFormat | None, list[Issue]]:
    """Return the pixel format, None for an unknown mode."""
    if mode0 not in MODE0:
        raise MrcValueError(f"mode0 is {mode0!r}; expected one of {', '.join(MODE0)}")
    if imod_bytes not in IMOD_BYTES:
        raise MrcValueError(f"imod_bytes is {imod_bytes!r}; expected one of {', '.join(IMOD_BYTES)}")
    mode = MODES.get(w.mode)
    if mode is None:
        return None, [_unknown_mode(w.mode)]
    if w.mode == 0:
        pixel, issue = _mode0(header, w, mode0)
        if pixel.code == "0" and w.imod:
            return (PIXELS["0s"], [issue, _SHIFTED]) if imod_bytes == "shifted" else (pixel, [issue, _UNSHIFTED])
        return pixel, [issue]
    if w.mode == 5:  # noqa: PLR2004 -- the one other mode with two meanings
        return _mode5(w, file_size)
    if not mode.standard:
        text = f"word 4 (mode) is {w.mode}, {mode.name} ({mode.source}), which MRC2014 does not list"
        return mode.pixel, [_note("MRC104", text)]
    return mode.pixel, []


def _unknown_mode(mode: int) -> Issue:
    known = ", ".join(map(str, MODES))
    if UNFINISHED - mode in MODES:
        text = f"the file is unfinished (word 4 (mode) is {mode}): some pixels have not been written"
        text += "; write the rest, then call mrcarray.finalize(path)"
        return Issue("MRC106", Severity.ERROR, text, 4, str(mode), known)
    text = f"word 4 (mode) is {mode}; expected one of {known}"
    if mode >= _MRCZ_STEP and mode % _MRCZ_STEP in MODES:
        text += "; this mode means pixels compressed by MRCZ, which cannot be read"
    hint = Hint("pass permissive=True to read only the header")
    return Issue("MRC104", Severity.ERROR, text, 4, str(mode), known, hint)


def _mode0(header: Header, w: _Words, mode0: str) -> tuple[PixelFormat, Issue]:
    if _is_half_width(header, w):
        return PIXELS["0n"], _HALF_WIDTH
    if mode0 != "auto":
        return PIXELS["0" if mode0 == "signed" else "0u"], _REQUESTED
    signed, issue = _sign(w)
    return PIXELS["0" if signed else "0u"], issue


def _is_half_width(header: Header, w: _Words) -> bool:
    """Whether bytes of mode 0 contain two 4-bit pixels: by IMOD's flag, or by the label and size of a known camera."""
    if w.imod and w.imod_flags & 16:
        return True
    if not any(abs(w.nx - x) <= 2 and abs(w.ny - y) <= 2 for x, y in _HALF_FRAMES):  # noqa: PLR2004 -- IMOD's tolerance
        return False
    return header.nlabl == 1 and b"4 bits packed" in header.labels[0]


def _sign(w: _Words) -> tuple[bool, Issue]:
    """Return whether bytes of mode 0 are signed, and the evidence."""
    if w.imod:
        return (True, _SIGNED_IMOD) if w.imod_flags & 1 else (False, _UNSIGNED_IMOD)
    low, high = w.dmin, w.dmax
    if low < 0 and high >= _SIGN_BIT:
        signed = -low > high - _SIGN_BIT
        text = (
            f"word 4 (mode) is 0, but words 20-21 (dmin, dmax) are {low:g} and {high:g}, a range of no byte; read as "
            f"{'signed' if signed else 'unsigned'} bytes"
        )
        hint = Hint("pass mode0='signed' or mode0='unsigned' to decide")
        return signed, Issue(
            "MRC305", Severity.WARNING, text, 4, f"{low:g} to {high:g}", "-128 to 127 or 0 to 255", hint
        )
    if low >= 0 and high >= _SIGN_BIT:
        return False, _UNSIGNED_STATS
    return True, _SIGNED_STATS if low < 0 and high >= low else _SIGNED_DEFAULT


def _mode5(w: _Words, file_size: int | None) -> tuple[PixelFormat, list[Issue]]:
    data_nbytes = -1 if file_size is None else file_size - HEADER_NBYTES - w.nsymbt
    wide = w.deltavision or 0 < 2 * w.nx * w.ny * w.nz == data_nbytes
    width = "16-bit signed integers, as Priism writes" if wide else "8-bit unsigned integers, as MotionCor2 writes"
    text = f"word 4 (mode) is 5, a historic mode; read as {width}"
    return PIXELS["5w" if wide else "5"], [_note("MRC207", text)]


# ------------------------------------------------------------------------------------- data offset

_LARGEST_STOP = 2**63 - 1


class _Located(NamedTuple):
    """The pixels that are in the file (None if they cannot be located), the end of the extended header, issues."""

    layout: Layout | None
    extended_stop: int
    issues: tuple[Issue, ...] = ()


def _locate(declared: Layout, nsymbt: int, file_size: int | None) -> _Located:
    """Compare the hypotheses about the data offset with the size of the file."""
    if nsymbt < 0:
        fits = file_size == HEADER_NBYTES + declared.nbytes
        layout = replace(declared, offset=HEADER_NBYTES) if fits else None
        return _Located(layout, HEADER_NBYTES, (_negative_extended(nsymbt),))
    stop = declared.stop
    if stop > _LARGEST_STOP:
        text = f"words 1-3 (nx, ny, nz) declare {declared.nbytes} bytes of data, more than any file can contain"
        issue = Issue("MRC204", Severity.ERROR, text, 1, str(declared.nbytes), "< 2**63")
        return _Located(None, declared.offset, (issue,))
    if file_size is None or file_size == stop:
        return _Located(declared, declared.offset)
    if file_size > stop:
        extra = file_size - stop
        text = f"the file is {extra} bytes larger than its header declares; the data end at byte {stop}"
        return _Located(declared, declared.offset, (Issue("MRC202", Severity.WARNING, text, None, str(extra), "0"),))
    return _too_short(declared, nsymbt, file_size)


def _too_short(declared: Layout, nsymbt: int, file_size: int) -> _Located:
    """Try the hypotheses under which a file that seems too short is complete."""
    if nsymbt and file_size == HEADER_NBYTES + declared.nbytes:
        text = (
            f"word 24 (nsymbt) is {nsymbt}, but by the size of the file there is no extended header; "
            f"data read from byte {HEADER_NBYTES}"
        )
        issue = Issue("MRC203", Severity.WARNING, text, 24, str(nsymbt), "0")
        return _Located(replace(declared, offset=HEADER_NBYTES), HEADER_NBYTES, (issue,))
    if _unpadded_nbytes(declared) == file_size - declared.offset:
        return _Located(None, declared.offset, (_UNPADDED,))
    return _truncated(declared, file_size)


_UNPADDED = Issue(
    "MRC206",
    Severity.ERROR,
    "word 4 (mode) is 101 and the rows are not padded to whole bytes, which cannot be read; expected rows of "
    "(nx + 1) // 2 bytes",
    4,
    "101",
)


def _unpadded_nbytes(layout: Layout) -> int:
    """Return the bytes of 4-bit sections written without padding of rows; -1 for other pixels and even rows."""
    if layout.pixel.packing is not Packing.NIBBLE or layout.columns % 2 == 0:
        return -1
    return (math.prod(layout.grid[-2:]) + 1) // 2 * math.prod(layout.grid[:-2])


def _truncated(declared: Layout, file_size: int) -> _Located:
    sections = math.prod(declared.grid[:-2])
    present = min(sections, max(0, file_size - declared.offset) // max(1, declared.section_nbytes))
    text = (
        f"the file has {file_size} bytes, but header, extended header and data need {declared.stop}; "
        f"{present} of {sections} sections are complete"
    )
    issue = Issue("MRC201", Severity.ERROR, text, 3, str(file_size), str(declared.stop))
    shape = _first_sections(declared.shape, declared.kind, present)
    return _Located(None if shape is None else replace(declared, shape=shape), declared.offset, (issue,))


def _first_sections(shape: tuple[int, ...], kind: Kind, sections: int) -> tuple[int, ...] | None:
    """Return the shape of so many sections: of whole volumes in a stack, if there is at least one."""
    if sections <= 0 or kind is Kind.IMAGE:
        return None
    if kind is not Kind.VOLUME_STACK:
        return (sections, *shape[1:])
    if sections >= shape[1]:
        return (sections // shape[1], *shape[1:])
    return (1, sections, *shape[2:])

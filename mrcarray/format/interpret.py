"""From a header to the place of the pixels.

`interpret` decides which pixel format, kind and data offset a header means, with the size of the file as evidence, and
says in issues what it did not take literally. It never raises for what a file holds, and never returns a layout that
reaches beyond the end of the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mrcarray.format.byteorder import IMOD_STAMP, is_vax
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.kinds import GUESSES, NO_FACTS, KindEvidence, KindFacts, choose_kind, kind_hint
from mrcarray.format.layout import Kind, Layout
from mrcarray.format.modes import Packing
from mrcarray.format.offsets import Extent, locate
from mrcarray.format.pixels import PixelEvidence, choose_pixel

if TYPE_CHECKING:
    from mrcarray.format.header import Header
    from mrcarray.format.modes import PixelFormat

__all__ = ["Interpretation", "interpret"]

_CODE = "4i20xi36x2f4x2ih54x2ih46x4s"
_WORDS = {"<": struct.Struct("<" + _CODE), ">": struct.Struct(">" + _CODE)}
_DELTAVISION, _TILT_SERIES = -16224, 1
_LABEL = slice(224, 304)


class _Words(NamedTuple):
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
    def stamped(self) -> bool:
        return self.imod_stamp == IMOD_STAMP

    @property
    def deltavision(self) -> bool:
        return self.creatid == _DELTAVISION and self.map[:3] != b"MAP"


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What a header means.

    Parameters
    ----------
    layout : Layout or None
        Where the pixels lie; None when they cannot be located. Of a truncated file the whole sections present.
    issues : tuple of Issue
        Errors, warnings and notes, in the order they were found.
    extended : tuple of int
        First byte of the extended header and the byte after its last, cut to what the file holds.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.
    """

    layout: Layout | None
    issues: tuple[Issue, ...]
    extended: tuple[int, int] = (HEADER_NBYTES, HEADER_NBYTES)
    kind_from: str = ""

    @property
    def guessed(self) -> bool:
        """Whether the kind is a guess, which facts beyond the header may replace."""
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
    """Find out where the pixels lie and what they are.

    Parameters
    ----------
    header : Header
        The header.
    file_size : int, optional
        Size of the file in bytes; without it the header is believed.
    name : str, optional
        Name of the file, which is evidence for the kind.
    kind : str
        ``"auto"``, a kind of layout, or another word of `mrcarray.format.kinds.KINDS`.
    mode0 : {"auto", "signed", "unsigned"}
        How to read the bytes of mode 0.
    imod_bytes : {"raw", "shifted"}
        Whether signed bytes under IMOD's stamp are the numbers stored, or those IMOD means: 128 more.
    facts : KindFacts, optional
        What a look beyond the header told of the kind; it counts where the kind would be guessed.

    Returns
    -------
    Interpretation

    Raises
    ------
    MrcValueError
        When `kind`, `mode0` or `imod_bytes` is not among their words; nothing in a file raises.

    Examples
    --------
    >>> from mrcarray.format.header import Header
    >>> header = Header.blank(nx=64, ny=32, nz=10, mode=2, ispg=1, m=(64, 32, 10))
    >>> found = interpret(header, file_size=1024 + 64 * 32 * 10 * 4)
    >>> found.layout.kind.value, found.layout.shape, found.layout.offset
    ('volume', (10, 32, 64), 1024)
    """
    words = _words(header)
    issues = _bad_dimensions(words)
    sized = not any(issue.is_error for issue in issues)
    pixel, pixel_issues = choose_pixel(header, _pixel_evidence(words, file_size), mode0, imod_bytes)
    chosen, kind_from, kind_issues = choose_kind(_kind_evidence(words, header, name, facts), kind)
    issues += pixel_issues
    issues += kind_issues
    stop = _extended_stop(words, file_size)
    shape, shape_issue = _shape(words, chosen, pixel)
    if shape_issue is not None:
        issues.append(shape_issue)
    if not sized or pixel is None or shape is None or _is_vax_float(header, pixel):
        if words.nsymbt < 0:
            issues.append(_negative_extended(words.nsymbt))
        return Interpretation(None, tuple(issues), (HEADER_NBYTES, stop), kind_from)
    layout = Layout(chosen, shape + pixel.trailing, pixel, header.byteorder, HEADER_NBYTES + max(0, words.nsymbt))
    extent = locate(layout, words.nsymbt, file_size)
    issues += extent.issues
    extended = (HEADER_NBYTES, min(stop, extent.extended_stop))
    return Interpretation(_placed(layout, extent), tuple(issues), extended, kind_from)


def _words(header: Header) -> _Words:
    return _Words._make(_WORDS[header.byteorder].unpack_from(header.raw))


def _pixel_evidence(f: _Words, file_size: int | None) -> PixelEvidence:
    flags = f.imod_flags if f.stamped else None
    available = None if file_size is None else file_size - HEADER_NBYTES - f.nsymbt
    return PixelEvidence(f.nx, f.ny, f.nz, f.mode, f.dmin, f.dmax, flags, f.deltavision, available)


def _kind_evidence(f: _Words, header: Header, name: str, facts: KindFacts) -> KindEvidence:
    tilts = f.stamped and f.idtype == _TILT_SERIES
    return KindEvidence(f.nx, f.ny, f.nz, f.mz, f.ispg, tilts, header.raw[_LABEL], name, facts)


def _is_vax_float(header: Header, pixel: PixelFormat) -> bool:
    return pixel.stored[0] in "fc" and is_vax(header.raw)


def _extended_stop(f: _Words, file_size: int | None) -> int:
    stop = HEADER_NBYTES + max(0, f.nsymbt)
    return stop if file_size is None else max(HEADER_NBYTES, min(stop, file_size))


def _bad_dimensions(f: _Words) -> list[Issue]:
    if f.nx > 0 and f.ny > 0 and f.nz > 0:
        return []
    if f.nx == f.ny == f.nz == 0:
        return [Issue("MRC208", Severity.NOTE, "words 1-3 (nx, ny, nz) are 0: the file declares no data", 1, "0")]
    return [
        Issue("MRC101", Severity.ERROR, f"word {word} ({name}) is {n}; expected a positive number", word, str(n), "> 0")
        for word, name, n in ((1, "nx", f.nx), (2, "ny", f.ny), (3, "nz", f.nz))
        if n <= 0
    ]


def _shape(f: _Words, kind: Kind, pixel: PixelFormat | None) -> tuple[tuple[int, ...] | None, Issue | None]:
    columns = 2 * f.nx if pixel is not None and pixel.mode == 0 and pixel.packing is Packing.NIBBLE else f.nx
    if kind is Kind.IMAGE:
        return (f.ny, columns), None
    if kind is not Kind.VOLUME_STACK:
        return (f.nz, f.ny, columns), None
    if f.nx == f.ny == f.nz == 0:
        return (0, 0, 0, 0), None
    if f.mz <= 0 or f.nz % f.mz:
        rule = "a positive divisor of word 3 (nz)"
        text = f"word 10 (mz) is {f.mz}; for a stack of volumes expected {rule}, which is {f.nz}"
        hint = kind_hint(Kind.VOLUME, Kind.IMAGE_STACK)
        return None, Issue("MRC110", Severity.ERROR, text, 10, str(f.mz), rule, hint)
    return (f.nz // f.mz, f.mz, f.ny, columns), None


def _negative_extended(nsymbt: int) -> Issue:
    text = f"word 24 (nsymbt) is {nsymbt}; expected the length of the extended header, 0 or more"
    return Issue("MRC124", Severity.ERROR, text, 24, str(nsymbt), ">= 0")


def _placed(layout: Layout, extent: Extent) -> Layout | None:
    if extent.offset is None:
        return None
    if extent.sections is not None:
        shape = _trimmed(layout.shape, layout.kind, extent.sections)
        return None if shape is None else replace(layout, shape=shape)
    return layout if extent.offset == layout.offset else replace(layout, offset=extent.offset)


def _trimmed(shape: tuple[int, ...], kind: Kind, sections: int) -> tuple[int, ...] | None:
    if sections <= 0 or kind is Kind.IMAGE:
        return None
    if kind is not Kind.VOLUME_STACK:
        return (sections, *shape[1:])
    if sections >= shape[1]:
        return (sections // shape[1], *shape[1:])
    return (1, sections, *shape[2:])

"""Reading what is known of a file: `gather`, which returns the `Facts` that rules are asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.pixel_size import with_stated_size
from mrcarray.format.sniff import identify
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.checks import CHECKS, Facts, writers
from mrcarray.validation.pixels import Pixels

if TYPE_CHECKING:
    from mrcarray.format.extended import Decoded
    from mrcarray.format.interpret import Interpretation
    from mrcarray.storage.source import ByteSource
    from mrcarray.validation.pixels import Look

__all__ = ["Sized", "describe_facts", "gather"]

HEADER = 1024
EXTENDED = 16 << 20
"""Extended headers longer than this are not looked into."""


@dataclass(frozen=True, slots=True)
class Sized:
    """What is known of the size of a file, and what was noticed on the way."""

    size: int | None
    issues: tuple[Issue, ...] = ()
    codec: str = ""


def gather(source: ByteSource, look: Look, *, full: bool) -> tuple[Facts | None, Sized]:
    """Read a file and return its facts, and what is known of its size; no facts of what has no header.

    Parameters
    ----------
    source : ByteSource
        The file.
    look : Look
        How to look at it.
    full : bool
        Whether to read the pixels and the extended header.
    """
    size = source.size()
    sized = Sized(size, codec=getattr(source, "codec", ""))
    raw = bytes(source.read(0, HEADER))
    if len(raw) < HEADER:
        issue = identify(raw, size if size is not None else len(raw))
        short = Issue("MRC903", Severity.ERROR, f"the file has {len(raw)} bytes; expected at least {HEADER}")
        return None, replace(sized, issues=(_coded(issue) if issue is not None else short,))
    header, parsed = Header.parse(raw, size)
    if (foreign := identify(raw, size)) is not None:
        parsed = (foreign,)
    if any(issue.code.startswith("MRC9") for issue in parsed):
        return Facts(header, parsed), sized
    found = interpret_file(header, size, source.read, name=source.name, kind=look.kind, mode0=look.mode0)
    pixels = Pixels(source, look)
    if full:
        found = pixels.look_at(header, found, size)
    geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
    if geometry is not None:
        geometry = with_stated_size(geometry, header, lambda: _extended(source, header, found))
    noticed = _extended(source, header, found).issues if full else ()
    stated = tuple(one for one in (geometry.issues if geometry is not None else ()) if one.code == "MRC414")
    issues = (*parsed, *found.issues, *pixels.issues, *noticed, *stated, *_packed(sized.codec))
    facts = Facts(header, issues, found.layout, geometry, pixels.stats, pixels.counts, kind_from=found.kind_from)
    return facts, replace(sized, size=source.size())


def _coded(issue: Issue) -> Issue:
    return replace(issue, severity=CHECKS[issue.code].severity)


def _extended(source: ByteSource, header: Header, found: Interpretation) -> Decoded:
    """Return the decoded extended header; nothing of one that is too long or not all there."""
    from mrcarray.format import extended

    start, stop = found.extended
    data = bytes(source.read(start, stop)) if 0 < stop - start <= EXTENDED else b""
    return extended.decode(data if len(data) == stop - start else b"", extended.Facts.of(header))


def _packed(codec: str) -> tuple[Issue, ...]:
    """Return what archives have to say about a compression."""
    if codec in ("", "gzip", "bzip2"):
        return ()
    text = f"the file is compressed with {codec}; deposition takes gzip and bzip2"
    return (Issue("MRC608", Severity.ERROR, text, None, codec, "gzip or bzip2"),)


def describe_facts(facts: Facts, sized: Sized) -> dict[str, Any]:
    """Return what a file is in plain values."""
    h, layout, geometry, stats = facts.header, facts.layout, facts.geometry, facts.stats
    described: dict[str, Any] = {
        "size": sized.size,
        "compressed": bool(sized.codec),
        "byteorder": {"<": "little", ">": "big"}[h.byteorder],
        "mode": h.mode,
        "nsymbt": h.nsymbt,
        "exttyp": printable(h.exttyp.decode("latin-1").strip("\0 ")),
        "nversion": h.nversion,
        "labels": list(h.text_labels),
        "writers": [writer.name for writer in writers(facts)],
    }
    if layout is not None and geometry is not None:
        described |= {
            "kind": str(layout.kind),
            "kind_from": facts.kind_from,
            "shape": list(layout.shape),
            "dtype": layout.pixel.memory,
            "offset": layout.offset,
            "voxel_size": list(geometry.voxel_size),
            "origin": list(geometry.start),
            "axes": list(geometry.axes),
        }
    if stats is not None:
        names = ("count", "minimum", "maximum", "mean", "rms", "nans", "infs")
        described["statistics"] = {name: getattr(stats, name) for name in names}
    return described

"""Reading what the checks need to know about a file: `collect_facts`, and `plain_facts` for a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.header_facts import header_facts
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.pixel_size import with_stated_size
from mrcarray.format.sniff import identify
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.checks import CHECKS, CheckFacts, writers
from mrcarray.validation.pixels import PixelPass
from mrcarray.validation.report import FACTS

if TYPE_CHECKING:
    from mrcarray.format.extended import Decoded
    from mrcarray.format.interpret import Interpretation
    from mrcarray.storage.source import ByteSource
    from mrcarray.validation.pixels import ReadOptions

__all__ = ["Collected", "collect_facts", "plain_facts"]

LONGEST_EXTENDED = 16 << 20
"""Extended headers of more bytes are not decoded."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read of a file.

    Parameters
    ----------
    facts : CheckFacts or None
        What the checks look at; None for a file that is shorter than a header.
    size : int or None
        Bytes of the file; None for a compressed file that was not read to its end.
    codec : str
        Name of the compression; empty without one.
    issues : tuple of Issue
        Why there are no facts.
    """

    facts: CheckFacts | None
    size: int | None
    codec: str = ""
    issues: tuple[Issue, ...] = ()


def collect_facts(source: ByteSource, options: ReadOptions, *, full: bool) -> Collected:
    """Read the facts of a file.

    Parameters
    ----------
    source : ByteSource
        The file.
    options : ReadOptions
        How to read it.
    full : bool
        Whether to read the pixels and the extended header as well.
    """
    size, codec = source.size(), getattr(source, "codec", "")
    raw = bytes(source.read(0, HEADER_NBYTES))
    if len(raw) < HEADER_NBYTES:
        return Collected(None, size, codec, (_short_file(raw, size),))
    header, parsed = Header.parse(raw, size)
    if (foreign := identify(raw, size)) is not None:
        parsed = (foreign,)
    if any(issue.code.startswith("MRC9") for issue in parsed):
        return Collected(CheckFacts(header, parsed), size, codec)
    found = interpret_file(header, size, source.read, name=source.name, kind=options.kind, mode0=options.mode0)
    pixels = PixelPass(source, options)
    if full:
        found = pixels.run(header, found, size)
    geometry = Geometry.from_header(header, found.layout) if found.layout is not None else None
    if geometry is not None:
        geometry = with_stated_size(geometry, header, lambda: _extended(source, header, found))
    noticed = _extended(source, header, found).issues if full else ()
    stated = tuple(one for one in (geometry.issues if geometry is not None else ()) if one.code == "MRC414")
    issues = (*parsed, *found.issues, *pixels.issues, *noticed, *stated, *_about_codec(codec))
    facts = CheckFacts(header, issues, found.layout, geometry, pixels.stats, pixels.counts, kind_from=found.kind_from)
    return Collected(facts, source.size(), codec)  # the size of a compressed file is known after the pixels are read


def _short_file(raw: bytes, size: int | None) -> Issue:
    issue = identify(raw, size if size is not None else len(raw))
    if issue is not None:
        return replace(issue, severity=CHECKS[issue.code].severity)
    text = f"the file has {len(raw)} bytes; expected at least {HEADER_NBYTES}, the length of a header"
    return Issue("MRC903", Severity.ERROR, text)


def _extended(source: ByteSource, header: Header, found: Interpretation) -> Decoded:
    """Return the decoded extended header; decode nothing if it is too long or cut off."""
    from mrcarray.format import extended

    start, stop = found.extended
    data = bytes(source.read(start, stop)) if 0 < stop - start <= LONGEST_EXTENDED else b""
    return extended.decode(data if len(data) == stop - start else b"", extended.RecordFacts.of(header))


def _about_codec(codec: str) -> tuple[Issue, ...]:
    if codec in ("", "gzip", "bzip2"):
        return ()
    text = f"the file is compressed with {codec}; EMDB accepts gzip and bzip2 only"
    return (Issue("MRC608", Severity.ERROR, text, None, codec, "gzip or bzip2"),)


def plain_facts(facts: CheckFacts, found: Collected) -> dict[str, Any]:
    """Return the facts of a report, in plain values under the names in `FACTS`."""
    stated = header_facts(facts.header, facts.layout, facts.geometry, kind_from=facts.kind_from)
    if "data_offset" in stated:
        stated["offset"] = stated["data_offset"]
    plain: dict[str, Any] = {name: stated[name] for name in FACTS if name in stated}
    plain |= {
        "size": found.size,
        "compressed": bool(found.codec),
        "writers": [writer.name for writer in writers(facts)],
    }
    if facts.stats is not None:
        names = ("count", "minimum", "maximum", "mean", "rms", "nans", "infs")
        plain["statistics"] = {name: getattr(facts.stats, name) for name in names}
    return plain

"""What a header and its pixels are, as plain values (`header_facts`) and as rows of text for people.

The representations of lazy arrays and of the accessor, `mrcarray.analysis.header_report` and the facts of a validation
report all start from `header_facts`. Text from a file is escaped: control characters for a terminal, everything for
HTML.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Severity
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Layout

__all__ = ["Row", "array_rows", "as_html", "as_text", "fact_rows", "header_facts", "in_angstrom"]

Row = tuple[str, str]
"""A name and its text."""

_ORDERS = {"<": "little", ">": "big"}
_LEADING = {Kind.IMAGE_STACK: ("section",), Kind.VOLUME_STACK: ("volume",)}
_NAME_WIDTH = 11


def header_facts(
    header: Header, layout: Layout | None = None, geometry: Geometry | None = None, *, kind_from: str = ""
) -> dict[str, Any]:
    """Return what a header states, and where its pixels and voxels are, in plain values.

    Parameters
    ----------
    header : Header
        The main header.
    layout : Layout, optional
        Its pixels; without it the facts from "kind" to "data_nbytes" are absent.
    geometry : Geometry, optional
        Its voxels; without it the facts from "axes" to "origin_from" are absent.
    kind_from : str
        Name of the line of `mrcarray.format.kinds.LINES` that decided the kind.

    Returns
    -------
    dict
        "byteorder", "mode", "nsymbt", "exttyp", "nversion", "labels"; "kind", "kind_from", "shape", "dtype",
        "data_offset", "data_nbytes"; "axes", "voxel_size" and "origin" (x, y, z in ångström, NaN where unknown), and
        "origin_from".

    Examples
    --------
    >>> facts = header_facts(Header.blank(nx=4, ny=3, nz=2, mode=2))
    >>> facts["byteorder"], facts["mode"], facts["nversion"]
    ('little', 2, 20141)
    """
    facts: dict[str, Any] = {
        "byteorder": _ORDERS[header.byteorder],
        "mode": header.mode,
        "nsymbt": header.nsymbt,
        "exttyp": printable(header.exttyp.decode("latin-1").strip("\0 ")),
        "nversion": header.nversion,
        "labels": list(header.text_labels),
    }
    if layout is not None:
        facts |= {
            "kind": str(layout.kind),
            "kind_from": kind_from,
            "shape": list(layout.shape),
            "dtype": layout.pixel.memory,
            "data_offset": layout.offset,
            "data_nbytes": layout.nbytes,
        }
    if geometry is not None:
        facts |= {
            "axes": list(geometry.axes),
            "voxel_size": list(geometry.voxel_size),
            "origin": list(geometry.start),
            "origin_from": geometry.source,
        }
    return facts


def fact_rows(facts: Mapping[str, Any], issues: Iterable[Issue] = ()) -> tuple[Row, ...]:
    """Return the facts of `header_facts`, then issues, as rows of text; facts that are absent have no row."""
    rows: list[Row] = []
    if "kind" in facts:
        dims = (*_LEADING.get(Kind(facts["kind"]), ()), *facts["axes"], "rgb")
        shape = ", ".join(f"{dim} {length}" for dim, length in zip(dims, facts["shape"], strict=False))
        rows.append(("kind", f"{facts['kind']} ({shape})"))
    mode = (str(facts["mode"]), facts.get("dtype", ""), f"{facts['byteorder']} endian")
    rows.append(("mode", ", ".join(filter(None, mode))))
    if "data_offset" in facts:
        rows.append(("data", f"{facts['data_nbytes']} bytes from byte {facts['data_offset']}"))
    if "axes" in facts:
        rows += [("voxel size", in_angstrom(facts["voxel_size"])), ("origin", in_angstrom(facts["origin"]))]
    rows += [(f"label {number}", text.rstrip()) for number, text in enumerate(facts["labels"], 1)]
    return (*rows, *((str(issue.severity), str(issue)) for issue in issues))


def array_rows(layout: Layout, raw: bytes, *, name: str = "", size: int | None = None) -> tuple[Row, ...]:
    """Return the rows of an array of pixels in a file: kind, mode, data, voxel size, origin, labels, issues.

    Parameters
    ----------
    layout : Layout
        The pixels.
    raw : bytes
        The 1024 bytes of the header they belong to.
    name : str
        The file, whose suffix is evidence.
    size : int, optional
        Bytes of the file.

    Examples
    --------
    >>> from mrcarray.format.layout import Layout
    >>> from mrcarray.format.modes import PIXELS
    >>> header = Header.blank(nx=4, ny=3, nz=2, mode=2, m=(4, 3, 2), cella=(8, 6, 4))
    >>> rows = array_rows(Layout(Kind.VOLUME, (2, 3, 4), PIXELS["2"], "<", 1024), header.raw)
    >>> dict(rows)["kind"], dict(rows)["voxel size"]
    ('volume (z 2, y 3, x 4)', '2, 2, 2 angstrom')
    """
    header, parsed = Header.parse(raw, size)
    geometry = Geometry.from_header(header, layout)
    facts = header_facts(header, layout, geometry) | {"dtype": str(layout.dtype)}
    found = (issue for issue in interpret(header, size, name=name).issues if issue.severity is not Severity.NOTE)
    return fact_rows(facts, (*parsed, *found, *geometry.issues))


def in_angstrom(values: Sequence[float]) -> str:
    """Return lengths along x, y and z as text.

    Examples
    --------
    >>> in_angstrom((1.5, 1.5, float("nan"))), in_angstrom([float("nan")] * 3)
    ('1.5, 1.5, unknown angstrom', 'unknown')
    """
    texts = ["unknown" if math.isnan(value) else f"{value:g}" for value in values]
    return "unknown" if set(texts) == {"unknown"} else f"{', '.join(texts)} angstrom"


def as_text(title: str, rows: Sequence[Row]) -> str:
    r"""Return a title and a line for each row, fit for a terminal.

    Examples
    --------
    >>> print(as_text("a map", [("label 1", "x\x1b[2J")]))
    a map
      label 1     x\x1b[2J
    """
    return "\n".join([printable(title), *(f"  {name:<{_NAME_WIDTH}} {printable(text)}" for name, text in rows)])


def as_html(title: str, rows: Sequence[Row]) -> str:
    """Return a title and a table, with everything escaped.

    Examples
    --------
    >>> as_html("a map", [("label 1", "<script>")])
    '<div><code>a map</code><table><tr><th>label 1</th><td>&lt;script&gt;</td></tr></table></div>'
    """
    lines = (f"<tr><th>{_escaped(name)}</th><td>{_escaped(text)}</td></tr>" for name, text in rows)
    table = f"<table>{''.join(lines)}</table>" if rows else ""
    return f"<div><code>{_escaped(title)}</code>{table}</div>"


def _escaped(text: str) -> str:
    from html import escape  # a plain `mrcarray header` needs no HTML

    return escape(printable(text))

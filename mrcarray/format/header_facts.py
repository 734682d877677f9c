"""What a file is, in a few lines for people: `summarise` gives names and texts, `as_text` and `as_html` show them.

Lazy arrays and the accessor show themselves so. Texts that come from a file are escaped: control characters for the
terminal, everything for HTML.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

from mrcarray.errors import printable
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.interpret import interpret
from mrcarray.format.issues import Severity
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrcarray.format.issues import Issue
    from mrcarray.format.layout import Layout

__all__ = ["Row", "as_html", "as_text", "head_rows", "in_angstrom", "label_rows", "summarise"]

Row = tuple[str, str]
"""A name and what is said about it."""

_ORDERS = {"<": "little endian", ">": "big endian"}
_LEADING = {Kind.IMAGE_STACK: ("section",), Kind.VOLUME_STACK: ("volume",)}
_WIDTH = 12


def summarise(layout: Layout, raw: bytes, *, name: str = "", size: int | None = None) -> tuple[Row, ...]:
    """Say what an array of pixels is.

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

    Returns
    -------
    tuple of (str, str)
        Kind, mode, place, voxel size, origin, labels and what was noticed.

    Examples
    --------
    >>> from mrcarray.format.layout import Layout
    >>> from mrcarray.format.modes import PIXELS
    >>> header = Header.blank(nx=4, ny=3, nz=2, mode=2, m=(4, 3, 2), cella=(8, 6, 4))
    >>> rows = summarise(Layout(Kind.VOLUME, (2, 3, 4), PIXELS["2"], "<", 1024), header.raw)
    >>> dict(rows)["kind"], dict(rows)["voxel size"]
    ('volume (z 2, y 3, x 4)', '2, 2, 2 angstrom')
    """
    header, parsed = Header.parse(raw, size)
    geometry = Geometry.from_header(header, layout)
    found = (issue for issue in interpret(header, size, name=name).issues if issue.severity is not Severity.NOTE)
    dims = (*_LEADING.get(layout.kind, ()), *geometry.axes, "rgb")
    shape = ", ".join(f"{dim} {length}" for dim, length in zip(dims, layout.shape, strict=False))
    return (
        ("kind", f"{layout.kind} ({shape})"),
        *head_rows(header, str(layout.dtype)),
        ("data", f"{layout.nbytes} bytes from byte {layout.offset}"),
        ("voxel size", in_angstrom(geometry.voxel_size)),
        ("origin", in_angstrom(geometry.start)),
        *label_rows(header, (*parsed, *found, *geometry.issues)),
    )


def head_rows(header: Header, dtype: str = "") -> tuple[Row, ...]:
    """Return mode and byte order of a header."""
    return (("mode", ", ".join(filter(None, (str(header.mode), dtype, _ORDERS[header.byteorder])))),)


def label_rows(header: Header, issues: Iterable[Issue]) -> tuple[Row, ...]:
    """Return labels of a header, and what was noticed about the file."""
    labels = tuple((f"label {number}", text.rstrip()) for number, text in enumerate(header.text_labels, 1))
    return (*labels, *((str(issue.severity), str(issue)) for issue in issues))


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
    return "\n".join([printable(title), *(f"  {name:<{_WIDTH - 1}} {printable(text)}" for name, text in rows)])


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
    return html.escape(printable(text))

"""Every field of a header as a table: word, field, value, unit, meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mrcarray.errors import printable
from mrcarray.format.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "HEAD",
    "VALUE",
    "escaped",
    "field_lines",
    "field_rows",
    "field_table",
    "html_table",
    "stored_values",
    "value_text",
]

VALUE = 36
"""Characters of a value that are shown."""

HEAD = ("word", "field", "value", "unit", "meaning")
"""Titles of the columns."""


def field_table(header: Any) -> str:  # a `Header`, whose module uses this one
    """Return every header field except the labels, with word, value, unit and meaning, as an HTML table."""
    return html_table([HEAD, *field_rows(header)])


def stored_values(header: Any) -> dict[str, Any]:
    """Return every header field except the labels; bytes as text, or as hexadecimal digits if they are not text."""
    fields = {name: _shown(getattr(header, name)) for name in FIELDS if name != "labels"}
    return fields | {"machst": header.machst.hex(" ")}


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0 ")
        return text.decode("ascii") if text.isascii() and text.decode("ascii").isprintable() else value.hex()
    return list(value) if isinstance(value, tuple) else value


def field_rows(header: Any) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield word, name, value, unit and meaning of every field except the labels."""
    values = stored_values(header)
    for row in FIELDS.values():
        if row.name in values:
            value = value_text(values[row.name])
            value = value if len(value) < VALUE else value[: VALUE - 3] + "..."
            yield str(row.word), row.name, value, row.unit, row.doc


def field_lines(header: Any) -> Iterator[str]:
    """Yield a line for the titles of the columns, and one for every field except the labels."""
    for word, name, value, unit, meaning in (HEAD, *field_rows(header)):
        yield f"{word:>4}  {name:<9} {value:<{VALUE}} {unit:<9} {meaning}"


def value_text(value: Any) -> str:
    """Return a value or a list of values as text."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    return f"{value:g}" if isinstance(value, float) else printable(value)


def html_table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as an HTML table, with everything escaped."""
    lines = ("".join(f"<td>{escaped(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def escaped(text: str) -> str:
    """Return text for HTML, without control characters."""
    from html import escape

    return escape(printable(text))

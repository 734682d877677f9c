"""The text of ``mrcarray header``, without click, whose import takes longer than everything else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mrcarray.analysis.header_report import Description, describe
from mrcarray.cli.output import each, paint, plain, shown
from mrcarray.errors import printable
from mrcarray.format.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["explain", "lines", "raw_lines"]

_LABEL = 80
_VALUE = 36


def explain(names: Sequence[str]) -> int:
    """Print the headers of files, and return the exit status."""

    def show(name: str) -> None:
        found = describe(name)
        head = [f"==> {shown(name)} <=="] if len(names) > 1 else []
        sys.stdout.write("\n".join([*head, *lines(found)]) + "\n")

    return each(names, show)


def raw_lines(found: Description) -> Iterator[str]:
    """Yield every field as it is stored, bytes as hexadecimal digits."""
    for name in FIELDS:
        value = getattr(found.header, name)
        values = value if isinstance(value, tuple) else (value,)
        yield f"{name} = {' '.join(item.hex() if isinstance(item, bytes) else repr(item) for item in values)}"


def lines(found: Description) -> Iterator[str]:
    """Yield the facts that follow from a header, what was noticed, and every field with its meaning."""
    facts = found.facts()
    because = {"byteorder": f" (by {found.byteorder_from})"}
    for name in ("kind", "shape", "dtype", "byteorder", "voxel_size", "origin", "origin_from", "axes"):
        if name in facts:
            yield f"{name.replace('_', ' '):<14}{_text(facts[name])}{_UNITS.get(name, '')}{because.get(name, '')}"
    if "data_offset" in facts:
        yield f"{'data':<14}{facts['data_nbytes']} bytes from byte {facts['data_offset']}"
    if facts["extended_nbytes"]:
        kind = facts["extended_type"] or "no type"
        yield f"{'extended':<14}{facts['extended_nbytes']} bytes ({kind})"
    for issue in found.issues:
        colour = {"error": "red", "warning": "yellow"}.get(str(issue.severity), "cyan")
        yield f"{paint(str(issue.severity), colour)}: {plain(issue.sentence(command=True))}"
    yield ""
    yield f"{'word':<5} {'field':<9} {'value':<{_VALUE}} {'unit':<9} meaning"
    for row in FIELDS.values():
        if row.name != "labels":
            value = _text(found.fields()[row.name])
            value = value if len(value) < _VALUE else value[: _VALUE - 3] + "..."
            yield f"{row.word:>4}  {row.name:<9} {value:<{_VALUE}} {row.unit:<9} {row.doc}"
    for number, label in enumerate(facts["labels"], 1):
        yield f"label {number:<2} {label[:_LABEL]}"


_UNITS = {"voxel_size": " angstrom", "origin": " angstrom"}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else printable(value)

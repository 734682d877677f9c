"""``mrcarray edit``: change header fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mrcarray.cli.changes import change_each
from mrcarray.cli.help import Command
from mrcarray.cli.names import expand
from mrcarray.cli.options import (
    dry_run_option,
    files,
    json_option,
    output_option,
    overwrite_option,
    parse_triple,
    require_one_output,
    undo_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrcarray.repair import Repair

__all__ = ["edit", "parse"]


@click.command(cls=Command)
@files()
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Set a field; may be repeated.")
@click.option("--add-label", multiple=True, metavar="TEXT", help="Add a label with this text; may be repeated.")
@dry_run_option()
@output_option()
@overwrite_option()
@click.option("--force", is_flag=True, help="Make the change even if it makes the file invalid.")
@undo_option()
@json_option()
def edit(
    names: tuple[str, ...],
    *,
    settings: tuple[str, ...],
    add_label: tuple[str, ...],
    output: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Change fields of the header, in place.

    FIELD is a name that `mrcarray header` shows, a part of such a field (nxstart, mx, xlen, alpha, mapc, xorg, ...),
    voxel_size or kind. Separate three values by commas; write bytes as hex:00ff.

    \b
    mrcarray edit --set voxel_size=1.08 --set nstart=0,0,0 tomo.mrc
    mrcarray edit --add-label 'binned by 4' tomo.mrc
    """
    from mrcarray.repair import edit as edit_file

    paths = list(expand(names))
    if not settings and not add_label:
        raise click.UsageError("nothing to change; give --set or --add-label", click.get_current_context())
    require_one_output(output, paths)
    fields = dict(parse(setting) for setting in settings)

    def change(name: str) -> Repair:
        return edit_file(name, fields, add_labels=add_label, output=output, **options)

    return change_each(paths, change, as_json=as_json)


def _unknown(setting: str, name: str, fields: Sequence[str]) -> str:
    """Return the error for a setting whose field is unknown, with the most similar field."""
    from difflib import get_close_matches

    if "=" not in setting:
        return f"--set {setting!r}: expected FIELD=VALUE"
    if name == "labels":
        return "labels cannot be set; use --add-label"
    close = get_close_matches(name, [field for field in fields if field != "labels"], 1)
    hint = f"did you mean {close[0]!r}?" if close else "`mrcarray header` lists the fields"
    return f"unknown field {name!r}; {hint}"


def parse(setting: str) -> tuple[str, Any]:
    """Parse a setting such as ``nstart=0,0,0`` into field and value.

    Examples
    --------
    >>> parse("nstart=0,0,-4"), parse("exttyp=MRCO"), parse("extra1=hex:0000000000000000")[1] == bytes(8)
    (('nstart', (0, 0, -4)), ('exttyp', b'MRCO'), True)
    """
    from mrcarray.format.fields import ALIASES, FIELDS

    name, equals, text = setting.partition("=")
    name = name.strip()
    row = FIELDS.get(ALIASES.get(name, (name, 0))[0])
    if not equals or (row is None and name not in ("voxel_size", "kind")) or name == "labels":
        raise click.UsageError(_unknown(setting, name, (*FIELDS, *ALIASES, "voxel_size", "kind")))
    if name == "kind":
        return name, text
    if name == "voxel_size" or row is None:
        return name, parse_triple(click.get_current_context(), click.Option(["--set"]), text)
    kind = {"i": "integers", "f": "numbers"}.get(row.code, "ASCII text, or hexadecimal digits after hex:")
    try:
        if row.code.endswith("s"):
            raw = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode("ascii")
            return name, raw.ljust(row.nbytes, b" " if name == "map" else b"\0")
        numbers = tuple((int if row.code == "i" else float)(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"--set {setting!r}: expected {kind}") from None
    return name, numbers[0] if row.count == 1 or name in ALIASES else numbers

"""Write the reference pages from the package itself, so that the two never disagree.

To add a page with a table of the package, add a function and a row of `TABLES`. Every public module gets a page, and
the page of `mrcarray` lists every public name with a link to its description.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pkgutil
import textwrap
from typing import TYPE_CHECKING

import mrcarray
from mrcarray.format.extended import DIALECTS, RecordFacts
from mrcarray.format.fields import FIELDS
from mrcarray.format.issues import CODES
from mrcarray.format.modes import MODES, PIXELS
from mrcarray.format.quantities import COMMON
from mrcarray.format.sidecars import ANGLE_LISTS, KEYS
from mrcarray.validation.checks import CHECKS, PROFILES, WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import ModuleType

    from mrcarray.format.extended import Dialect
    from mrcarray.format.quantities import Quantity


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def modes() -> str:
    """Return the page of pixel modes."""
    text = """# Pixel modes

Values of header word 4, and the dtype of the array you get. Where there are several, the first is the default; the
file's own evidence or an argument chooses another.

"""
    rows = []
    for mode in MODES.values():
        dtypes = dict.fromkeys(f"`{PIXELS[code].dtype.name}`" for code in mode.formats)
        rows.append((mode.number, mode.name, ", ".join(dtypes), "yes" if mode.standard else "no", mode.source))
    return text + table(("mode", "pixel", "dtype in memory", "standard", "source"), rows)


def words() -> str:
    """Return the page of header words."""
    text = """# Header words

The 1024 bytes at the start of every file. A word is 4 bytes and counted from 1, as in the MRC2014 specification; the
names are the attributes of the `Header` objects of this package.

"""
    rows = []
    for field in FIELDS.values():
        last = field.word + max(field.nbytes // 4, 1) - 1
        span = str(field.word) if last == field.word else f"{field.word}-{last}"
        rows.append((span, f"`{field.name}`", field.nbytes, field.unit, field.doc))
    return text + table(("words", "name", "bytes", "unit", "meaning"), rows)


def issues() -> str:
    """Return the page of issue codes."""
    text = """# Issue codes

Everything that reading can find wrong with a file, or worth a note. The code stands at the end of each message and
never changes its meaning.

"""
    return text + table(("code", "finding"), ((f"`{code}`", doc) for code, doc in sorted(CODES.items())))


def extended_headers() -> str:
    """Return the page of extended headers: the common names, then every field of every dialect."""
    text = """# Extended headers and sidecars

Metadata of sections, in the file or in a text file next to it, becomes coordinates on the section dimension. The first
table lists the names all sources share; then follow the fields of each dialect with the name they are found under.
`extended="all"` adds each field under its own name, with an underscore for each blank or hyphen, in its own unit.

## Common names

"""
    rows = [(f"`{q.name}`", q.unit, q.meaning, _agreement(q)) for q in COMMON.values()]
    parts = [text + table(("coordinate", "unit", "meaning", "two sources agree within"), rows)]
    parts += [_dialect(dialect) for dialect in DIALECTS.values() if dialect.has_records]
    others = [(f"`{one.name}`", one.title) for one in DIALECTS.values() if not one.has_records]
    parts.append("## Blocks without records\n\n" + table(("type", "meaning"), others))
    known = ((f"`{key}`", k.unit, _names(k.common), k.meaning) for key, k in KEYS.items())
    parts.append("## SerialEM mdoc\n\n" + table(("key", "unit", "coordinates", "meaning"), known))
    lists = ((f"`{suffix}`", f"`{name}`", COMMON[name].unit) for suffix, name in ANGLE_LISTS.items())
    parts.append("## Lists of angles\n\n" + table(("suffix", "coordinate", "unit"), lists))
    return "\n\n".join(parts)


def _dialect(dialect: Dialect) -> str:
    """Return the section of one dialect with records."""
    fields = dialect.layout(RecordFacts(nint=1, nreal={"AGAR": 14, "MRCO": 1}.get(dialect.name, 2047)))
    rows = (
        (
            f"`{f.name}`",
            f"`{f.item}`",
            f.unit,
            _names((f.common,)),
            f"{f.mask[-1]}.{f.bit}" if f.mask else "",
            f.meaning,
        )
        for f in fields
    )
    head = ("field", "stored", "unit", "coordinate", "bit", "meaning")
    return f"## {dialect.name}\n\nWritten by {dialect.title}.\n\n" + table(head, rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names if name)


def _agreement(quantity: Quantity) -> str:
    parts = [f"{quantity.tolerance:g}"] * bool(quantity.tolerance) + [f"{quantity.relative:.1%}"] * bool(
        quantity.relative
    )
    return " or ".join(parts)


def checks() -> str:
    """Return the page of checks, with an anchor for each code."""
    text = """# Checks

What `mrcarray validate` looks for. A code never changes its meaning; a profile may be milder than the severity given
here. What can be fixed, `mrcarray fix` repairs in place.

"""
    profiles = ((f"`{one.name}`", one.doc) for one in PROFILES.values())
    parts = [text + table(("profile", "rules"), profiles)]
    for row in CHECKS.values():
        word = f"word {row.word}, " if row.word is not None else ""
        where = f", profile `{row.profile}` only" if row.profile else ""
        repair = f"{row.repair}{' (can be fixed)' if row.fixable else ''}"
        head = f"({row.code.lower()})=\n## {row.code}\n\n{row.doc[0].upper()}{row.doc[1:]}."
        parts.append(f"{head}\n\n{row.severity.capitalize()}; {word}source: {row.source}{where}.\n\nRepair: {repair}.")
    known = (
        (one.name, one.evidence, ", ".join(f"{{ref}}`{code} <{code.lower()}>`" for code in one.habits))
        for one in WRITERS
    )
    parts.append("## Programs that are recognised\n\n" + table(("program", "evidence", "known for"), known))
    return "\n\n".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    "modes": modes,
    "header-words": words,
    "issues": issues,
    "checks": checks,
    "extended-headers": extended_headers,
}
"""Name of each page with a table, and the function that returns it."""


def public_modules() -> Iterator[ModuleType]:
    """Yield every module of the package whose name is public, the package itself first."""
    yield mrcarray
    for info in pkgutil.walk_packages(mrcarray.__path__, "mrcarray."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            yield importlib.import_module(info.name)


def module_page(module: ModuleType) -> str:
    """Return the page of one module: its docstring, each public name it defines, and links to those it imports."""
    parts = [f"# `{module.__name__}`\n", "```{eval-rst}", f".. automodule:: {module.__name__}", "   :no-members:", ""]
    imported, described = _imported_names(module), _described_values(module)
    elsewhere = []
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        is_code = inspect.isclass(thing) or inspect.isroutine(thing)
        home = thing.__module__ if is_code else imported.get(name, module.__name__)
        if home != module.__name__:
            elsewhere.append(
                (f"`{name}`", _link(home), (inspect.getdoc(thing) or "").split("\n")[0] if is_code else "")
            )
        elif inspect.isclass(thing):
            parts += [f".. autoclass:: {module.__name__}.{name}", "   :members:", ""]
        elif is_code:
            parts += [f".. autofunction:: {module.__name__}.{name}", ""]
        else:
            text = textwrap.indent(described.get(name, ""), "   ")
            parts += [f".. py:data:: {module.__name__}.{name}", "", text, ""]
    parts.append("```\n")
    if elsewhere:
        parts.append(table(("name", "described in", "summary"), elsewhere))
    return "\n".join(parts)


def _link(module: str) -> str:
    """Return a link to the page of a module, or only its name if it is of another package."""
    return f"[`{module}`]({module}.md)" if module.startswith("mrcarray") else f"`{module}`"


def _tree(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _imported_names(module: ModuleType) -> dict[str, str]:
    """Return the names that `module` imports, each with the module it comes from."""
    imports = [statement for statement in _tree(module) if isinstance(statement, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in imports for alias in node.names}


def _described_values(module: ModuleType) -> dict[str, str]:
    """Return the docstrings of constants: the strings after their assignments."""
    return {
        target.id: inspect.cleandoc(text.value.value)
        for value, text in itertools.pairwise(_tree(module))
        if isinstance(value, ast.Assign | ast.AnnAssign)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        for target in (value.targets if isinstance(value, ast.Assign) else [value.target])
        if isinstance(target, ast.Name)
    }


def write(folder: Path) -> None:
    """Write all pages into `folder`; unchanged pages keep their time, and pages of removed modules are deleted."""
    pages = {folder / f"{name}.md": make() + "\n" for name, make in TABLES.items()}
    pages |= {folder / "api" / f"{module.__name__}.md": module_page(module) for module in public_modules()}
    (folder / "api").mkdir(parents=True, exist_ok=True)
    for stale in set(folder.rglob("*.md")) - set(pages):
        stale.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

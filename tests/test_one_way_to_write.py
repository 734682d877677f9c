"""Only a few modules of `mrcarray.storage` create, rename or remove files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mrcarray"

HOME = {
    "positional_io.py": "the calls themselves, on every system",
    "storage/atomic.py": "AtomicFile",
    "storage/atomic_folder.py": "AtomicFolder",
    "storage/in_place.py": "files that must be written in place: empty targets, names that cannot be replaced",
    "storage/lease.py": "temporary files that several processes write to",
    "storage/orphans.py": "removes what killed writers left",
    "storage/patch.py": "patch_bytes",
    "storage/sink.py": "writes to temporary files and regions by name",
    "storage/syscalls.py": "the table of system calls",
}
"""The modules that write, and why each of them does."""

DIRECTLY = {
    ("cli/__init__.py", "O_WRONLY"): "likewise",
    ("cli/__init__.py", "open"): "standard streams that were closed become the null device",
    (
        "classic/backing.py",
        "open",
    ): "a file that is mapped writable, or in a read-only folder",
    ("classic/backing.py", "WRITE"): "likewise, and to see whether a file may be written",
    ("classic/backing.py", "READ_WRITE"): "a file in a read-only folder, by the steps of storage/in_place.py",
    ("classic/mrcinterpreter.py", "truncate"): "a stream that the user gave",
    ("classic/stream.py", "truncate"): "a stream that the user asked for",
    ("classic/stream.py", "open"): "likewise",
    ("conversion/stdio.py", "open"): "a pipe or device that the user named",
    (
        "conversion/stdio.py",
        "TemporaryDirectory",
    ): "what goes into a pipe is made in a private folder",
    ("sample_data.py", "mkdir"): "the folder of the user's cache",
    ("storage/atomic_stream.py", "truncate"): "the file object of an AtomicFile",
    ("storage/compression/index_file.py", "mkdir"): "the folder of the user's cache",
    ("storage/compression/spool.py", "TemporaryFile"): "scratch without a name, which ends with the process",
    ("storage/compression/spool.py", "pwrite"): "likewise",
}
"""What else is written, by module and call, and why it need not be atomic."""

CALLS = frozenset(
    {"NamedTemporaryFile", "SpooledTemporaryFile", "TemporaryDirectory", "TemporaryFile", "chmod", "chown", "copy"}
    | {"copy2", "copyfile", "copytree", "fchmod", "fchown", "fdatasync", "fsync", "ftruncate", "hardlink_to", "link"}
    | {"makedirs", "mkdir", "mkdtemp", "mkfifo", "mkstemp", "move", "posix_fallocate", "pwrite", "pwritev", "remove"}
    | {"removedirs", "rename", "renames", "replace", "rmdir", "rmtree", "symlink", "symlink_to", "truncate", "unlink"}
    | {"utime", "write_bytes", "write_text"}
)
FLAGS = frozenset({"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"})
OWN_FLAGS = frozenset({"CREATE", "READ_WRITE", "WRITE"})
"""The same of `mrcarray.positional_io`."""

MODULES = frozenset({"os", "shutil", "tempfile", "pathlib", "Path"})
OF_VALUES = frozenset({"replace", "rename", "copy", "remove", "link", "move"})
"""Names that strings, dataclasses, lists and arrays have too: they count only when a module has them."""


def writes(source: str) -> set[str]:
    """Return the names in a module that change the file system.

    Examples
    --------
    >>> sorted(writes("import os; os.replace(a, b); open(a, 'wb'); a.replace('x', 'y'); open(a)"))
    ['open', 'replace']
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in FLAGS:
            found.add(node.attr)
        if isinstance(node, ast.ImportFrom) and node.module == "mrcarray.positional_io":
            found |= OWN_FLAGS & {alias.name for alias in node.names}
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = (
            function.attr
            if isinstance(function, ast.Attribute)
            else function.id
            if isinstance(function, ast.Name)
            else ""
        )
        owner = function.value if isinstance(function, ast.Attribute) else None
        if name in ("open", "FileIO", "fdopen") and _opens_for_writing(node):
            found.add("open")
        if name not in CALLS or _is_in_table(owner):
            continue
        if name in OF_VALUES and not (isinstance(owner, ast.Name) and owner.id in MODULES) and not _is_path(owner):
            continue
        found.add(name)
    return found


def _opens_for_writing(call: ast.Call) -> bool:
    texts = [
        node.value
        for argument in (*call.args[:2], *(key.value for key in call.keywords if key.arg == "mode"))
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return any(set(text) <= set("rwaxbt+") and set(text) & set("wax+") for text in texts)


def _is_in_table(owner: ast.expr | None) -> bool:
    """Whether a call is one of `atomic.calls`, which tests can let fail."""
    return (isinstance(owner, ast.Name) and owner.id == "calls") or (
        isinstance(owner, ast.Attribute) and owner.attr == "calls"
    )


def _is_path(owner: ast.expr | None) -> bool:
    return isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "Path"


FOUND = {
    (name, call)
    for path in sorted(PACKAGE.rglob("*.py"))
    if (name := path.relative_to(PACKAGE).as_posix()) not in HOME
    for call in writes(path.read_text(encoding="utf-8"))
}


def test_only_listed_modules_write() -> None:
    assert not sorted(FOUND - set(DIRECTLY))


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.replace(a, b)",
        "from pathlib import Path\nPath(a).rename(b)",
        "open(a, 'w')",
        "path.open('xb')",
        "open(a, mode='r+b')",
        "io.FileIO(a, 'r+b')",
        "path.write_text(text)",
        "shutil.rmtree(a)",
        "os.open(a, os.O_RDWR)",
        "from mrcarray.positional_io import CREATE",
        "tempfile.mkstemp()",
        "path.unlink()",
    ],
)
def test_other_writes_are_found(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize(
    "source",
    ["text.replace(a, b)", "replace(issue, code=1)", "array.rename(b)", "open(a)", "open(a, 'rb')", "header.copy()"],
)
def test_methods_of_values_are_not_writes(source: str) -> None:
    assert not writes(source)

"""The house stands as it is drawn: floors, rooms, names, and the page that describes them."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mrcarray"
MODULES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = sorted(
    path for top in ("mrcarray", "tests", "examples", "docs", ".ci") for path in (ROOT / top).rglob("*.py")
)
# Modules of the classic library that keep their names, because programs import them by these names.
INHERITED_NAMES = {"mrcarray.classic.mrcfile"}

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def _page_floors() -> list[set[str]]:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- floors -->\n```text\n(.*?)```", page, re.DOTALL)
    assert block, "the page draws the floors in a block after the mark <!-- floors -->"
    return [set(line.split(" | ")) for line in block[1].splitlines()]


def _contract_floors() -> list[set[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [set(re.findall(r"mrcarray\.(\w+)", layer)) for layer in layers]


def test_the_page_draws_the_floors_that_the_contract_enforces() -> None:
    assert _page_floors() == _contract_floors()


def test_every_room_stands_on_a_floor() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    private = {room for room in rooms if room.startswith("_")}
    assert rooms - private <= set().union(*_contract_floors())


def test_every_floor_is_described_on_the_page() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert described == set().union(*_contract_floors())


def test_no_room_imports_a_floor_above_it() -> None:
    """Without import-linter too: no import in the text of a room names a room above or beside it."""
    floors = _contract_floors()
    height = {room: len(floors) - number for number, floor in enumerate(floors) for room in floor}
    wrong = [
        f"{path.relative_to(ROOT)} imports {room}"
        for path in MODULES
        if (home := path.relative_to(PACKAGE).parts[0].removesuffix(".py")) in height
        for room in _rooms_imported(path)
        if room != home and height.get(room, 0) >= height[home]
    ]
    assert not wrong


def _rooms_imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("mrcarray.")}


def test_import_linter_keeps_the_contract() -> None:
    pytest.importorskip("importlinter", reason="import-linter is not installed; the gate runs it too")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@every_module
def test_every_module_says_what_lives_there(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring != "A room of the house."


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_is_relative(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


def test_no_module_bears_the_name_of_another_package() -> None:
    """`mrcarray/x.py` named like a package `x` would shadow it wherever its folder is on the path."""
    foreign = set(importlib.metadata.packages_distributions()) - {"mrcarray"}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES}
    assert not {name for name in modules - INHERITED_NAMES if name.rpartition(".")[2] in foreign}


def test_the_version_stands_in_one_place() -> None:
    import mrcarray

    files = [ROOT / "pyproject.toml", *MODULES, ROOT / "docs/conf.py"]
    places = [path for path in files if f'"{mrcarray.__version__}"' in path.read_text(encoding="utf-8")]
    assert places == [PACKAGE / "__init__.py"]
    assert importlib.metadata.version("mrcarray") == mrcarray.__version__


def test_nothing_is_said_of_the_machine_it_was_written_on() -> None:
    texts = [*ALL_FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml", ROOT / ".ci/run"]
    wrong = [
        str(path) for path in texts if re.search(r"(?<![\w.])/(work|root|home)/", path.read_text(encoding="utf-8"))
    ]
    assert not wrong

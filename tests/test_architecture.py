"""The architecture: layers, modules, names, and the page that describes them."""

from __future__ import annotations

import ast
import importlib.metadata
import pkgutil
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
# The plugin for napari has the name of the program it is for; it is imported by its manifest alone.
INHERITED_NAMES = {"mrcarray.classic.mrcfile", "mrcarray.napari"}

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def _page_layers() -> list[set[str]]:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- layers -->\n```text\n(.*?)```", page, re.DOTALL)
    assert block, "the page lists the layers in a block after the mark <!-- layers -->"
    return [set(line.split(" | ")) for line in block[1].splitlines()]


def _contract_layers() -> list[set[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [set(re.findall(r"mrcarray\.(\w+)", layer)) for layer in layers]


def test_architecture_page_lists_the_layers_of_the_contract() -> None:
    assert _page_layers() == _contract_layers()


def test_every_module_belongs_to_a_layer() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    private = {module for module in modules if module.startswith("_") and module != "_compat"}
    assert modules - private <= set().union(*_contract_layers())


def test_architecture_page_describes_every_layer() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert described == set().union(*_contract_layers())


def test_architecture_page_names_existing_functions() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    journeys = re.findall(r"<!-- journey -->\n(.*?)\n\n", page, re.DOTALL)
    names = [name for journey in journeys for name in re.findall(r"^\| \d+ \| `([\w.]+)` \|", journey, re.MULTILINE)]
    assert len(names) == 22
    assert not [name for name in names if _found(f"mrcarray.{name}") is None]


def _found(name: str) -> object:
    """Return the module, class or function of a full name, or None if there is none."""
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return None


def test_no_module_imports_a_layer_above_it() -> None:
    """Checked without import-linter too: no import names a higher layer, or another module of the same layer."""
    layers = _contract_layers()
    height = {module: len(layers) - number for number, layer in enumerate(layers) for module in layer}
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in MODULES
        if (home := path.relative_to(PACKAGE).parts[0].removesuffix(".py")) in height
        for module in _modules_imported(path)
        if module != home and height.get(module, 0) >= height[home]
    ]
    assert not wrong


def _modules_imported(path: Path) -> set[str]:
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
def test_every_module_has_a_docstring(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_is_relative(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


def test_no_module_has_the_name_of_another_package() -> None:
    """`mrcarray/x.py` named like a package `x` would shadow it wherever its folder is on the path."""
    foreign = set(importlib.metadata.packages_distributions()) - {"mrcarray"}
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES}
    assert not {name for name in modules - INHERITED_NAMES if name.rpartition(".")[2] in foreign}


def test_version_is_defined_once() -> None:
    import mrcarray

    files = [ROOT / "pyproject.toml", *MODULES, ROOT / "docs/conf.py"]
    places = [path for path in files if f'"{mrcarray.__version__}"' in path.read_text(encoding="utf-8")]
    assert places == [PACKAGE / "__init__.py"]
    assert importlib.metadata.version("mrcarray") == mrcarray.__version__


def test_no_machine_path_occurs() -> None:
    texts = [*ALL_FILES, *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "pyproject.toml", ROOT / ".ci/run"]
    wrong = [
        str(path) for path in texts if re.search(r"(?<![\w.])/(work|root|home)/", path.read_text(encoding="utf-8"))
    ]
    assert not wrong


def test_every_new_name_of_a_renamed_module_exists() -> None:
    page = (ROOT / "docs/reference/renamed-modules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(mrcarray[\w.]*)` \| `(mrcarray[\w.]*)` \|$", page, re.MULTILINE)
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES}
    assert len(rows) > 100
    assert not [new for _, new in rows if new not in names]

"""The documentation: its code runs, its links exist, CI runs the commands of the README, its tables are complete."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mrcarray
from conftest import write_samples
from tests.pages import blocks, run_page

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "docs/reference/generated"
PAGES = sorted({ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")} - set(GENERATED.rglob("*")))
TEACHING = ("README.md", "getting-started.md", "convention.md")  # pages that must have code

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@every_page
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in re.findall(r"^<!-- needs: (\w+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE):
        pytest.importorskip(package, reason=f"the page needs {package} (extra: neighbours)")
    write_samples(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run_page(page) >= (2 if page.name in TEACHING else 0)


@every_page
def test_relative_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_wrong_output_on_a_page_fails(tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match="Expected"):
        run_page(page)
    page.write_text("```console\n$ python -c 'print(1)'\n2\n```\n")
    with pytest.raises(AssertionError, match="Expected"):
        run_page(page)
    page.write_text("text\n\n```python\nx = 1\nraise KeyError(x)\n```\n")
    with pytest.raises(KeyError):
        run_page(page)


def test_blocks_of_a_page_share_names(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```pycon\n>>> y = x + 1\n```\n\n```python\nassert y == 2\n```\n")
    assert run_page(page) == 3


def readme_command(name: str) -> str:
    """Return the one line of the README's block `name`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, mark, rest = text.partition(f"<!-- command: {name} -->\n")
    assert mark, f"the README marks its command {name}"
    return next(blocks(rest)).text.removesuffix("\n")


@pytest.mark.parametrize("name", ["quickstart", "tests"])
def test_ci_runs_the_commands_of_the_readme(name: str) -> None:
    command = readme_command(name)
    assert "\n" not in command
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    function = re.search(r"^readme_command\(\).*?^}$", script, re.DOTALL | re.MULTILINE)
    assert function
    taken = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{function[0]}\nreadme_command {name} /elsewhere/env"],  # noqa: S607 -- bash of the system, as in CI
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert taken.stdout == command.replace(".venv", "/elsewhere/env")
    assert re.search(rf'^{name}=\$\(readme_command {name} .*\)\nbash -euo .* -c "\$\{{{name}:', script, re.MULTILINE)


def test_changelog_starts_with_what_is_unreleased_or_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] in ("Unreleased", mrcarray.__version__)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def generator() -> ModuleType:
    """Return the module that writes the reference pages."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_pages_contain_every_row_of_the_tables(tmp_path: Path) -> None:
    from mrcarray.format.extended import DIALECTS, RecordFacts
    from mrcarray.format.fields import FIELDS
    from mrcarray.format.issues import CODES
    from mrcarray.format.modes import MODES
    from mrcarray.format.quantities import COMMON
    from mrcarray.format.sidecars import KEYS
    from mrcarray.validation.checks import CHECKS

    generator().write(tmp_path)
    assert len(re.findall(r"^\| \d+ \|", (tmp_path / "modes.md").read_text(), re.MULTILINE)) == len(MODES)
    words = (tmp_path / "header-words.md").read_text()
    assert all(f"| `{name}` |" in words for name in FIELDS)
    fields = (tmp_path / "extended-headers.md").read_text()
    assert all(
        f"| `{name}` |" in fields
        for name in (*COMMON, *KEYS, *(f.name for f in DIALECTS["FEI2"].layout(RecordFacts())))
    )
    assert all(f"## {name}\n" in fields for name, dialect in DIALECTS.items() if dialect.has_records)
    codes = (tmp_path / "issues.md").read_text()
    assert all(f"| `{code}` |" in codes for code in CODES)
    checks = (tmp_path / "checks.md").read_text()
    assert all(f"({code.lower()})=\n## {code}\n" in checks for code in CHECKS)
    assert (tmp_path / "api/mrcarray.errors.md").exists()


def test_pages_of_removed_modules_are_deleted(tmp_path: Path) -> None:
    stale = tmp_path / "api/mrcarray.gone.md"
    stale.parent.mkdir()
    stale.write_text("# gone")
    generator().write(tmp_path)
    assert not stale.exists()

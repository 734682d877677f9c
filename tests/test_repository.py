"""What the repository and the source distribution contain."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import mrcarray
from mrcarray.cli.help import DOCS
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 200_000
"""Bytes of a tracked file; data files belong elsewhere."""

SDIST = 2_000_000
"""Bytes of the source distribution."""

ROOT = {
    ".gitignore",
    ".pre-commit-config.yaml",
    ".readthedocs.yaml",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "conftest.py",
    "pyproject.toml",
}
FOLDERS = {".ci", ".conda", ".github", "docs", "examples", "mrcarray", "tests"}
ALWAYS = {".gitignore", "LICENSE", "README.md", "pyproject.toml"}
"""Files that hatchling adds to every source distribution."""


@pytest.fixture(scope="module")
def tracked(project_root: Path) -> dict[str, int]:
    """Return the size of each tracked file, by its path from the root."""
    if not (project_root / ".git").exists():
        pytest.skip("the project is not in a git repository here, as in a source distribution")
    command = ["git", "-C", str(project_root), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = {name: project_root / name for name in listed.split("\0") if name}
    return {name: path.stat().st_size for name, path in paths.items() if path.exists()}


@pytest.fixture(scope="module")
def settings(project_root: Path) -> dict[str, Any]:
    """Return the contents of pyproject.toml."""
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def included(settings: dict[str, Any]) -> list[str]:
    """Return what pyproject.toml includes in the source distribution, without the leading slashes."""
    patterns: list[str] = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert all(pattern.startswith("/") for pattern in patterns), "a pattern without a slash matches at any depth"
    return [pattern.removeprefix("/") for pattern in patterns]


def test_no_tracked_file_is_large(tracked: dict[str, int]) -> None:
    assert {name: size for name, size in tracked.items() if size > LARGEST} == {}


def test_root_contains_only_known_files(tracked: dict[str, int]) -> None:
    assert {name for name in tracked if "/" not in name} == ROOT
    assert {name.partition("/")[0] for name in tracked if "/" in name} == FOLDERS


@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz", "emd_1.map", "emd_1.map.bz2", "b.mrcs", "a.mrc.mdoc"])
def test_git_ignores_only_maps_in_the_root(project_root: Path, tracked: dict[str, int], name: str) -> None:
    assert tracked
    command = ["git", "-C", str(project_root), "check-ignore", "-q", "--no-index"]
    assert subprocess.run([*command, name], check=False).returncode == 0
    assert subprocess.run([*command, f"tests/{name}"], check=False).returncode == 1


def test_source_distribution_lists_existing_files(project_root: Path, included: list[str]) -> None:
    assert [name for name in included if not (project_root / name).exists()] == []


def test_source_distribution_contains_the_whole_root(included: list[str]) -> None:
    """The tests read .ci, too."""
    assert {*included, *ALWAYS} == ROOT | FOLDERS


def test_source_distribution_is_small(project_root: Path, tracked: dict[str, int], included: list[str]) -> None:
    contained = [name for name in tracked if name.partition("/")[0] in {*included, *ALWAYS}]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in contained:
            archive.add(project_root / name, name)
    assert 0 < packed.tell() < SDIST


@pytest.mark.parametrize(
    ("name", "pattern"), [("CITATION.cff", r"^version: (.+)$"), (".conda/recipe.yaml", r"^  version: (\S+\d)$")]
)
def test_version_is_the_same_everywhere(project_root: Path, name: str, pattern: str) -> None:
    found = re.search(pattern, (project_root / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] == mrcarray.__version__


def test_citation_has_the_date_of_the_changelog(project_root: Path) -> None:
    changelog = (project_root / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.search(rf"^## \[{re.escape(mrcarray.__version__)}\] - (\S+)$", changelog, re.MULTILINE)
    assert dated
    assert f"date-released: {dated[1]}\n" in (project_root / "CITATION.cff").read_text(encoding="utf-8")


def test_conda_recipe_has_the_requirements_of_the_package(project_root: Path, settings: dict[str, Any]) -> None:
    recipe = (project_root / ".conda/recipe.yaml").read_text(encoding="utf-8")
    listed = re.search(r"^  run:\n((?:    - .+\n)+)", recipe, re.MULTILINE)
    assert listed
    found = {line.removeprefix("    - ").replace(" ", "") for line in listed[1].splitlines()}
    needed = {f"python{settings['project']['requires-python']}", *settings["project"]["dependencies"]}
    assert found == {name.replace("dask[array]", "dask-core") for name in needed}


def test_addresses_are_those_of_the_package(project_root: Path, settings: dict[str, Any]) -> None:
    """The files of the forge cannot refer to pyproject.toml."""
    urls = settings["project"]["urls"]
    for name in ("CITATION.cff", ".conda/recipe.yaml"):
        text = (project_root / name).read_text(encoding="utf-8")
        assert set(re.findall(r"https://\S+", text)) == {urls["Source"], urls["Documentation"]}
    assert MrcBackendEntrypoint.url == urls["Documentation"]
    assert DOCS.startswith(urls["Documentation"])


def test_pre_commit_runs_the_linters_of_ci(project_root: Path) -> None:
    hooks = (project_root / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    script = (project_root / ".ci/run").read_text(encoding="utf-8")
    for command in ("ruff check", "ruff format", "mypy", "lint-imports"):
        assert f"entry: {command}" in hooks
        assert f" {command}" in script

"""What the repository and the source distribution contain."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 200_000
"""Bytes of a tracked file; data files belong elsewhere."""

SDIST = 2_000_000
"""Bytes of the source distribution."""

ROOT = {".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "conftest.py", "pyproject.toml"}
FOLDERS = {".ci", "docs", "examples", "mrcarray", "tests"}
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
def included(project_root: Path) -> list[str]:
    """Return what pyproject.toml includes in the source distribution, without the leading slashes."""
    with (project_root / "pyproject.toml").open("rb") as file:
        config: dict[str, Any] = tomllib.load(file)
    patterns: list[str] = config["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
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

"""Fixtures of the test suite; those that doctests need too stand in the project's root."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Examples come from a seed that never changes, so that a red run is red again; `--hypothesis-profile=search` draws new
# ones, many more, to look for what the fixed ones miss, `brief` the first few, for runs where something else is in
# question.
TOLERATED = [hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow]
for name, examples in (("project", 40), ("brief", 5)):
    hypothesis.settings.register_profile(
        name,
        deadline=None,
        derandomize=True,
        max_examples=examples,
        database=None,
        suppress_health_check=TOLERATED,
    )
hypothesis.settings.register_profile("search", deadline=None, max_examples=2000, suppress_health_check=TOLERATED)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Return the folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real files beside the project; without it the test is skipped, with the reason."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real files are not here: no folder {folder}")
    return folder

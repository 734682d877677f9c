"""Print pip constraints that pin each direct dependency of pyproject.toml to its lower bound."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def lowest(requirement: str) -> str | None:
    """Return ``name==version`` for the lower bound of `requirement`; None for the package itself.

    Examples
    --------
    >>> lowest("dask[array]>=2025.5")
    'dask==2025.5'
    """
    parsed = Requirement(requirement)
    bounds = [bound for bound in parsed.specifier if bound.operator in (">=", "==")]
    if len(bounds) == 1:
        return f"{parsed.name}=={bounds[0].version}"
    if parsed.name == "mrcarray":
        return None
    raise SystemExit(f"{requirement} has no lower bound")


def main() -> None:
    """Print a line for each dependency, those of the extras included."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    print("\n".join(sorted({line for r in requirements if (line := lowest(r))})))  # noqa: T201 -- its only output


if __name__ == "__main__":
    main()

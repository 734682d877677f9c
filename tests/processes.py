"""The environment of processes that tests start."""

from __future__ import annotations

import os


def without_coverage() -> dict[str, str]:
    """Return the environment for a process that does not measure its coverage.

    A process whose files may not grow writes a damaged data file, and combining that with the others fails.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}

"""The peak of this process's own memory.

``ru_maxrss`` is no measure of it: on Linux a child takes over the peak of its parent through fork and exec, so that
what a test sees depends on what ran before it.
"""

from __future__ import annotations

import inspect


def peak_memory() -> int:
    """Return the most memory this process has held since it began to run its program, in bytes."""
    with open("/proc/self/status") as status:  # noqa: PTH123 -- runs in programs that import nothing
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


#: The function as text, for programs that run apart from the tests.
PEAK_MEMORY = inspect.getsource(peak_memory)

"""One pass over the pixels of a file: their statistics, and where a compressed stream really ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcError, TruncatedError
from mrcarray.format.issues import Issue, Severity
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.errors import trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.header import Header
    from mrcarray.format.interpret import Interpretation
    from mrcarray.format.layout import Layout
    from mrcarray.statistics import Stats
    from mrcarray.storage.source import ByteSource

__all__ = ["Look", "Pixels"]


@dataclass(frozen=True, slots=True)
class Look:
    """How to look at a file; as the arguments of `validate`."""

    kind: str = "auto"
    mode0: str = "auto"
    threads: int | None = None
    progress: Callable[[int], object] | None = None


class Pixels:
    """What one pass over the pixels tells."""

    def __init__(self, source: ByteSource, look: Look) -> None:
        self.source, self.look = source, look
        self.issues: list[Issue] = []
        self.stats: Stats | None = None
        self.counts: tuple[int, ...] = ()

    def look_at(self, header: Header, found: Interpretation, size: int | None) -> Interpretation:
        """Read all pixels; return the interpretation, which for compressed files the pass may correct."""
        if found.layout is None or any(issue.code == "MRC201" for issue in found.issues):
            return found
        try:
            self._scan(found.layout)
        except TruncatedError:
            return self._truncated(header, found)
        except (OSError, MrcError, MemoryError) as error:
            self.issues.append(trouble(error))
            return found
        if size is None and len(self.source.read(found.layout.stop, found.layout.stop + 1)):
            text = (
                f"the stream goes on after the {found.layout.stop} bytes its header declares: no checksum was reached"
            )
            self.issues.append(Issue("MRC202", Severity.WARNING, text, None, "more", str(found.layout.stop)))
        return found

    def _truncated(self, header: Header, found: Interpretation) -> Interpretation:
        """Interpret the header again, now that a pass has shown where the stream ends."""
        size = self.source.size()
        words = {"name": self.source.name, "kind": self.look.kind, "mode0": self.look.mode0}
        again = interpret_file(header, size, self.source.read, **words)
        if again.layout is not None and again.layout != found.layout and "MRC201" not in [i.code for i in again.issues]:
            self._scan(again.layout)
        elif again.issues == found.issues:
            self.issues.append(Issue("MRC201", Severity.ERROR, "the file ends before its pixels do"))
        return again

    def _scan(self, layout: Layout) -> None:
        import numpy as np

        from mrcarray.analysis.blockwise import scan
        from mrcarray.statistics import Stats

        count = layout.pixel.mode == 0 and layout.pixel.stored in ("i1", "u1")

        def visit(values: Any) -> tuple[Stats, Any]:
            stats = Stats.of(values, threads=1)
            if not count:
                return stats, 0
            return stats, np.bincount(values.view(np.uint8).reshape(-1), minlength=256)

        def combine(one: tuple[Stats, Any], two: tuple[Stats, Any]) -> tuple[Stats, Any]:
            return one[0].merge(two[0]), one[1] + two[1]

        seen = scan(layout, self.source, visit, combine, threads=self.look.threads, progress=self.look.progress)
        if seen is not None:
            self.stats, counts = seen
            self.counts = tuple(counts.tolist()) if count else ()

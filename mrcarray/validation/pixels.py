"""One pass over the pixels of a file: their statistics, and where a compressed stream ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcError, TruncatedError
from mrcarray.format.issues import Issue, Severity
from mrcarray.kind_facts import interpret_file
from mrcarray.validation.errors import issue_of_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from mrcarray.format.header import Header
    from mrcarray.format.interpret import Interpretation
    from mrcarray.format.layout import Layout
    from mrcarray.statistics import Stats
    from mrcarray.storage.source import ByteSource

__all__ = ["PixelPass", "ReadOptions"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a file; the parameters are those of `mrcarray.validation.check`."""

    kind: str = "auto"
    mode0: str = "auto"
    threads: int | None = None
    progress: Callable[[int], object] | None = None


class PixelPass:
    """One pass over all pixels of a file, and its results.

    Parameters
    ----------
    source : ByteSource
        The file.
    options : ReadOptions
        How to read it.

    Attributes
    ----------
    issues : list of Issue
        What went wrong.
    stats : Stats or None
        Statistics of the pixels; None when they could not all be read.
    counts : tuple of int
        Bytes of each value 0-255, for data of mode 0; else empty.
    """

    def __init__(self, source: ByteSource, options: ReadOptions) -> None:
        self.source, self.options = source, options
        self.issues: list[Issue] = []
        self.stats: Stats | None = None
        self.counts: tuple[int, ...] = ()

    def run(self, header: Header, found: Interpretation, size: int | None) -> Interpretation:
        """Read all pixels; return the interpretation, which the pass may correct for a compressed file."""
        if found.layout is None or any(issue.code == "MRC201" for issue in found.issues):
            return found
        try:
            self._scan(found.layout)
        except TruncatedError:
            return self._truncated(header, found)
        except (OSError, MrcError, MemoryError) as error:
            self.issues.append(issue_of_error(error))
            return found
        stop = found.layout.stop
        if size is None and len(self.source.read(stop, stop + 1)):
            text = f"the compressed data continue after the {stop} bytes that the header declares; the checksum at"
            text += " their end was not verified"
            self.issues.append(Issue("MRC202", Severity.WARNING, text, None, "more", str(stop)))
        return found

    def _truncated(self, header: Header, found: Interpretation) -> Interpretation:
        """Interpret the header again with the size that the pass found."""
        size = self.source.size()
        options = {"name": self.source.name, "kind": self.options.kind, "mode0": self.options.mode0}
        again = interpret_file(header, size, self.source.read, **options)
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

        options = self.options
        seen = scan(layout, self.source, visit, combine, threads=options.threads, progress=options.progress)
        if seen is not None:
            self.stats, counts = seen
            self.counts = tuple(counts.tolist()) if count else ()

"""Write dask arrays: `write_dask` to a new file, `write_box` to part of an existing one.

Nothing but the chunks in work is in memory.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from mrcarray.dask_io.graph import append_slabs, write_chunks
from mrcarray.errors import MrcValueError
from mrcarray.file_writer import head_of
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.progress import is_shown, progress_bar, task_bar
from mrcarray.region_writer import Part, Region
from mrcarray.storage.compression.writer import compressor_for
from mrcarray.writer import DeferredWriter, Writer

if TYPE_CHECKING:
    import dask.array as da
    from dask.delayed import Delayed

    from mrcarray.format import regions
    from mrcarray.format.builder import Draft
    from mrcarray.progress import Progress
    from mrcarray.storage.compression.writer import Compressor

__all__ = ["write_box", "write_dask"]


def write_dask(  # noqa: PLR0913 -- the options of every write
    array: da.Array,
    path: str | os.PathLike[str],
    plan: Draft,
    *,
    overwrite: bool = False,
    sync: bool = True,
    compression: str | None = "auto",
    level: int | None = None,
    compute: bool = True,
    progress: Progress = "auto",
) -> str | Delayed:
    """Write a dask array to a new file.

    Parameters
    ----------
    array : dask.array.Array
        The pixels; chunks of any shape.
    path : str or path
        The target.
    plan : Draft
        Layout, header and extended header.
    overwrite, sync, compression, level
        As for `mrcarray.writer.Writer`.
    compute : bool
        Whether to write now. Otherwise one `Delayed` is returned, and the file appears when it has run.
    progress : bool or "auto"
        Whether to show a progress bar; ``"auto"`` shows one on a terminal.

    Returns
    -------
    str or Delayed
        The path of the file, or the task that returns it.
    """
    if any(math.isnan(n) for n in array.shape):
        raise MrcValueError("the dask array does not know its shape; call compute_chunk_sizes() first")
    if array.shape != plan.layout.shape:
        raise MrcValueError(f"the dask array has shape {array.shape}; the file has {plan.layout.shape}")
    compressor = compressor_for(os.fsdecode(path), compression, level)
    if not compute:
        from dask.delayed import delayed

        later = DeferredWriter.of(path, plan, compressor, overwrite=overwrite, sync=sync)
        region: Delayed = delayed(later.begin)()
        job: Delayed = delayed(later.finish)(_written(array, plan, compressor, region), region)
        return job
    options: dict[str, Any] = {"overwrite": overwrite, "sync": sync, "compression": compression, "level": level}
    with Writer.of(path, plan, shared=True, **options) as writer:
        writer.close(_run(_written(array, plan, compressor, writer.region), progress))
    return writer.path


def _written(array: da.Array, plan: Draft, compressor: Compressor | None, region: Region | Delayed) -> Delayed:
    """Return the tasks that write the pixels of a new file, which give a `Part`."""
    if compressor is None:
        return write_chunks(array, plan.layout, region)
    return append_slabs(
        array, plan.layout, compressor, region, len(head_of(bytes(HEADER_NBYTES) + plan.extended, compressor))
    )


def write_box(array: da.Array, region: Region, box: regions.Box, *, compute: bool, progress: Progress) -> Any:
    """Write a dask array to part of an existing file.

    Parameters
    ----------
    array : dask.array.Array
        The pixels, in the shape of the box.
    region : Region
        The file.
    box : Box
        Which pixels of the file.
    compute : bool
        Whether to write now. Otherwise a Delayed is returned that gives the statistics.
    progress : bool or "auto"
        Whether to show a progress bar.

    Returns
    -------
    Part or Delayed
    """
    from dask.delayed import delayed

    origin = tuple(start for start, _ in box)
    job: Delayed = delayed(Part.at)(write_chunks(array, region.layout, region, origin), box, region.file)
    return _run(job, progress) if compute else job


# ------------------------------------------------------------------------------------------ running


def _run(job: Delayed, progress: Progress) -> Any:
    """Compute, with a progress bar if wanted; a client of distributed is used if there is one."""
    client = _client()
    if client is not None:
        return _run_distributed(job, client, shown=is_shown(progress))
    with task_bar("writing", shown=progress):
        return job.compute()


def _client() -> Any:
    """Return the client of distributed that dask would use now, None when there is none."""
    if "distributed" not in sys.modules:
        return None
    import dask
    from distributed import Client

    chosen = dask.config.get("scheduler", None)
    if chosen not in (None, "dask.distributed", "distributed"):
        return None
    with contextlib.suppress(ValueError):
        return Client.current()
    return None


def _run_distributed(job: Delayed, client: Any, *, shown: bool) -> Any:
    future = client.compute(job)
    try:
        if shown:
            _cluster_bar(future)
        found = future.result()
    except BaseException:
        future.cancel()
        raise
    return found


def _cluster_bar(future: Any) -> None:
    """Show how many tasks of a cluster are done; return when all are."""
    from distributed.diagnostics.progressbar import TextProgressBar

    with progress_bar("writing") as bar:

        class ClusterBar(TextProgressBar):
            """Pass what distributed counts to the bar."""

            def _draw_bar(self, remaining: int, all: int, **_: Any) -> None:  # noqa: A002 -- its name there
                bar.update(all - remaining, all)

            def _draw_stop(self, **_: Any) -> None:
                """Leave the end to the bar."""

        ClusterBar([future])  # type: ignore[no-untyped-call]

"""Every public writer, as a case that can be interrupted at each of its system calls.

A case creates a folder in the old state, writes, and returns the state of a folder. To test another writer, add a row
to `CASES`.
"""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da

import mrcarray
from tests import builders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.storage.faults import Zygote

__all__ = ["CASES", "Case", "sweep"]

OLD, NEW = (builders.sample((4, 6, 8), 1) + at for at in (0, 1))
OLD_TILTS, NEW_TILTS = [0.0, 3.0, 6.0, 9.0], [-9.0, -6.0, -3.0, 0.0]
MIXED = "mixed"
IN_PLACE = ("old", "new", MIXED)
"""States of a file whose pixels the caller writes in place, through a memory map, as in mrcfile."""


@dataclass(frozen=True)
class Case:
    """A writer.

    Parameters
    ----------
    write : callable
        Replaces the old state of a folder by the new one.
    state : callable
        Returns "old", "new", "named" (a reader says that the file is unfinished), or `MIXED`.
    prepare : callable
        Makes the old state.
    states : tuple of str
        States that may be found after a fault.
    """

    write: Callable[[Path], Any]
    state: Callable[[Path], str]
    prepare: Callable[[Path], Any]
    states: tuple[str, ...] = ("old", "new")


def stack(path: Path, values: Any, tilts: list[float] | None = None) -> None:
    """Write an int16 image stack, and its mdoc if there are tilts."""
    path.write_bytes(builders.mrc_bytes(values, 1, ispg=0, m=(8, 6, 1)))
    if tilts is not None:
        entries = (f"[ZValue = {at}]\nTiltAngle = {tilt:g}\n" for at, tilt in enumerate(tilts))
        path.with_name(path.name + ".mdoc").write_text("Voltage = 300\n\n" + "\n".join(entries))


def pixels(path: Path) -> str:
    """Return which pixels a file of any format has; reading it must succeed."""
    from mrcarray.conversion import load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with load(path) as found:
            values = found.values
    return "old" if (values == OLD).all() else "new" if (values == NEW).all() else MIXED


def tilts(path: Path) -> str:
    """Return whose tilt angles a reader believes; "named" when it says that they are not those of the pixels."""
    import xarray as xr

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with xr.open_dataarray(path, engine="mrc") as found:
            angles = found.tilt_angle.values.tolist() if "tilt_angle" in found.coords else None
    if any("interrupted between writing the image and writing" in str(one.message) for one in caught):
        return "named" if angles is None else MIXED
    return {str(OLD_TILTS): "old", str(NEW_TILTS): "new"}.get(str(angles), MIXED)


def paired(path: Path) -> str:
    """Return the state of pixels and tilt angles together."""
    image, angles = pixels(path), tilts(path)
    return angles if angles in (image, "named") else MIXED


def image_at(name: str) -> Callable[[Path], str]:
    """Return what looks at the pixels of a file, and at the statistics of an MRC file."""

    def state(folder: Path) -> str:
        found = pixels(folder / name)
        if ".mrc" in name:
            header = mrcarray.read_header(folder / name)
            values = OLD if found == "old" else NEW
            if (header.dmin, header.dmax) != (values.min(), values.max()):
                return MIXED
        return found

    return state


def put_old(name: str) -> Callable[[Path], Any]:
    """Return what writes the old pixels in the format of a name."""

    def prepare(folder: Path) -> None:
        from mrcarray.conversion import convert

        stack(folder / "old.mrc", OLD)
        if name != "old.mrc":
            convert(folder / "old.mrc", folder / name)
            (folder / "old.mrc").unlink()
        stack(folder / "source.mrc", NEW)

    return prepare


def lazy() -> da.Array:
    """Return the new pixels, a section a chunk."""
    array: da.Array = da.from_array(NEW, chunks=(1, -1, -1))
    return array


def numpy_to(name: str) -> Case:
    """Return the case of `to_mrc` with an array in memory."""
    return Case(lambda f: mrcarray.to_mrc(NEW, f / name, overwrite=True), image_at(name), put_old(name))


def dask_to(name: str, scheduler: str, *, compute: bool) -> Case:
    """Return the case of `to_mrc` with a dask array."""

    def write(folder: Path) -> None:
        with dask.config.set(scheduler=scheduler):
            job: Any = mrcarray.to_mrc(lazy(), folder / name, overwrite=True, compute=compute)
            if not compute:
                job.compute()

    return Case(write, image_at(name), put_old(name))


def by_cluster(folder: Path) -> None:
    """Write with two workers, which are threads of this process: they use the calls that may fail."""
    from distributed import Client

    settings = {"distributed.worker.memory.spill": False, "distributed.logging.distributed": "critical"}
    with (
        dask.config.set(settings),
        Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client,
    ):
        job: Any = mrcarray.to_mrc(lazy(), folder / "a.mrc", overwrite=True, compute=False)
        client.compute(job).result()


def by_writer(folder: Path) -> None:
    """Append sections."""
    with mrcarray.Writer(folder / "a.mrc", (None, 6, 8), "i2", kind="image_stack", overwrite=True) as out:
        for section in NEW:
            out.append(section)


def in_parts(folder: Path) -> None:
    """Fill a file from two processes."""
    path = folder / "a.mrc"
    mrcarray.create(path, NEW.shape, "i2", kind="image_stack", overwrite=True)
    child = os.fork()
    if child == 0:
        try:
            mrcarray.write_region(path, slice(0, 2), NEW[:2])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    mrcarray.write_region(path, slice(2, 4), NEW[2:])
    mrcarray.finalize(path)


def parts_state(folder: Path) -> str:
    """Return the state of a file that says that it is unfinished until all regions are written."""
    try:
        mrcarray.read_header(folder / "a.mrc")
        return image_at("a.mrc")(folder)
    except mrcarray.errors.MrcFormatError as error:
        return "named" if "unfinished" in str(error) else MIXED


def conversion(name: str, *, sidecar: bool) -> Case:
    """Return the case of `convert`, with an mdoc next to both files or without."""
    from mrcarray.conversion import convert

    def write(folder: Path) -> None:
        convert(folder / "source.mrc", folder / name, overwrite=True)

    if not sidecar:
        return Case(write, image_at(name), put_old(name))

    def prepare(folder: Path) -> None:
        stack(folder / "old.mrc", OLD, OLD_TILTS)
        convert(folder / "old.mrc", folder / name)
        (folder / "old.mrc").unlink()
        (folder / "old.mrc.mdoc").unlink()
        stack(folder / "source.mrc", NEW, NEW_TILTS)

    return Case(write, lambda folder: paired(folder / name), prepare, ("old", "new", "named"))


def sidecar_case(name: str) -> Case:
    """Return the case of an mdoc or a list of angles that is replaced."""

    def prepare(folder: Path) -> None:
        stack(folder / "a.mrc", OLD, OLD_TILTS)
        stack(folder / "b.mrc", OLD, NEW_TILTS)
        if name != "a.mrc.mdoc":
            (folder / "a.mrc.mdoc").unlink()
            (folder / name).write_text("".join(f"{tilt}\n" for tilt in OLD_TILTS))

    def write(folder: Path) -> None:
        import xarray as xr

        with xr.open_dataarray(folder / "b.mrc", engine="mrc") as found:
            if name == "a.mrc.mdoc":
                found.mrc.to_mdoc(folder / "a.mrc", overwrite=True)
            else:
                found.mrc.to_angles(folder / name, overwrite=True)

    return Case(write, lambda folder: tilts(folder / "a.mrc"), prepare)


def header_case(change: Callable[[Path], Any], first: Callable[[Path], Any] = lambda _: None) -> Case:
    """Return the case of a change of the header: all of its bytes are old or new, and it can be taken back."""
    from mrcarray.repair import undo

    def prepare(folder: Path) -> None:
        stack(folder / "a.mrc", OLD)
        first(folder / "a.mrc")
        shutil.copy2(folder / "a.mrc", folder / "before")
        for old in folder.glob(".*"):
            shutil.copy2(old, folder / "kept")
        change(folder / "a.mrc")
        shutil.copy2(folder / "a.mrc", folder / "after")
        for record in folder.glob(".*"):
            record.unlink()
        shutil.copy2(folder / "before", folder / "a.mrc")
        if (folder / "kept").exists():
            (folder / "kept").rename(folder / ".a.mrc.mrcarray-undo")

    def state(folder: Path) -> str:
        now, old, new = ((folder / name).read_bytes() for name in ("a.mrc", "before", "after"))
        found = "old" if now == old else "new" if now == new else MIXED
        if found == MIXED:  # half of a header: the record puts it back
            undo(folder / "a.mrc")
            return "named" if (folder / "a.mrc").read_bytes() in (old, new) else MIXED
        return found

    return Case(lambda folder: change(folder / "a.mrc"), state, prepare, ("old", "new", "named"))


def fixed(path: Path) -> None:
    """Fix the voxel size."""
    from mrcarray.repair import fix

    fix(path, voxel_size=1.5)


def edited(path: Path) -> None:
    """Edit two fields far apart, so that the write has a middle."""
    from mrcarray.repair import edit

    edit(path, {"nstart": (1, 2, 3), "origin": (4.0, 5.0, 6.0)})


def undone(path: Path) -> None:
    """Take the last edit back."""
    from mrcarray.repair import undo

    undo(path)


def index_case() -> Case:
    """Return the case of the index of a compressed file."""
    from mrcarray.storage.compression.checkpoints import Checkpoint
    from mrcarray.storage.compression.index_file import Index, load, save

    content = {"old": Index([Checkpoint(0, 0)], end=100), "new": Index([Checkpoint(0, 0)], b"index", end=200)}

    def state(folder: Path) -> str:
        found = load(folder / "a.gz.seekindex", ("content",))
        return next((name for name, index in content.items() if index == found), MIXED)

    return Case(
        lambda folder: save(folder / "a.gz.seekindex", ("content",), content["new"]),
        state,
        lambda folder: save(folder / "a.gz.seekindex", ("content",), content["old"]),
    )


def classic_case(change: Callable[[Path], Any], state: Callable[[Path], str] | None = None) -> Case:
    """Return the case of a write of the classic API."""
    return Case(change, state or (lambda folder: pixels(folder / "old.mrc")), put_old("old.mrc"))


def classic_replaced(mode: str) -> Callable[[Path], Any]:
    """Return what replaces the data of a file opened in a mode."""

    def write(folder: Path) -> None:
        from mrcarray import classic

        if mode == "mmap":
            with classic.new_mmap(folder / "old.mrc", NEW.shape, 1, overwrite=True) as mrc:
                mrc.data[...] = NEW
                mrc.update_header_stats()
                mrc.set_image_stack()
            return
        opened = (
            classic.new(folder / "old.mrc", overwrite=True) if mode == "w+" else classic.open(folder / "old.mrc", "r+")
        )
        with opened as mrc:
            mrc.set_data(NEW)
            mrc.set_image_stack()

    return write


def classic_header(folder: Path) -> None:
    """Edit the header in place."""
    from mrcarray import classic

    with classic.open(folder / "old.mrc", "r+") as mrc:
        mrc.header.nlabl = 2


def classic_header_state(folder: Path) -> str:
    """Return which number of labels the header has."""
    if pixels(folder / "old.mrc") != "old":
        return MIXED
    return "new" if mrcarray.read_header(folder / "old.mrc").nlabl == 2 else "old"


CASES: dict[str, Case] = {
    "to_mrc, NumPy, .mrc": numpy_to("a.mrc"),
    "to_mrc, NumPy, .mrc.gz": numpy_to("a.mrc.gz"),
    "to_mrc, NumPy, .mrc.bz2": numpy_to("a.mrc.bz2"),
    "to_mrc, dask threads, .mrc": dask_to("a.mrc", "threads", compute=True),
    "to_mrc, dask threads, .mrc.gz": dask_to("a.mrc.gz", "threads", compute=True),
    "to_mrc, compute=False, .mrc": dask_to("a.mrc", "threads", compute=False),
    "to_mrc, compute=False, .mrc.gz": dask_to("a.mrc.gz", "threads", compute=False),
    "to_mrc, dask cluster, .mrc": Case(by_cluster, image_at("a.mrc"), put_old("a.mrc")),
    "Writer": Case(by_writer, image_at("a.mrc"), put_old("a.mrc")),
    "create, write_region, finalize": Case(in_parts, parts_state, put_old("a.mrc"), ("old", "new", "named")),
    ".mrc.to_mdoc": sidecar_case("a.mrc.mdoc"),
    ".mrc.to_angles": sidecar_case("a.rawtlt"),
    **{
        f"convert to {name[1:]}": conversion(name, sidecar=False)
        for name in ("a.mrc", "a.mrc.gz", "a.mrc.bz2", "a.mrc.zst", "a.nc", "a.tif", "a.zarr")
    },
    **{
        f"convert to {name[1:]} with an mdoc": conversion(name, sidecar=True)
        for name in ("a.mrc", "a.mrc.gz", "a.mrc.bz2", "a.mrc.zst")
    },
    "fix": header_case(fixed),
    "edit": header_case(edited),
    "undo": header_case(undone, edited),
    "index file": index_case(),
    "classic r+, header": classic_case(classic_header, classic_header_state),
    "classic r+, data": classic_case(classic_replaced("r+")),
    "classic w+": classic_case(classic_replaced("w+")),
    "classic mmap": Case(classic_replaced("mmap"), lambda f: pixels(f / "old.mrc"), put_old("old.mrc"), IN_PLACE),
}
"""Every public writer."""


def write(name: str, folder: str) -> None:
    """Do what a case does, in a child of the zygote."""
    CASES[name].write(Path(folder))


@dataclass(frozen=True)
class Found:
    """What a fault at one call left."""

    at: int
    call: str
    fault: str
    outcome: str
    state: str
    left: list[str]


def sweep(zygote: Zygote, name: str, faults: Sequence[str], folder: Path, *, step: int = 1) -> Iterator[Found]:
    """Let every `step`-th call of a writer go wrong, and yield what is left each time.

    With a step of 1 each call meets all the faults, else one of them in turn.
    """
    case = CASES[name]
    before, work = folder / "before", folder / "work"
    before.mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata")  # Zarr, of what xarray asks it to write
        case.prepare(before)
    visible = {path.name for path in before.iterdir()}

    def run(fault: str, at: int) -> tuple[str, list[str]]:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(before, work)
        return zygote.run(__name__, "write", name, str(work), fault=fault, at=at)

    outcome, calls = run("", -1)
    assert outcome == "done", (name, outcome)
    assert case.state(work) == "new", name
    for at in range(0, len(calls), step):
        for fault in faults if step == 1 else (faults[at // step % len(faults)],):
            outcome, _ = run(fault, at)
            left = sorted({path.name for path in work.iterdir()} - visible)
            yield Found(at, calls[at], fault, outcome, case.state(work), left)

"""Repair and edit the headers of files: `fix` repairs what the checks find, `edit` sets fields."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import ConflictError, Hint, MrcFormatError, MrcValueError, printable
from mrcarray.format.fields import HEADER_NBYTES, LABELS
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import interpret_file
from mrcarray.repair.fixes import REPAIRS, NotRepairable, RepairState, kind_fields, voxel_size_fields
from mrcarray.repair.model import Repair, RepairOptions
from mrcarray.repair.undo_log import digest, local_path, remember
from mrcarray.storage.patch import patch_bytes, span
from mrcarray.validation import ReadOptions, collect_facts
from mrcarray.validation.checks import CHECKS, run_checks
from mrcarray.validation.pixels import PixelPass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mrcarray.format.header import Header
    from mrcarray.storage.local import LocalSource

__all__ = ["edit", "fix"]

ROUNDS = 4
"""Rounds of checks and repairs at most: one repair may reveal an issue for the next round."""

COPY_NBYTES = 8 << 20
"""Bytes of a file that are copied at a time."""


def fix(  # noqa: PLR0913 -- what to repair, what is known, and where to
    path: str | os.PathLike[str],
    *,
    only: Sequence[str] = (),
    voxel_size: float | Sequence[float] | None = None,
    kind: str | None = None,
    dry_run: bool = False,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep_undo: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Repair:
    """Repair the header of a file.

    Parameters
    ----------
    path : str or path
        An uncompressed local file.
    only : sequence of str
        Codes, or prefixes of codes, to repair; by default all.
    voxel_size : float or (x, y, z), optional
        In ångström; sets the cell.
    kind : str, optional
        What the sections are; sets space group and intervals.
    dry_run : bool
        Return what would change, without changing the file.
    output : str or path, optional
        Write a repaired copy here and leave `path` unchanged.
    overwrite : bool
        Whether to overwrite an existing `output`.
    keep_undo : bool
        Whether to write the record that `undo` needs.
    progress : callable, optional
        Called with the number of bytes read since its last call.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When the file is compressed or remote, or an argument is invalid.
    MrcFormatError
        When the file is not an MRC file.

    Examples
    --------
    >>> import mrcarray
    >>> found = mrcarray.fix("tomo.mrc", voxel_size=1.08, dry_run=True)
    >>> [change.name for change in found.changes][:4]
    ['xlen', 'ylen', 'zlen', 'dmin']
    """
    state, source = _open(path, _options(voxel_size, kind), progress)
    before, state, done = state.header, _with_options(state), dict[str, None]()
    for _ in range(ROUNDS):
        state, more, asks = _repair_all(state, tuple(only))
        done |= dict.fromkeys(more)
        if state.header.raw == state.facts.header.raw:
            break
        state = _read_again(state, source, progress)
    repair = _finished(state, before, tuple(done), asks)
    return _apply(repair, source, dry_run=dry_run, output=output, overwrite=overwrite, keep_undo=keep_undo)


def edit(  # noqa: PLR0913 -- what to change, and where to
    path: str | os.PathLike[str],
    changes: Mapping[str, Any],
    *,
    add_labels: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep_undo: bool = True,
) -> Repair:
    """Change header fields of a file.

    Parameters
    ----------
    path : str or path
        An uncompressed local file.
    changes : mapping
        Values by field: any attribute of `Header`, ``voxel_size`` or ``kind``.
    add_labels : sequence of str
        Texts of labels to add.
    force : bool
        Whether to make a change that breaks a rule which the file kept.
    dry_run, output, overwrite, keep_undo
        As for `fix`.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When a field or its value is invalid, or the change makes the file invalid.

    Examples
    --------
    >>> [change.after for change in edit("tomo.mrc", {"nstart": (0, 0, -10)}, dry_run=True).changes]
    [-10]
    """
    fields = dict(changes)
    options = _options(fields.pop("voxel_size", None), fields.pop("kind", None))
    state, source = _open(path, options, None, full=False)
    header = _with_labels(_with_options(state).header.replace(**fields), add_labels)
    broken = {issue.code for issue in run_checks(state.current_facts(), "strict")}
    changed = replace(state, header=header)
    if not force:
        _require_no_new_error(changed, broken)
    repair = _finished(changed, state.header, (), ())
    return _apply(repair, source, dry_run=dry_run, output=output, overwrite=overwrite, keep_undo=keep_undo)


def _options(voxel_size: float | Sequence[float] | None, kind: str | None) -> RepairOptions:
    if kind is not None and kind not in list(Kind):
        raise MrcValueError(f"kind is {kind!r}; expected one of {', '.join(Kind)}")
    if voxel_size is None:
        return RepairOptions(None, kind)
    sizes = (voxel_size,) * 3 if isinstance(voxel_size, int | float) else tuple(float(size) for size in voxel_size)
    if len(sizes) != 3 or not all(0 < size < math.inf for size in sizes):  # noqa: PLR2004 -- x, y, z
        raise MrcValueError(f"voxel_size is {voxel_size!r}; expected one positive number in angstrom, or three")
    return RepairOptions((sizes[0], sizes[1], sizes[2]), kind)


def _open(
    path: str | os.PathLike[str],
    options: RepairOptions,
    progress: Callable[[int], object] | None,
    *,
    full: bool = True,
) -> tuple[RepairState, LocalSource]:
    """Read the facts of a file that can be changed in place."""
    from mrcarray.storage import open_source
    from mrcarray.storage.local import LocalSource

    source = open_source(local_path(path))
    if not isinstance(source, LocalSource):
        hint = Hint(
            "write an uncompressed copy first: mrcarray.convert(path, 'new.mrc')",
            "write an uncompressed copy first: mrcarray convert FILE NEW.mrc",
        )
        raise MrcValueError("only uncompressed local files can be changed in place", hint=hint)
    found = collect_facts(source, ReadOptions(progress=progress), full=full)
    facts = found.facts
    foreign = found.issues if facts is None else [i for i in facts.issues if i.code.startswith("MRC9")]
    if facts is None or foreign:
        raise MrcFormatError(foreign[0].message, path=source.path, issues=tuple(foreign))
    return RepairState(facts, facts.header, options, source.size(), source.path, source.read), source


def _with_options(state: RepairState) -> RepairState:
    """Set what the caller gave, whether or not the header was wrong."""
    options = state.options
    if options.kind is not None:
        try:
            fields = kind_fields(state)
        except NotRepairable as error:
            raise MrcValueError(f"kind {options.kind!r} does not fit: {error.message}", hint=error.hint) from None
        state = replace(state, header=state.header.replace(**fields))
    if options.voxel_size is not None:
        state = replace(state, header=state.header.replace(**voxel_size_fields(state)))
    return state


def _repair_all(state: RepairState, only: tuple[str, ...]) -> tuple[RepairState, tuple[str, ...], tuple[Issue, ...]]:
    """Apply the repairs of all issues; return the new state, the codes repaired, and why others were not."""
    wanted = {issue.code for issue in run_checks(state.facts, "strict") if not only or issue.code.startswith(only)}
    if not state.options.kind:
        wanted.discard("MRC303")  # a guess that may be right needs no repair
    done, asks = [], []
    for code, repair in REPAIRS.items():
        if code not in wanted:
            continue
        try:
            header = state.header.replace(**repair(state))
        except NotRepairable as error:
            asks.append(Issue(code, CHECKS[code].severity, error.message, hint=error.hint))
            continue
        state = replace(state, header=header)
        done.append(code)
    return state, tuple(done), tuple(asks)


def _read_again(state: RepairState, source: LocalSource, progress: Callable[[int], object] | None) -> RepairState:
    """Return the state with the facts that follow from the repaired header, which may describe other pixels."""
    facts = state.current_facts()
    if facts.stats is None:
        pixels = PixelPass(source, ReadOptions(progress=progress))
        found = interpret_file(facts.header, state.size, state.read, name=state.path)
        pixels.run(facts.header, found, state.size)
        issues = (*facts.issues, *pixels.issues)
        facts = replace(facts, issues=issues, stats=pixels.stats, counts=pixels.counts)
    return replace(state, facts=facts)


def _with_labels(header: Header, texts: Sequence[str]) -> Header:
    if not texts:
        return header
    labels = [label for label in header.labels if label.strip(b"\0 ")]
    if len(labels) + len(texts) > LABELS:
        raise MrcValueError(f"cannot add {len(texts)} labels: {len(labels)} of {LABELS} are in use")
    wrong = next((text for text in texts if not (text.isascii() and text.isprintable())), None)
    if wrong is not None:
        raise MrcValueError(f"the label is {wrong!a}; expected printable ASCII characters")
    labels += [text.encode("ascii") for text in texts]
    return header.replace(labels=labels, nlabl=len(labels))


def _require_no_new_error(state: RepairState, broken: set[str]) -> None:
    """Raise if the new header breaks a rule, a formal one included, that the file kept before."""
    new = [i for i in run_checks(state.current_facts(), "strict") if i.is_error and i.code not in broken]
    if new:
        hint = Hint("pass force=True to change it anyway", "pass --force to change it anyway")
        raise MrcValueError(f"the change makes the file invalid: {new[0].message} [{new[0].code}]", hint=hint)


def _finished(state: RepairState, before: Header, done: tuple[str, ...], asks: tuple[Issue, ...]) -> Repair:
    left = tuple(issue for issue in run_checks(state.current_facts()) if issue.severity is not Severity.NOTE)
    remaining = {issue.code for issue in left}
    done = tuple(code for code in done if code not in remaining)
    return Repair(state.path, before, state.header, done, left, asks)


def _apply(  # noqa: PLR0913 -- the caller's choices
    repair: Repair,
    source: LocalSource,
    *,
    dry_run: bool,
    output: str | os.PathLike[str] | None,
    overwrite: bool,
    keep_undo: bool,
) -> Repair:
    """Write the repaired header, in place or into a copy, and return `repair`."""
    if dry_run:
        return replace(repair, dry_run=True)
    if output is not None:
        _write_copy(source, repair.after.raw, os.fspath(output), overwrite=overwrite)
    elif repair.before.raw != repair.after.raw:
        _patch(source, repair.before.raw, repair.after.raw, keep_undo=keep_undo)
    return repair


def _write_copy(source: LocalSource, header: bytes, output: str, *, overwrite: bool) -> None:
    """Write a copy of a file with another header; it appears complete or not at all."""
    from mrcarray.storage.atomic import AtomicFile

    if os.path.exists(output) and os.path.samefile(output, source.path):  # noqa: PTH110, PTH121 -- names may be bytes
        hint = Hint("omit output to edit in place", "omit --output to edit in place")
        raise MrcValueError("output and input are the same file", hint=hint)
    with AtomicFile(output, overwrite=overwrite) as file:
        file.write_at(0, header)
        for start in range(HEADER_NBYTES, source.size(), COPY_NBYTES):
            file.write_at(start, source.read(start, min(start + COPY_NBYTES, source.size())))
        file.commit()


def _patch(source: LocalSource, old: bytes, new: bytes, *, keep_undo: bool) -> None:
    start, stop = span(old, new)

    def record(descriptor: int) -> None:
        if not source.unchanged(os.fstat(descriptor)):
            text = "another program changed the file meanwhile; nothing was written"
            raise ConflictError(f"{printable(source.path)}: {text}")
        if keep_undo:
            remember(source.path, start, old[start:stop], new[start:stop], digest(old, start, stop))

    patch_bytes(source.path, old, new, ready=record)

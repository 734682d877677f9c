"""Repairing and editing: `fix`, which does what is known about findings, and `edit`, which sets fields."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcFormatError, MrcValueError
from mrcarray.format.fields import LABELS
from mrcarray.format.issues import Severity
from mrcarray.format.layout import Kind
from mrcarray.kind_facts import interpret_file
from mrcarray.repair.fixes import REPAIRS, Asks, Patient, resize, retype
from mrcarray.repair.model import Repair, Wishes
from mrcarray.repair.patching import apply, local
from mrcarray.validation import Look, gather
from mrcarray.validation.checks import CHECKS, judge
from mrcarray.validation.pixels import Pixels

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from mrcarray.format.header import Header
    from mrcarray.storage.local import LocalSource

__all__ = ["edit", "fix"]

ROUNDS = 4
"""How often a header is repaired at most: what one repair makes visible, the next one sees to."""


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
        Codes, or beginnings of codes, to repair; all without it.
    voxel_size : float or (x, y, z), optional
        In angstrom; sets the cell.
    kind : str, optional
        What the sections are; sets space group and intervals.
    dry_run : bool
        Say what would be changed, and change nothing.
    output : str or path, optional
        Write a repaired copy, and leave the file alone.
    overwrite : bool
        Whether `output` may exist.
    keep_undo : bool
        Whether to write the record that `undo` needs.
    progress : callable, optional
        Called with the number of bytes that were looked at, some at a time.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When the file is compressed or remote, or an argument has no meaning.
    MrcFormatError
        When the file is not an MRC file.

    Examples
    --------
    >>> found = fix("tomo.mrc", voxel_size=1.08, dry_run=True)
    >>> [change.name for change in found.changes][:4]
    ['xlen', 'ylen', 'zlen', 'dmin']
    """
    wishes = Wishes(_triple(voxel_size), _kind_word(kind))
    patient, source = _admit(path, wishes, progress)
    before, patient, done = patient.header, _wished(patient), dict[str, None]()
    for _ in range(ROUNDS):
        patient, more, asks = _treat(patient, tuple(only))
        done |= dict.fromkeys(more)
        if patient.header.raw == patient.facts.header.raw:
            break
        patient = _looked_at_again(patient, source, progress)
    repair = _repaired(patient, before, tuple(done), asks)
    return apply(repair, source, dry_run=dry_run, output=output, overwrite=overwrite, keep_undo=keep_undo)


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
        Values by field: any attribute of `Header`, or ``voxel_size``, ``kind``.
    add_labels : sequence of str
        Text of more labels.
    force : bool
        Whether to go on when the file would be wrong in a way it is not now.
    dry_run, output, overwrite, keep_undo
        As for `fix`.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When a field or its value has no meaning, or the file would be wrong.

    Examples
    --------
    >>> [change.after for change in edit("tomo.mrc", {"nstart": (0, 0, -10)}, dry_run=True).changes]
    [-10]
    """
    fields = dict(changes)
    wishes = Wishes(_triple(fields.pop("voxel_size", None)), _kind_word(fields.pop("kind", None)))
    patient, source = _admit(path, wishes, None, full=False)
    header = _labelled(_wished(patient).header.replace(**fields), add_labels)
    wrong = {issue.code for issue in judge(patient.now(), "strict")}
    changed = replace(patient, header=header)
    _refuse_worse(changed, wrong, force=force)
    repair = _repaired(changed, patient.header, (), ())
    return apply(repair, source, dry_run=dry_run, output=output, overwrite=overwrite, keep_undo=keep_undo)


def _triple(voxel_size: float | Sequence[float] | None) -> tuple[float, float, float] | None:
    if voxel_size is None:
        return None
    sizes = (voxel_size,) * 3 if isinstance(voxel_size, int | float) else tuple(float(size) for size in voxel_size)
    if len(sizes) != 3 or not all(0 < size < math.inf for size in sizes):  # noqa: PLR2004 -- x, y, z
        raise MrcValueError(f"voxel_size is {voxel_size!r}; expected one positive number in angstrom, or three")
    return sizes[0], sizes[1], sizes[2]


def _kind_word(kind: str | None) -> str | None:
    if kind is not None and kind not in list(Kind):
        raise MrcValueError(f"kind is {kind!r}; expected one of {', '.join(Kind)}")
    return kind


def _admit(
    path: str | os.PathLike[str], wishes: Wishes, progress: Callable[[int], object] | None, *, full: bool = True
) -> tuple[Patient, LocalSource]:
    """Read the facts of a file that can be changed in place."""
    from mrcarray.storage import open_source
    from mrcarray.storage.local import LocalSource

    source = open_source(local(path))
    if not isinstance(source, LocalSource):
        raise MrcValueError("only uncompressed local files can be changed in place; use mrcarray convert")
    facts, sized = gather(source, Look(progress=progress), full=full)
    foreign = sized.issues if facts is None else [i for i in facts.issues if i.code.startswith("MRC9")]
    if facts is None or foreign:
        raise MrcFormatError(foreign[0].message, issues=tuple(foreign))
    return Patient(facts, facts.header, wishes, source.size(), source.path, source.read), source


def _treat(patient: Patient, only: tuple[str, ...]) -> tuple[Patient, tuple[str, ...], tuple[str, ...]]:
    """Repair what can be repaired; return the patient, what was done and what is asked for."""
    wanted = {issue.code for issue in judge(patient.facts, "strict") if not only or issue.code.startswith(only)}
    done, asks = [], []
    for code, repair in REPAIRS.items():
        if code not in wanted or (
            CHECKS[code].severity is Severity.NOTE and code == "MRC303" and not patient.wishes.kind
        ):
            continue
        try:
            header = patient.header.replace(**repair(patient))
        except Asks as ask:
            asks.append(f"{code} asks for {ask}")
            continue
        patient = replace(patient, header=header)
        done.append(code)
    return patient, tuple(done), tuple(asks)


def _looked_at_again(patient: Patient, source: LocalSource, progress: Callable[[int], object] | None) -> Patient:
    """Return the patient with the facts the new header gives it: a repair may show what was hidden, the pixels too."""
    facts = patient.now()
    if facts.stats is None:
        pixels = Pixels(source, Look(progress=progress))
        found = interpret_file(facts.header, patient.size, patient.read, name=patient.path)
        pixels.look_at(facts.header, found, patient.size)
        issues = (*facts.issues, *pixels.issues)
        facts = replace(facts, issues=issues, stats=pixels.stats, counts=pixels.counts)
    return replace(patient, facts=facts)


def _wished(patient: Patient) -> Patient:
    """Set what the caller asked for, whether or not it was wrong."""
    wishes = patient.wishes
    if wishes.kind is not None:
        try:
            fields = retype(patient)
        except Asks as ask:
            raise MrcValueError(f"kind {wishes.kind!r} needs sections per volume that divide nz: {ask}") from None
        patient = replace(patient, header=patient.header.replace(**fields))
    if wishes.voxel_size is not None:
        patient = replace(patient, header=patient.header.replace(**resize(patient)))
    return patient


def _labelled(header: Header, texts: Sequence[str]) -> Header:
    if not texts:
        return header
    labels = [label for label in header.labels if label.strip(b"\0 ")]
    if len(labels) + len(texts) > LABELS:
        raise MrcValueError(f"the header has room for {LABELS} labels; {len(labels)} are in use")
    wrong = next((text for text in texts if not (text.isascii() and text.isprintable())), None)
    if wrong is not None:
        raise MrcValueError(f"the label is {wrong!a}; expected printable ASCII characters")
    labels += [text.encode("ascii") for text in texts]
    return header.replace(labels=labels, nlabl=len(labels))


def _repaired(patient: Patient, before: Header, done: tuple[str, ...], asks: tuple[str, ...]) -> Repair:
    left = tuple(issue for issue in judge(patient.now()) if issue.severity is not Severity.NOTE)
    remaining = {issue.code for issue in left}
    done = tuple(code for code in done if code not in remaining)
    return Repair(patient.path, before, patient.header, done, left, asks)


def _refuse_worse(patient: Patient, before: set[str], *, force: bool) -> None:
    """Refuse a change that breaks a rule, formalities as well, that the file kept."""
    worse = [issue for issue in judge(patient.now(), "strict") if issue.is_error and issue.code not in before]
    if worse and not force:
        raise MrcValueError(f"the file would be wrong: {worse[0]}; --force does it all the same")

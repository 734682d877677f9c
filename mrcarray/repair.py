"""Changing headers in place: `fix`, `edit`, `undo`.

Only bytes of the main header change, and only those that differ, by one positional write; the data block is not
touched. Before that an undo record is written beside the file. What a header cannot tell (a voxel size, what the
sections are) is asked for and never guessed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mrcarray.errors import ConflictError, MrcFormatError, MrcValueError, printable
from mrcarray.format import byteorder as orders
from mrcarray.format.checks import CHECKS, Facts, judge
from mrcarray.format.fields import ALIASES, FIELDS, LABELS
from mrcarray.format.geometry import Geometry
from mrcarray.format.header import Header
from mrcarray.format.infer import interpret
from mrcarray.format.issues import Issue, Severity
from mrcarray.format.layout import Kind
from mrcarray.validation import Look, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mrcarray.storage.local import LocalSource

__all__ = ["REPAIRS", "Change", "Repair", "edit", "fix", "undo", "undo_path"]

HEADER = 1024
VERSION = 20141
PIECE = 8 << 20
_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of the header that change.

    Parameters
    ----------
    word : int
        Header word.
    name : str
        Its name.
    before, after : object
        The values.
    offset : int
        First byte.
    old, new : bytes
        The bytes.
    """

    word: int
    name: str
    before: Any
    after: Any
    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Repair:
    """What was changed in a file, or would be.

    Parameters
    ----------
    path : str
        The file.
    before, after : Header
        Its header.
    done : tuple of str
        Codes of the findings that are repaired.
    left : tuple of Issue
        Warnings and errors that remain.
    asks : tuple of str
        What has to be given for more to be repaired.
    """

    path: str
    before: Header
    after: Header
    done: tuple[str, ...] = ()
    left: tuple[Issue, ...] = ()
    asks: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """The words that change, in order."""
        return tuple(_changes(self.before, self.after))


def _changes(before: Header, after: Header) -> Iterable[Change]:
    for row in FIELDS.values():
        size = row.nbytes // row.count
        names = [alias for alias, (name, _) in ALIASES.items() if name == row.name]
        for index in range(row.count):
            start = row.offset + size * index
            old, new = before.raw[start : start + size], after.raw[start : start + size]
            if old != new:
                single = row.count == 1
                was, now = getattr(before, row.name), getattr(after, row.name)
                label = row.name if single else names[index] if names else f"{row.name}[{index}]"
                values = (was, now) if single else (was[index], now[index])
                yield Change(start // 4 + 1, label, *values, start, old, new)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller knows and the file does not.

    Parameters
    ----------
    voxel_size : tuple of float, optional
        Along x, y, z in angstrom.
    kind : str, optional
        "image", "image_stack", "volume" or "volume_stack".
    """

    voxel_size: tuple[float, float, float] | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class _Patient:
    """A file under repair: its facts, its header so far, and the caller's wishes."""

    facts: Facts
    header: Header
    wishes: Wishes
    size: int


class _Asks(Exception):  # noqa: N818 -- no error: it carries a question
    """A repair needs something it was not given."""


_Fields = dict[str, Any]


def _by_axis(p: _Patient) -> tuple[int, int, int]:
    """Return the dimensions along x, y, z, the sections of one volume or 1 for images."""
    h = p.header
    layout = p.facts.layout
    stack = layout is not None and layout.kind in (Kind.IMAGE, Kind.IMAGE_STACK)
    sections = 1 if stack else h.nz
    if layout is not None and layout.kind is Kind.VOLUME_STACK:
        sections = layout.grid[1]
    crs = h.mapcrs if sorted(h.mapcrs) == [1, 2, 3] else (1, 2, 3)
    size = dict(zip(crs, (h.nx, h.ny, sections), strict=True))
    return size[1], size[2], size[3]


def _intervals(p: _Patient) -> _Fields:
    return {"m": tuple(n if n > 0 else size for n, size in zip(p.header.m, _by_axis(p), strict=True))}


def _cell(p: _Patient) -> _Fields:
    if p.wishes.voxel_size is None:
        raise _Asks("--voxel-size")
    m = [n if n > 0 else size for n, size in zip(p.header.m, _by_axis(p), strict=True)]
    return {"m": tuple(m), "cella": tuple(n * step for n, step in zip(m, p.wishes.voxel_size, strict=True))}


def _angles(p: _Patient) -> _Fields:
    return {"cellb": tuple(a if 1e-4 <= a < 180 else 90.0 for a in p.header.cellb)}  # noqa: PLR2004 -- degrees


def _kind(p: _Patient) -> _Fields:
    """Return space group and intervals of the kind asked for; the voxel size along z stays."""
    h = p.header
    if p.wishes.kind is None:
        raise _Asks("--kind")
    group = h.ispg % 400 if 1 <= h.ispg % 400 <= 230 else 1  # noqa: PLR2004 -- space groups, plus 400 for stacks
    if p.wishes.kind == Kind.VOLUME:
        fields: _Fields = {"ispg": group, "mz": h.nz}
    elif p.wishes.kind == Kind.VOLUME_STACK:
        if h.mz <= 0 or h.nz % h.mz:
            raise _Asks("edit --set mz=SECTIONS")
        return {"ispg": 400 + group}
    else:
        fields = {"ispg": 0, "mz": 1}
    if h.mz > 0 and h.zlen > 0:
        fields["zlen"] = h.zlen / h.mz * fields["mz"]
    return fields


def _no_extended(p: _Patient) -> _Fields:
    layout = p.facts.layout
    if layout is None or layout.offset != HEADER or p.size != layout.stop:
        raise _Asks("edit --set nsymbt=BYTES")
    return {"nsymbt": 0, "exttyp": bytes(4)}


def _map_id(p: _Patient) -> _Fields:
    fields: _Fields = {"map": b"MAP "}
    h = p.header
    if any(h.map) and h.map[:3].upper() != b"MAP" and p.facts.geometry is not None:
        # A header from before 2000: the origin stands in words 53-55.
        fields |= {"origin": p.facts.geometry.start, "machst": orders.stamp(h.byteorder), "rms": -1.0}
    return fields


def _stamp(p: _Patient) -> _Fields:
    return {"machst": orders.stamp(p.header.byteorder)}


def _labels(p: _Patient) -> _Fields:
    texts = [label for label in p.header.labels if label.strip(b"\0 \t\r\n\v\f")]
    return {"labels": texts, "nlabl": len(texts)}


def _statistics(p: _Patient) -> _Fields:
    from mrcarray.stats import UNDETERMINED, Stats

    return p.facts.stats.to_header_fields() if isinstance(p.facts.stats, Stats) else dict(UNDETERMINED)


def _statistic(name: str) -> Callable[[_Patient], _Fields]:
    """Return the repair of one statistic; those that are right keep their bytes."""
    return lambda p: {name: _statistics(p)[name]}


def _version(p: _Patient) -> _Fields:
    """Declare the version of 2022, unless something else is wrong; IMOD's own sign of the origin goes with it."""
    layout = p.facts.layout
    facts = replace(p.facts, header=p.header)
    others = {issue.code for issue in judge(facts) if issue.is_error} - {"MRC128"}
    if others or layout is None or (layout.pixel.mode == 0 and layout.pixel.code != "0"):
        raise _Asks("nothing else to be wrong")
    fields: _Fields = {"nversion": VERSION}
    if p.header.imod.inverted_origin:
        fields["origin"] = tuple(0.0 - place for place in p.header.origin)
    return fields


REPAIRS: dict[str, Callable[[_Patient], _Fields]] = {
    "MRC108": _intervals,
    "MRC109": _intervals,
    "MRC110": _kind,
    "MRC111": _cell,
    "MRC112": _cell,
    "MRC114": _angles,
    "MRC117": lambda _: {"mapcrs": (1, 2, 3)},
    "MRC123": _kind,
    "MRC124": _no_extended,
    "MRC153": _map_id,
    "MRC161": _stamp,
    "MRC162": _stamp,
    "MRC156": _labels,
    "MRC157": _labels,
    "MRC158": _labels,
    "MRC203": _no_extended,
    "MRC303": _kind,
    "MRC501": _statistic("dmin"),
    "MRC502": _statistic("dmax"),
    "MRC503": _statistic("dmean"),
    "MRC504": _statistic("rms"),
    **dict.fromkeys(("MRC507", "MRC508", "MRC509", "MRC511"), _statistics),
    "MRC128": _version,
}
"""What ``fix`` does about a finding, in the order in which it is done."""


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
    patient, done, asks = _treat(patient, tuple(only))
    repair = _repaired(source.path, patient, done, asks)
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
    patient = replace(patient, header=header)
    repair = _repaired(source.path, patient, (), ())
    _refuse_worse(repair, source.size(), force=force)
    return _apply(repair, source, dry_run=dry_run, output=output, overwrite=overwrite, keep_undo=keep_undo)


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
) -> tuple[_Patient, LocalSource]:
    """Read the facts of a file that can be changed in place."""
    from mrcarray.storage import open_source
    from mrcarray.storage.local import LocalSource

    source = open_source(path)
    if not isinstance(source, LocalSource):
        raise MrcValueError("only uncompressed local files can be changed in place; use mrcarray convert")
    facts, sized = gather(source, Look(progress=progress), full=full)
    foreign = sized.issues if facts is None else [i for i in facts.issues if i.code.startswith("MRC9")]
    if facts is None or foreign:
        raise MrcFormatError(foreign[0].message, issues=tuple(foreign))
    return _Patient(facts, facts.header, wishes, source.size()), source


def _treat(patient: _Patient, only: tuple[str, ...]) -> tuple[_Patient, tuple[str, ...], tuple[str, ...]]:
    """Repair what can be repaired; return the patient, what was done and what is asked for."""
    wanted = {issue.code for issue in judge(patient.facts) if not only or issue.code.startswith(only)}
    patient = _wished(patient)
    done, asks = [], []
    for code, repair in REPAIRS.items():
        if code not in wanted or (
            CHECKS[code].severity is Severity.NOTE and code == "MRC303" and not patient.wishes.kind
        ):
            continue
        try:
            header = patient.header.replace(**repair(patient))
        except _Asks as ask:
            asks.append(f"{code} asks for {ask}")
            continue
        patient = replace(patient, header=header)
        done.append(code)
    return patient, tuple(done), tuple(asks)


def _wished(patient: _Patient) -> _Patient:
    """Set what the caller asked for, whether or not it was wrong."""
    wishes = patient.wishes
    if wishes.kind is not None:
        patient = replace(patient, header=patient.header.replace(**_kind(patient)))
    if wishes.voxel_size is not None:
        patient = replace(patient, header=patient.header.replace(**_cell(patient)))
    return patient


def _labelled(header: Header, texts: Sequence[str]) -> Header:
    if not texts:
        return header
    labels = [label for label in header.labels if label.strip(b"\0 ")]
    if len(labels) + len(texts) > LABELS:
        raise MrcValueError(f"the header has room for {LABELS} labels; {len(labels)} are in use")
    labels += [text.encode("ascii", "strict") if text.isascii() else text for text in texts]  # type: ignore[misc]
    return header.replace(labels=labels, nlabl=len(labels))


def _after(header: Header, facts: Facts, size: int, name: str) -> Facts:
    """Return the facts the file has with another header."""
    again, parsed = Header.parse(header.raw, size)
    found = interpret(again, size, name=name)
    geometry = Geometry.from_header(again, found.layout) if found.layout is not None else None
    same = facts.layout == found.layout
    stats, counts = (facts.stats, facts.counts) if same else (None, ())
    return Facts(again, (*parsed, *found.issues), found.layout, geometry, stats, counts)


def _repaired(path: str, patient: _Patient, done: tuple[str, ...], asks: tuple[str, ...]) -> Repair:
    facts = _after(patient.header, patient.facts, patient.size, path)
    left = tuple(issue for issue in judge(facts) if issue.severity is not Severity.NOTE)
    remaining = {issue.code for issue in left}
    done = tuple(code for code in done if code not in remaining)
    return Repair(path, patient.facts.header, patient.header, done, left, asks)


def _refuse_worse(repair: Repair, size: int, *, force: bool) -> None:
    before = {issue.code for issue in judge(_after(repair.before, Facts(repair.before), size, repair.path))}
    worse = [issue for issue in repair.left if issue.is_error and issue.code not in before]
    if worse and not force:
        raise MrcValueError(f"the file would be wrong: {worse[0]}; --force does it all the same")


# ------------------------------------------------------------------------------------------- writing


def _apply(  # noqa: PLR0913 -- the caller's choices
    repair: Repair,
    source: LocalSource,
    *,
    dry_run: bool,
    output: str | os.PathLike[str] | None,
    overwrite: bool,
    keep_undo: bool,
) -> Repair:
    if dry_run:
        return repair
    if output is not None:
        _copy(source, repair.after.raw, os.fspath(output), overwrite=overwrite)
    elif repair.before.raw != repair.after.raw:
        _patch(source, repair, keep_undo=keep_undo)
    return repair


def _copy(source: LocalSource, head: bytes, output: str, *, overwrite: bool) -> None:
    """Write a copy with another header; it appears whole or not at all."""
    from mrcarray.storage.atomic import AtomicFile

    if os.path.exists(output) and os.path.samefile(output, source.path):  # noqa: PTH110, PTH121 -- names may be bytes
        raise MrcValueError("the output is the input; leave --output away to change the file in place")
    with AtomicFile(output, overwrite=overwrite) as file:
        file.write_at(0, head)
        for start in range(HEADER, source.size(), PIECE):
            file.write_at(start, source.read(start, min(start + PIECE, source.size())))
        file.commit()


def _span(old: bytes, new: bytes) -> tuple[int, int]:
    differ = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    return differ[0], differ[-1] + 1


def _patch(source: LocalSource, repair: Repair, *, keep_undo: bool) -> None:
    old, new = repair.before.raw, repair.after.raw
    start, stop = _span(old, new)
    descriptor = os.open(source.path, _FLAGS)
    try:
        now = os.fstat(descriptor)
        if (now.st_size, now.st_mtime_ns, now.st_ino) != source.fingerprint:
            raise ConflictError(f"{printable(source.path)}: the file was changed meanwhile; nothing was written")
        if keep_undo:
            _remember(source.path, start, old[start:stop], new[start:stop])
        _write(descriptor, start, new[start:stop], source.path)
    finally:
        os.close(descriptor)


def _write(descriptor: int, start: int, data: bytes, path: str) -> None:
    try:
        written = os.pwrite(descriptor, data, start)
        os.fsync(descriptor)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, path) from None
    if written != len(data):
        raise OSError(errno.EIO, "the header was written in part", path)


def undo_path(path: str | os.PathLike[str]) -> str:
    """Return where the undo records of a file are kept.

    Examples
    --------
    >>> undo_path("/data/tomo.mrc")
    '/data/.tomo.mrc.mrcarray-undo'
    """
    folder, name = os.path.split(os.path.realpath(os.fsdecode(path)))
    return os.path.join(folder, f".{name}.mrcarray-undo")  # noqa: PTH118 -- names need not be text


def _remember(path: str, start: int, old: bytes, new: bytes) -> None:
    record = {"offset": start, "before": old.hex(), "after": new.hex(), "time": round(time.time())}
    with open(undo_path(path), "a", encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class _Record:
    offset: int
    before: bytes
    after: bytes
    others: list[str] = field(default_factory=list)


def _recall(path: str) -> _Record:
    try:
        with open(undo_path(path), encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
            *others, last = file.read().splitlines()
        found = json.loads(last)
        record = _Record(found["offset"], bytes.fromhex(found["before"]), bytes.fromhex(found["after"]), others)
    except FileNotFoundError:
        raise MrcValueError("there is nothing to undo: no change was recorded beside the file") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MrcValueError("the undo record is damaged") from error
    if not 0 <= record.offset <= HEADER - len(record.before) or len(record.before) != len(record.after):
        raise MrcValueError("the undo record is damaged")
    return record


def undo(path: str | os.PathLike[str], *, dry_run: bool = False) -> Repair:
    """Take back the last change that `fix` or `edit` made to a file.

    Parameters
    ----------
    path : str or path
        The file.
    dry_run : bool
        Say what would be changed, and change nothing.

    Returns
    -------
    Repair

    Raises
    ------
    MrcValueError
        When no change was recorded.
    ConflictError
        When the header is no longer as the change left it.

    Examples
    --------
    >>> changed = fix("tomo.mrc", voxel_size=1.08)
    >>> undo("tomo.mrc").after == changed.before
    True
    """
    name = os.path.realpath(os.fsdecode(path))
    record = _recall(name)
    descriptor = os.open(name, _FLAGS if not dry_run else os.O_RDONLY)
    try:
        raw = os.pread(descriptor, HEADER, 0)
        stop = record.offset + len(record.before)
        if raw[record.offset : stop] not in (record.after, record.before):
            raise ConflictError(f"{printable(name)}: the header was changed since; it is left as it is")
        old = raw[: record.offset] + record.before + raw[stop:]
        order = Header.parse(old)[0].byteorder
        if not dry_run:
            _write(descriptor, record.offset, record.before, name)
            _forget(name, record.others)
    finally:
        os.close(descriptor)
    return Repair(name, Header(raw, order), Header(old, order))


def _forget(path: str, others: list[str]) -> None:
    target = undo_path(path)
    if not others:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)  # noqa: PTH108 -- names need not be text
        return
    with open(target, "w", encoding="ascii") as file:  # noqa: PTH123 -- names need not be text
        file.write("".join(f"{line}\n" for line in others))

"""The undo record of a file, in its folder: one line of JSON for each change, the latest last."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass, field, replace

from mrcarray.errors import Hint, MrcValueError, advise
from mrcarray.format.fields import HEADER_NBYTES
from mrcarray.positional_io import OWN_FILE, READ
from mrcarray.storage.atomic import AtomicFile
from mrcarray.storage.orphans import NAME_MAX
from mrcarray.storage.syscalls import calls, sync_folder
from mrcarray.urls import is_url

__all__ = ["Record", "digest", "forget", "local_path", "recall", "remember", "undo_path"]

SUFFIX = ".mrcarray-undo"
_DIGEST_LENGTH = 16
_LARGEST = 16 << 20
"""Bytes of the largest record that is read; one change takes at most 4 kB."""
_FLAGS = READ | OWN_FILE


def local_path(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return a path; refuse a URL, before any server is contacted."""
    if is_url(os.fsdecode(path)):
        hint = Hint("copy it here first", "copy it here first: mrcarray convert URL FILE")
        raise MrcValueError("only local files can be changed in place", hint=hint)
    return path


def undo_path(path: str | os.PathLike[str]) -> str:
    """Return the path of the undo record of a file; a digest replaces the end of a name that would be too long.

    Examples
    --------
    >>> undo_path("/data/tomo.mrc")
    '/data/.tomo.mrc.mrcarray-undo'
    """
    folder, name = os.path.split(os.path.realpath(os.fsdecode(path)))
    raw = os.fsencode(name)
    if 1 + len(raw) + len(SUFFIX) > NAME_MAX:
        kept = os.fsdecode(raw[: NAME_MAX - len(SUFFIX) - _DIGEST_LENGTH - 2])
        name = f"{kept}.{hashlib.sha256(raw).hexdigest()[:_DIGEST_LENGTH]}"
    return os.path.join(folder, f".{name}{SUFFIX}")  # noqa: PTH118 -- names need not be text


def remember(path: str, start: int, old: bytes, new: bytes, rest: str) -> None:
    """Add the record of a change that is about to be made; if that fails, the earlier records stay complete."""
    record = {"offset": start, "before": old.hex(), "after": new.hex(), "rest": rest, "time": round(time.time())}
    target = undo_path(path)
    try:
        _replace(target, [*_whole_lines(target), json.dumps(record)])
    except OSError as error:
        hint = Hint(
            "pass keep_undo=False to change the file without an undo record",
            "pass --no-undo to change the file without an undo record",
        )
        advised = type(error)(error.errno, advise(error.strerror or "", hint), target)
        advised.command_text = advise(error.strerror or "", hint, command=True)  # type: ignore[attr-defined]
        raise advised from None


def _replace(target: str, lines: list[str]) -> None:
    """Write all lines to a new file and rename it, so that a power cut cannot leave half a line."""
    with AtomicFile(target, overwrite=True, follow=False, mode=0o600) as file:
        file.write_at(0, "".join(f"{line}\n" for line in lines).encode("ascii"))
        file.commit()


def _lines(target: str) -> list[str]:
    """Return the lines of a record.

    Raises
    ------
    FileNotFoundError
        When there is none.
    OSError
        When it is not a regular file (a symbolic link could lead anywhere, a pipe never ends), or is too large.
    UnicodeDecodeError
        When it is not text.
    """
    try:
        descriptor = os.open(target, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "the undo record is a symbolic link; delete it", target) from None
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "the undo record is not a regular file; delete it", target)
        if found.st_size > _LARGEST:
            text = f"the undo record has {found.st_size} bytes; expected at most {_LARGEST}; delete it"
            raise OSError(errno.EFBIG, text, target)
        return file.read(_LARGEST).decode("ascii").splitlines()


def _whole_lines(target: str) -> list[str]:
    """Return the lines of a record, without a last one that is not JSON: a power cut came before its change."""
    try:
        lines = _lines(target)
        json.loads(lines[-1] if lines else "0")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise OSError(errno.EINVAL, "the undo record is not text; delete it", target) from None
    except (ValueError, RecursionError):
        return lines[:-1]
    return lines


def digest(header: bytes, start: int, stop: int) -> str:
    """Return the digest of the header's bytes outside a change, which the change does not touch."""
    return hashlib.sha256(header[:start] + header[stop:]).hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """A change that can be taken back.

    Parameters
    ----------
    offset : int
        First byte.
    before, after : bytes
        The bytes.
    rest : str
        Digest of the header's other bytes; empty when it was not recorded.
    others : list of str
        The lines of the earlier changes.
    """

    offset: int
    before: bytes
    after: bytes
    rest: str = ""
    others: list[str] = field(default_factory=list)


def recall(path: str) -> Record:
    """Return the latest record of a file, with the lines of the earlier ones."""
    target = undo_path(path)
    try:
        lines = _lines(target)
    except FileNotFoundError:
        raise MrcValueError("nothing to undo: no undo record was found in the folder of the file") from None
    except UnicodeDecodeError:
        raise MrcValueError(f"the undo record is damaged; delete {target}") from None
    found = [record for record in map(_parsed, lines[-2:]) if record is not None]
    if not found or (len(found) == 1 and len(lines) > 1 and _parsed(lines[-1]) is None and _is_json(lines[-1])):
        raise MrcValueError(f"the undo record is damaged; delete {target}")
    at = len(lines) if _parsed(lines[-1]) is not None else len(lines) - 1
    return replace(found[-1], others=lines[: at - 1])


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _parsed(line: str) -> Record | None:
    try:
        facts = json.loads(line)
        offset, rest = facts["offset"], facts.get("rest", "")
        before, after = bytes.fromhex(facts["before"]), bytes.fromhex(facts["after"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(offset) is not int or not isinstance(rest, str) or len(before) != len(after):
        return None
    return Record(offset, before, after, rest) if 0 <= offset <= HEADER_NBYTES - len(before) else None


def forget(path: str, others: list[str]) -> None:
    """Keep only these lines of the record; delete the record when there are none."""
    target = undo_path(path)
    if others:
        _replace(target, others)
        return
    with contextlib.suppress(FileNotFoundError):
        calls.unlink(target)
    sync_folder(os.path.dirname(target))  # noqa: PTH120 -- names need not be text

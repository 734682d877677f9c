"""Check a file against the rules: `validate` collects its facts, runs the checks, and returns a `Report`.

The rules are in `mrcarray.validation.checks`; this package reads the files. Whatever a file contains, nothing is
raised: a failure to read becomes a finding.

`report` holds the answer, `gathering` reads what is known of a file, `pixels` passes over its pixels, `trouble` turns
errors into findings.

Examples
--------
>>> report = check("tomo.mrc")
>>> report.ok, report.codes
(True, ('MRC511',))
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from mrcarray.errors import MrcValueError
from mrcarray.urls import public_name
from mrcarray.validation.checks import PROFILES, judge
from mrcarray.validation.collect import describe_facts, gather
from mrcarray.validation.errors import reason, trouble
from mrcarray.validation.pixels import Look
from mrcarray.validation.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mrcarray.storage.source import ByteSource

__all__ = ["Level", "Look", "Report", "check", "gather", "reason", "validate"]

Level = Literal["header", "full"]


def check(  # noqa: PLR0913 -- each is a choice of its own, with a default
    path: Any,
    *,
    profile: str = "mrc2014",
    level: Level = "full",
    kind: str = "auto",
    mode0: str = "auto",
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Report:
    """Check a file against the rules of a profile, in one pass and bounded memory.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file; it may be compressed or remote.
    profile : str
        "mrc2014", "strict", "emdb", "imod" or "relion". Formalities that old files lack, such as the declared version,
        are errors under "strict" only.
    level : {"full", "header"}
        Whether to read the pixels, or the headers and the size of the file only.
    kind, mode0 : str
        As for `mrcarray.open_file`.
    threads : int, optional
        How many threads look at the pixels; by default one a processor.
    progress : callable, optional
        Called with the number of bytes that were looked at, some at a time.
    storage_options : mapping, optional
        For remote files.

    Returns
    -------
    Report
        Also for files that cannot be read: then the reason is a finding, and `Report.readable` is False.

    Raises
    ------
    MrcValueError
        When `profile` or `level` has no meaning; nothing about the file raises.
    TypeError
        When `path` is nothing that can be opened.
    """
    if profile not in PROFILES:
        raise MrcValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    if level not in ("header", "full"):
        raise MrcValueError(f"level is {level!r}; expected 'header' or 'full'")
    name = _name(path)
    blank = Report(name, profile=profile, level=level)
    look = Look(kind, mode0, threads, progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = _open(path, storage_options)
            facts, sized = gather(source, look, full=level == "full")
        except TypeError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a file or a place does, it is a finding
            return replace(blank, issues=(trouble(error, name),), readable=False)
    if facts is None:
        return replace(blank, issues=sized.issues)
    return replace(
        blank, issues=judge(facts, profile), facts=describe_facts(facts, sized), readable="MRC911" not in facts.seen
    )


def _name(path: Any) -> str:
    """Return how a report calls the file."""
    name = os.fsdecode(path) if isinstance(path, str | os.PathLike) else str(getattr(path, "name", "<memory>"))
    return public_name(name)


def _open(path: Any, storage_options: Mapping[str, Any] | None) -> ByteSource:
    from mrcarray.storage import open_source

    return open_source(path, storage_options=storage_options)


validate = check
"""The former name of `check`, kept for one release."""

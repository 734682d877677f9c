"""Check a file against a set of rules: `check` reads the file, runs the checks and returns a `Report`.

Nothing in a file raises: a failure to read becomes an issue. The rules are in `mrcarray.validation.checks`; `collect`
reads what they check, `pixels` makes the pass over the pixels, `errors` turns exceptions into issues, `report` is
the result.

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
from mrcarray.validation.checks import PROFILES, run_checks
from mrcarray.validation.collect import collect_facts, plain_facts
from mrcarray.validation.errors import issue_of_error, reason
from mrcarray.validation.pixels import ReadOptions
from mrcarray.validation.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Level", "ReadOptions", "Report", "check", "collect_facts", "reason", "validate"]

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
    profile : {"mrc2014", "strict", "emdb", "imod", "relion"}
        Rule set to check against. What only formally breaks the specification in old files, such as an undeclared
        version, is an error under "strict" only.
    level : {"full", "header"}
        Whether to read the pixels too, or only the headers and the size of the file.
    kind, mode0 : str
        As for `mrcarray.open_file`.
    threads : int, optional
        Number of threads that compute the statistics; one for each processor by default.
    progress : callable, optional
        Called with the number of bytes read since its last call.
    storage_options : mapping, optional
        Options for remote files.

    Returns
    -------
    Report
        A file that cannot be read also has a report: one issue gives the reason, and `Report.readable` is False.

    Raises
    ------
    MrcValueError
        When `profile` or `level` is not one of the above; nothing in the file raises.
    TypeError
        When `path` is of a type that cannot be opened.
    """
    if profile not in PROFILES:
        raise MrcValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    if level not in ("header", "full"):
        raise MrcValueError(f"level is {level!r}; expected 'header' or 'full'")
    from mrcarray.storage import open_source

    name = os.fsdecode(path) if isinstance(path, str | os.PathLike) else str(getattr(path, "name", "<memory>"))
    name = public_name(name)
    blank = Report(name, profile=profile, level=level)
    options = ReadOptions(kind, mode0, threads, progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = collect_facts(open_source(path, storage_options=storage_options), options, full=level == "full")
        except TypeError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a file or a server does becomes an issue
            return replace(blank, issues=(issue_of_error(error, name),), readable=False)
    if found.facts is None:
        return replace(blank, issues=found.issues)
    facts = found.facts
    issues = run_checks(facts, profile)
    return replace(blank, issues=issues, facts=plain_facts(facts, found), readable="MRC911" not in facts.seen)


validate = check
"""The former name of `check`, kept for one release."""

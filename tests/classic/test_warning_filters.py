"""Filters that name modules of mrcfile apply to the warnings of the classic API, which name the caller's line."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray import caller, classic
from mrcarray.errors import MrcWarning
from mrcarray.storage import atomic
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import patched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOLUME = sample((5, 3, 4), 2)


def read_bad_map_id(api: Any, folder: Path) -> None:
    (folder / "a.mrc").write_bytes(patched(mrc_bytes(VOLUME), map=b"map "))
    api.open(folder / "a.mrc", permissive=True).close()


def read_trailing_bytes(api: Any, folder: Path) -> None:
    (folder / "a.mrc").write_bytes(mrc_bytes(VOLUME) + b"tail")
    api.open(folder / "a.mrc").close()


def set_nan(api: Any, folder: Path) -> None:
    with api.new(folder / "a.mrc", overwrite=True) as mrc:
        mrc.set_data(np.full((3, 4), np.nan, "f4"))


def index_unknown_type(api: Any, folder: Path) -> None:
    api.write(folder / "a.mrc", VOLUME, overwrite=True)
    with api.open(folder / "a.mrc", "r+") as mrc:
        mrc.set_extended_header(np.zeros(10, "V1"))
        mrc.header.exttyp = b"FEI1"
        mrc.indexed_extended_header  # noqa: B018 -- looking at it warns


WARNING = [
    (read_bad_map_id, "mrcinterpreter"),
    (read_trailing_bytes, "mrcfile"),
    (set_nan, "mrcobject"),
    (index_unknown_type, "mrcobject"),
]


@pytest.mark.parametrize(("work", "module"), WARNING)
@pytest.mark.parametrize("pattern", ["mrcfile", "mrcfile.*", r"mrcfile\.{}$"])
def test_filter_by_module_applies_as_with_mrcfile(
    api: Any, tmp_path: Path, work: Callable[[Any, Path], None], module: str, pattern: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            work(api, tmp_path)
        warnings.filterwarnings("ignore", module=pattern.format(module))
        work(api, tmp_path)


@pytest.mark.parametrize(("work", "_module"), WARNING)
def test_filter_for_another_module_does_not_apply(
    api: Any, tmp_path: Path, work: Callable[[Any, Path], None], _module: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"mrcfile\.utils|numpy|file")
        with pytest.raises(RuntimeWarning):
            work(api, tmp_path)


@pytest.mark.parametrize("module", ["mrcarray", "tests.classic", r"mrcarray\.classic\.mrcobject"])
def test_filter_for_this_package_or_the_caller_applies(tmp_path: Path, module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=module)
        set_nan(classic, tmp_path)


def test_first_filter_that_matches_decides(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module="mrcfile")
        set_nan(classic, tmp_path)
        warnings.filterwarnings("ignore", module=__name__)
        set_nan(classic, tmp_path)
        warnings.filterwarnings("always", message="Data array contains NaN", module="mrcarray")
        set_nan(classic, tmp_path)
    assert [str(warning.message) for warning in caught] == ["Data array contains NaN values"] * 2


def test_warning_points_at_the_line_of_the_caller(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", module="mrcfile")
        for work, _ in WARNING:
            work(classic, tmp_path)
    assert len(caught) == len(WARNING)
    for warning, (work, _) in zip(caught, WARNING, strict=True):
        lines, first = inspect.getsourcelines(work)
        assert warning.filename == __file__
        assert first < warning.lineno < first + len(lines)
        assert warning.category is MrcWarning


def test_storage_warning_names_the_caller_and_can_be_filtered(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    classic.write(path, VOLUME)
    (tmp_path / "b.mrc").hardlink_to(path)
    with pytest.warns(MrcWarning, match="hard links") as caught:
        classic.write(path, VOLUME, overwrite=True)
    assert caught[0].filename == __file__
    path.unlink()
    path.hardlink_to(tmp_path / "b.mrc")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="mrcfile")
        classic.write(path, VOLUME, overwrite=True)
    path.unlink()
    path.hardlink_to(tmp_path / "b.mrc")
    with pytest.warns(MrcWarning, match="hard links") as caught:
        atomic.AtomicFile(path, overwrite=True).abort()
    assert caught[0].filename == __file__


@pytest.mark.parametrize(("option", "shown"), [("ignore:::mrcfile.mrcobject", False), ("ignore:::mrcfile", True)])
@pytest.mark.parametrize("library", ["mrcfile", "mrcarray.classic", "mrcarray"])
def test_option_of_the_interpreter_names_a_module_exactly(
    tmp_path: Path, library: str, option: str, *, shown: bool
) -> None:
    program = f"""
import numpy as np, {library} as mrcfile
with mrcfile.new({str(tmp_path / "a.mrc")!r}) as mrc:
    mrc.set_data(np.full((3, 4), np.nan, "f4"))
"""
    command = [sys.executable, "-W", option, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONWARNINGS": ""})
    assert ("NaN" in done.stderr) is shown


def test_default_filters_are_plain_texts() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.filters.insert(0, ("ignore", None, DeprecationWarning, "__main__", 0))  # type: ignore[attr-defined]
        warnings.filters.insert(0, ("always", None, DeprecationWarning, __name__, 0))  # type: ignore[attr-defined]
        caller.warn("old", DeprecationWarning)
    assert [str(warning.message) for warning in caught] == ["old"]

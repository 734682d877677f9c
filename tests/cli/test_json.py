"""What ``--json`` promises: the keys that the page of the docs lists, whatever the file is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests import builders
from tests.cases import clean
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done

LISTS = {
    "header": (),
    "info": (),
    "validate": (),
    "stats": (),
    "fix": ("--dry-run",),
    "edit": ("--dry-run", "--force", "--set", "ispg=4"),
    "undo": ("--dry-run",),
}


def documented(command: str) -> list[str]:
    """Return the keys that the docs promise of a command, without those of parts, which stand in brackets."""
    page = (ROOT / "docs/howto/command-line.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[a-z -]+`(?:, )?)+) \| (.*) \|$", page[page.index("## JSON") :], re.MULTILINE)
    row = next(keys for names, keys in rows if f"`{command}`" in names)
    return re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row))


def strict(text: str) -> Any:
    """Return what JSON says, refusing what Python takes and others do not."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def names() -> list[str]:
    """Make files of every sort, and return their names."""
    nan = float("nan")
    values = np.full((2, 3, 4), np.nan, "f4")
    values[0, 0] = (np.inf, 1, 2, -np.inf)
    files = {
        "nan.mrc": builders.mrc_bytes(values, cella=(nan, 6, 4), origin=(nan, np.inf, 0), rms=nan),
        "complex.mrc": builders.mrc_bytes(builders.sample((2, 3, 4), 4), 4),
        "odd.mrc": builders.header_bytes(mode=99),
        "empty.mrc": b"",
        "short.mrc": clean()[:-9],
        "page.mrc": b"<html>" * 300,
    }
    for name, raw in files.items():
        Path(name).write_bytes(raw)
    return ["good.mrc", "bad.mrc", *files, "nothing.mrc", "good.mrc"]


@pytest.mark.parametrize("command", LISTS)
def test_each_file_has_an_object_with_the_same_keys(command: str, run: Callable[..., Done], names: list[str]) -> None:
    for name in ("good.mrc", "bad.mrc"):
        run("edit", "--set", "origin=1,2,3", name)  # so that there is something to undo
    done = run(command, "--json", *LISTS[command], *names)
    rows = strict(done.out)
    assert done.status == 2
    assert [row["path"] for row in rows] == names
    whole = [row for row in rows if not row.get("error")]
    assert {"good.mrc"} <= {row["path"] for row in whole}
    assert all(list(row) == list(whole[0]) for row in whole)
    assert set(whole[0]) == set(documented(command))
    assert all(set(row) == {"path", "error"} and row["error"] for row in rows if row not in whole)
    assert "Traceback" not in done.err


def test_unreadable_file_is_in_list_and_on_stderr(run: Callable[..., Done]) -> None:
    done = run("stats", "--json", "nothing.mrc", "good.mrc")
    assert done.err == "mrcarray: nothing.mrc: No such file or directory\n"
    assert strict(done.out)[0] == {"path": "nothing.mrc", "error": "No such file or directory"}


def test_nested_keys_are_documented(run: Callable[..., Done]) -> None:
    page = (ROOT / "docs/howto/command-line.md").read_text(encoding="utf-8")
    parts = {name: set(re.findall(r"`(\w+)`", keys)) for name, keys in re.findall(r"`(\w+)` \(([^)]*`)\)", page)}
    (fixed,) = strict(run("fix", "--json", "--dry-run", "--only", "MRC153", "bad.mrc").out)
    assert set(fixed["changes"][0]) == parts["changes"]
    assert fixed["changes"][0]["before"] == "MAP\0"
    assert set(fixed["left"][0]) == parts["issues"]
    assert set(strict(run("validate", "--json", "bad.mrc").out)[0]["issues"][0]) == parts["issues"]
    assert set(strict(run("stats", "--json", "good.mrc").out)[0]["histogram"]) == parts["histogram"]
    found = strict(run("diff", "--json", "good.mrc", "bad.mrc").out)
    assert set(found) == set(documented("diff"))
    assert set(found["pixels"]) == parts["pixels"]
    (row,) = strict(run("header", "--json", "--extended", "good.mrc").out)
    assert set(row["extended"]) == set(documented("header --extended")) - {"extended"}


def test_non_finite_numbers_are_null(run: Callable[..., Done], names: list[str]) -> None:
    (row,) = strict(run("header", "--json", "nan.mrc").out)
    assert row["voxel_size"][0] is None
    assert row["header"]["origin"] == [None, None, 0.0]
    (row,) = strict(run("stats", "--json", "complex.mrc").out)
    assert row["percentiles"]["50"] is None
    assert len(row["mean"]) == 2
    assert strict(run("validate", "--json", "nan.mrc").out)[0]["facts"]["voxel_size"][0] is None
    assert names

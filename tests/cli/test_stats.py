"""``mrcarray stats`` and `mrcarray.stats`: statistics, percentiles and histograms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import builders
from tests.cases import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12, 101])
def test_stats_match_numpy(mode: int, run: Callable[..., Done]) -> None:
    values = builders.sample((5, 60, 70), mode)
    Path("v.mrc").write_bytes(clean(values, mode))
    (row,) = json.loads(run("stats", "--json", "--percentiles", "2,50,98", "--bins", "7", "v.mrc").out)
    wide = values.astype("f8")
    assert (row["min"], row["max"], row["count"]) == (wide.min(), wide.max(), wide.size)
    assert row["mean"] == pytest.approx(wide.mean(), abs=1e-7 * wide.std())
    assert row["rms"] == pytest.approx(wide.std(), rel=1e-6)
    for percent, value in row["percentiles"].items():
        near = np.percentile(wide, [float(percent) - 0.05, float(percent) + 0.05])
        assert near[0] - 1e-3 <= value <= near[1] + 1e-3
    assert sum(row["histogram"]["counts"]) == wide.size
    assert len(row["histogram"]["counts"]) == 7


def test_stats_count_nan_and_inf(run: Callable[..., Done]) -> None:
    values = np.zeros((2, 3, 4), "f4")
    values[0, 0] = (np.nan, np.inf, 5, 1)
    Path("n.mrc").write_bytes(builders.mrc_bytes(values))
    (row,) = json.loads(run("stats", "--json", "n.mrc").out)
    assert (row["nan"], row["inf"], row["max"], sum(row["histogram"]["counts"])) == (1, 1, 5.0, 22)


def test_complex_pixels_have_no_percentiles(run: Callable[..., Done]) -> None:
    Path("c.mrc").write_bytes(builders.mrc_bytes(builders.sample((2, 3, 4), 4), 4))
    done = run("stats", "c.mrc")
    assert done.status == 0
    assert "  50%    nan" in done.out


def test_stats_of_many_blocks_match_numpy(run: Callable[..., Done]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 512, 512)).astype("f4")
    Path("v.mrc").write_bytes(clean(values))
    (row,) = json.loads(run("stats", "--json", "-j", "2", "v.mrc").out)
    assert (row["count"], row["min"], row["max"]) == (values.size, values.min(), values.max())
    assert sum(row["histogram"]["counts"]) == values.size
    assert row["percentiles"]["50"] == pytest.approx(np.median(values), abs=1e-3)


def test_stats_without_pixels_fail(run: Callable[..., Done]) -> None:
    Path("x.mrc").write_bytes(builders.header_bytes(mode=99))
    done = run("stats", "--permissive", "x.mrc")
    assert (done.status, done.err.splitlines()[-1]) == (2, "mrcarray: x.mrc: the pixels cannot be located")


def test_stats_print_a_histogram(run: Callable[..., Done]) -> None:
    out = run("stats", "good.mrc").out
    assert "  count  192" in out
    assert out.count("#") > 40


def test_stats_of_nan_pixels_are_nan(run: Callable[..., Done]) -> None:
    Path("v.mrc").write_bytes(clean(np.zeros((2, 3, 4), "f4"))[:1024] + np.full(24, np.nan, "f4").tobytes())
    lines = dict(line.split(maxsplit=1) for line in run("stats", "v.mrc").out.splitlines()[1:])
    assert {name: lines[name] for name in ("min", "max", "mean", "rms", "50%")} == dict.fromkeys(
        ("min", "max", "mean", "rms", "50%"), "nan"
    )
    assert (lines["count"], lines["nan"]) == ("24", "24")


def test_wrong_percentiles_are_refused(run: Callable[..., Done]) -> None:
    assert run("stats", "--percentiles", "x", "good.mrc").status == 2
    assert run("stats", "--percentiles", "101", "good.mrc").status == 2

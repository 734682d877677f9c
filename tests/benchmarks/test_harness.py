"""The benchmark harness."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks.harness import Report, compare, drop_cache, size


def test_ratio_compares_medians_with_the_first_way() -> None:
    report = Report("job", {"ours": (1.0, 2.0, 3.0), "peer": (5.0, 6.0, 100.0)})
    assert report.ratio("peer") == 3.0
    assert report.ratio("ours") == 1.0


def test_table_names_each_way_with_a_readable_time() -> None:
    lines = str(Report("job", {"ours": (2e-6,), "peer": (3e-3,), "limit": (4.0,)})).splitlines()
    assert [re.split(r" {2,}", line)[:2] for line in lines[1:]] == [
        ["ours", "2.0 µs"],
        ["peer", "3.0 ms"],
        ["limit", "4.0 s"],
    ]


def test_different_results_are_not_measured() -> None:
    with pytest.raises(AssertionError, match="wrong does not agree with right"):
        compare("job", {"right": lambda: 1, "wrong": lambda: 2})


def test_every_way_runs_equally_often() -> None:
    calls: list[str] = []
    ways = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    compare("job", ways, repeat=3, inner=2, prepare=lambda: calls.append("prepare"), same=False, measuring=True)
    assert [calls.count(name) for name in ("a", "b", "prepare")] == [7, 7, 8]


def test_drop_cache_keeps_the_file(tmp_path: object) -> None:
    path = f"{tmp_path}/file"
    with open(path, "wb") as file:  # noqa: PTH123 -- drop_cache takes plain names too
        file.write(b"12")
    drop_cache(path)
    with open(path, "rb") as file:  # noqa: PTH123 -- the same
        assert file.read() == b"12"


def test_sizes_are_tiny_unless_measuring() -> None:
    assert size(1000, 2, measuring=False) == 2
    assert size(1000, 2, measuring=True) == 1000

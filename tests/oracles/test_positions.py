"""A voxel keeps its value at its position in ångström, for every program that can say, whatever is done to an array.

`placement.FOLLOWS` says which programs can be expected to see that, by the words that placed the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray
from tests.oracles.files import MANY, NSTART, SIZE, SOME, Case
from tests.oracles.operations import OPERATIONS, Operation, perform
from tests.oracles.placement import FIRST, FOLLOWS, OFF_GRID, Voxels, edges_of, voxels_of, words_of
from tests.oracles.programs import PROGRAMS, Program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.oracles.placement import Rule


def rules_that_follow(case: Case, name: str) -> frozenset[Rule]:
    """Return the rules by which the voxels are where they were, once an operation is done to a file."""
    operation = OPERATIONS[name]
    if operation.resampled and not _whole(case, operation):  # ChimeraX places .ccp4 by words 5-7 alone
        return OFF_GRID - {"either"} if case.kind == "crystal" else OFF_GRID
    if operation.placement:
        return _as_asked(case, operation.placement)
    if case.extended == "symmetry" and case.placed == "origin":  # CCP4 reserves words 50-52: words 5-7 are written, too
        return OFF_GRID
    return frozenset(FIRST) if _still(operation) else FOLLOWS[case.placed]


def _as_asked(case: Case, placement: str) -> frozenset[Rule]:
    """Return the rules by which a file is placed as it was, where the caller names the words that place it."""
    if case.placed not in ("neither", "nstart"):  # not whole voxels from 0, so that words 5-7 are rounded
        return frozenset() if placement == "nstart" else OFF_GRID
    rules = FOLLOWS[placement]
    return rules - {"either"} if case.kind == "crystal" and placement == "origin" else rules


def _whole(case: Case, operation: Operation) -> bool:
    """Whether the first of the voxels of another size is a whole number of them from 0."""
    if case.placed in ("origin", "both"):
        return False
    at = np.array(NSTART if case.placed == "nstart" else (0, 0, 0), dtype=np.float64)
    found = operation.expect(Voxels(np.zeros(SIZE[::-1]), at, np.eye(3)))
    return bool((found.first % found.edges.diagonal() == 0).all())


def _still(operation: Operation) -> bool:
    """Whether the first voxel stays the first."""
    return not operation.expect(Voxels(np.zeros(SIZE[::-1]), np.zeros(3), np.eye(3))).first.any()


class Written:
    """The files that each operation made of each case, written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[tuple[Case, str], Path] = {}

    def source(self, case: Case) -> Path:
        """Return the folder's file of a case."""
        folder = self._folder / str(case).replace("<", "le").replace(">", "be")
        folder.mkdir(exist_ok=True)
        return case.write(folder)

    def target(self, case: Case, name: str) -> Path:
        """Return what an operation made of it."""
        if (case, name) not in self._paths:
            source = self.source(case)
            target = source.with_name(f"{name.replace(' ', '_')}{source.suffix}")
            perform(OPERATIONS[name], source, target)
            self._paths[case, name] = target
        return self._paths[case, name]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return the files, made when they are asked for."""
    return Written(tmp_path_factory.mktemp("oracles"))


def problems(program: Program, name: str, cases: list[Case], written: Written) -> tuple[int, list[str]]:
    """Return how many files a program was asked of, and what is wrong with those it reads."""
    operation, asked, wrong = OPERATIONS[name], 0, []
    for case in cases:
        if not operation.fits(case) or (program.rule and program.rule not in rules_that_follow(case, name)):
            continue
        target = written.target(case, name)
        if not program.reads(words_of(target)):
            continue
        asked += 1
        rule = program.rule
        if rule is None or operation.placement or (operation.resampled and not _whole(case, operation)):
            rule = "either"  # programs with another one see the voxels where the array has them
        expected = operation.expect(voxels_of(written.source(case), rule))
        if case.kind == "stack":  # images have no position along z; where programs see them is left open
            expected = _at_depth_of(expected, voxels_of(target, program.rule or "either"))
        if problem := _compared(program, target, expected):
            wrong.append(f"{case}: {problem}")
    return asked, wrong


def _at_depth_of(expected: Voxels, found: Voxels) -> Voxels:
    """Return voxels with the z that others have."""
    first = np.array([*expected.first[:2], found.first[2]])
    return Voxels(expected.values, first, np.array([*expected.edges[:2], found.edges[2]]))


def _compared(program: Program, target: Path, expected: Voxels) -> str:
    words = words_of(target)
    if np.prod(words["n"]) != expected.values.size:
        return f"{words['n']} voxels for {expected.values.shape[::-1]}"
    try:
        found = program.values_at(target, expected.positions())
    except Exception as error:  # noqa: BLE001 -- that a program refuses the file is what is reported
        return f"refused: {error!r:.200}"
    if np.allclose(found, expected.values.ravel(), rtol=1e-3):
        return ""
    seen = f"nstart {words['nstart']}, origin {words['origin']}, m {words['m']}, cell {words['cella']}"
    missing = int(np.isnan(found).sum())
    return f"{missing} of {found.size} voxels are not at their position ({seen}; expected first {expected.first})"


PAIRS = [
    (program, name)
    for program, one in PROGRAMS.items()
    for name, operation in OPERATIONS.items()
    if not one.lacks & operation.asks
    and (one.rule is None or one.rule in FOLLOWS.get(operation.placement, frozenset(FIRST)))
]


@pytest.mark.parametrize(("program", "name"), PAIRS)
def test_voxels_keep_their_values_at_their_positions(program: str, name: str, written: Written) -> None:
    PROGRAMS[program].needed()
    asked, wrong = problems(PROGRAMS[program], name, SOME, written)
    assert asked
    assert not wrong, "\n".join(wrong)


ABOUT_PIXELS = ("--dtype", "--mode", "--byteorder", "netCDF", "Zarr", "TIFF")
"""Operations to which the geometry of a file makes no difference beyond that of the files in `SOME`; they take long."""

GEOMETRIC = [
    (program, name)
    for program, name in PAIRS
    if program in ("ChimeraX", "gemmi") and not any(word in name for word in ABOUT_PIXELS)
]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "name"), GEOMETRIC)
def test_voxels_keep_their_positions_in_every_geometry(program: str, name: str, written: Written) -> None:
    asked, wrong = problems(PROGRAMS[program], name, MANY, written)
    assert asked
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name, one in OPERATIONS.items() if one.resampled])
def test_words_5_to_7_are_rounded_where_voxels_are_off_the_old_grid(name: str, written: Written) -> None:
    wrong = []
    for case in SOME:
        if case.placed not in ("neither", "nstart") or case.is_stack:
            continue
        words = words_of(written.target(case, name))
        expected = OPERATIONS[name].expect(voxels_of(written.source(case), "nstart")).first
        off = np.abs((FIRST["nstart"](words) - expected) @ np.linalg.inv(edges_of(words)))
        if (off > 0.5 + 1e-6).any():
            wrong.append(f"{case}: nstart {words['nstart']} is {off} voxels off")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", SOME, ids=str)
def test_files_open_where_the_rule_places_them(case: Case, written: Written) -> None:
    source = written.source(case)
    truth = voxels_of(source, "either")
    array = mrcarray.open_dataarray(source)
    dims = ("section", "y", "x") if case.is_stack else ("z", "y", "x")
    assert set(array.dims) == set(dims)
    np.testing.assert_array_equal(array.transpose(*dims).values, truth.values)
    lengths = np.linalg.norm(truth.edges, axis=1)
    start = truth.first @ np.linalg.inv(truth.edges) * lengths  # along the edges of the cell
    for axis, step, first in zip("xyz", lengths, start, strict=True):
        if axis in array.dims:
            np.testing.assert_allclose(array[axis], first + step * np.arange(array.sizes[axis]), atol=1e-4)

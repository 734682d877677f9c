"""``mrcarray view``: what the picture shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mrcarray.analysis.plotting import _ortho, _section, bar_length, draw
from mrcarray.errors import MrcValueError
from mrcarray.reader import open_file
from tests import builders

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    """Return a picture as grey values between 0 and 1, the top row first."""
    from matplotlib.image import imread

    grey: np.ndarray[Any, Any] = np.asarray(imread(io.BytesIO(png), format="png"))[..., :3].mean(axis=-1)
    return grey


def inner(picture: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the frame of the one section in a picture."""
    dark = picture < 0.2
    rows = np.flatnonzero(dark.mean(axis=1) > 0.5)
    columns = np.flatnonzero(dark.mean(axis=0) > 0.5)
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_the_first_row_is_at_the_bottom_and_the_first_column_at_the_left() -> None:
    values = np.full((1, 64, 64), 0.5, "f4")
    values[0, :16, :16] = 1.0
    values[0, :16, 48:] = 0.0
    picture = pixels(draw(builders.mrc_bytes(values), section=0, contrast=0))
    top, bottom, left, right = inner(picture)
    tall, wide = (bottom - top) // 8, (right - left) // 8
    assert picture[bottom - int(1.5 * tall), left + wide] > 0.9
    assert 0.3 < picture[top + tall, left + wide] < 0.7
    assert picture[bottom - int(1.5 * tall), right - wide // 3] < 0.1


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    values = np.full((1, 100, 100), 0.5, "f4")
    values[0, 0, 0], values[0, 0, 1] = 0, 1
    picture = pixels(draw(builders.mrc_bytes(values), section=0, contrast=0))
    top, bottom, left, right = inner(picture)
    corner = picture[bottom - (bottom - top) // 6 : bottom - 3, left + (right - left) // 2 : right - 3]
    runs = [longest(row > 0.95) for row in corner]
    width = 100 * 2.0
    expected = bar_length(width) / width * (right - left)
    assert max(runs) == pytest.approx(expected, rel=0.05)


def longest(mask: np.ndarray[Any, Any]) -> int:
    """Return the length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(int), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def test_a_volume_is_shown_from_three_sides() -> None:
    values = builders.sample((20, 30, 40), 2)
    three, one = pixels(draw(builders.mrc_bytes(values))), pixels(draw(builders.mrc_bytes(values), ortho=False))
    assert three.shape[1] == 3 * one.shape[1]


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({}, ["section 2, z = 4 angstrom", "row 3, y = 6 angstrom", "column 4, x = 8 angstrom"]),
        ({"origin": (0, 0, -10)}, ["section 2, z = -6 angstrom", "row 3, y = 6 angstrom", "column 4, x = 8 angstrom"]),
        (
            {"mapcrs": (3, 2, 1), "m": (4, 6, 8), "cella": (8, 12, 16)},
            ["section 2, x = 4 angstrom", "row 3, y = 6 angstrom", "column 4, z = 8 angstrom"],
        ),
        ({"cella": (0, 0, 0)}, ["section 2", "row 3", "column 4"]),
    ],
)
def test_titles_tell_numbers_from_places(fields: dict[str, Any], texts: list[str]) -> None:
    raw = builders.mrc_bytes(builders.sample((4, 6, 8), 2), **fields)
    assert [view.text for view in _ortho(open_file(raw))] == texts


@pytest.mark.parametrize(
    ("shape", "number", "text"),
    [
        ((6, 8), None, ""),
        ((3, 6, 8), 1, "section 1"),
        ((2, 3, 6, 8), 4, "section 4, z = 2 angstrom"),
    ],
)
def test_sections_of_stacks_are_numbered_through(shape: tuple[int, ...], number: int | None, text: str) -> None:
    fields: dict[str, Any] = {"ispg": 0, "m": (8, 6, 1), "cella": (16, 12, 2)} if len(shape) == 3 else {}
    mrc = open_file(builders.mrc_bytes(builders.sample(shape, 2), **fields))
    assert _section(mrc, number).text == text


@pytest.mark.parametrize("mode", [0, 3, 4, 12, 16, 101])
@pytest.mark.parametrize("shape", [(7, 9), (2, 7, 9), (2, 3, 7, 9)])
def test_every_mode_and_kind_can_be_drawn(mode: int, shape: tuple[int, ...]) -> None:
    assert draw(builders.mrc_bytes(builders.sample(shape, mode), mode), section=-1).startswith(b"\x89PNG")


def test_pictures_of_nothing_but_nan_and_of_unknown_voxels_are_drawn() -> None:
    assert draw(builders.mrc_bytes(np.full((2, 4, 5), np.nan, "f4"), cella=(0, 0, 0))).startswith(b"\x89PNG")


def test_only_what_is_shown_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.mrc"
    path.write_bytes(builders.header_bytes(nx=40000, ny=40000, nz=4, m=(40000, 40000, 4)))
    with path.open("r+b") as file:
        file.truncate(1024 + 4 * 40000 * 40000 * 4)
    assert draw(path, section=2).startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told() -> None:
    raw = builders.mrc_bytes(builders.sample((2, 4, 5), 2))
    with pytest.raises(MrcValueError, match="there is no section 2; the file has 2"):
        draw(raw, section=2)
    with pytest.raises(MrcValueError, match=r"need a volume; the kind of this file is image$"):
        draw(builders.mrc_bytes(builders.sample((4, 5), 2)), ortho=True)
    with pytest.raises(MrcValueError, match="pass either `section` or `ortho`, not both"):
        draw(raw, section=1, ortho=True)
    with pytest.raises(MrcValueError, match="contrast is 50"):
        draw(raw, contrast=50)
    with pytest.raises(MrcValueError, match="no data to draw"):
        draw(builders.header_bytes(nx=0, ny=0, nz=0))


def test_the_picture_is_written_beside_and_replaces_only_on_request(run: Callable[..., Done]) -> None:
    assert run("view", "good.mrc").out == "good.mrc.png\n"
    assert Path("good.mrc.png").read_bytes().startswith(b"\x89PNG")
    done = run("view", "good.mrc")
    assert (done.status, done.err) == (
        2,
        f"mrcarray: {Path.cwd()}/good.mrc.png: file exists; pass --overwrite\n",
    )
    assert run("view", "--overwrite", "good.mrc").status == 0
    assert run("view", "-o", "x.jpg", "good.mrc").status == 2


def test_the_picture_of_standard_input_has_a_name(process: Callable[..., Done], tmp_path: Path) -> None:
    assert process("view", "-", stdin=(tmp_path / "good.mrc").read_bytes()).out == "stdin.png\n"
    assert (tmp_path / "stdin.png").read_bytes().startswith(b"\x89PNG")


def test_a_dash_is_standard_output(process: Callable[..., Done]) -> None:
    assert "PNG" in process("view", "-o", "-", "good.mrc").out


@pytest.mark.parametrize(
    ("variable", "value", "start"), [("TERM_PROGRAM", "iTerm.app", "\x1b]1337"), ("KITTY_WINDOW_ID", "1", "\x1b_Ga=T")]
)
def test_a_terminal_that_can_shows_the_picture(
    variable: str, value: str, start: str, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delenv("TERM_PROGRAM", raising=False)
    monkeypatch.delenv("KITTY_WINDOW_ID", raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run("view", "--section", "0", "good.mrc").out.startswith(start)

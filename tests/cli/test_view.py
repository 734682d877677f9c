"""``mrcarray view`` and `mrcarray.plot`: what the plot shows, and where it is written."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr

from mrcarray.analysis.plotting import Plot, bar_length, plot
from mrcarray.analysis.views import Choice, grid_of
from mrcarray.cli import main
from mrcarray.errors import MrcValueError
from mrcarray.reader import open_file
from tests import builders
from tests.cli.conftest import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Done


def pixels(raw: bytes, **options: Any) -> np.ndarray[Any, Any]:
    """Return the plot of a file as grey values between 0 and 1, the top row first."""
    from matplotlib.image import imread

    png = io.BytesIO(plot(raw, **options).to_png())
    grey: np.ndarray[Any, Any] = np.asarray(imread(png, format="png"))[..., :3].mean(axis=-1)
    return grey


def inner(picture: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of the frame of the only section in a plot."""
    dark = picture < 0.2
    rows = np.flatnonzero(dark.mean(axis=1) > 0.5)
    columns = np.flatnonzero(dark.mean(axis=0) > 0.5)
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_first_row_is_at_the_bottom() -> None:
    values = np.full((1, 64, 64), 0.5, "f4")
    values[0, :16, :16] = 1.0
    values[0, :16, 48:] = 0.0
    picture = pixels(builders.mrc_bytes(values), section=0, contrast=0)
    top, bottom, left, right = inner(picture)
    tall, wide = (bottom - top) // 8, (right - left) // 8
    assert picture[bottom - int(1.5 * tall), left + wide] > 0.9
    assert 0.3 < picture[top + tall, left + wide] < 0.7
    assert picture[bottom - int(1.5 * tall), right - wide // 3] < 0.1


def test_scale_bar_has_the_length_of_its_label() -> None:
    values = np.full((1, 100, 100), 0.5, "f4")
    values[0, 0, 0], values[0, 0, 1] = 0, 1
    picture = pixels(builders.mrc_bytes(values), section=0, contrast=0)
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


def test_volume_has_three_sections() -> None:
    raw = builders.mrc_bytes(builders.sample((20, 30, 40), 2))
    assert len(plot(raw).figure.axes) == 3
    assert len(plot(raw, ortho=False).figure.axes) == 1


@pytest.mark.parametrize(
    ("fields", "texts"),
    [
        ({}, ["section 2, z = 4 Å", "row 3, y = 6 Å", "column 4, x = 8 Å"]),
        ({"origin": (0, 0, -10)}, ["section 2, z = -6 Å", "row 3, y = 6 Å", "column 4, x = 8 Å"]),
        (
            {"mapcrs": (3, 2, 1), "m": (4, 6, 8), "cella": (8, 12, 16)},
            ["section 2, x = 4 Å", "row 3, y = 6 Å", "column 4, z = 8 Å"],
        ),
        ({"cella": (0, 0, 0)}, ["section 2", "row 3", "column 4"]),
    ],
)
def test_titles_state_numbers_and_positions(fields: dict[str, Any], texts: list[str]) -> None:
    raw = builders.mrc_bytes(builders.sample((4, 6, 8), 2), **fields)
    assert [
        view.text for view in Choice(ortho=True).views(grid_of(open_file(raw)), volume=True, kind="volume")
    ] == texts


@pytest.mark.parametrize(
    ("shape", "number", "text"),
    [
        ((6, 8), None, ""),
        ((3, 6, 8), 1, "section 1"),
        ((2, 3, 6, 8), 4, "section 4, z = 2 Å"),
    ],
)
def test_sections_of_stacks_are_numbered_across_volumes(shape: tuple[int, ...], number: int | None, text: str) -> None:
    fields: dict[str, Any] = {"ispg": 0, "m": (8, 6, 1), "cella": (16, 12, 2)} if len(shape) == 3 else {}
    mrc = open_file(builders.mrc_bytes(builders.sample(shape, 2), **fields))
    assert Choice(number, ortho=False).views(grid_of(mrc), volume=False, kind=None)[0].text == text


@pytest.mark.parametrize("mode", [0, 3, 4, 12, 16, 101])
@pytest.mark.parametrize("shape", [(7, 9), (2, 7, 9), (2, 3, 7, 9)])
def test_every_mode_and_kind_is_plotted(mode: int, shape: tuple[int, ...]) -> None:
    assert isinstance(plot(builders.mrc_bytes(builders.sample(shape, mode), mode), section=-1), Plot)


def test_nan_and_unknown_voxel_size_are_plotted() -> None:
    raw = builders.mrc_bytes(np.full((2, 4, 5), np.nan, "f4"), cella=(0, 0, 0))
    assert plot(raw)._repr_png_().startswith(b"\x89PNG")


def test_only_the_section_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.mrc"
    path.write_bytes(builders.header_bytes(nx=40000, ny=40000, nz=4, m=(40000, 40000, 4)))
    with path.open("r+b") as file:
        file.truncate(1024 + 4 * 40000 * 40000 * 4)
    assert len(plot(path, section=2).figure.axes) == 1


def test_wrong_arguments_raise() -> None:
    raw = builders.mrc_bytes(builders.sample((2, 4, 5), 2))
    with pytest.raises(MrcValueError, match="there is no section 2; the file has 2 sections"):
        plot(raw, section=2)
    with pytest.raises(MrcValueError, match=r"need a volume; the kind of this file is image$"):
        plot(builders.mrc_bytes(builders.sample((4, 5), 2)), ortho=True)
    with pytest.raises(MrcValueError, match="pass either `section` or `ortho`, not both"):
        plot(raw, section=1, ortho=True)
    with pytest.raises(MrcValueError, match="contrast is 50"):
        plot(raw, contrast=50)
    with pytest.raises(MrcValueError, match="no pixels to plot"):
        plot(builders.header_bytes(nx=0, ny=0, nz=0))


def test_view_writes_a_png_and_overwrites_on_request(run: Callable[..., Done]) -> None:
    assert run("view", "good.mrc").out == "good.mrc.png\n"
    assert Path("good.mrc.png").read_bytes().startswith(b"\x89PNG")
    done = run("view", "good.mrc")
    assert (done.status, done.err) == (
        2,
        f"mrcarray: {Path.cwd()}/good.mrc.png: file exists; pass --overwrite\n",
    )
    assert run("view", "--overwrite", "good.mrc").status == 0
    assert run("view", "-o", "x.jpg", "good.mrc").status == 2


def test_plot_of_standard_input_is_stdin_png(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("good.mrc").open(encoding="latin-1") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert run("view", "-").out == "stdin.png\n"
    assert Path("stdin.png").read_bytes().startswith(b"\x89PNG")


def test_dash_writes_to_standard_output(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    fill(tmp_path)
    assert main(["view", "-o", "-", str(tmp_path / "good.mrc")]) == 0
    assert capsysbinary.readouterr().out.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("variable", "value", "start"), [("TERM_PROGRAM", "iTerm.app", "\x1b]1337"), ("KITTY_WINDOW_ID", "1", "\x1b_Ga=T")]
)
def test_image_terminal_shows_the_plot(
    variable: str, value: str, start: str, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERM_PROGRAM", raising=False)
    monkeypatch.delenv("KITTY_WINDOW_ID", raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert run("view", "--section", "0", "good.mrc").out.startswith(start)


def test_montage_shows_sections_from_the_first_to_the_last() -> None:
    raw = builders.mrc_bytes(builders.sample((9, 6, 8), 2))
    titles = [axes.get_title() for axes in plot(raw, montage=4).figure.axes]
    assert titles == ["section 0, z = 0 Å", "section 3, z = 6 Å", "section 5, z = 10 Å", "section 8, z = 16 Å"]
    assert len(plot(raw, montage=50).figure.axes) == 9
    with pytest.raises(MrcValueError, match="pass either `montage` or"):
        plot(raw, montage=4, section=1)
    with pytest.raises(MrcValueError, match="montage is 0; expected"):
        plot(raw, montage=0)


@pytest.mark.parametrize("chunks", [None, {}])
def test_array_is_plotted_as_its_file(tmp_path: Path, chunks: Any) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(builders.mrc_bytes(builders.sample((5, 6, 8), 2), origin=(4, 6, 8)))
    array = xr.open_dataarray(path, engine="mrc", chunks=chunks)
    for drawn in (array.mrc.plot(), plot(array), plot(array.to_dataset(name="data")), plot(path)):
        axes = drawn.figure.axes
        assert [one.get_title() for one in axes] == ["section 2, z = 12 Å", "row 3, y = 12 Å", "column 4, x = 12 Å"]
        assert list(axes[0].images[0].get_extent()) == [3, 19, 5, 17]
    np.testing.assert_array_equal(array.mrc.plot().figure.axes[1].images[0].get_array(), array[:, 3])


def test_cropped_array_is_plotted_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(builders.mrc_bytes(builders.sample((5, 6, 8), 2)))
    crop = xr.open_dataarray(path, engine="mrc").isel(x=slice(2, None), y=slice(1, 4))
    assert list(crop.mrc.plot(section=0).figure.axes[0].images[0].get_extent()) == [3, 15, 1, 7]


def test_long_axes_are_in_nanometres() -> None:
    raw = builders.mrc_bytes(builders.sample((1, 6, 8), 2), cella=(8000, 6000, 1000), m=(8, 6, 1))
    axes = plot(raw, section=0).figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x [nm]", "y [nm]")
    assert list(axes.images[0].get_extent()) == [-50, 750, -50, 550]


def test_colours_and_plain_arrays_are_plotted(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(builders.mrc_bytes(builders.sample((2, 6, 8), 16), 16))
    colours = xr.open_dataarray(path, engine="mrc")
    assert colours.mrc.plot(section=1).figure.axes[0].images[0].get_array().shape == (6, 8, 3)
    plain = xr.DataArray(np.zeros((6, 8)), dims=("a", "b"))
    assert list(plain.mrc.plot().figure.axes[0].images[0].get_extent()) == [-0.5, 7.5, -0.5, 5.5]
    with pytest.raises(MrcValueError, match="a plot needs rows and columns"):
        plain[0].mrc.plot()

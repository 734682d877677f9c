"""Plot a section of a file, or three orthogonal sections, with axes in ångström and a scale bar.

Only the sections shown are read, at a lower resolution if they have more than `MOST` pixels along an axis. The first
row is at the bottom, as in the format.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MrcFormatError, MrcValueError, missing_package
from mrcarray.format.kinds import kind_hint
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mrcarray.format.geometry import Geometry
    from mrcarray.reader import Mrc

__all__ = ["Plot", "bar_length", "plot"]

MOST = 2048
"""Largest number of pixels shown along an axis."""

_INCHES, _DPI = 6.0, 120
_DIMS = 3
_WORDS = ("section", "row", "column")
"""Names of the axes of a volume, slowest first."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of a file; notebooks show it as an image.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure, to be changed as you like.
    """

    figure: Figure

    def to_png(self) -> bytes:
        """Return the plot as the bytes of a PNG image."""
        out = io.BytesIO()
        self.figure.savefig(out, format="png")
        return out.getvalue()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
        """Write a PNG file and return its absolute path.

        Parameters
        ----------
        path : str or path
            The file.
        overwrite : bool
            Whether to overwrite an existing file.

        Raises
        ------
        FileExistsError
            When the file exists and `overwrite` is false.
        """
        from mrcarray.storage.atomic import AtomicFile

        with AtomicFile(path, overwrite=overwrite) as file:
            file.write_at(0, self.to_png())
            file.commit()
        return file.path

    def _repr_png_(self) -> bytes:
        return self.to_png()


def plot(  # noqa: PLR0913 -- the file, what to show of it, and how
    path: Any,
    *,
    section: int | None = None,
    ortho: bool | None = None,
    contrast: float = 0.5,
    title: str | None = None,
    kind: str = "auto",
) -> Plot:
    """Plot a section of a file, or three orthogonal sections of a volume.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    section : int, optional
        Number of the section, from 0; negative numbers count from the end. By default the middle section.
    ortho : bool, optional
        Whether to plot three orthogonal sections through the middle; by default for volumes without `section`.
    contrast : float
        Percentage of the pixels shown that become black, and of those that become white.
    title : str, optional
        Text above the plot; by default the name of the file.
    kind : str
        As for `mrcarray.open_file`; for example, "volume" plots a file that opens as a stack as a volume.

    Returns
    -------
    Plot

    Raises
    ------
    MissingDependencyError
        When matplotlib is not installed.
    MrcValueError
        When the section does not exist, or an argument is invalid.

    Examples
    --------
    >>> import mrcarray
    >>> plot = mrcarray.plot("tomo.mrc", section=3)
    >>> plot.figure.axes[0].get_title()
    'section 3, z = 6 angstrom'
    >>> path = plot.save("section.png")
    """
    from mrcarray.reader import open_file

    if not 0 <= contrast < 50:  # noqa: PLR2004 -- percent on either side
        raise MrcValueError(f"contrast is {contrast}; expected a percentage of at least 0 and below 50")
    if ortho and section is not None:
        raise MrcValueError("pass either `section` or `ortho`, not both")
    mrc = open_file(path, kind=kind)
    if mrc.array is None or mrc.layout is None:
        raise MrcFormatError("the pixels cannot be located", mrc.path, mrc.issues)
    if 0 in mrc.array.shape:
        raise MrcValueError("the file declares no pixels to plot")
    volume = mrc.layout.kind is Kind.VOLUME
    if ortho and not volume:
        text = f"three orthogonal sections need a volume; the kind of this file is {mrc.layout.kind}"
        raise MrcValueError(text, hint=None if mrc.layout.kind is Kind.IMAGE else kind_hint(Kind.VOLUME))
    views = _ortho(mrc) if (volume and section is None if ortho is None else ortho) else [_section(mrc, section)]
    return Plot(_figure(views, contrast, title or mrc.path.rsplit("/", 1)[-1]))


class _View:
    """One section: its pixels, the names of its axes, and the positions of their edges."""

    def __init__(self, mrc: Mrc, key: tuple[Any, ...], axes: tuple[int, int], text: str) -> None:
        grid, geometry = mrc.layout.grid if mrc.layout is not None else (), mrc.geometry()
        steps = [max(1, math.ceil(length / MOST)) for length in grid]
        key = tuple(slice(None, None, steps[i]) if i in axes else k for i, k in enumerate(key))
        self.pixels: NDArray[Any] = mrc.array[key]  # type: ignore[index]
        names = _names(mrc)
        self.names = tuple(names[axis] for axis in axes)
        self.unit = "angstrom" if geometry.known else "pixel"
        self.extent = tuple(_edges(geometry, name, grid[axis]) for name, axis in zip(self.names, axes, strict=True))
        self.text = text


def _names(mrc: Mrc) -> tuple[str, ...]:
    """Return x, y or z for every spatial axis of the pixels, and an empty name for the others."""
    grid, axes = mrc.layout.grid if mrc.layout is not None else (), mrc.geometry().axes
    return ("",) * (len(grid) - len(axes)) + axes


def _where(mrc: Mrc, axis: int, index: int) -> str:
    """Return the position of a section along a spatial axis as text; empty for other axes."""
    name, geometry = _names(mrc)[axis], mrc.geometry()
    if not name or not geometry.known:
        return ""
    return f"{name} = {_position(geometry, name, index):g} angstrom"


def _edges(geometry: Geometry, name: str, length: int) -> tuple[float, float]:
    return _position(geometry, name, -0.5), _position(geometry, name, length - 0.5)


def _position(geometry: Geometry, name: str, index: float) -> float:
    """Return the position of a voxel along an axis in angstrom, or its number if the voxel size is unknown."""
    if not geometry.known:
        return index
    axis = "xyz".index(name)
    start = geometry.start[axis]
    return (0.0 if math.isnan(start) else start) + index * geometry.voxel_size[axis]


def _section(mrc: Mrc, section: int | None) -> _View:
    grid = mrc.layout.grid if mrc.layout is not None else ()
    stack = grid[:-2]
    count = math.prod(stack)
    number = count // 2 if section is None else section
    if not -count <= number < count:
        raise MrcValueError(f"there is no section {number}; the file has {count} sections, numbered from 0")
    number %= count
    lead: list[int] = []
    rest = number
    for length in reversed(stack):
        rest, index = divmod(rest, length)
        lead.insert(0, index)
    last = len(grid) - 1
    where = _where(mrc, last - 2, lead[-1]) if stack else ""
    text = ", ".join(filter(None, (f"section {number}" if stack else "", where)))
    return _View(mrc, (*lead, slice(None), slice(None)), (last - 1, last), text)


def _ortho(mrc: Mrc) -> list[_View]:
    grid = mrc.layout.grid if mrc.layout is not None else ()
    middle = [length // 2 for length in grid]
    views = []
    for fixed, shown in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1))):
        key = tuple(middle[i] if i == fixed else slice(None) for i in range(_DIMS))
        text = ", ".join(filter(None, (f"{_WORDS[fixed]} {middle[fixed]}", _where(mrc, fixed, middle[fixed]))))
        views.append(_View(mrc, key, shown, text))
    return views


def _figure(views: list[_View], contrast: float, title: str) -> Figure:
    import numpy as np

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("plotting", str(error.name), "plot") from error
    shown = [_real(view.pixels) for view in views]
    values = np.concatenate([pixels.reshape(-1) for pixels in shown])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [contrast, 100 - contrast]) if values.size else (0.0, 1.0)
    figure = Figure(figsize=(_INCHES * len(views), _INCHES + 1), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(title))
    for number, (view, pixels) in enumerate(zip(views, shown, strict=True), 1):
        axes = figure.add_subplot(1, len(views), number)
        (bottom, top), (left, right) = view.extent
        axes.imshow(
            pixels,
            cmap="gray",
            vmin=low,
            vmax=high,
            origin="lower",
            extent=(left, right, bottom, top),
            interpolation="nearest",
        )
        axes.set_title(view.text)
        axes.set_ylabel(f"{view.names[0]} [{view.unit}]")
        axes.set_xlabel(f"{view.names[1]} [{view.unit}]")
        _bar(axes, right - left, view.unit)
    return figure


def _plain(text: str) -> str:
    """Return ASCII text without the $ that starts a formula in matplotlib, so that every font can draw it."""
    return text.encode("ascii", "backslashreplace").decode().replace("$", r"\$")


def _real(pixels: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.log1p(np.abs(pixels)) if pixels.dtype.kind == "c" else pixels


def bar_length(width: float) -> float:
    """Return a round length of about a fifth of `width`, for a scale bar.

    Examples
    --------
    >>> bar_length(640), bar_length(3100), bar_length(0.7)
    (100.0, 500.0, 0.1)
    """
    power: float = 10.0 ** math.floor(math.log10(width / 5))
    return next(step * power for step in (5, 2, 1) if step * power <= width / 5)


def _bar(axes: Any, width: float, unit: str) -> None:
    """Draw a white scale bar on black in the lower right corner."""
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    length = bar_length(width)
    bar = AnchoredSizeBar(
        axes.transData, length, f"{length:g} {unit}", "lower right", size_vertical=width / 100, color="white"
    )
    bar.patch.set_facecolor("black")
    axes.add_artist(bar)

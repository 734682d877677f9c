"""Plot a section of a file, or three orthogonal sections, with axes in ångström or nanometres and a scale bar.

Only the sections shown are read (`mrcarray.analysis.views`). The first row is at the bottom, as in the format.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mrcarray.analysis.views import Choice, grid_of
from mrcarray.errors import MrcFormatError, MrcValueError, missing_package
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mrcarray.analysis.views import View

__all__ = ["Plot", "bar_length", "draw", "plot"]

_INCHES, _DPI = 5.0, 120
_TALLEST = 16.0
_MARGIN = 0.9
"""Inches of the labels and the title of a section."""
_DIMS = 3
_IN_NM = 2000.0
"""Position in Å from which on axes are labelled in nm."""


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
    montage: int | None = None,
    contrast: float = 0.5,
    title: str | None = None,
    kind: str = "auto",
) -> Plot:
    """Plot a section of a file or array, three orthogonal sections of a volume, or a montage.

    Parameters
    ----------
    path : str, path, bytes, readable binary object, DataArray or Dataset
        The file or the array.
    section : int, optional
        Number of the section, from 0; negative numbers count from the end. By default the middle section.
    ortho : bool, optional
        Whether to plot three orthogonal sections through the middle; by default for volumes without `section`.
    montage : int, optional
        Plot this many sections, evenly spaced from the first to the last; more than three have each their own contrast.
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
    'section 3, z = 6 Å'
    >>> path = plot.save("section.png")
    """
    if hasattr(path, "mrc"):  # an array or a dataset of xarray, which this module does not know
        drawn: Plot = path.mrc.plot(section=section, ortho=ortho, montage=montage, contrast=contrast, title=title)
        return drawn
    from mrcarray.reader import open_file

    mrc = open_file(path, kind=kind)
    if mrc.array is None or mrc.layout is None:
        raise MrcFormatError("the pixels cannot be located", mrc.path, mrc.issues)
    choice = Choice(section, ortho, montage)
    views = choice.views(grid_of(mrc), volume=mrc.layout.kind is Kind.VOLUME, kind=str(mrc.layout.kind))
    return draw(views, contrast=contrast, title=title or mrc.path.rsplit("/", 1)[-1])


def draw(views: Sequence[View], *, contrast: float, title: str) -> Plot:
    """Return the plot of sections.

    Parameters
    ----------
    views : sequence of View
        The sections, at least one.
    contrast : float
        Percentage of the pixels that become black, and of those that become white.
    title : str
        Text above the plot.

    Raises
    ------
    MissingDependencyError
        When matplotlib is not installed.
    MrcValueError
        When `contrast` is invalid.
    """
    if not 0 <= contrast < 50:  # noqa: PLR2004 -- percent on either side
        raise MrcValueError(f"contrast is {contrast}; expected a percentage of at least 0 and below 50")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("plotting", str(error.name), "plot") from error
    shown = [_real(view.pixels) for view in views]
    several = len(views) > _DIMS  # more than the orthogonal sections of a volume, which are comparable
    limits = [_limits([pixels], contrast) for pixels in shown] if several else [_limits(shown, contrast)] * len(shown)
    columns = math.ceil(math.sqrt(len(views))) if several else len(views)
    figure, grid = _figure(Figure, views, columns)
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(title))
    unit, scale = _unit(views)
    for number, (view, pixels) in enumerate(zip(views, shown, strict=True)):
        axes = figure.add_subplot(grid[divmod(number, columns)])
        width = _show(axes, view, pixels, limits[number], scale)
        if several:
            axes.set_xticks([])
            axes.set_yticks([])
        else:
            axes.set_ylabel(f"{view.names[0]} [{unit}]")
            axes.set_xlabel(f"{view.names[1]} [{unit}]")
        if number == 0 or not several:
            _bar(axes, width, unit)
    return Plot(figure)


def _figure(make: Callable[..., Figure], views: Sequence[View], columns: int) -> tuple[Figure, Any]:
    """Return a figure with the proportions of the sections, and its grid."""
    rows = math.ceil(len(views) / columns)
    widths = [abs(view.extent[1][1] - view.extent[1][0]) for view in views[:columns]]
    tallest = max(abs(view.extent[0][1] - view.extent[0][0]) for view in views)
    width = _INCHES * min(columns, _DIMS)
    height = min(_TALLEST, rows * (width * tallest / sum(widths) + _MARGIN))
    figure = make(figsize=(width, height + _MARGIN / 2), dpi=_DPI, layout="constrained")
    return figure, figure.add_gridspec(rows, columns, width_ratios=widths)


def _show(axes: Any, view: View, pixels: NDArray[Any], limits: tuple[float, float], scale: float) -> float:
    """Draw a section, and return how wide it is in the unit of the axes."""
    (bottom, top), (left, right) = (tuple(edge / scale for edge in edges) for edges in view.extent)
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=limits[0],
        vmax=limits[1],
        origin="lower",
        extent=(left, right, bottom, top),
        interpolation="nearest",
    )
    axes.set_title(view.text)
    return right - left


def _limits(images: Sequence[NDArray[Any]], contrast: float) -> tuple[float, float]:
    """Return the values that become black and white."""
    import numpy as np

    values = np.concatenate([pixels.reshape(-1) for pixels in images])
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [contrast, 100 - contrast]) if values.size else (0.0, 1.0)
    return float(low), float(high)


def _unit(views: Sequence[View]) -> tuple[str, float]:
    """Return the unit of the axes, and its length in that of the positions: nm where numbers in Å would be long."""
    if not all(view.known for view in views):
        return "pixel", 1.0
    longest = max(abs(edge) for view in views for edges in view.extent for edge in edges)
    return ("nm", 10.0) if longest > _IN_NM else ("\u00c5", 1.0)


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

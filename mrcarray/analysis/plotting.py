"""Pictures of files: a section, or three orthogonal ones, with axes in angstrom and a scale bar.

Only the sections that are shown are read, thinned out where they have more pixels than a picture shows. The first row
is at the bottom, as in the format.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from mrcarray.errors import MissingDependencyError, MrcFormatError, MrcValueError
from mrcarray.format.kinds import kind_hint
from mrcarray.format.layout import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mrcarray.format.geometry import Geometry
    from mrcarray.reader import Mrc

__all__ = ["draw"]

MOST = 2048
"""Pixels along an axis that are shown at most."""

_INCHES, _DPI = 6.0, 120
_DIMS = 3
_WORDS = ("section", "row", "column")
"""What a pixel is one of along the axes of a volume, slowest first."""


def draw(  # noqa: PLR0913 -- what to draw of which file, and how
    path: Any,
    *,
    section: int | None = None,
    ortho: bool | None = None,
    contrast: float = 0.5,
    title: str | None = None,
    kind: str = "auto",
) -> bytes:
    r"""Draw a file as PNG.

    Parameters
    ----------
    path : str, path, bytes or readable binary object
        The file.
    section : int, optional
        Which section; by default the middle one. Negative numbers count from the end.
    ortho : bool, optional
        Whether to draw three orthogonal sections through the middle; by default for volumes when no section is asked
        for.
    contrast : float
        Percent of the pixels shown that are black, and that are white.
    title : str, optional
        Text above the picture.
    kind : str
        As for `mrcarray.open_file`: "volume" draws a file as one that is taken for a stack.

    Returns
    -------
    bytes
        A PNG picture.

    Raises
    ------
    MissingDependencyError
        When matplotlib is not installed.
    MrcValueError
        When there is no such section.

    Examples
    --------
    >>> draw("tomo.mrc", section=3)[:4]
    b'\x89PNG'
    """
    from mrcarray.reader import open_file

    if not 0 <= contrast < 50:  # noqa: PLR2004 -- percent on either side
        raise MrcValueError(f"contrast is {contrast}; expected 0 to 50 percent")
    if ortho and section is not None:
        raise MrcValueError("pass either `section` or `ortho`, not both")
    mrc = open_file(path, kind=kind)
    if mrc.array is None or mrc.layout is None:
        raise MrcFormatError("the pixels cannot be located", mrc.path, mrc.issues)
    if 0 in mrc.array.shape:
        raise MrcValueError("the file declares no data to draw")
    volume = mrc.layout.kind is Kind.VOLUME
    if ortho and not volume:
        text = f"three orthogonal sections need a volume; the kind of this file is {mrc.layout.kind}"
        raise MrcValueError(text, hint=None if mrc.layout.kind is Kind.IMAGE else kind_hint(Kind.VOLUME))
    views = _ortho(mrc) if (volume and section is None if ortho is None else ortho) else [_section(mrc, section)]
    return _png(views, contrast, title or mrc.path.rsplit("/", 1)[-1])


class _View:
    """One picture: its pixels, the names of its axes, and the places of their edges."""

    def __init__(self, mrc: Mrc, key: tuple[Any, ...], axes: tuple[int, int], text: str) -> None:
        grid, geometry = mrc.layout.grid if mrc.layout is not None else (), mrc.geometry()
        key = tuple(slice(None, None, _thin(grid[i])) if i in axes else k for i, k in enumerate(key))
        self.pixels: NDArray[Any] = mrc.array[key]  # type: ignore[index]
        names = _names(mrc)
        self.names = tuple(names[axis] for axis in axes)
        self.unit = "angstrom" if geometry.known else "pixel"
        self.extent = tuple(_edges(geometry, name, grid[axis]) for name, axis in zip(self.names, axes, strict=True))
        self.text = text


def _names(mrc: Mrc) -> tuple[str, ...]:
    """Return x, y or z for every axis of the pixels, nothing for those that count."""
    grid, axes = mrc.layout.grid if mrc.layout is not None else (), mrc.geometry().axes
    return ("",) * (len(grid) - len(axes)) + axes


def _where(mrc: Mrc, axis: int, index: int) -> str:
    """Return the place of a section along an axis, in the unit of the axes; nothing for an axis that counts."""
    name, geometry = _names(mrc)[axis], mrc.geometry()
    if not name or not geometry.known:
        return ""
    return f"{name} = {_place(geometry, name, index):g} angstrom"


def _thin(length: int) -> int:
    return max(1, math.ceil(length / MOST))


def _edges(geometry: Geometry, name: str, length: int) -> tuple[float, float]:
    return _place(geometry, name, -0.5), _place(geometry, name, length - 0.5)


def _place(geometry: Geometry, name: str, index: float) -> float:
    """Return where a voxel is along an axis, in angstrom; its number where voxels have no size."""
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
        raise MrcValueError(f"there is no section {number}; the file has {count}")
    number %= count
    lead: list[int] = []
    rest = number
    for length in reversed(stack):
        rest, place = divmod(rest, length)
        lead.insert(0, place)
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


def _png(views: list[_View], contrast: float, title: str) -> bytes:
    import numpy as np

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(f"pictures need {error.name}; install mrcarray[plot]") from error
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
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _plain(text: str) -> str:
    """Return text in which matplotlib sees no mathematics, and no font lacks a character of."""
    return text.encode("ascii", "backslashreplace").decode().replace("$", r"\$")


def _real(pixels: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.log1p(np.abs(pixels)) if pixels.dtype.kind == "c" else pixels


def bar_length(width: float) -> float:
    """Return a round length of about a fifth of a width.

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

"""Small files to try things with: `example` makes a tomogram, a tilt series, a micrograph, half maps and particles.

They are computed, so that nothing is downloaded, and every computer has the same ones. The scene of the tomogram and of
the tilt series is a list of points: vesicles, filaments and particles in ice.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from mrcarray.errors import MrcValueError
from mrcarray.storage.cache_folder import cache_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["example"]

_VERSION = "1"
"""Changes when an example does, so that no old file is taken for it."""

_TOMOGRAM = (64, 160, 200)
_TOMOGRAM_VOXEL = 13.5
_TILTS = tuple(range(-60, 61, 6))
_MAP = 64
_MAP_VOXEL = 2.8
_BOX = 48


@overload
def example(name: Literal["half_maps"], folder: str | os.PathLike[str] | None = ...) -> tuple[Path, Path]: ...


@overload
def example(
    name: Literal["tomogram", "tilt_series", "micrograph", "particles"], folder: str | os.PathLike[str] | None = ...
) -> Path: ...


def example(name: str, folder: str | os.PathLike[str] | None = None) -> Path | tuple[Path, Path]:
    """Return the path of a small file to try things with; it is made when it does not exist yet.

    Parameters
    ----------
    name : {"tomogram", "tilt_series", "micrograph", "half_maps", "particles"}
        ``"tomogram"``: a volume of 64 x 160 x 200 voxels of 13.5 Å, with vesicles, filaments and particles.
        ``"tilt_series"``: 21 projections of it from -60 to 60 degrees, with a SerialEM mdoc.
        ``"micrograph"``: an image of 512 x 512 pixels of 2.8 Å with particles and Thon rings.
        ``"half_maps"``: two maps of one particle with different noise.
        ``"particles"``: a STAR file that lists 64 particles, with their image stack.
    folder : str or path, optional
        Where the files are made: by default in the user's cache folder (``MRCARRAY_CACHE_FOLDER`` or
        ``~/.cache/mrcarray``).

    Returns
    -------
    pathlib.Path, or two of them
        Two for ``"half_maps"``.

    Raises
    ------
    MrcValueError
        When there is no such example.

    Examples
    --------
    >>> import mrcarray
    >>> mrcarray.open_dataarray(mrcarray.example("tomogram")).mrc.voxel_size
    (13.5, 13.5, 13.5)
    """
    if name not in _MAKERS:
        raise MrcValueError(f"there is no example {name!r}; expected one of {', '.join(_MAKERS)}")
    files, make = _MAKERS[name]
    target = Path(folder) if folder is not None else _cache_folder()
    paths = tuple(target / file for file in files)
    if not all(path.exists() for path in paths):
        target.mkdir(parents=True, exist_ok=True)
        make(target)  # the same pixels in every process, each file complete when it gets its name
    return (paths[0], paths[1]) if name == "half_maps" else paths[0]


def _cache_folder() -> Path:
    return (cache_folder() or Path(tempfile.gettempdir(), "mrcarray")) / f"examples-{_VERSION}"


# the scene


def _shell(rng: np.random.Generator, centre: Any, radius: float, points: int) -> NDArray[Any]:
    """Return points on a sphere with two leaflets, as a membrane has them."""
    directions = rng.normal(size=(points, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return np.asarray(centre) + directions * (radius + rng.choice([-1.3, 1.3], points)[:, None])


@functools.cache
def _scene() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return points (z, y, x) in voxels from the centre of the tomogram, and the weight of each."""
    rng = np.random.default_rng(2014)
    parts, weights = [], []

    def add(points: NDArray[Any], weight: float) -> None:
        parts.append(points)
        weights.append(np.full(len(points), weight))

    for centre, radius in (((0, -30, -45), 26), ((6, 38, 20), 20), ((-8, -18, 50), 14), ((4, 45, -62), 11)):
        add(_shell(rng, centre, radius, 1200 * radius), 0.6)
    for slope, start in ((0.35, -62), (-0.2, 66)):  # filaments: helices around an axis
        along = np.linspace(-105, 105, 9000)
        turn = along * 1.1
        axis = np.stack([3 * np.sin(along / 30), start + slope * along, along], axis=1)
        add(axis + np.stack([2 * np.sin(turn), 2 * np.cos(turn), 0 * turn], axis=1), 0.35)
    for centre in rng.uniform((-24, -74, -94), (24, 74, 94), size=(60, 3)):  # particles: two lobes
        lobe = rng.normal(size=3) * 2.2
        add(centre + rng.normal(size=(260, 3)) * 1.7, 0.9)
        add(centre + lobe + rng.normal(size=(140, 3)) * 1.2, 0.9)
    return np.concatenate(parts), np.concatenate(weights)


def _drawn(points: NDArray[Any], weights: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the density of points around the centre of an array."""
    half = np.array(shape) / 2
    found: NDArray[Any] = np.histogramdd(
        points + half, bins=shape, range=[(0, length) for length in shape], weights=weights
    )[0]
    return found


def _filtered(values: NDArray[Any], weight: Callable[..., NDArray[Any]]) -> NDArray[Any]:
    """Multiply the Fourier transform by a function of the frequencies (z, y, x), in 1 / voxel."""
    axes = [np.fft.fftfreq(length) for length in values.shape[:-1]] + [np.fft.rfftfreq(values.shape[-1])]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.fft.irfftn(np.fft.rfftn(values) * weight(*grid), values.shape, axes=range(values.ndim))


def _low_pass(resolution: float) -> Callable[..., NDArray[Any]]:
    """Return a Gaussian that falls to a half at `resolution` voxels."""
    return lambda *axes: np.exp(-np.log(2) * sum((axis**2 for axis in axes), np.zeros(())) * resolution**2)


def _in_wedge(z: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Return 1 where tilts of up to 60 degrees around y measure, else 0, with a soft edge."""
    weight: NDArray[Any] = (
        np.clip(8 * (np.abs(x) * np.tan(np.radians(60)) - np.abs(z)) / (np.abs(z) + 0.02) + 1, 0, 1) + 0 * y
    )
    return weight


def _thon(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """Return a contrast transfer function: dark protein, Thon rings, an envelope."""
    squared = x**2 + y**2
    function: NDArray[Any] = -np.sin(260 * squared + 0.12) * np.exp(-18 * squared)
    return function


def _scaled(values: NDArray[Any], deviation: float = 1.0) -> NDArray[Any]:
    out: NDArray[Any] = (values - values.mean()) * (deviation / values.std())
    return out


# the files


def _make_tomogram(folder: Path) -> None:
    points, weights = _scene()
    density = _filtered(_drawn(points, weights, _TOMOGRAM), _low_pass(2.2))
    noise = _filtered(np.random.default_rng(1).normal(size=_TOMOGRAM), _low_pass(2.5))
    seen = _filtered(0.8 * _scaled(noise) - _scaled(density), _in_wedge)
    _write(
        folder / "tomogram.mrc", _scaled(seen), _TOMOGRAM_VOXEL, kind="volume", label="Example: tomogram of vesicles"
    )


def _make_tilt_series(folder: Path) -> None:
    from mrcarray.xarray_backend import sidecars

    points, weights = _scene()
    rng = np.random.default_rng(2)
    frames = []
    for angle in np.radians(_TILTS):
        turned = np.stack([points[:, 1], points[:, 2] * np.cos(angle) + points[:, 0] * np.sin(angle)], axis=1)
        image = _filtered(_drawn(turned, weights, _TOMOGRAM[1:]), _low_pass(2.2))
        thickness = 1 / np.cos(angle)
        noise = _filtered(rng.normal(size=image.shape), _low_pass(1.5))
        frames.append(1000 / thickness - 10 * image / image.std() + 18 * np.sqrt(thickness) * noise)
    name = "tilt_series.mrc"
    lines = [
        f"PixelSpacing = {_TOMOGRAM_VOXEL}",
        f"ImageFile = {name}",
        f"ImageSize = {_TOMOGRAM[2]} {_TOMOGRAM[1]}",
        "DataMode = 1",
        "",
        "[T = SerialEM: example of mrcarray]",
        "",
    ]
    order = sorted(range(len(_TILTS)), key=lambda number: (abs(_TILTS[number]), _TILTS[number]))
    for number, angle in enumerate(_TILTS):
        lines += [
            f"[ZValue = {number}]",
            f"TiltAngle = {angle}",
            "ExposureDose = 3",
            f"PriorRecordDose = {3 * order.index(number)}",
        ]
        lines += [f"Defocus = {-4 - 0.002 * angle:g}", f"PixelSpacing = {_TOMOGRAM_VOXEL}", ""]
    sidecars.write(str(folder / f"{name}.mdoc"), "\n".join(lines), overwrite=True)
    values = np.rint(frames).astype("i2")
    _write(folder / name, values, _TOMOGRAM_VOXEL, kind="image_stack", label="Example: tilt series of vesicles")


@functools.cache
def _structure() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the points and weights of a particle with four subunits around z."""
    rng = np.random.default_rng(3)
    steps = np.repeat(rng.normal(size=(130, 3)), 14, axis=0)
    chain = np.cumsum(steps, axis=0) + 3 * rng.normal(size=steps.shape)
    chain = (chain - chain.mean(0)) / chain.std(0) * (7.5, 4.2, 4.2) + (0, 0, 10)
    turns = [
        np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) for a in np.pi / 2 * np.arange(4)
    ]
    points = np.concatenate([chain @ turn.T for turn in turns])
    return points, np.ones(len(points))


def _make_half_maps(folder: Path) -> None:
    points, weights = _structure()
    signal = _scaled(_filtered(_drawn(points, weights, (_MAP,) * 3), _low_pass(3.0)))
    for number in (1, 2):
        noise = np.random.default_rng(10 + number).normal(size=signal.shape)
        values = signal + 0.4 * _filtered(noise, lambda z, y, x: 0.1 + 2 * np.sqrt(z**2 + y**2 + x**2))
        label = f"Example: half map {number}"
        _write(folder / f"half_map_{number}.mrc", values, _MAP_VOXEL, kind="volume", label=label)


def _projected(rng: np.random.Generator, angles: Any) -> NDArray[Any]:
    """Return the points (y, x) of the turned particle; the angles are rotation, tilt and psi in degrees (RELION)."""
    rot, tilt, psi = np.radians(angles)
    points = _structure()[0][:, ::-1]  # x, y, z
    for axis, angle in ((2, rot), (1, tilt), (2, psi)):
        cos, sin = np.cos(angle), np.sin(angle)
        turn = {
            2: [[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]],
            1: [[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]],
        }[axis]
        points = points @ np.array(turn).T
    return points[:, 1::-1] + rng.normal(size=(len(points), 2)) * 0.4


def _make_micrograph(folder: Path) -> None:
    rng = np.random.default_rng(4)
    size = 512
    found = [_projected(rng, rng.uniform(0, 360, 3)) + (at - size / 2) for at in _spread(rng, 70, size)]
    points = np.concatenate(found)
    image = _drawn(points, np.ones(len(points)), (size, size))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    ice = 6 * x - 4 * y + 5 * np.sin(2 * x + 3 * y)
    seen = _filtered(image / image.std() + 1.6 * rng.normal(size=image.shape), _thon)
    values = np.rint(500 + 3 * ice + 40 * _scaled(seen)).astype("i2")
    _write(folder / "micrograph.mrc", values, _MAP_VOXEL, kind="image", label="Example: micrograph with Thon rings")


def _spread(rng: np.random.Generator, count: int, size: int) -> NDArray[Any]:
    """Return positions that are a particle apart."""
    found: list[NDArray[Any]] = []
    while len(found) < count:
        at = rng.uniform(30, size - 30, 2)
        if all(np.hypot(*(at - other)) > 46 for other in found):  # noqa: PLR2004 -- pixels of a particle
            found.append(at)
    return np.array(found)


def _make_particles(folder: Path) -> None:
    from mrcarray.xarray_backend import sidecars

    rng = np.random.default_rng(5)
    views = np.array([(0, 0, 0), (0, 90, 0), (45, 90, 0), (0, 45, 0)])[np.arange(64) % 4].astype(float)
    views[:, 2] = rng.uniform(0, 360, len(views)).round(2)
    images = []
    for angles in views:
        points = _projected(rng, angles)
        image = _filtered(_drawn(points, np.ones(len(points)), (_BOX, _BOX)), _low_pass(2.0))
        images.append(_scaled(-image) + 1.2 * _filtered(rng.normal(size=image.shape), _low_pass(1.2)))
    _write(folder / "particles.mrcs", np.array(images), _MAP_VOXEL, kind="image_stack", label="Example: particles")
    columns = ("ImageName", "AngleRot", "AngleTilt", "AnglePsi", "DefocusU", "DefocusV", "DefocusAngle", "OpticsGroup")
    optics = (
        "OpticsGroup",
        "OpticsGroupName",
        "Voltage",
        "SphericalAberration",
        "ImagePixelSize",
        "ImageSize",
        "ImageDimensionality",
    )
    lines = ["# version 30001", "", "data_optics", "", "loop_"]
    lines += [f"_rln{name} #{number}" for number, name in enumerate(optics, 1)]
    lines += [
        f"1 opticsGroup1 300.0 2.7 {_MAP_VOXEL} {_BOX} 2",
        "",
        "# version 30001",
        "",
        "data_particles",
        "",
        "loop_",
    ]
    lines += [f"_rln{name} #{number}" for number, name in enumerate(columns, 1)]
    for number, (rot, tilt, psi) in enumerate(views, 1):
        focus = 12000 + 40 * number
        lines.append(f"{number:06d}@particles.mrcs {rot:g} {tilt:g} {psi:g} {focus} {focus - 150} 30 1")
    sidecars.write(str(folder / "particles.star"), "\n".join([*lines, ""]), overwrite=True)


def _write(path: Path, values: NDArray[Any], voxel_size: float, *, kind: str, label: str) -> None:
    from mrcarray.xarray_backend.write import to_mrc

    pixels = values.astype("f4") if values.dtype.kind == "f" else values
    to_mrc(pixels, path, voxel_size=voxel_size, kind=kind, label=label, overwrite=True, progress=False)


_MAKERS: dict[str, tuple[tuple[str, ...], Callable[[Path], None]]] = {
    "tomogram": (("tomogram.mrc",), _make_tomogram),
    "tilt_series": (("tilt_series.mrc", "tilt_series.mrc.mdoc"), _make_tilt_series),
    "micrograph": (("micrograph.mrc",), _make_micrograph),
    "half_maps": (("half_map_1.mrc", "half_map_2.mrc"), _make_half_maps),
    "particles": (("particles.star", "particles.mrcs"), _make_particles),
}
"""The files of each example, the main ones first, and the function that makes them."""

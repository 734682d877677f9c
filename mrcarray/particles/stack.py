"""The lazy array: one image for each particle, from as many files as the table names."""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mrcarray import reader
from mrcarray.errors import MrcError, MrcFormatError, printable
from mrcarray.particles.table import ONE_IMAGE, Images

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from numpy.typing import NDArray

    from mrcarray.array import MrcArray
    from mrcarray.particles.table import Rows
    from mrcarray.reader import Mrc

__all__ = ["ParticleStack", "check_section", "checked", "open_images"]

_AXES = 3


def open_images(path: str, rows: Rows, row: int) -> Mrc:
    """Open a file as a stack of images, whatever kind its header declares.

    Raises
    ------
    FileNotFoundError, MrcFormatError
        When it cannot be opened; the message names the row of the table.
    """
    try:
        return reader.open_file(path, kind="image_stack")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{rows.name(row)}: no file {printable(path)}; pass root=DIRECTORY") from error
    except MrcError as error:
        raise MrcFormatError(f"{rows.name(row)}: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class ParticleStack:
    """Images of particles, shape (particle, row, column), read when they are indexed.

    An index along the first axis is grouped by file and sorted, so that each file is read once and in order; the images
    are then put where the index wants them. Only the bytes of the selected pixels are read.

    Parameters
    ----------
    images : Images
        Where they are; `files` are paths that can be opened.
    shape : tuple of int
        Particles, rows, columns.
    dtype : dtype
        Native; images stored in a smaller type are converted.
    rows : Rows
        Names rows of the table in errors.
    arrays : dict of int to MrcArray
        Files that are open already, by their number in ``images.files``; others are opened by the first read.
    """

    images: Images
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    rows: Rows
    arrays: dict[int, MrcArray]

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return _AXES

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read what integers, slices and at most one array or mask select."""
        parts = _expanded(key)
        if sum(isinstance(part, np.ndarray) for part in parts) > 1:
            raise IndexError("an index with several arrays is ambiguous; use oindex (by axis) or vindex (points)")
        return self._outer(parts)

    @property
    def oindex(self) -> _Indexer:
        """Indexing in which every array or mask chooses along its own axis."""
        return _Indexer(self, pointwise=False)

    @property
    def vindex(self) -> _Indexer:
        """Indexing in which arrays name points; the axes of the points come first."""
        return _Indexer(self, pointwise=True)

    def __dask_tokenize__(self) -> Hashable:
        from dask.base import normalize_token

        known = [self.arrays[code].__dask_tokenize__() for code in sorted(self.arrays)]
        facts = self.images.files, self.images.codes, self.images.sections, self.shape, self.dtype.str, known
        token: Hashable = ("mrcarray.ParticleStack", *(normalize_token(fact) for fact in facts))
        return token

    def _outer(self, parts: tuple[Any, ...]) -> NDArray[Any]:
        """Read an outer selection; integers drop their axis."""
        first, *plane = parts
        chosen = np.arange(len(self))[first]
        single = chosen.ndim == 0
        values = self._images(np.atleast_1d(chosen), tuple(plane))
        return values[0] if single else values

    def _images(self, chosen: NDArray[np.int64], plane: tuple[Any, ...]) -> NDArray[Any]:
        """Read `plane` of the images of the particles `chosen`, in their order."""
        kept = tuple(n for n in (_length(part, n) for part, n in zip(plane, self.shape[1:], strict=True)) if n >= 0)
        out = np.empty((chosen.size, *kept), dtype=self.dtype)
        for array, sections, where in self._files(chosen):
            out[where] = array.oindex[(sections, *plane)]
        return out

    def _points(self, parts: tuple[Any, ...]) -> NDArray[Any]:
        """Read points, whose axes come first; along an axis with a slice, all of it for each point."""
        along = [axis for axis, part in enumerate(parts) if not isinstance(part, slice)]
        arrays = np.broadcast_arrays(*(np.asarray(parts[axis]) for axis in along)) if along else []
        shape = arrays[0].shape if along else ()
        points = {axis: np.arange(self.shape[axis])[one.ravel()] for axis, one in zip(along, arrays, strict=True)}
        chosen, repeats = points.get(0, np.zeros(0, dtype=np.int64)), 1
        if 0 not in points:  # the same points in every particle
            each = np.arange(len(self))[parts[0]]
            count, repeats = int(np.prod(shape)), each.size
            chosen = np.repeat(each, count)
            points = {axis: np.tile(one, repeats) for axis, one in points.items()}
        kept = tuple(len(range(self.shape[axis])[parts[axis]]) for axis in (1, 2) if axis not in points)
        out = np.empty((chosen.size, *kept), dtype=self.dtype)
        for array, sections, where in self._files(chosen):
            plane = (points[axis][where] if axis in points else parts[axis] for axis in (1, 2))
            out[where] = array.vindex[(sections, *plane)]
        if 0 in points:
            return out.reshape(*shape, *kept)
        return np.moveaxis(out.reshape(repeats, *shape, *kept), 0, len(shape))

    def _files(self, chosen: NDArray[np.int64]) -> Iterator[tuple[MrcArray, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each file of some particles, its sections in rising order, and where in `chosen` these are."""
        codes, sections = self.images.codes[chosen], self.images.sections[chosen]
        order = np.lexsort((sections, codes))
        edges = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-1)).tolist() if chosen.size else [0]
        for start, stop in itertools.pairwise(edges):
            where = order[start:stop]
            array = self._array(int(codes[where[0]]), int(chosen[where[0]]))
            for end in (where[0], where[-1]):  # the sections are sorted: if the first and the last exist, all do
                check_section(array, int(sections[end]), self.rows, int(chosen[end]))
            yield array, np.maximum(sections[where], 0), where

    def _array(self, code: int, row: int) -> MrcArray:
        """Return the pixels of a file, which is opened if no read has done so."""
        if code not in self.arrays:
            mrc = open_images(self.images.files[code], self.rows, row)
            self.arrays[code] = checked(mrc, self.shape[1:], self.dtype, self.rows, row)
        return self.arrays[code]


@dataclass(frozen=True, slots=True)
class _Indexer:
    """What `ParticleStack.oindex` and `ParticleStack.vindex` return."""

    stack: ParticleStack
    pointwise: bool

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = _expanded(key)
        return self.stack._points(parts) if self.pointwise else self.stack._outer(parts)  # noqa: SLF001 -- its helper


def checked(mrc: Mrc, image: tuple[int, ...], dtype: np.dtype[Any] | None, rows: Rows, row: int) -> MrcArray:
    """Return the pixels of a file if its images have the shape, and a type that fits.

    Raises
    ------
    MrcFormatError
        When they do not; the message names the row of the table.
    """
    array = mrc.array
    if array is None or array.ndim != _AXES or array.shape[1:] != image:
        found = "no data" if array is None else _times(array.shape[1:])
        text = f"the images of {printable(mrc.path)} have {found} pixels; expected {_times(image)} as in the first file"
        raise MrcFormatError(f"{rows.name(row)}: {text}")
    if dtype is not None and not np.can_cast(array.dtype, dtype, "safe"):
        text = (
            f"{rows.name(row)}: the images of {printable(mrc.path)} are {array.dtype}, those of the first file {dtype}"
        )
        raise MrcFormatError(f'{text}; pass check="headers" to find a type for all')
    return array


def check_section(array: MrcArray, section: int, rows: Rows, row: int) -> None:
    """Raise `MrcFormatError` unless a file has the section that a row of the table names."""
    count, name = array.shape[0], printable(array.source.name)
    if section == ONE_IMAGE and count != 1:
        raise MrcFormatError(f"{rows.name(row)}: {name} has {count} images; expected NUMBER@FILE to choose one")
    if section >= count:
        raise MrcFormatError(f"{rows.name(row)}: image {section + 1} of {name}, which has {count} (the first is 1)")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _expanded(key: Any) -> tuple[Any, ...]:
    """Return one part for each axis; lists become arrays, and masks the positions where they are true."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        fill = (slice(None),) * (_AXES - len(parts) + 1)
        parts = (*parts[:at], *fill, *parts[at + 1 :])
    if len(parts) > _AXES:
        raise IndexError(f"too many indices: {len(parts)} for {_AXES} axes")
    return tuple(map(_positions, parts)) + (slice(None),) * (_AXES - len(parts))


def _positions(part: Any) -> Any:
    if isinstance(part, slice):
        return part
    array = np.asarray(part)
    if array.dtype == np.bool_:
        return np.flatnonzero(array)
    return array.astype(np.int64) if array.ndim else operator.index(part)


def _length(part: Any, length: int) -> int:
    """Return how many pixels a part keeps of an axis; -1 if it drops the axis."""
    return len(range(length)[part]) if isinstance(part, slice) else len(part) if np.ndim(part) else -1

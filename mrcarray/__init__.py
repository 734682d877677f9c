"""MRC files (cryo-EM maps, movies, tilt series, tomograms) as lazy dask and xarray arrays.

::

    import xarray as xr
    ds = xr.open_dataset("tomo.mrc", engine="mrc", chunks={})    # lazy, labelled in ångström
    ds.data.sel(z=slice(100, 250)).mean("z").compute()

The functions, classes and modules of mrcfile (`open`, `new`, `read`, `write`, `mmap`, `validate`, `MrcFile`, ``utils``
...) mean what they mean there: ``import mrcarray as mrcfile``, or ``from mrcarray import classic as mrcfile``.

Without xarray: `open_array` (reads what it is indexed with), `from_mrc` (a dask array), `read_header`.

Many files of one shape as one array: `open_stack`.

The commands of ``mrcarray`` are functions too: `header_report`, `check`, `fix`, `stats`, `diff`, `plot`, `convert`.

The packages, from the lowest layer up:

- ``errors``: every exception and warning. ``urls``: names of files. ``progress``: progress bars.
- ``format``: what the bytes mean. Pure values; never opens a file.
- ``storage``: where the bytes are. Ranges of bytes; knows nothing of MRC.
- ``array``: `MrcArray`, a layout joined to a source. ``statistics``: minimum, maximum, mean and RMS of pixels.
- ``block_writer``, ``region_writer``, ``writer``: write blocks, regions of existing files, new files.
- ``reader``: opens files, and raises, warns about or lists their problems.
- ``analysis``: one pass over pixels: histograms, differences, plots, header reports.
- ``validation``, ``repair``: check files, and fix them.
- ``dask_io``, ``xarray_backend``: dask arrays; the xarray engine and `to_mrc`.
- ``conversion``: other formats (netCDF, Zarr, TIFF).
- ``particles``: particle images listed in STAR and ``.cs`` files. ``virtual``: Zarr manifests of files. ``napari``: the
  plugin for napari.
- ``classic``: the API of mrcfile, drop-in.
- ``accessor``: ``.mrc``, the methods that all of these add to the objects of xarray.
- ``cli``: the command ``mrcarray``.

Importing the package imports neither xarray nor dask: each name below is imported from its module when it is first
used. The accessor ``.mrc`` is registered when xarray is imported, before or after this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mrcarray import submodules as _submodules
from mrcarray.xarray_backend import import_hook as _hook

if TYPE_CHECKING:
    from mrcarray.analysis.compare.differences import diff as diff
    from mrcarray.analysis.header_report import header_report as header_report
    from mrcarray.analysis.histogram import stats as stats
    from mrcarray.analysis.plotting import plot as plot
    from mrcarray.array import MrcArray as MrcArray
    from mrcarray.classic import bzip2mrcfile as bzip2mrcfile
    from mrcarray.classic import command_line as command_line
    from mrcarray.classic import constants as constants
    from mrcarray.classic import dtypes as dtypes
    from mrcarray.classic import future_mrcfile as future_mrcfile
    from mrcarray.classic import gzipmrcfile as gzipmrcfile
    from mrcarray.classic import load_functions as load_functions
    from mrcarray.classic import mrcfile as mrcfile
    from mrcarray.classic import mrcinterpreter as mrcinterpreter
    from mrcarray.classic import mrcmemmap as mrcmemmap
    from mrcarray.classic import mrcobject as mrcobject
    from mrcarray.classic import utils as utils
    from mrcarray.classic import validator as validator
    from mrcarray.classic import version as version
    from mrcarray.classic.bzip2mrcfile import Bzip2MrcFile as Bzip2MrcFile
    from mrcarray.classic.future_mrcfile import FutureMrcFile as FutureMrcFile
    from mrcarray.classic.gzipmrcfile import GzipMrcFile as GzipMrcFile
    from mrcarray.classic.load_functions import mmap as mmap
    from mrcarray.classic.load_functions import new as new
    from mrcarray.classic.load_functions import new_mmap as new_mmap
    from mrcarray.classic.load_functions import open as open  # noqa: A004 -- the name it has in mrcfile
    from mrcarray.classic.load_functions import open_async as open_async
    from mrcarray.classic.load_functions import read as read
    from mrcarray.classic.load_functions import write as write
    from mrcarray.classic.mrcfile import MrcFile as MrcFile
    from mrcarray.classic.mrcinterpreter import MrcInterpreter as MrcInterpreter
    from mrcarray.classic.mrcmemmap import MrcMemmap as MrcMemmap
    from mrcarray.classic.mrcobject import MrcObject as MrcObject
    from mrcarray.classic.validator import validate as validate
    from mrcarray.conversion import convert as convert
    from mrcarray.conversion.ome_zarr import to_ome_zarr as to_ome_zarr
    from mrcarray.dask_io.reading import from_mrc as from_mrc
    from mrcarray.dask_io.reading import open_array as open_array
    from mrcarray.dask_io.reading import open_dataarray as open_dataarray
    from mrcarray.dask_io.reading import open_dataset as open_dataset
    from mrcarray.errors import ClosedError as ClosedError
    from mrcarray.errors import CompressionError as CompressionError
    from mrcarray.errors import ConflictError as ConflictError
    from mrcarray.errors import LimitError as LimitError
    from mrcarray.errors import MissingDependencyError as MissingDependencyError
    from mrcarray.errors import MrcError as MrcError
    from mrcarray.errors import MrcFormatError as MrcFormatError
    from mrcarray.errors import MrcValueError as MrcValueError
    from mrcarray.errors import MrcWarning as MrcWarning
    from mrcarray.errors import NotMrcError as NotMrcError
    from mrcarray.errors import OutputExistsError as OutputExistsError
    from mrcarray.errors import StaleFileError as StaleFileError
    from mrcarray.errors import TruncatedError as TruncatedError
    from mrcarray.format.geometry import Geometry as Geometry
    from mrcarray.format.header import Header as Header
    from mrcarray.format.issues import Issue as Issue
    from mrcarray.format.layout import Layout as Layout
    from mrcarray.particles.dataset import open_particles as open_particles
    from mrcarray.reader import Mrc as Mrc
    from mrcarray.reader import open_file as open_file
    from mrcarray.reader import read_header as read_header
    from mrcarray.region_writer import create as create
    from mrcarray.region_writer import finalize as finalize
    from mrcarray.region_writer import write_region as write_region
    from mrcarray.repair.api import fix as fix
    from mrcarray.sample_data import example as example
    from mrcarray.validation import check as check
    from mrcarray.writer import Writer as Writer
    from mrcarray.xarray_backend.stack import open_stack as open_stack
    from mrcarray.xarray_backend.write import to_mrc as to_mrc

__version__ = "0.2.0"

__all__ = [
    "Bzip2MrcFile",
    "ClosedError",
    "CompressionError",
    "ConflictError",
    "FutureMrcFile",
    "Geometry",
    "GzipMrcFile",
    "Header",
    "Issue",
    "Layout",
    "LimitError",
    "MissingDependencyError",
    "Mrc",
    "MrcArray",
    "MrcError",
    "MrcFile",
    "MrcFormatError",
    "MrcInterpreter",
    "MrcMemmap",
    "MrcObject",
    "MrcValueError",
    "MrcWarning",
    "NotMrcError",
    "OutputExistsError",
    "StaleFileError",
    "TruncatedError",
    "Writer",
    "check",
    "convert",
    "create",
    "diff",
    "example",
    "finalize",
    "fix",
    "from_mrc",
    "header_report",
    "mmap",
    "new",
    "new_mmap",
    "open",
    "open_array",
    "open_async",
    "open_dataarray",
    "open_dataset",
    "open_file",
    "open_particles",
    "open_stack",
    "plot",
    "read",
    "read_header",
    "stats",
    "to_mrc",
    "to_ome_zarr",
    "validate",
    "write",
    "write_region",
]

_HOME = {
    "Bzip2MrcFile": "classic.bzip2mrcfile",
    "ClosedError": "errors",
    "CompressionError": "errors",
    "ConflictError": "errors",
    "FutureMrcFile": "classic.future_mrcfile",
    "Geometry": "format.geometry",
    "GzipMrcFile": "classic.gzipmrcfile",
    "Header": "format.header",
    "Issue": "format.issues",
    "Layout": "format.layout",
    "LimitError": "errors",
    "MissingDependencyError": "errors",
    "Mrc": "reader",
    "MrcArray": "array",
    "MrcError": "errors",
    "MrcFile": "classic.mrcfile",
    "MrcFormatError": "errors",
    "MrcInterpreter": "classic.mrcinterpreter",
    "MrcMemmap": "classic.mrcmemmap",
    "MrcObject": "classic.mrcobject",
    "MrcValueError": "errors",
    "MrcWarning": "errors",
    "NotMrcError": "errors",
    "OutputExistsError": "errors",
    "StaleFileError": "errors",
    "TruncatedError": "errors",
    "Writer": "writer",
    "check": "validation",
    "convert": "conversion",
    "create": "region_writer",
    "diff": "analysis.compare.differences",
    "example": "sample_data",
    "finalize": "region_writer",
    "fix": "repair.api",
    "from_mrc": "dask_io.reading",
    "header_report": "analysis.header_report",
    "mmap": "classic.load_functions",
    "new": "classic.load_functions",
    "new_mmap": "classic.load_functions",
    "open": "classic.load_functions",
    "open_array": "dask_io.reading",
    "open_async": "classic.load_functions",
    "open_dataarray": "dask_io.reading",
    "open_dataset": "dask_io.reading",
    "open_file": "reader",
    "open_particles": "particles.dataset",
    "open_stack": "xarray_backend.stack",
    "plot": "analysis.plotting",
    "read": "classic.load_functions",
    "read_header": "reader",
    "stats": "analysis.histogram",
    "to_mrc": "xarray_backend.write",
    "to_ome_zarr": "conversion.ome_zarr",
    "validate": "classic.validator",
    "write": "classic.load_functions",
    "write_region": "region_writer",
}
"""Module that defines each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name from its module, or a submodule of mrcfile, and keep it."""
    value: Any
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _submodules.SUBMODULES:
        value = _submodules.submodule(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, including those not imported yet."""
    return sorted({*globals(), *_HOME, *_submodules.SUBMODULES})


_hook.install()
_submodules.install()

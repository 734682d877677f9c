"""xarray's own tests of a backend, run through our BackendArray.

An MRC file holds one array, so a store made for the test alone puts each variable into a plain file of its own and
reads it back through `MrcBackendArray`.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr
from xarray.backends.common import WritableCFDataStore
from xarray.backends.store import StoreBackendEntrypoint
from xarray.coding import strings
from xarray.core import indexing
from xarray.tests.test_backends import DatasetIOBase

from mrcarray.array import MrcArray
from mrcarray.format.layout import Layout
from mrcarray.storage import open_source
from mrcarray.xarray_backend.engine import MrcBackendArray

if TYPE_CHECKING:
    from collections.abc import Iterator


class _FlatStore(WritableCFDataStore):
    """A folder with one raw file a variable and one JSON file for the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.index: dict[str, Any] = {"attrs": {}, "variables": {}}
        if (folder / "index.json").exists():
            self.index = json.loads((folder / "index.json").read_text())

    def get_variables(self) -> dict[str, xr.Variable]:
        return {row["name"]: self._variable(row) for row in self.index["variables"].values()}

    def _variable(self, row: dict[str, Any]) -> xr.Variable:
        source = open_source(self.folder / row["file"])
        lazy = MrcBackendArray(MrcArray(Layout.raw(tuple(row["shape"]), row["dtype"]), source))
        attrs = {key: _loaded(value) for key, value in row["attrs"].items()}
        return xr.Variable(row["dims"], indexing.LazilyIndexedArray(lazy), attrs)

    def get_attrs(self) -> dict[str, Any]:
        return {key: _loaded(value) for key, value in self.index["attrs"].items()}

    def get_dimensions(self) -> dict[str, int]:
        rows = self.index["variables"].values()
        return {dim: n for row in rows for dim, n in zip(row["dims"], row["shape"], strict=True)}

    def get_encoding(self) -> dict[str, Any]:
        return {}

    def encode_variable(self, v: xr.Variable, name: str | None = None) -> xr.Variable:
        v = strings.EncodedStringCoder(allows_unicode=False).encode(v, name=name)
        encoded: xr.Variable = strings.CharacterArrayCoder().encode(v, name=name)
        return encoded

    def store(self, variables: Any, attributes: Any, *_: Any, **__: Any) -> None:
        variables, attributes = self.encode(variables, attributes)  # type: ignore[no-untyped-call]  # theirs
        self.index["attrs"] = {key: _dumped(value) for key, value in attributes.items()}
        for number, (name, variable) in enumerate(variables.items()):
            values = np.asarray(variable.values)
            (self.folder / f"{number}.raw").write_bytes(np.ascontiguousarray(values).tobytes())
            self.index["variables"][number] = {
                "name": name,
                "file": f"{number}.raw",
                "dims": list(variable.dims),
                "shape": list(values.shape),
                "dtype": values.dtype.str,
                "attrs": {key: _dumped(value) for key, value in variable.attrs.items()},
            }
        (self.folder / "index.json").write_text(json.dumps(self.index))


def _dumped(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray | np.generic):
        return [np.asarray(value).dtype.str, np.asarray(value).tolist()]
    return ["", value]


def _loaded(pair: list[Any]) -> Any:
    dtype, value = pair
    if not dtype:
        return value
    array = np.array(value, dtype=dtype)
    return array[()] if array.ndim == 0 else array


class _FlatEntrypoint(StoreBackendEntrypoint):
    """Opens a folder that `_FlatStore` wrote."""

    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "mask_and_scale",
        "decode_times",
        "concat_characters",
        "decode_coords",
        "drop_variables",
        "use_cftime",
        "decode_timedelta",
    )

    def open_dataset(self, filename_or_obj: Any, **kwargs: Any) -> xr.Dataset:
        return StoreBackendEntrypoint().open_dataset(_FlatStore(Path(filename_or_obj)), **kwargs)


class TestXarraysOwnSuite(DatasetIOBase):
    """Every test of xarray's base class for backends."""

    @contextmanager
    def create_store(self) -> Iterator[_FlatStore]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            yield _FlatStore(Path(folder) / "store")

    @contextmanager
    def roundtrip(
        self,
        data: Any,
        save_kwargs: Any = None,
        open_kwargs: Any = None,
        allow_cleanup_failure: bool = False,  # noqa: ARG002 -- the signature is theirs
    ) -> Iterator[Any]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            self.save(data, path, **(save_kwargs or {}))
            with self.open(path, **(open_kwargs or {})) as ds:
                yield ds

    def save(self, dataset: Any, path: Any, **kwargs: Any) -> None:
        encoding = kwargs.get("encoding") or {}
        dataset = dataset.copy()
        for name, extra in encoding.items():
            dataset[name].encoding.update(extra)
        dataset.dump_to_store(_FlatStore(Path(path)))

    @contextmanager
    def open(self, path: Any, **kwargs: Any) -> Iterator[Any]:
        with xr.open_dataset(path, engine=_FlatEntrypoint, **kwargs) as ds:
            yield ds

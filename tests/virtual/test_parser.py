"""`MRCParser` with VirtualiZarr, Icechunk and a store of objects."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
import xarray as xr

from mrcarray.errors import MrcFormatError, MrcValueError
from mrcarray.virtual import to_kerchunk
from tests.builders import mrc_bytes, sample
from tests.virtual.test_kerchunk import MODES, opened, tilt_series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

virtualizarr = pytest.importorskip("virtualizarr", reason="VirtualiZarr is not installed (extra: virtual)")

from obspec_utils.registry import ObjectStoreRegistry  # noqa: E402 -- comes with VirtualiZarr
from obstore.store import LocalStore, MemoryStore  # noqa: E402 -- as above

from mrcarray.virtual import MRCParser  # noqa: E402 -- as above


@pytest.fixture
def registry() -> Any:
    """Return a registry of local files."""
    return ObjectStoreRegistry({"file://": LocalStore()})


def virtual(path: Path, registry: Any, **options: Any) -> xr.Dataset:
    dataset: xr.Dataset = virtualizarr.open_virtual_dataset(path.as_uri(), registry, parser=MRCParser(**options))
    return dataset


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_manifest_store_reads_every_mode_and_byte_order(tmp_path: Path, registry: Any, mode: int, order: str) -> None:
    path = tmp_path / "a b.mrc"
    path.write_bytes(mrc_bytes(sample((4, 6, 9), mode), mode, order))
    store = MRCParser()(path.as_uri(), registry)
    found = xr.open_zarr(store, consolidated=False, zarr_format=3)
    xr.testing.assert_equal(found.load(), xr.open_dataset(path, engine="mrc"))


def test_parser_is_one_of_virtualizarr() -> None:
    from virtualizarr.parsers.typing import Parser

    assert isinstance(MRCParser(), Parser)


def test_coordinates_are_values(tmp_path: Path, registry: Any) -> None:
    path = tilt_series(tmp_path / "a.mrc", (0, 3, -3))
    (tmp_path / "a.mrc.mdoc").write_text("\n".join(f"[ZValue = {at}]\nSubFramePath = f{at}.tif\n" for at in range(3)))
    found = virtual(path, registry)
    expected = xr.open_dataset(path, engine="mrc")
    assert set(found.coords) == set(expected.coords)
    for name in expected.coords:
        xr.testing.assert_equal(found[name].variable, expected[name].variable)
    assert type(found.data.data).__name__ == "ManifestArray"
    for loadable in ([], ["data"]):
        again = virtualizarr.open_virtual_dataset(
            path.as_uri(), registry, parser=MRCParser(), loadable_variables=loadable
        )
        assert again.tilt_angle.values.tolist() == [0, 3, -3]
    np.testing.assert_array_equal(again.data.values, expected.data.values)


def test_options_are_those_of_the_engine(tmp_path: Path, registry: Any) -> None:
    path = tilt_series(tmp_path / "a.mrc", (0, 3, -3))
    found = virtual(path, registry, kind="movie", extended=False)
    assert found.data.dims == ("frame", "y", "x")
    assert set(found.coords) == {"frame", "y", "x"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", ["<", ">"])
def test_icechunk_reads_every_mode_and_byte_order(tmp_path: Path, registry: Any, mode: int, order: str) -> None:
    path = tmp_path / "a b.mrc"
    path.write_bytes(mrc_bytes(sample((4, 6, 9), mode), mode, order))
    found = through_icechunk(virtual(path, registry), tmp_path)
    xr.testing.assert_equal(found, xr.open_dataset(path, engine="mrc"))


def through_icechunk(dataset: xr.Dataset, folder: Path) -> xr.Dataset:
    """Store references in a repository of Icechunk, and return what they read."""
    icechunk = pytest.importorskip("icechunk", reason="Icechunk is not installed (extra: neighbours)")
    prefix = f"{folder.as_uri()}/"
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(str(folder)))
    )
    allowed = {prefix: getattr(icechunk.credentials, "LocalFileSystemAccess", None)}  # from Icechunk 2 on
    storage = icechunk.local_filesystem_storage(str(folder / "repository"))
    repository = icechunk.Repository.create(storage, config, authorize_virtual_chunk_access=allowed)
    session = repository.writable_session("main")
    dataset.vz.to_icechunk(session.store)
    session.commit("references")
    found: xr.Dataset = xr.open_zarr(repository.readonly_session("main").store, consolidated=False).load()
    return found


def test_eight_tilt_series_are_concatenated(tmp_path: Path, registry: Any) -> None:
    paths = [tilt_series(tmp_path / f"{at}.mrc", (0, 3 + at, -3), at) for at in range(8)]
    every = [virtual(path, registry) for path in paths]
    joined = xr.concat(every, dim="series", coords="different", compat="equals", join="exact")
    found = through_icechunk(joined, tmp_path)
    expected = xr.concat(
        [xr.open_dataset(path, engine="mrc") for path in paths], dim="series", coords="different", compat="equals"
    )
    xr.testing.assert_equal(found, expected)


def test_zero_pixels_stay_zero_in_references_by_virtualizarr(tmp_path: Path, registry: Any) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(np.zeros((2, 3, 4)), 2))
    references = virtual(path, registry).vz.to_kerchunk(format="dict")
    with opened(references) as found:
        assert (found.data.values == 0).all()


def test_objects_of_a_store_are_parsed(tmp_path: Path) -> None:
    store = MemoryStore()
    content = mrc_bytes(sample((4, 6, 9), 101), 101, ">")
    store.put("run/a.mrc", content)
    registry = ObjectStoreRegistry({"s3://bucket": store})
    found = xr.open_zarr(MRCParser()("s3://bucket/run/a.mrc", registry), consolidated=False, zarr_format=3)
    (tmp_path / "a.mrc").write_bytes(content)
    xr.testing.assert_equal(found.load(), xr.open_dataset(tmp_path / "a.mrc", engine="mrc"))


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Start an S3 server on this machine, in a process of its own, for it keeps temporary files open."""
    pytest.importorskip("moto.server", reason="moto is not installed")
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        found = next(filter(None, (re.search(r"Running on (http://\S+)", line) for line in server.stdout)))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # what it logs must go somewhere
        yield found[1]
        server.terminate()


@pytest.mark.slow
def test_s3_objects_are_read_by_both(tmp_path: Path, endpoint: str) -> None:
    from obstore.store import S3Store

    content = mrc_bytes(sample((4, 6, 9), 1), 1, ">")
    (tmp_path / "a.mrc").write_bytes(content)
    expected = xr.open_dataset(tmp_path / "a.mrc", engine="mrc")
    options = {"endpoint_url": endpoint, "key": "testing", "secret": "testing"}
    files = fsspec.filesystem("s3", **options)
    files.mkdir("bucket")
    files.pipe("bucket/a.mrc", content)
    store = S3Store(
        "bucket",
        endpoint=endpoint,
        access_key_id="testing",
        secret_access_key="testing",  # noqa: S106 -- moto takes any
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    parsed = MRCParser()("s3://bucket/a.mrc", ObjectStoreRegistry({"s3://bucket": store}))
    xr.testing.assert_equal(xr.open_zarr(parsed, consolidated=False, zarr_format=3).load(), expected)
    references = to_kerchunk("s3://bucket/a.mrc", storage_options=options)
    how = {"fo": references, "remote_protocol": "s3", "remote_options": {**options, "asynchronous": True}}
    arguments: dict[str, Any] = {"consolidated": False, "storage_options": how}
    with xr.open_dataset("reference://", engine="zarr", backend_kwargs=arguments) as found:
        xr.testing.assert_equal(found.load(), expected)


def test_compressed_file_is_refused_with_the_reason(tmp_path: Path, registry: Any) -> None:
    import gzip

    (tmp_path / "a.mrc.gz").write_bytes(gzip.compress(mrc_bytes(sample((2, 3, 4), 2), 2)))
    with pytest.raises(MrcValueError, match=r"gzip: .* ranges of bytes of the file"):
        MRCParser()((tmp_path / "a.mrc.gz").as_uri(), registry)


def test_damaged_file_is_refused(tmp_path: Path, registry: Any) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), 2)[:-1])
    with pytest.raises(MrcFormatError, match="MRC201"):
        MRCParser()((tmp_path / "a.mrc").as_uri(), registry)


def test_missing_virtualizarr_is_one_sentence() -> None:
    code = "import sys; sys.modules['virtualizarr'] = None; from mrcarray.virtual import MRCParser"
    code += "; MRCParser()('file:///a.mrc', None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = 'parsing for VirtualiZarr needs virtualizarr: pip install "mrcarray[virtual]"'
    assert done.stderr.splitlines()[-1].endswith(f"MissingDependencyError: {expected}")

"""Servers for the tests of this folder."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from mrcarray.storage.compression import member_decoders
from mrcarray.storage.compression.source import forget
from mrcarray.storage.remote import source as remote
from mrcarray.storage.remote.transport import Requests
from tests.storage.compressing import COMPRESS
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a running web server without files."""
    with serving(Site()) as running:
        yield running


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make further attempts follow without delay."""

    async def at_once(*_: object) -> None:
        pass

    monkeypatch.setattr(Requests, "_wait", at_once)


@pytest.fixture
def nothing_learnt() -> Iterator[None]:
    """Forget what is known of servers and compressed files, before the test and after it."""
    remote.transports.clear()
    remote.heads.clear()
    forget()
    yield
    forget()


@pytest.fixture(params=["isal", "zlib"])
def gzip_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read gzip with the fast libraries, if they are installed, and with Python's own."""
    if request.param == "zlib":
        monkeypatch.setattr(member_decoders, "deflate_library", lambda: zlib)
        monkeypatch.setattr(member_decoders, "inflate_library", lambda: None)


@pytest.fixture(params=[*COMPRESS, "gzip by zlib"])
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of each format in turn; gzip also without fast libraries."""
    name: str = request.param
    if name == "gzip by zlib":
        monkeypatch.setattr(member_decoders, "deflate_library", lambda: zlib)
        monkeypatch.setattr(member_decoders, "inflate_library", lambda: None)
    return name.partition(" ")[0]

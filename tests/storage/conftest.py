"""Servers for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mrcarray.storage.compression.source import forget
from mrcarray.storage.remote import http
from mrcarray.storage.remote import source as remote
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
    monkeypatch.setattr(http, "BACKOFF", 0.0)


@pytest.fixture
def nothing_learnt() -> Iterator[None]:
    """Forget what is known of servers and compressed files, before the test and after it."""
    remote._after_fork()
    forget()
    yield
    forget()

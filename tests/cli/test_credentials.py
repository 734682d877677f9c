"""Nothing the program prints holds what a URL holds of credentials."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import mrcarray
from mrcarray.analysis.header_report import header_report
from mrcarray.validation import check
from tests.cases import clean
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Done

SECRETS = ("us3r", "pa55word", "k3y-of-h0use", "t0ken", "s1gnature")
QUERY = ";key=k3y-of-h0use?token=t0ken&X-Amz-Signature=s1gnature"


@pytest.fixture
def urls() -> Iterator[Callable[[str], str]]:
    """Return a function that names a file of a web server with everything that opens doors."""
    files = {
        "/good.mrc": clean(),
        "/bad.mrc": clean(map=b"MAP\0"),
        "/sizeless.mrc": clean(cella=(0, 0, 0)),
        "/short.mrc": clean()[:-40],
        "/no.mrc": b"x" * 2000,
    }
    with serving(Site(files)) as site:
        yield lambda name: f"{site.url.replace('://', '://us3r:pa55word@')}/{name}{QUERY}"


COMMANDS: list[list[str]] = [
    ["validate", "good", "bad", "short", "no", "missing"],
    ["validate", "--json", "good", "bad", "short", "no", "missing"],
    ["validate", "--sarif", "good", "bad", "short", "no", "missing"],
    ["validate", "--same-grid", "good", "bad"],
    ["header", "good", "bad", "short", "no", "missing"],
    ["header", "--json", "--extended", "good", "no", "missing"],
    ["info", "good", "bad", "no", "missing"],
    ["info", "--json", "good", "missing"],
    ["stats", "good", "short", "missing"],
    ["stats", "--json", "good", "short", "missing"],
    ["diff", "good", "bad"],
    ["diff", "--json", "good", "bad"],
    ["diff", "good", "no"],
    ["diff", "missing", "good"],
    ["diff", "good", "good", "good"],
    ["view", "-o", "a.png", "good"],
    ["view", "good"],
    ["view", "no"],
    ["view", "-o", "good", "good"],
    ["fix", "bad"],
    ["fix", "--output", "good", "bad.mrc"],
    ["edit", "--set", "voxel_size=1", "good"],
    ["undo", "good"],
    ["convert", "good", "a.mrc"],
    ["convert", "short", "a.nc"],
    ["convert", "no", "a.tif"],
    ["convert", "missing", "a.zarr"],
    ["convert", "good", "good"],
    ["convert", "good.mrc", "good"],
    ["good"],
    ["header", "--bogus", "good"],
]


@pytest.mark.parametrize("line", COMMANDS, ids=" ".join)
def test_no_command_shows_credentials(line: list[str], urls: Callable[[str], str], run: Callable[..., Done]) -> None:
    names = {"good", "bad", "short", "no", "missing"}
    done = run(*(urls(f"{word}.mrc") if word in names else word for word in line))
    for text in (done.out, done.err, *map(str, Path().iterdir())):
        assert not [secret for secret in SECRETS if secret in text], text


def test_stdin_lists_and_tracebacks_show_no_credentials(
    urls: Callable[[str], str], process: Callable[..., Done]
) -> None:
    url = urls("missing.mrc")
    done = process("validate", "-", stdin=url.encode())
    assert (done.status, [secret for secret in SECRETS if secret in done.out + done.err]) == (2, [])
    assert re.match(r"mrcarray: http://127.0.0.1:\d+/missing.mrc: .*\n$", done.err)


def test_urls_without_credentials_are_shown(urls: Callable[[str], str], run: Callable[..., Done]) -> None:
    url = urls("bad.mrc")
    plain = re.sub(r"//.*@", "//", url).removesuffix(QUERY)
    assert run("validate", "--profile", "strict", url).out.startswith(f"{plain}: invalid\n")
    assert json.loads(run("validate", "--json", url).out)[0]["path"] == plain
    log = json.loads(run("validate", "--sarif", url).out)
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == plain
    assert json.loads(run("header", "--json", url).out)[0]["path"] == plain
    assert run("info", url).out.endswith(f"{plain}\n")
    assert json.loads(run("diff", "--json", url, url).out)["a"] == plain
    assert run("stats", urls("no.mrc")).err.startswith(f"mrcarray: {plain.replace('bad', 'no')}: ")


def test_python_shows_no_credentials(urls: Callable[[str], str]) -> None:
    url = urls("sizeless.mrc")
    report = check(url)
    texts = [repr(report), str(report), str(report.to_dict()), str(header_report(url))]
    with pytest.warns(mrcarray.MrcWarning) as told:
        array, lazy = mrcarray.open_dataarray(url), mrcarray.open_array(url)
    texts += [str(one.message) for one in told]
    texts += [repr(array.mrc), array.mrc._repr_html_(), repr(lazy), lazy._repr_html_()]
    assert not [secret for secret in SECRETS for text in texts if secret in text]


@pytest.mark.parametrize("name", ["a?token=b.mrc", "user:pw@host#1.mrc", "50%.mrc"])
def test_file_names_are_shown_unchanged(name: str, run: Callable[..., Done]) -> None:
    Path(name).write_bytes(clean(np.ones((2, 3, 4), "f4")))
    assert run("validate", name).out.startswith(f"{name}: ")
    assert json.loads(run("header", "--json", name).out)[0]["path"] == name
    assert run("stats", "--json", f"no{name}").err == f"mrcarray: no{name}: No such file or directory\n"

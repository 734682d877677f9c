"""The test suites of programs that import mrcfile pass on the classic API if they pass on mrcfile.

The environment variable MRCARRAY_CLIENTS names a folder with their unpacked source distributions; installed packages
that contain their tests are used, too.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

#: Replaces mrcfile by the classic API.
SHIM = """
import importlib, os, sys
from mrcarray.submodules import SUBMODULES
name = os.environ["SHIM"]
if name != "mrcfile":
    sys.modules["mrcfile"] = module = importlib.import_module(name)
    sys.modules.update({f"mrcfile.{one}": getattr(module, one) for one in SUBMODULES})
"""


@dataclass(frozen=True)
class Client:
    """A program.

    Parameters
    ----------
    sources : str
        Pattern for the folder of its source distribution.
    package : str
        Its package.
    tests : tuple of str
        Its tests, in the source distribution.
    root : str
        Where in the source distribution the package is.
    """

    sources: str
    package: str
    tests: tuple[str, ...]
    root: str = "."

    def folder(self) -> Path | None:
        """Return the folder in which the tests run; None without the program."""
        named = os.environ.get("MRCARRAY_CLIENTS")
        folders = sorted(Path(named).glob(self.sources)) if named else []
        spec = importlib.util.find_spec(self.package)
        if spec is not None and spec.origin is not None:
            folders.append(Path(spec.origin).parent.parent)
        return next((folder for folder in folders if all((folder / test).exists() for test in self.tests)), None)


CLIENTS = {
    "GridDataFormats": Client("griddataformats-*", "gridData", ("gridData/tests/test_mrc.py",)),
    "starstack": Client("starstack-*", "starstack", ("tests/test_particlesStar.py",)),
    "napari-mrcfile-reader": Client(
        "napari-mrcfile-reader-*",
        "napari_mrcfile_reader",
        ("src/napari_mrcfile_reader/_tests/test_reader.py",),
        "src",
    ),
    "cryoCAT": Client("cryocat-*", "cryocat", ("tests/test_cryomap.py", "tests/test_tiltstack.py")),
}


@cache
def passed(client: Client, folder: Path, library: str, shim: Path) -> frozenset[str]:
    """Run the tests of a client on a library; return those that pass."""
    command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "shim", "-p", "no:cacheprovider", *client.tests]
    paths = os.pathsep.join([str(shim), str(folder / client.root)])
    environment = {**os.environ, "SHIM": library, "PYTHONPATH": paths, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return frozenset(re.findall(r"^PASSED (\S+)", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plugin that replaces the library."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.py").write_text(SHIM)
    return folder


@pytest.mark.parametrize("library", ["mrcarray.classic", "mrcarray"])
@pytest.mark.parametrize("name", list(CLIENTS))
def test_client_tests_pass_as_with_mrcfile(name: str, library: str, shim: Path) -> None:
    client = CLIENTS[name]
    folder = client.folder()
    if folder is None:
        pytest.skip(f"the source distribution of {name} is not here; MRCARRAY_CLIENTS names a folder of such")
    expected = passed(client, folder, "mrcfile", shim)
    if not expected:
        pytest.skip(f"no test of {name} passes on mrcfile here; are its dependencies installed?")
    assert expected - passed(client, folder, library, shim) == set()

"""What `convert` accepts as names, and which problem it reports first."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import pytest

import mrcarray
from mrcarray.errors import MrcWarning, OutputExistsError, printable
from tests.builders import mrc_bytes, sample

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("target", ["a.mrc", "a.tif", "a.nc"])
def test_missing_source_is_reported_before_an_existing_target(tmp_path: Path, target: str) -> None:
    (tmp_path / target).write_bytes(b"kept")
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*nosuch\.mrc'"):
        mrcarray.convert(tmp_path / "nosuch.mrc", tmp_path / target)
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    with pytest.raises(OutputExistsError, match=target):
        mrcarray.convert(tmp_path / "in.mrc", tmp_path / target)
    assert (tmp_path / target).read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["a.mrc", "a\u00e5.mrc.gz", "a.tif"])
def test_name_in_bytes_is_a_target(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    assert mrcarray.convert(tmp_path / "in.mrc", os.fsencode(tmp_path / name)) == str(tmp_path / name)
    with mrcarray.conversion.load(tmp_path / name) as found:
        assert found.shape == (2, 6, 8)


def test_target_of_another_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.mrc").write_bytes(mrc_bytes(sample((2, 6, 8), 2)))
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object, not float"):
        mrcarray.convert(tmp_path / "in.mrc", 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.mrc.zst", "line\nbreak.mrc.zst"])
def test_warning_names_the_target_and_not_the_temporary_file(tmp_path: Path, name: str) -> None:
    records = struct.pack("<4h", 0, 300, -300, 600).ljust(1024, b"\0")
    fields: dict[str, Any] = {"ispg": 0, "exttyp": b"SERI", "extra2": bytes(16) + struct.pack("<2h", 2, 1)}
    (tmp_path / "ts.mrc").write_bytes(mrc_bytes(sample((4, 6, 8), 1), 1, "<", records, m=(8, 6, 1), **fields))
    (tmp_path / "ts.mrc.mdoc").write_text("".join(f"[ZValue = {at}]\nDefocus = -3.5\n" for at in range(4)))
    with pytest.warns(MrcWarning) as caught:
        mrcarray.convert(tmp_path / "ts.mrc", tmp_path / name, mdoc=False)
    texts = [str(one.message) for one in caught]
    assert any("defocus" in text for text in texts)
    assert all(text.startswith(printable(tmp_path / name)) for text in texts)

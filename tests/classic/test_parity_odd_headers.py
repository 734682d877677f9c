"""Odd headers give the same arrays, warnings and errors in mrcfile and in the classic API."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import mrcfile
import numpy as np
import pytest

from mrcarray import classic
from tests.builders import mrc_bytes, sample
from tests.classic.conftest import patched
from tests.recording import recorded

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = mrc_bytes(sample((5, 3, 4), 2), extended=b"e" * 80, exttyp=b"CCP4")
NAN = float("nan")
#: What is odd about the header; in modes 3 and 101 and with impossible numbers the two differ on purpose.
ODD: list[dict[str, Any]] = [
    *({"map": text} for text in (b"map ", b"MAP\0", bytes(4), b"MAPS")),
    *({"machst": stamp} for stamp in (bytes(4), b"DA\0\0", b"DD\1\2", b"\1\2\3\4")),
    *({"mode": mode} for mode in (-1, 0, 1, 4, 5, 6, 7, 10, 12, 16)),
    *({"nsymbt": count} for count in (0, 200, 10**6)),
    *({"ispg": number} for number in (-1, 0, 400, 401, 630, 631)),
    *({name: 0} for name in ("nx", "ny", "nz")),
    *({"m": grid} for grid in ((0, 3, 5), (4, 3, -1))),
    {"nz": 1, "ispg": 0},
    *({"nlabl": count} for count in (-1, 3, 11)),
    *({"mapcrs": axes} for axes in ((0, 0, 0), (3, 2, 1))),
    *({"nversion": version} for version in (0, 20140)),
    *({"dmin": low, "dmax": 59, "dmean": 3} for low in (0, NAN)),
    *({"rms": rms} for rms in (-1, 5)),
    {"cella": (-1, 2, 3)},
    *({"exttyp": code} for code in (bytes(4), b"    ")),
]
LENGTHS = (0, 3, 1023, 1024, 1050, len(CONTENT) - 5, len(CONTENT) + 5)


def outcome(work: Any) -> tuple[Any, list[str]]:
    """Return the result of a call, or the type and text of its error; and the texts of the warnings."""
    with recorded() as seen:
        try:
            result = work()
        except (ValueError, OSError) as error:
            kind = ValueError if isinstance(error, ValueError) else OSError
            result = kind, str(error)
    return result, [str(warning.message) for warning in seen]


def facts(mrc: Any) -> tuple[Any, ...]:
    """Return all public attributes of an open file, and close it."""
    arrays = [mrc.header, mrc.extended_header, mrc.data]
    found = [None if a is None else (str(a.dtype), a.shape, a.tobytes(), a.flags.writeable) for a in arrays]
    mrc.close()
    return tuple(found)


def assert_alike(path: Path) -> None:
    """Compare all ways to open a file; texts of the classic API may be longer."""
    for options in ({}, {"permissive": True}, {"header_only": True}, {"permissive": True, "header_only": True}):
        for name in ("open", "mmap") if "header_only" not in options else ("open",):
            (theirs, texts), (ours, our_texts) = (
                outcome(lambda m=m, name=name, options=options: facts(getattr(m, name)(path, **options)))
                for m in (mrcfile, classic)
            )
            assert ours[0] == theirs[0], (name, options)
            assert ours == theirs or theirs[1] in ours[1], (name, options)
            assert our_texts == texts, (name, options)


@pytest.mark.parametrize("changes", ODD, ids=str)
def test_odd_header_gives_the_same_result(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(patched(CONTENT, **changes))
    assert_alike(path)
    lines = []
    for module in (mrcfile, classic):
        out = io.StringIO()
        verdict, texts = outcome(lambda module=module, out=out: module.validate(path, out))
        lines.append((verdict, texts, [line for line in out.getvalue().splitlines() if line[:1].strip()]))
    assert lines[0] == lines[1]


@pytest.mark.parametrize("length", LENGTHS)
def test_file_of_another_length_gives_the_same_result(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes((CONTENT + bytes(5))[:length])
    assert_alike(path)


@pytest.mark.parametrize("ispg", [None, 0, 1, 19, 401, 402, 630])
@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (5, 3, 4), (2, 5, 3, 4)])
def test_space_group_and_a_shape_make_the_same_kind(ispg: int | None, shape: tuple[int, ...]) -> None:
    seen = []
    for module in (mrcfile, classic):
        mrc = module.mrcobject.MrcObject()
        mrc._create_default_attributes()
        if ispg is not None:
            mrc.header.ispg = ispg
        mrc.set_data(np.ones(shape, "i2"))
        steps: list[Any] = []
        for step in (mrc.is_volume, mrc.set_image_stack, mrc.is_image_stack, mrc.set_volume, mrc.is_volume_stack):
            result, _ = outcome(step)
            steps.append((result, mrc.header.tobytes()[:224], mrc.is_single_image()))
        seen.append(steps)
    assert seen[0] == seen[1]

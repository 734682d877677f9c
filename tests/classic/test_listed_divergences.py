"""The page "Coming from mrcfile" lists intended differences; each of them names its tests."""

from __future__ import annotations

import re
from pathlib import Path

from mrcarray import classic
from tests.builders import mrc_bytes, sample

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/howto/coming-from-mrcfile.md"
VOLUME = sample((5, 3, 4), 2)


def bullets() -> list[str]:
    """Return the differences in the list."""
    section = PAGE.read_text(encoding="utf-8").partition("## What is different on purpose")[2]
    return [part.partition("\n\n")[0] for part in section.split("\n- ")[1:]]


def test_every_difference_names_tests_that_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    known = set(re.findall(r"^def (test_\w+)", "\n".join(texts), re.MULTILINE))
    assert len(bullets()) > 25
    for bullet in bullets():
        named = re.search(r"<!-- (.*) -->", bullet, re.DOTALL)
        assert named is not None, bullet
        assert set(named[1].split()) <= known, bullet


def test_open_file_with_content_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    path.write_bytes(mrc_bytes(VOLUME))
    with path.open("rb") as held:
        classic.write(path, VOLUME * 2, overwrite=True)
        assert held.read() == mrc_bytes(VOLUME)
    assert classic.read(path).tolist() == (VOLUME * 2).tolist()

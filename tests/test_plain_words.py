"""The private words of earlier versions, each of which has a standard term, do not come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTEAD = {
    r"anew": "again",
    r"all the same": "nevertheless",
    r"besides?": "next to, as well as",
    r"by way of": "through",
    r"front doors?": "public API",
    r"glances?": "read of the header",
    r"guests?": "integration",
    r"houses?": "package, architecture",
    r"nobody": "a subject that is a thing in the code",
    r"rooms?": "space, package",
    r"somebody": "a subject that is a thing in the code",
    r"strangers?": "unrelated file or program",
    r"troubles?": "problem",
    r"what (?:comes|becomes|came|became) of": "result",
    r"who(?:m|so)?ever": "the caller, or another thing in the code",
    r"wish(?:es)?": "option",
}
"""Regular expressions of words that have no technical meaning here, and what to write."""

PATTERN = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", re.IGNORECASE)
OLD_NAMES = ROOT / "docs/reference/renamed-modules.md"
FILES = sorted(
    {ROOT / "README.md", *(ROOT / "mrcarray").rglob("*.py"), *(ROOT / "docs").rglob("*.md")}
    - {OLD_NAMES, *(ROOT / "docs/reference/generated").rglob("*.md")}
)


def test_private_words_do_not_occur() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in PATTERN.finditer(line.replace("_", " "))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["made anew", "Whoever reads it", "the wishes", "_no_room", "beside the file"])
def test_a_private_word_is_found(text: str) -> None:
    assert PATTERN.search(text.replace("_", " "))


@pytest.mark.parametrize("text", ["renewed", "a bathroom", "new files", "the floor of a quotient"])
def test_other_words_are_not_found(text: str) -> None:
    assert not PATTERN.search(text)

"""Run the code blocks of a Markdown page, in the order of the page.

- ``python`` blocks are executed, in one namespace for the whole page;
- ``pycon`` blocks (``>>>`` with what is printed) are compared as doctests, in the same namespace;
- ``console`` blocks (``$ `` with what is printed) run shell commands, and compare; a plain `mrcarray` command runs in
  this process, which is ten times as fast;
- ``sh``, ``text`` and others are not run.

In expected output, ``...`` matches anything, and the amount of white space is ignored.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_SHELL = re.compile(r"[|&;<>$*?~`#]")  # what only a shell understands
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w-]*)[^\n`]*\n(?P<body>.*?)^(?P=indent)(?P=ticks)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page: its language, its text, and the line of the page at which the text starts."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of `page`."""
    for match in _FENCE.finditer(page):
        line = page.count("\n", 0, match.start("body")) + 1
        yield Block(match["language"], match["body"], line)


def run_page(path: Path) -> int:
    """Run every block of the page at `path` in the current directory; return their number."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    done = 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec"), namespace)  # noqa: S102 -- the page
        elif block.language == "pycon":
            _run_doctest(block, path, namespace)
        elif block.language == "console":
            _run_console(block, path)
        else:
            continue
        done += 1
    return done


def _run_doctest(block: Block, path: Path, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, namespace, path.name, str(path), block.line - 1)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert not runner.failures, "".join(report)


def _run_console(block: Block, path: Path) -> None:
    checker = doctest.OutputChecker()
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    environment["PATH"] = sysconfig.get_path("scripts") + os.pathsep + environment["PATH"]
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        program, _, rest = command.partition(" ")
        if program == "mrcarray" and not _SHELL.search(rest):
            got = _run_here(shlex.split(rest))
        else:
            ours = {"python": "", "mrcarray": "-m mrcarray.cli "}
            line = f'"{sys.executable}" {ours[program]}{rest}' if program in ours else command
            done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)  # noqa: S602
            got = done.stdout + done.stderr
        example = doctest.Example(command, expected)
        where = f"{path}, line {block.line}: $ {command}\n"
        assert checker.check_output(expected, got, FLAGS), where + checker.output_difference(example, got, FLAGS)


def _run_here(args: list[str]) -> str:
    """Return the output of `mrcarray`, run in this process."""
    from mrcarray.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(args)
    return "".join(stream.buffer.getvalue().decode() for stream in (out, err))

"""Progress bars: one protocol, shown on standard error."""

from __future__ import annotations

import io
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mrcarray.progress import Bar, counted, is_shown, progress_bar, task_bar


class Terminal(io.StringIO):
    """Standard error of a terminal."""

    def isatty(self) -> bool:
        return True


def test_auto_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_shown("auto")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert is_shown("auto")
    monkeypatch.setattr(sys, "stderr", None)
    assert not is_shown("auto")


def test_terminal_shows_a_job_that_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    now = time.monotonic
    with progress_bar("reading", 4, shown="auto") as bar:
        monkeypatch.setattr(time, "monotonic", lambda: now() + 10)
        bar.advance(1)
    assert "reading" in terminal.getvalue()


def test_terminal_does_not_show_a_short_job(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    with progress_bar("reading", 4, shown="auto") as bar:
        bar.advance(4)
    assert terminal.getvalue() == ""


def test_lines_appear_whole_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    error, output = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.setattr(sys, "stdout", output)
    line = "word " * 60 + "end"  # longer than the terminal is wide; rich before 14.3 drops spaces at its end
    with progress_bar("reading", 4) as bar:
        sys.stdout.write(line)
        assert line not in error.getvalue()
        sys.stdout.write("\nrest")
        bar.advance(1)
    assert f"{line}\n" in error.getvalue()
    assert "rest\n" in error.getvalue()
    assert (sys.stderr, sys.stdout) == (error, output)


def test_redirected_output_stays_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    error, output = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", error)
    monkeypatch.setattr(sys, "stdout", output)
    with progress_bar("reading", 4):
        sys.stdout.write("found\n")
    assert output.getvalue() == "found\n"
    assert "found" not in error.getvalue()


def test_log_file_gets_one_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading") as bar:
        bar.update(1, 4)
        bar.advance(2)
        assert (bar.done, bar.total) == (3, 4)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("reading")
    assert "100%" in line


def test_hidden_bar_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading", 4, shown=False) as bar:
        bar.advance(4)
    with task_bar("reading", shown="auto"):
        assert list(counted("ab", 2, "reading", shown=False)) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_failed_job_does_not_reach_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), progress_bar("reading", 4) as bar:
        bar.advance(1 / 0)
    assert "100%" not in capsys.readouterr().err


def test_bar_counts_the_tasks_of_dask(capsys: pytest.CaptureFixture[str]) -> None:
    import dask.array as da

    with task_bar("summing"):
        assert da.ones((8, 8), chunks=4).sum().compute() == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert "summing" in line
    assert "100%" in line


def test_threads_share_a_bar() -> None:
    drawn: list[float] = []
    bar = Bar(lambda done, _: drawn.append(done), 400)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bar.advance, [1] * 400))
    assert drawn == list(range(1, 401))

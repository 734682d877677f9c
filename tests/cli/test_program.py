"""What holds for every command: help, exit status, one line of error, pipes, names."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mrcarray
from mrcarray.cli import COMMANDS, main, output
from mrcarray.cli.program import program
from mrcarray.conversion import convert
from mrcarray.errors import MrcFormatError
from tests import builders
from tests.cases import clean
from tests.cli.conftest import ROOT, Done, command, environment, fill
from tests.storage.servers import Site, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARGUMENTS = {
    "validate": ("--profile", "strict", "bad.mrc"),
    "header": ("good.mrc",),
    "info": ("good.mrc",),
    "stats": ("good.mrc",),
    "fix": ("bad.mrc",),
    "edit": ("--set", "ispg=4", "good.mrc"),
    "undo": ("good.mrc",),
    "diff": ("good.mrc", "bad.mrc"),
    "view": ("-o", "x.png", "good.mrc"),
    "convert": ("good.mrc", "new.mrc"),
    "clean": (".",),
}
STATUS = {"validate": 1, "diff": 1, "undo": 2}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_runs_as_a_process(name: str, process: Callable[..., Done]) -> None:
    done = process(name, *ARGUMENTS[name])
    assert done.status == STATUS.get(name, 0), done.err
    assert "Traceback" not in done.err
    assert done.out or name in ("convert", "undo")


def test_entry_point_is_the_program() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.scripts]\nmrcarray = "mrcarray.cli:run"' in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name: str, run: Callable[..., Done]) -> None:
    done = run(name, "--help")
    assert done.status == 0
    assert re.search(rf"^  mrcarray {name}( |$)", done.out, re.MULTILINE) or f"mrcarray {name} -" in done.out


def test_help_lists_commands_in_order(run: Callable[..., Done]) -> None:
    out = run("--help").out
    commands = out[out.index("\nLook:\n") : out.index("\nExamples:\n")]
    found = re.findall(r"^  (\w+)  +\w", commands, re.MULTILINE)
    assert found == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_name_and_help(name: str) -> None:
    import click

    found = program.get_command(click.Context(program), name)
    assert found is not None
    assert found.name == name
    assert found.help


def test_version(run: Callable[..., Done]) -> None:
    assert run("--version").out == f"mrcarray {mrcarray.__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ("frob",),
        ("header",),
        ("header", "--frob", "x"),
        ("validate", "--profile", "pdb", "x"),
        ("fix", "--voxel-size", "a", "x"),
        ("fix", "--voxel-size", "1,2", "x"),
    ],
)
def test_wrong_usage_is_one_line(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    done = run(*args)
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch(r"mrcarray: .*--help\)\n", done.err)


@pytest.mark.parametrize("name", ["header", "info", "stats", "fix", "undo", "view", "diff", "convert", "validate"])
def test_missing_file_is_one_line(name: str, run: Callable[..., Done]) -> None:
    extra = {"diff": ("good.mrc",), "convert": ("new.mrc",)}.get(name, ())
    done = run(name, "no such.mrc", *extra)
    assert done.status == 2
    assert re.fullmatch(r"mrcarray: .*no such\.mrc: No such file or directory\n", done.err) or name == "undo"
    assert done.err.count("\n") == 1


def test_debug_shows_the_traceback(process: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("made for this test")

    monkeypatch.setattr(program, "main", broken)
    with pytest.raises(RuntimeError, match="made for this test"):
        main(["--debug", "header", "--raw", "x"])
    assert main(["header", "--raw", "x"]) == 2
    assert process("--debug", "--version").status == 0


def test_debug_shows_the_traceback_of_a_file_error(run: Callable[..., Done]) -> None:
    done = run("--debug", "header", "nothing.mrc")
    assert done.status == 2
    assert done.err.startswith("Traceback")
    assert done.err.endswith("\nmrcarray: nothing.mrc: No such file or directory\n")
    assert run("header", "nothing.mrc").err == "mrcarray: nothing.mrc: No such file or directory\n"


@pytest.mark.parametrize(
    "args",
    [
        ("convert", "good.mrc", "nowhere/x.mrc"),
        ("convert", "good.mrc", "nowhere/x.nc"),
        ("fix", "bad.mrc", "-o", "nowhere/x.mrc"),
        ("edit", "--set", "nx=8", "bad.mrc", "-o", "nowhere/x.mrc"),
        ("view", "good.mrc", "-o", "nowhere/x.png"),
    ],
)
def test_error_names_the_missing_directory(args: tuple[str, ...], run: Callable[..., Done], tmp_path: Path) -> None:
    done = run(*args)
    assert (done.status, done.err) == (2, f"mrcarray: {tmp_path / 'nowhere'}: No such file or directory\n")


@pytest.mark.parametrize(
    "args",
    [
        ("convert", "good.mrc"),
        ("view", "good.mrc", "-o"),
        ("fix", "bad.mrc", "-o"),
        ("edit", "--add-label", "x", "bad.mrc", "-o"),
    ],
)
def test_url_as_output_is_refused(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    done = run(*args, "http://127.0.0.1:1/x.png")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "http://127.0.0.1:1/x.png" in done.err
    assert re.search("cannot write to the URL|remote files are read but not written", done.err)
    assert sorted(path.name for path in Path().iterdir()) == ["bad.mrc", "good.mrc"]


REMOTE = {
    "header": (),
    "info": (),
    "validate": (),
    "stats": (),
    "diff": ("good.mrc",),
    "view": ("-o", "x.png"),
    "convert": ("new.mrc",),
}


@pytest.mark.parametrize("name", REMOTE)
def test_reading_commands_take_urls(name: str, run: Callable[..., Done]) -> None:
    raw = Path("good.mrc").read_bytes()
    files = {"/a.mrc": raw, "/b.mrc.gz": gzip.compress(raw), "/c.mrc.xz": lzma.compress(raw)}
    with serving(Site(files=files)) as site:
        for path in files:
            done = run(name, f"{site.url}{path}?key=1", *REMOTE[name])
            assert (done.status, done.err) == (0, "")
            for made in ("new.mrc", "x.png"):
                Path(made).unlink(missing_ok=True)
        done = run(name, f"{site.url}/nothing.mrc", *REMOTE[name])
    assert done.status == 2
    assert done.err == f"mrcarray: {site.url}/nothing.mrc: the server has no such file (status 404)\n"


def test_plot_of_a_url_is_named_by_its_path(run: Callable[..., Done]) -> None:
    with serving(Site(files={"/a.mrc": Path("good.mrc").read_bytes()})) as site:
        assert run("view", f"{site.url}/a.mrc?key=1").out == "a.mrc.png\n"


@pytest.mark.parametrize(
    "args",
    [
        ("header", "pipe"),
        ("header", "--extended", "pipe"),
        ("info", "pipe"),
        ("validate", "--same-grid", "pipe", "good.mrc"),
        ("stats", "pipe"),
        ("diff", "good.mrc", "pipe"),
        ("convert", "pipe", "new.mrc"),
    ],
)
def test_pipe_is_read_once(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(Path("good.mrc").read_bytes(),))
    writer.start()
    done = run(*args)
    writer.join()
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    "args", [("fix", "-"), ("edit", "--set", "nx=8", "-"), ("undo", "-"), ("fix", "bad.mrc", "-o", "-")]
)
def test_stream_cannot_be_changed(args: tuple[str, ...], run: Callable[..., Done]) -> None:
    done = run(*args)
    assert done.status == 2
    assert "a file" in done.err
    assert not Path("-").exists()


def test_shell_completion(process: Callable[..., Done]) -> None:
    completing = {"_MRCARRAY_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    assert process(COMP_WORDS="mrcarray va", **completing).out == "plain,validate\n"
    assert "_MRCARRAY_COMPLETE=bash_source" in (ROOT / "docs/howto/command-line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "args",
    [
        ("header", "-"),
        ("header", "--extended", "--raw", "-"),
        ("info", "-"),
        ("stats", "-"),
        ("diff", "-", "good.mrc"),
        ("view", "-", "-o", "x.png"),
        ("convert", "-", "new.mrc"),
    ],
)
def test_dash_is_standard_input(
    args: tuple[str, ...], run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("good.mrc").open(encoding="latin-1") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        done = run(*args)
    assert (done.status, done.err) == (0, "")


def test_no_arguments_show_the_help(run: Callable[..., Done]) -> None:
    done = run()
    assert (done.status, done.out) == (2, "")
    assert "Check and repair:" in done.err


def test_main_works_in_a_thread(run: Callable[..., Done]) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run, "header", "good.mrc").result().status == 0


def test_memory_error_is_one_line(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mrcarray.analysis.blockwise.scan", greedy)
    monkeypatch.setattr("mrcarray.analysis.histogram.scan", greedy)
    assert run("stats", "good.mrc").err == "mrcarray: good.mrc: not enough memory\n"
    assert run("validate", "good.mrc").err == "mrcarray: good.mrc: not enough memory\n"


def test_warning_is_one_line_once(run: Callable[..., Done]) -> None:
    Path("old.mrc").write_bytes(clean(map=b"\x1b[2J"))
    for args in (("stats", "old.mrc", "old.mrc"), ("diff", "old.mrc", "old.mrc"), ("view", "-o", "x.png", "old.mrc")):
        done = run(*args)
        assert done.status == 0
        assert re.fullmatch(r"mrcarray: warning: \S*old\.mrc: word 53 \(map\) is '.x1b\[2J'.*\n", done.err)


def test_hint_names_option_or_argument(run: Callable[..., Done]) -> None:
    Path("there.mrc").write_bytes(b"")
    assert run("convert", "good.mrc", "there.mrc").err == "mrcarray: there.mrc: file exists; pass --overwrite\n"
    with pytest.raises(FileExistsError, match=r"file exists; pass overwrite=True"):
        convert("good.mrc", "there.mrc")


def test_hint_without_option_is_left_out(run: Callable[..., Done]) -> None:
    raw = bytearray(clean())
    raw[12:16] = struct.pack("<i", 9)
    Path("odd.mrc").write_bytes(raw)
    with pytest.raises(MrcFormatError, match=r"; pass permissive=True to read only the header \[MRC104\]"):
        mrcarray.open_file("odd.mrc")
    err = run("stats", "odd.mrc").err
    assert re.fullmatch(r"mrcarray: odd\.mrc: word 4 \(mode\) is 9; expected one of [0-9, ]+ \[MRC104\]\n", err)


def test_two_origins_are_explained_without_python_arguments(run: Callable[..., Done]) -> None:
    Path("two.mrc").write_bytes(clean(nstart=(1, 2, 3), origin=(9, 9, 9)))
    out = run("header", "two.mrc").out
    assert "which are used" in out
    assert "origin='" not in out


def test_wrong_exttyp_warns(run: Callable[..., Done]) -> None:
    old = struct.pack("<f", 30) * 32 * 1024
    raw = builders.mrc_bytes(builders.sample((2, 3, 4), 1), 1, "<", old, ispg=0, exttyp=b"FEI1")
    Path("warp.mrc").write_bytes(raw)
    done = run("header", "warp.mrc")
    assert "warning: word 27 (exttyp) is 'FEI1', but the extended header is not: read as FEI0, because" in done.out


def test_bad_file_does_not_stop_others(run: Callable[..., Done]) -> None:
    Path("junk.mrc").write_bytes(b"junk")
    done = run("header", "junk.mrc", "good.mrc", "nothing.mrc")
    assert done.status == 2
    assert "==> good.mrc <==" in done.out
    assert done.err.splitlines() == [
        "mrcarray: junk.mrc: the file has 4 bytes; expected at least the 1024 bytes of a header",
        "mrcarray: nothing.mrc: No such file or directory",
    ]


def test_unreadable_file_does_not_stop_others(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith("bad.mrc"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda path, *_, **__: not str(path).endswith("bad.mrc"))
    for name, *more in (("validate",), ("validate", "-j", "2"), ("info",), ("stats",), ("fix",)):
        done = run(name, *more, "bad.mrc", "good.mrc")
        assert done.status == 2
        assert done.err == "mrcarray: bad.mrc: Permission denied\n"
        assert "good.mrc" in done.out


@pytest.mark.parametrize("name", ["a b.mrc", "ä\u2028.mrc", "new\nline.mrc", "-x.mrc", "[1].mrc", "\x1b[31m.mrc"])
def test_unusual_names(name: str, run: Callable[..., Done]) -> None:
    Path("good.mrc").rename(name)
    done = run("validate", "--", name)
    assert done.status == 0
    assert done.out.count("\n") == 1
    assert "\x1b" not in done.out


def test_names_that_are_not_text(tmp_path: Path, process: Callable[..., Done]) -> None:
    (tmp_path / "good.mrc").rename(tmp_path / os.fsdecode(b"\xff.mrc"))
    done = process("info", b"\xff.mrc")
    assert (done.status, done.err) == (0, "")


def test_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    fill(tmp_path)
    names = ["good.mrc"] * 2000
    with subprocess.Popen(
        command("header", *names), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(100)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "args", [("header", "good.mrc"), ("info", "good.mrc"), ("convert", "good.mrc", "-"), ("view", "-o-", "good.mrc")]
)
def test_full_output_device_is_status_2(args: tuple[str, ...], tmp_path: Path) -> None:
    fill(tmp_path)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(*args),
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
    assert done.returncode == 2
    assert re.fullmatch(rb"mrcarray: (standard output: |<stdout>: |)No space left on device\n", done.stderr)


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ("header good.mrc >&-", 2, "mrcarray: Bad file descriptor\n"),
        ("validate good.mrc >&-", 2, "mrcarray: standard output: Bad file descriptor\n"),
        ("convert good.mrc - >&-", 2, "mrcarray: <stdout>: Bad file descriptor\n"),
        ("convert good.mrc x.mrc >&-", 0, ""),
        ("validate -q --profile strict bad.mrc good.mrc >/dev/null 2>&-", 1, ""),
        ("validate -q nothing.mrc >&- 2>&-", 2, ""),
    ],
)
def test_closed_standard_streams(line: str, status: int, told: str, tmp_path: Path) -> None:
    fill(tmp_path)
    script = f'"$0" -m mrcarray.cli {line}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable], stderr=subprocess.PIPE, cwd=tmp_path, env=environment(), check=False
    )
    assert (done.returncode, done.stderr.decode()) == (status, told)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children be interrupted, also where the tests themselves were started in the background and are not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_leaves_no_partial_output(number: signal.Signals, status: int, tmp_path: Path) -> None:
    fill(tmp_path)
    fifo = tmp_path / "in.mrc"
    os.mkfifo(fifo)
    with subprocess.Popen(command("stats", "in.mrc"), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as child:
        with fifo.open("wb") as stream:
            stream.write((tmp_path / "good.mrc").read_bytes()[:500])
            stream.flush()
            child.send_signal(number)
        # The end of the stream wakes a child that was about to wait for more of it when the signal came.
        assert child.wait(20) == status
        assert child.stderr is not None
        assert b"Traceback" not in child.stderr.read()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("target", "number", "status"), [("out.mrc.gz", signal.SIGINT, 130), ("out.zarr", signal.SIGTERM, 143)]
)
def test_interrupted_conversion_leaves_the_directory_unchanged(
    target: str, number: signal.Signals, status: int, tmp_path: Path
) -> None:
    source = tmp_path / "in.mrc"
    source.write_bytes(builders.header_bytes(nx=1024, ny=1024, nz=512, m=(1024, 1024, 512)))
    os.truncate(source, 1024 + 4 * 1024 * 1024 * 512)
    with subprocess.Popen(
        command("convert", "in.mrc", target), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
    ) as child:
        assert child.stderr is not None
        deadline = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(number)
        assert child.wait(60) == status
        assert b"/mrcarray/" not in child.stderr.read()  # threads of zarr may report that their task was cancelled
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mrc"]


def test_colours_only_on_terminals(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("validate", "bad.mrc").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in output.paint("x", "red")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("x", "red") == "x"


@pytest.mark.parametrize("args", [("convert", "good.mrc", "-"), ("view", "-o", "-", "good.mrc")])
def test_binary_output_to_a_terminal_is_refused(
    args: tuple[str, ...], run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    done = run(*args)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "refusing to write binary data to a terminal" in done.err


def test_plain_header_imports_neither_numpy_nor_click(tmp_path: Path) -> None:
    fill(tmp_path)
    code = (
        "import sys; from mrcarray.cli import main; main(['header', 'good.mrc']);"
        "heavy = {'numpy', 'xarray', 'dask', 'rich', 'fsspec', 'click'};"
        "print({m.split('.')[0] for m in sys.modules} & heavy, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment(), check=True
    )
    assert done.stderr == "set()\n"


def test_opening_commands_take_kind(run: Callable[..., Done]) -> None:
    Path("open.mrc").write_bytes(clean(ispg=0, m=(8, 6, 4)))
    header = run("header", "open.mrc").out.splitlines()
    assert header[0] == "kind          volume"
    assert (
        "note: kind: volume, a guess, since neither header nor name says otherwise; if it is a stack of images, "
        in (run("header", "open.mrc").out)
    )
    assert "pass --kind image_stack [MRC303]" in run("header", "open.mrc").out
    assert run("header", "--kind", "image_stack", "open.mrc").out.startswith("kind          image_stack\n")
    (row,) = json.loads(run("info", "--json", "--kind", "volume_stack", "open.mrc").out)
    assert (row["kind"], row["kind_from"], row["shape"]) == ("volume_stack", "argument", [1, 4, 6, 8])
    (row,) = json.loads(run("validate", "--json", "--kind", "image_stack", "open.mrc").out)
    assert (row["facts"]["kind"], row["facts"]["kind_from"]) == ("image_stack", "argument")
    for kind in ("image_stack", "volume"):
        assert run("stats", "--kind", kind, "open.mrc").status == 0
        assert run("view", "--kind", kind, "--section", "1", "-o", f"{kind}.png", "open.mrc").status == 0
    assert Path("image_stack.png").read_bytes() != Path("volume.png").read_bytes()


@pytest.mark.parametrize("command", ["stats", "view", "validate"])
def test_impossible_kind_says_what_to_type(command: str, run: Callable[..., Done]) -> None:
    done = run(command, "--kind", "image", "good.mrc")
    text = done.out if command == "validate" else done.err
    assert done.status == (1 if command == "validate" else 2)
    assert "kind 'image' was requested, but word 3 (nz) is 4; expected 1 for an image" in text
    assert "; pass --kind image_stack or --kind volume [MRC302]" in text
    assert run(command, "--kind", "film", "good.mrc").status == 2


def test_ortho_of_a_stack_says_what_to_type(run: Callable[..., Done]) -> None:
    Path("tilts.mrcs").write_bytes(clean(ispg=0, m=(8, 6, 1)))
    done = run("view", "--ortho", "tilts.mrcs")
    assert done.err.endswith("the kind of this file is image_stack; pass --kind volume\n")
    assert run("view", "--ortho", "--kind", "volume", "-o", "a.png", "tilts.mrcs").status == 0


def test_unknown_command_names_a_similar_one(run: Callable[..., Done]) -> None:
    assert run("vlidate", "good.mrc").err == (
        "mrcarray: unknown command 'vlidate'; did you mean 'validate'? (see mrcarray --help)\n"
    )
    assert run("frobnicate").err == "mrcarray: unknown command 'frobnicate' (see mrcarray --help)\n"


def test_info_of_a_directory_names_the_option(run: Callable[..., Done]) -> None:
    done = run("info", ".")
    assert (done.status, done.err) == (2, "mrcarray: .: Is a directory; use -r to search it\n")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("validat", "did you mean 'validate'?"),
        ("chekc", "did you mean 'validate'?"),
        ("repair", "did you mean 'fix'?"),
        ("good.mrc", "type: mrcarray header good.mrc"),
    ],
)
def test_mistyped_command_is_suggested(word: str, expected: str, run: Callable[..., Done]) -> None:
    done = run(word)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert expected in done.err


def test_help_is_a_command(run: Callable[..., Done]) -> None:
    assert run("help").out == run("--help").out == run("help", "help").out
    assert run("help", "fix").out == run("fix", "--help").out
    assert "Documentation: https://" in run("help", "fix").out
    assert run("-V").out == run("--version").out


def test_interrupt_is_one_line(run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mrcarray, "check", interrupt)
    done = run("validate", "good.mrc")
    assert (done.status, done.err) == (130, "\nmrcarray: interrupted\n")  # on a new line, after the ^C of the terminal

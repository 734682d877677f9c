"""Opening files: `Mrc`, `read_header`, options, and the error of each wrong file."""

from __future__ import annotations

import gzip
import inspect
import io
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mrcarray
from mrcarray import reader
from mrcarray.errors import MrcFormatError, MrcWarning, NotMrcError, TruncatedError
from mrcarray.format.issues import Issue, Severity
from mrcarray.xarray_backend.engine import MrcBackendEntrypoint
from tests.builders import header_bytes, mrc_bytes, sample
from tests.xarray_backend.helpers import watch_reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a small volume with an extended header of 160 bytes."""
    path = tmp_path / "volume.mrc"
    path.write_bytes(mrc_bytes(sample((6, 5, 7), 2), extended=b"X,Y,Z".ljust(160)))
    return path


class TestOpenFile:
    def test_header_layout_array_and_extended_header(self, path: Path) -> None:
        mrc = reader.open_file(path)
        assert (mrc.header.nx, mrc.header.ny, mrc.header.nz) == (7, 5, 6)
        assert mrc.layout is not None
        assert mrc.layout.offset == 1184
        assert mrc.array is not None
        assert mrc.array.shape == (6, 5, 7)
        assert mrc.extended == b"X,Y,Z".ljust(160)
        assert mrc.path == str(path)
        assert mrc.geometry().voxel_size == (2.0, 2.0, 2.0)

    def test_without_extended_header(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2)))
        assert reader.open_file(tmp_path / "a.mrc").extended == b""

    def test_header_only_ignores_missing_data(self, tmp_path: Path) -> None:
        (tmp_path / "a.mrc").write_bytes(header_bytes(mode=99, nz=10**6))
        mrc = reader.open_file(tmp_path / "a.mrc", header_only=True)
        assert mrc.layout is None
        assert mrc.array is None
        assert any(issue.is_error for issue in mrc.issues)
        with pytest.raises(MrcFormatError, match=r"a\.mrc: the data cannot be located"):
            mrc.geometry()

    def test_bytes_and_file_objects(self, path: Path) -> None:
        for given in (path.read_bytes(), io.BytesIO(path.read_bytes())):
            assert reader.open_file(given).header == reader.open_file(path).header


class TestReadOptions:
    @pytest.mark.parametrize(
        "function",
        [mrcarray.open_array, mrcarray.from_mrc, mrcarray.open_dataset, MrcBackendEntrypoint.open_dataset],
    )
    def test_every_option_is_documented(self, function: Callable[..., Any]) -> None:
        entries = {line.partition(" : ")[0] for line in inspect.cleandoc(str(function.__doc__)).splitlines()}
        assert set(reader.ReadOptions.__annotations__) <= entries
        assert "**options" not in entries

    def test_open_file_has_a_default_for_every_option(self) -> None:
        parameters = inspect.signature(reader.open_file).parameters
        assert set(reader.ReadOptions.__annotations__) <= set(parameters)
        assert set(reader.ReadOptions.__annotations__) <= set(MrcBackendEntrypoint.open_dataset_parameters)

    @pytest.mark.parametrize("function", [mrcarray.open_array, mrcarray.from_mrc, mrcarray.open_dataset])
    @pytest.mark.parametrize("option", ["unknown", "header_only"])
    def test_unknown_option_is_a_type_error(self, path: Path, function: Callable[..., Any], option: str) -> None:
        with pytest.raises(TypeError, match=option):
            function(path, **{option: True})


class TestReadHeader:
    def test_takes_four_system_calls(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        for name in ("open", "stat", "lstat", "fstat", "pread", "preadv", "read", "close"):
            monkeypatch.setattr(os, name, _counted(name, getattr(os, name), calls))
        mrcarray.read_header(str(path))
        assert calls == ["open", "fstat", "pread", "close"]

    @pytest.mark.parametrize(
        "given", [str, lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")]
    )
    def test_every_type_of_argument(self, path: Path, given: Callable[[Path], Any]) -> None:
        argument = given(path)
        assert mrcarray.read_header(argument).raw == path.read_bytes()[:1024]
        if hasattr(argument, "close"):
            assert not argument.closed
            argument.close()

    def test_named_pipe(self, path: Path, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        readers: list[Callable[[Path], Any]] = [mrcarray.read_header, lambda name: reader.open_file(name).header]
        for read in readers:
            writer = threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),))
            writer.start()
            header = read(pipe)
            writer.join()
            assert header.raw == path.read_bytes()[:1024]

    def test_folder_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError, match=str(tmp_path)):
            mrcarray.read_header(tmp_path)

    def test_missing_file_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="nowhere"):
            mrcarray.read_header(tmp_path / "nowhere.mrc")

    @pytest.mark.parametrize("wrong", [None, 3, 3.5, ["a.mrc"]])
    def test_other_types_are_type_errors(self, wrong: Any) -> None:
        for function in (mrcarray.read_header, mrcarray.open_array, mrcarray.from_mrc, reader.open_file):
            with pytest.raises(TypeError):
                function(wrong)

    def test_header_without_identifier_and_stamp(self, tmp_path: Path) -> None:
        raw = mrc_bytes(sample((2, 3, 4), 2), map=b"", machst=b"")
        (tmp_path / "old.mrc").write_bytes(raw)
        assert mrcarray.read_header(tmp_path / "old.mrc").nx == 4

    def test_unusual_stamp_warns(self, tmp_path: Path) -> None:
        (tmp_path / "odd.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2), machst=b"\x11\x11\0\0"))
        with pytest.warns(MrcWarning, match=r"odd\.mrc: word 54") as seen:
            mrcarray.read_header(tmp_path / "odd.mrc")
        assert [one.filename for one in seen] == [__file__]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789\nsize 12345\n"
WRONG_FILES = {
    "empty": (b"", NotMrcError, "the file is empty"),
    "git-LFS pointer": (POINTER, NotMrcError, "git-LFS pointer"),
    "short web page": (b"<!DOCTYPE html><html>404</html>", NotMrcError, "web page"),
    "web page": (b"<html>" + b"not found " * 400, NotMrcError, "web page"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(2000), NotMrcError, "HDF5"),
    "noise": (bytes(range(1, 256)) * 20, NotMrcError, "not an MRC file"),
    "half a header": (header_bytes()[:500], TruncatedError, "500 bytes; expected at least the 1024"),
    "half the data": (mrc_bytes(sample((6, 5, 7), 2))[:-300], TruncatedError, "MRC201"),
    "unknown mode": (header_bytes(mode=99) + bytes(96), MrcFormatError, r"word 4 \(mode\) is 99"),
    "negative size": (header_bytes(nx=-4, m=(4, 3, 2)) + bytes(96), MrcFormatError, r"word 1 \(nx\) is -4"),
    "negative extended header": (mrc_bytes(sample((2, 3, 4), 2), nsymbt=-80), MrcFormatError, r"word 24 \(nsymbt\)"),
}


class TestWrongFiles:
    @pytest.mark.parametrize("which", WRONG_FILES)
    def test_error_names_file_and_reason(self, which: str, tmp_path: Path) -> None:
        raw, error, sentence = WRONG_FILES[which]
        (tmp_path / "wrong.mrc").write_bytes(raw)
        with pytest.raises(error, match=rf"wrong\.mrc: .*{sentence}") as caught:
            mrcarray.open_array(tmp_path / "wrong.mrc")
        assert type(caught.value) is error
        assert caught.value.path == str(tmp_path / "wrong.mrc")
        assert caught.value.issues

    def test_gzip_file_without_suffix_is_opened(self, tmp_path: Path) -> None:
        values = sample((2, 3, 4), 2)
        (tmp_path / "plain.mrc").write_bytes(gzip.compress(mrc_bytes(values)))
        np.testing.assert_array_equal(mrcarray.open_array(tmp_path / "plain.mrc")[...], values)

    def test_permissive_returns_whole_sections_of_a_truncated_file(self, tmp_path: Path) -> None:
        values = sample((6, 5, 7), 2)
        (tmp_path / "cut.mrc").write_bytes(mrc_bytes(values)[:-300])
        with pytest.warns(MrcWarning, match=r"cut\.mrc.*MRC201"):
            array = mrcarray.open_array(tmp_path / "cut.mrc", permissive=True)
        np.testing.assert_array_equal(array, values[:3])

    def test_permissive_returns_header_and_issues(self, tmp_path: Path) -> None:
        (tmp_path / "bad.mrc").write_bytes(header_bytes(mode=99))
        with pytest.warns(MrcWarning, match="mode"):
            mrc = reader.open_file(tmp_path / "bad.mrc", permissive=True)
        assert mrc.array is None
        assert mrc.header.mode == 99
        assert any(issue.is_error for issue in mrc.issues)

    @pytest.mark.parametrize("opener", [mrcarray.open_array, mrcarray.from_mrc, mrcarray.open_dataarray])
    def test_permissive_returns_none_without_data(self, opener: Any, tmp_path: Path) -> None:
        (tmp_path / "bad.mrc").write_bytes(header_bytes(mode=99))
        with pytest.warns(MrcWarning, match=r"bad\.mrc: word 4 \(mode\) is 99"):
            assert opener(tmp_path / "bad.mrc", permissive=True) is None

    @pytest.mark.parametrize("opener", [mrcarray.open_array, mrcarray.from_mrc, mrcarray.open_dataarray])
    def test_permissive_reads_a_valid_file_the_same(self, opener: Any, path: Path) -> None:
        np.testing.assert_array_equal(opener(path, permissive=True), opener(path))

    def test_trailing_bytes_warn_once(self, tmp_path: Path) -> None:
        (tmp_path / "long.mrc").write_bytes(mrc_bytes(sample((2, 3, 4), 2)) + b"x" * 77)
        with pytest.warns(MrcWarning, match=r"long\.mrc.*77") as seen:
            mrcarray.open_array(tmp_path / "long.mrc")
        assert len(seen) == 1

    def test_control_characters_in_names_are_escaped(self, tmp_path: Path) -> None:
        path = tmp_path / "bell\x07.mrc"
        path.write_bytes(b"")
        with pytest.raises(NotMrcError, match=r"bell\\x07\.mrc"):
            mrcarray.open_array(path)


class TestSettle:
    ERROR = Issue("MRC104", Severity.ERROR, "the error")
    WARNING = Issue("MRC202", Severity.WARNING, "the warning")
    NOTE = Issue("MRC301", Severity.NOTE, "the note")

    def test_notes_are_silent(self) -> None:
        reader.handle_issues([self.NOTE], permissive=False, path="a")

    def test_strict_raises_the_first_error(self) -> None:
        issues = [self.NOTE, self.WARNING, self.ERROR]
        with pytest.raises(MrcFormatError, match=r"^a: the error \[MRC104\]$") as caught:
            reader.handle_issues(issues, permissive=False, path="a")
        assert caught.value.issues == tuple(issues)

    def test_permissive_warns_of_errors_and_warnings(self) -> None:
        with pytest.warns(MrcWarning) as seen:
            reader.handle_issues([self.NOTE, self.WARNING, self.ERROR], permissive=True, path="a")
        assert [str(one.message) for one in seen] == ["a: the warning [MRC202]", "a: the error [MRC104]"]


class TestSideEffects:
    def test_reading_changes_no_bytes_and_no_time(self, path: Path) -> None:
        os.utime(path, ns=(10**18, 10**18))
        before = path.read_bytes()
        mrcarray.read_header(path)
        mrcarray.open_array(path)[...]
        mrcarray.open_dataset(path).load().close()
        assert path.read_bytes() == before
        assert path.stat().st_mtime_ns == 10**18

    def test_header_only_reads_no_data(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ranges = watch_reads(monkeypatch)
        assert len(reader.open_file(path, header_only=True).extended) == 160
        assert max(stop for _, stop in ranges) <= 1024 + 160


def _counted(name: str, function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return function(*args, **kwargs)

    return counted


def test_opened_file_shows_itself_as_a_short_table(path: Path) -> None:
    mrc = reader.open_file(path)
    first, *rows = repr(mrc).splitlines()
    assert first == f"<Mrc {path}>"
    assert rows[0].split(maxsplit=1) == ["kind", "volume (z 6, y 5, x 7)"]
    assert max(map(len, rows)) < 120
    assert "<th>voxel size</th><td>2, 2, 2 angstrom</td>" in mrc._repr_html_()


def test_header_is_a_table_as_text_and_html(path: Path) -> None:
    header = mrcarray.read_header(path)
    assert header.to_text().splitlines()[1].split()[:3] == ["1", "nx", "7"]
    assert "<td>nx</td><td>7</td>" in header._repr_html_()

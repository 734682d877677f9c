"""zstd: frames that refer back far, need a dictionary, or have no library."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mrcarray.errors import (
    CompressionError,
    MissingDependencyError,
)
from mrcarray.storage import open_source
from mrcarray.storage.compression import member_decoders
from tests.storage.compressing import COMPRESS, MIB, noise, opened, read_all

pytestmark = pytest.mark.usefixtures("nothing_learnt")


class TestZstdFrames:
    def frame(self, content: bytes, **parameters: int) -> bytes:
        library: Any = member_decoders.zstd_library()
        options = {getattr(library.CompressionParameter, name): value for name, value in parameters.items()}
        compressor = library.ZstdCompressor(options=options)
        packed: bytes = compressor.compress(content)
        return packed + bytes(compressor.flush())

    @pytest.mark.parametrize("log", [27, 28, 31])
    def test_long_window_frames_are_read(self, log: int) -> None:
        content = noise(MIB)
        source, _ = opened(self.frame(content, window_log=log, content_size_flag=0), "zstd", len(content))
        assert read_all(source, len(content)) == content

    def test_too_long_window_names_the_solution(self) -> None:
        packed = bytearray(self.frame(bytes(5000), window_log=31, content_size_flag=0))
        packed[5] += 8  # the exponent of the window, in the frame's header
        with pytest.raises(CompressionError, match=r"cannot be read; it refers back further.*--long=31"):
            opened(bytes(packed), "zstd")[0].read(0, 10)

    def test_dictionary_frame_names_the_solution(self) -> None:
        library: Any = member_decoders.zstd_library()
        words = library.train_dict([b"%d of many words" % i * 9 for i in range(2000)], 1000)
        with pytest.raises(CompressionError, match=r"cannot be read; it was made with a dictionary.*zstd -D"):
            opened(library.compress(noise(5000), zstd_dict=words), "zstd")[0].read(0, 10)

    def test_lack_of_memory_is_memory_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        library: Any = member_decoders.zstd_library()

        def refuse(*_: object) -> None:
            raise library.ZstdError("Allocation error : not enough memory")

        decoder = member_decoders.ZstdDecoder()
        monkeypatch.setattr(decoder, "_object", SimpleNamespace(decompress=refuse))
        with pytest.raises(MemoryError, match="not enough memory"):
            decoder.decode(b"", 1)


def test_missing_zstd_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = COMPRESS["zstd"](b"abc")
    member_decoders.zstd_library.cache_clear()
    monkeypatch.setattr(member_decoders, "_import", lambda *_: None)
    try:
        with pytest.raises(
            MissingDependencyError, match=r'^reading zstd needs backports-zstd: pip install "mrcarray\[zstd\]"$'
        ):
            open_source(packed).read(0, 3)
    finally:
        member_decoders.zstd_library.cache_clear()

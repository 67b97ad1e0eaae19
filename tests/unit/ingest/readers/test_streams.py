"""What compressed inputs give: all of it, all that comes before damage, and never more memory than a piece needs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers import streams
from provenance.ingest.readers.streams import plain_head, plain_name, read_plain
from tests.unit.ingest.breaking import break_after

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
DECOMPRESSOR: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
}
SUFFIXES = tuple(COMPRESS)


def some_text(seed: int, n_words: int) -> bytes:
    """Return words that compress like prose."""
    chance = Random(seed)
    return b" ".join(b"%x" % chance.randrange(5000) for _ in range(n_words))


def read(name: Path | str, *, block_bytes: int = 1000) -> tuple[bytes, UnreadableFile | None]:
    """Return what a file gives, and the error at its end."""
    given_: list[bytes] = []
    try:
        for block in read_plain(Input(str(name)), block_bytes=block_bytes):
            assert block
            given_.append(block)
    except UnreadableFile as error:
        return b"".join(given_), error
    return b"".join(given_), None


def reference(data: bytes, suffix: str) -> tuple[bytes, bool]:
    """Return what members hold as far as they go, fed byte by byte, and whether the last one is whole."""
    text, decompressor, is_open = b"", DECOMPRESSOR[suffix](), False
    for i in range(len(data)):
        text += decompressor.decompress(data[i : i + 1])
        is_open = not decompressor.eof
        if decompressor.eof:
            decompressor = DECOMPRESSOR[suffix]()
    return text, not is_open


# ---------------------------------------------------------------- whole inputs


@given(
    suffix=st.sampled_from([*SUFFIXES, ""]),
    members=st.lists(st.binary(max_size=3000) | st.integers(0, 9).map(lambda seed: some_text(seed, 800)), max_size=4),
    block_bytes=st.sampled_from([1, 100, 5000, 1 << 20]),
    piece_bytes=st.sampled_from([1, 13, 2048]),
)
def test_members_are_joined(
    tmp_path: Path, suffix: str, members: list[bytes], block_bytes: int, piece_bytes: int
) -> None:
    path = tmp_path / f"a.txt{suffix}"
    compress = COMPRESS.get(suffix, bytes)
    members = members or [b""]
    path.write_bytes(b"".join(compress(one) for one in members))
    data = b"".join(members)
    if not suffix and streams.compression_of(data):
        return  # chance made it look compressed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_PIECE_BYTES", piece_bytes)
        blocks = list(read_plain(Input(str(path)), block_bytes=block_bytes))
    assert b"".join(blocks) == data
    assert all(len(block) >= block_bytes for block in blocks[:-1]) or not suffix


def test_text_that_begins_like_a_signature_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"BZh is no compression level")
    assert b"".join(read_plain(Input(str(path)), block_bytes=100)) == path.read_bytes()


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
@pytest.mark.parametrize("n_zeros", [4, 512, 2048, 10_000])
def test_padding_is_no_damage(tmp_path: Path, suffix: str, n_zeros: int) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes((COMPRESS[suffix](b"one") + bytes(n_zeros) + COMPRESS[suffix](b"two")) + bytes(n_zeros))
    assert read(path) == (b"onetwo", None)


def test_frames_of_zstandard_that_hold_nothing_are_skipped(tmp_path: Path) -> None:
    skippable = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    path = tmp_path / "a.zst"
    path.write_bytes(skippable + COMPRESS[".zst"](b"one") + skippable + COMPRESS[".zst"](b"two") + skippable)
    assert read(path) == (b"onetwo", None)
    assert plain_head(path.read_bytes()) == b"onetwo"


def test_a_wide_window_of_zstandard(tmp_path: Path) -> None:
    """Large dumps are made with `zstd --long=31`, which a decompressor refuses unless it is told not to."""
    parameters = zstandard.ZstdCompressionParameters(window_log=28, hash_log=10, chain_log=10, enable_ldm=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(b"some text") + compressor.flush()
    assert zstandard.get_frame_parameters(data).window_size == 1 << 28
    path = tmp_path / "a.zst"
    path.write_bytes(data)
    assert read(path) == (b"some text", None)


@pytest.mark.parametrize("content", [b"", b"a", b"ab\n", b"\x1f", b"\x1f\x8b"])
def test_tiny_files(tmp_path: Path, content: bytes) -> None:
    for name in ("a.jsonl", "what?.jsonl", "a.gz.jsonl"):
        (tmp_path / name).write_bytes(content)
        if content != b"\x1f\x8b":
            assert read(tmp_path / name) == (content, None)
    for suffix in SUFFIXES:
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(content)
        given_, error = read(path)
        assert given_ == b""
        assert error is not None


def test_the_name_does_not_decide(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"plain text after all")
    assert read(path) == (b"plain text after all", None)
    path = tmp_path / "a.jsonl"
    path.write_bytes(COMPRESS[".zst"](b"compressed after all"))
    assert read(path) == (b"compressed after all", None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A.JSONL.GZ", "a.jsonl"), ("a.jsonl", "a.jsonl"), ("b/a.csv.zstd", "b/a.csv"), ("what?.gz", "what?"),
        ("s3://b/a.csv.xz?versionId=3.gz", "s3://b/a.csv"), ("a.gz.bz2", "a.gz"), ("gz", "gz"),
    ],
)  # fmt: skip
def test_plain_name(name: str, expected: str) -> None:
    assert plain_name(name) == expected


# ---------------------------------------------------------------- cut off, damaged


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("piece_bytes", [16, 2048])
def test_cut_off_at_every_byte(tmp_path: Path, suffix: str, piece_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PIECE_BYTES", piece_bytes)
    texts = [some_text(1, 60), some_text(2, 20)]
    members = [COMPRESS[suffix](text) for text in texts]
    whole = b"".join(members)
    path = tmp_path / f"a{suffix}"
    borders = {len(members[0]), len(whole)}
    for n in range(len(whole) + 1):
        path.write_bytes(whole[:n])
        given_, error = read(path)
        expected, is_whole = reference(whole[:n], suffix)
        assert given_ == expected, f"cut off after {n} of {len(whole)} bytes"
        assert b"".join(texts).startswith(given_)
        assert (error is None) == (n in borders) == (is_whole and n > 0)
        if error is not None and n >= 6:
            assert f"is damaged or cut off after {len(given_):,} bytes of text" in str(error)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_in_the_middle(tmp_path: Path, suffix: str) -> None:
    text = some_text(3, 60_000)
    whole = COMPRESS[suffix](text)
    path = tmp_path / f"a{suffix}"
    chance = Random(suffix)
    n_damaged = 0
    for _ in range(25):
        place = chance.randrange(64, len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        given_, error = read(path, block_bytes=4096)
        before = DECOMPRESSOR[suffix]().decompress(whole[: place - place % 2048])
        assert given_.startswith(before)
        assert error is not None or given_ == text
        n_damaged += error is not None
    assert n_damaged > 20


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("behind", [b"garbage behind it", b"\x1f\x8bgarbage", b"\0\0garbage"])
def test_garbage_behind_a_member(tmp_path: Path, suffix: str, behind: bytes) -> None:
    text = some_text(4, 5000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(COMPRESS[suffix](text) + behind)
    given_, error = read(path)
    assert given_ == text
    assert error is not None
    assert error.file == str(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_bytes_behind_a_signature(tmp_path: Path, suffix: str) -> None:
    chance = Random(1)
    path = tmp_path / f"a{suffix}"
    for n in range(200):
        path.write_bytes(COMPRESS[suffix](b"")[:6] + chance.randbytes(n))
        _, error = read(path)
        assert error is not None


@pytest.mark.parametrize("suffix", [*SUFFIXES, ""])
@pytest.mark.parametrize("error", [OSError("connection lost"), RuntimeError("401\nno"), TimeoutError()])
def test_a_connection_that_breaks(suffix: str, error: Exception) -> None:
    text = some_text(5, 20_000)
    content = COMPRESS.get(suffix, bytes)(text)
    for breaks_after in (0, 5, 2047, 2049, len(content) // 2, len(content) - 1):
        name = break_after(content, breaks_after, error=error, name=f"a.txt{suffix}")
        given_, raised = read(name, block_bytes=4096)
        expected = reference(content[:breaks_after], suffix)[0] if suffix else content[:breaks_after]
        assert given_ == expected
        assert raised is not None
        assert raised.file == name
        assert "\n" not in str(raised)


# ---------------------------------------------------------------- bombs


def bomb(suffix: str) -> tuple[bytes, int]:
    """Return a small input and how many bytes of text it stands for."""
    zeros = bytes(16 << 20)
    if suffix == ".zst":  # one frame
        compressor = zstandard.ZstdCompressor().compressobj()
        return b"".join([*(compressor.compress(zeros) for _ in range(12)), compressor.flush()]), 12 * len(zeros)
    return COMPRESS[suffix](zeros) * 12, 12 * len(zeros)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_bomb_takes_bounded_memory(tmp_path: Path, suffix: str) -> None:
    content, n_expected = bomb(suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    del content
    tracemalloc.start()
    try:
        n_bytes = sum(len(block) for block in read_plain(Input(str(path)), block_bytes=1 << 20))
        assert plain_head(path.read_bytes()[:4096]) in (bytes(4096), b"")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_bytes == n_expected
    assert peak < (140 << 20 if suffix == ".zst" else 24 << 20), f"{peak:,} bytes"


@given(st.sampled_from(SUFFIXES), st.binary(max_size=6000), st.integers(0, 4096))
def test_plain_head(suffix: str, text: bytes, n: int) -> None:
    head = plain_head(COMPRESS[suffix](text)[:n])
    if n >= 6:  # before, nothing shows that it is compressed
        assert text.startswith(head)
    if len(COMPRESS[suffix](text)) <= n:
        assert head == text[:4096]

"""What there is to read: files, folders, patterns, addresses, standard input; and what goes wrong with them."""

from __future__ import annotations

import errno
import glob
import json
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import chdir
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.cli.previewing import print_preview
from provenance.errors import MissingExtra, NothingToRead, UnreadableFile
from provenance.ingest.inputs import HEAD_BYTES, Input, as_text, find_inputs
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.preview import preview
from provenance.ingest.readers.streams import read_plain
from provenance.store.store import Store
from tests.factories import compressed, count, environment, ingest_paths, json_lines, prose_records, rows, run
from tests.unit.ingest.breaking import break_after


def tree(folder: Path, *names: str) -> None:
    """Make files, each with its own name as content."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(folder: Path, *arguments: str) -> list[str]:
    """Return the names of what arguments stand for, seen from a folder."""
    with chdir(folder):
        return [one.name for one in find_inputs(arguments)]


# ---------------------------------------------------------------- files, folders, patterns


def test_folders(tmp_path: Path) -> None:
    tree(tmp_path, "d/b", "d/a.jsonl", "d/a/x", "d/a/y/z", "d/.hidden", "d/.git/config", "d/ü", "e/1", ".f/2")
    assert found(tmp_path, "d") == ["d/a.jsonl", "d/a/x", "d/a/y/z", "d/b", "d/ü"]
    assert found(tmp_path, "d/") == ["d/a.jsonl", "d/a/x", "d/a/y/z", "d/b", "d/ü"]
    assert found(tmp_path, "e", "d/a") == ["e/1", "d/a/x", "d/a/y/z"], "arguments keep their order"
    assert found(tmp_path, ".f", "d/.hidden") == [".f/2", "d/.hidden"], "what is named is not hidden"
    assert found(tmp_path / "e", ".") == ["./1"]


def test_the_same_file_twice(tmp_path: Path) -> None:
    tree(tmp_path, "d/a", "d/b")
    (tmp_path / "link").symlink_to("d/b")
    (tmp_path / "folder").symlink_to("d")
    assert found(tmp_path, "d/b", "d", "./d/a", "d/../d/a", str(tmp_path / "d/a")) == ["d/b", "d/a"]
    assert found(tmp_path, "link", "folder", "d") == ["link", "folder/a"]
    assert found(tmp_path, "-", "d/a", "-") == ["-", "d/a"]
    os.link(tmp_path / "d/a", tmp_path / "other")
    assert found(tmp_path, "d/a", "other") == ["d/a", "other"], "two names for equal bytes are two files"


def test_links_that_lead_back(tmp_path: Path) -> None:
    tree(tmp_path, "d/a", "d/sub/b")
    (tmp_path / "d/sub/up").symlink_to("..")
    (tmp_path / "d/self").symlink_to(".")
    (tmp_path / "d/twin").symlink_to("sub")
    for arguments in (["d"], ["d/**"], ["d/**/*"], ["**/d"], ["d/**/**"]):
        assert [os.path.realpath(tmp_path / one) for one in found(tmp_path, *arguments)] == [
            str(tmp_path / "d/a"),
            str(tmp_path / "d/sub/b"),
        ], arguments
    # every folder links to the next one twice: 2**40 paths lead to the last
    for i in range(40):
        (tmp_path / f"m/{i}").mkdir(parents=True)
        (tmp_path / f"m/{i}/left").symlink_to(f"../{i + 1}")
        (tmp_path / f"m/{i}/right").symlink_to(f"../{i + 1}")
    tree(tmp_path, "m/40/last")
    assert len(found(tmp_path, "m/0")) == len(found(tmp_path, "m/0/**/last")) == 1


def test_a_deep_folder(tmp_path: Path) -> None:
    with chdir(tmp_path):
        here = Path("d")
        for _ in range(1500):
            here.mkdir()
            here /= "d"
        (here.parent / "a").touch()
        try:
            assert len(find_inputs(["d"])) == len(find_inputs(["d/**/a"])) == 1
        finally:  # pytest removes the folders of earlier runs by a function that calls itself for every level
            (here.parent / "a").unlink()
            for folder in here.parents[:-1]:
                folder.rmdir()


def test_patterns(tmp_path: Path) -> None:
    tree(tmp_path, "a.jsonl", "b.jsonl", "c.txt", ".h.jsonl", "d/e.jsonl", "d/.h/f.jsonl", "d/g/h.jsonl", "x.jsonl/y")
    assert found(tmp_path, "*.jsonl") == ["a.jsonl", "b.jsonl", "x.jsonl/y"]
    assert found(tmp_path, "?.jsonl", "[bc]*") == ["a.jsonl", "b.jsonl", "x.jsonl/y", "c.txt"]
    assert found(tmp_path, "[!a].jsonl") == ["b.jsonl", "x.jsonl/y"]
    assert found(tmp_path, ".*.jsonl") == [".h.jsonl"]
    assert found(tmp_path, "**/*.jsonl") == ["a.jsonl", "b.jsonl", "d/e.jsonl", "d/g/h.jsonl", "x.jsonl/y"]
    assert found(tmp_path, "d/**/h.*") == ["d/g/h.jsonl"]
    assert found(tmp_path, "*/") == ["d/e.jsonl", "d/g/h.jsonl", "x.jsonl/y"]
    assert found(tmp_path, "d/**") == ["d/e.jsonl", "d/g/h.jsonl"]
    assert found(tmp_path, "./*/e.jsonl", "d//*.jsonl", "d/../?.txt") == ["./d/e.jsonl", "d/../c.txt"]
    absolute = str(tmp_path / "*.txt")
    assert [one.name for one in find_inputs([absolute])] == [str(tmp_path / "c.txt")]


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    tree(tmp_path, "a[1].jsonl", "a1.jsonl", "news[2020]/b.jsonl", "news[2020]/c.txt", "what?.jsonl", "whatx.jsonl")
    assert found(tmp_path, "a[1].jsonl") == ["a[1].jsonl"]
    assert found(tmp_path, "a[12].jsonl") == ["a1.jsonl"]
    assert found(tmp_path, "what?.jsonl") == ["what?.jsonl"]
    assert found(tmp_path, "news[2020]") == ["news[2020]/b.jsonl", "news[2020]/c.txt"]
    assert found(tmp_path, "news[2020]/*.jsonl") == ["news[2020]/b.jsonl"]
    assert found(tmp_path, "**/news[2020]/*") == ["news[2020]/b.jsonl", "news[2020]/c.txt"]


_step = st.sampled_from(["a", "b", "*", "?", "[ab]", "**", "a*", ".h"])


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forest")
    steps = ("a", "b", "ab", ".h")
    for one in steps:
        for two in steps:
            tree(folder, f"{one}/{two}/a", f"{one}/{two}/.h", f"{one}/file")
    return folder


@given(st.lists(_step, min_size=1, max_size=5))
def test_patterns_are_those_of_the_shell(forest: Path, steps: list[str]) -> None:
    """Where no links are, the same as `glob` finds, with the files below the folders."""
    pattern = "/".join(steps)
    expected = set()
    for one in glob.glob(pattern, root_dir=forest, recursive=True):
        path = forest / one
        if path.is_dir():
            hidden = len(path.relative_to(forest).parts)
            below = [file for file in path.rglob("*") if file.is_file()]
            expected |= {
                file for file in below if not any(s.startswith(".") for s in file.relative_to(forest).parts[hidden:])
            }
        elif not one.endswith("/"):  # `glob` takes a file for a folder in `**/a/**`
            expected.add(path)
    try:
        names = found(forest, pattern)
    except NothingToRead:
        names = []
    except UnreadableFile:  # no pattern, and not there
        assert not glob.has_magic(pattern)
        names = []
    assert {Path(os.path.abspath(forest / name)) for name in names} == expected
    assert names == sorted(names)


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty/.hidden").mkdir(parents=True)
    for argument in ("empty", "*.jsonl", "empty/**", "empty/**/x"):
        with pytest.raises(NothingToRead, match="stands for no file") as caught:
            found(tmp_path, argument)
        assert caught.value.name == argument
    for argument in ("missing.jsonl", "missing/a", "", "nul\0", "datasets.jsonl"):
        with pytest.raises(UnreadableFile) as refused:
            found(tmp_path, argument)
        assert refused.value.file == argument


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    tree(tmp_path, "d/a")
    (tmp_path / "d/dangling").symlink_to("nowhere")
    with pytest.raises(UnreadableFile, match="dangling: No such file or directory"):
        found(tmp_path, "d/dangling")
    (tmp_path / "d/circle").symlink_to("circle")
    with pytest.raises(UnreadableFile, match=r"circle: Too many levels of symbolic links"):
        found(tmp_path, "d/circle")
    assert found(tmp_path, "d") == ["d/a", "d/circle", "d/dangling"]  # whoever reads them says so
    os.mkfifo(tmp_path / "d/pipe")  # reading it would wait for ever
    with pytest.raises(UnreadableFile, match=r"pipe: it is a pipe or device.*standard input"):
        found(tmp_path, "d")


def test_folders_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing below them is left out in silence, as `glob` does."""
    tree(tmp_path, "d/a", "d/sub/b")
    real = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may read everything
    for argument in ("d", "d/**/b", "d/sub/*", "*/*/b*"):
        with pytest.raises(UnreadableFile, match=r"d/sub: Permission denied"):
            found(tmp_path, argument)


def test_names_that_are_no_utf_8(tmp_path: Path, store: Store) -> None:
    (tmp_path / "folder").mkdir()
    raw = os.fsencode(tmp_path) + b"/folder/news-\xe9\xff.jsonl"
    Path(os.fsdecode(raw)).write_bytes(json_lines([*prose_records(3), b"no json"]))
    for argument in (os.fsdecode(raw), str(tmp_path / "folder"), str(tmp_path / "*/*.jsonl"), f"{tmp_path}/**/n*"):
        (file,) = find_inputs([argument])
        assert os.fsencode(file.name) == raw
        assert as_text(file.name).endswith("news-\\xe9\\xff.jsonl")
        assert file.digest() == sha256(Path(os.fsdecode(raw)).read_bytes()).hexdigest()
    with pytest.raises(UnreadableFile) as caught:
        find_inputs([os.fsdecode(raw + b"x")])
    caught.value.args[0].encode("utf-8", "surrogateescape")

    lenient = IngestOptions(max_quarantined=1.0)
    assert ingest_paths(store, os.fsdecode(raw), options=lenient).counts.n_inserted == 3
    (refused,) = rows(store, "SELECT file FROM quarantined")
    assert refused["file"].endswith("news-\\xe9\\xff.jsonl")
    shown = preview(store, [os.fsdecode(raw)], source="books")
    assert json.loads(json.dumps(shown.as_json()))["files"][0]["file"] == refused["file"]
    print_preview(shown)
    store.close()

    said = run("--store", store.path, "ingest", os.fsdecode(raw), os.fsdecode(raw + b"x"), "--source", "books")
    assert (said.code, said.out) == (1, "")
    assert "No such file or directory" in said.err
    assert "Traceback" not in said.err


# ---------------------------------------------------------------- one input


@given(content=st.binary(max_size=9000), sizes=st.lists(st.integers(1, 5000), max_size=5))
def test_the_digest_is_that_of_the_bytes(tmp_path: Path, content: bytes, sizes: list[int]) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    expected = sha256(content).hexdigest()
    file = Input(str(path))
    assert file.size_bytes == len(content)
    assert file.head() == content[:HEAD_BYTES]
    assert file.digest() == expected, "never opened"
    with file.open() as stream:
        begun = b"".join(stream.read(size) for size in sizes)
        assert begun == content[: sum(sizes)]
        assert file.digest() == expected, "read in part"
        assert begun + stream.read() == content
        assert stream.read() == b""
        assert file.position() == len(content)
    assert file.digest() == expected, "read to the end"
    with file.open() as stream:
        assert file.digest() == expected, "opened again"
        assert stream.read() == content
    with file.open_seekable() as seekable:
        seekable.seek(len(content) // 2)
        assert seekable.read() == content[len(content) // 2 :]
    assert file.path == path
    assert (file.is_remote, file.is_dataset) == (False, False)


def test_the_digest_at_the_end_is_that_of_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"as it was")
    file = Input(str(path))
    with file.open() as stream:
        stream.read()
    path.write_bytes(b"as it is")
    assert file.digest() == sha256(b"as it was").hexdigest()


def test_the_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = Input(str(path)).stamp
    assert first is not None
    assert Input(str(path)).stamp == first
    time.sleep(0.02)
    path.write_bytes(b"two")
    assert Input(str(path)).stamp != first


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x")
    file = Input(str(path))
    path.unlink()
    for read in (file.head, file.open, file.open_seekable, file.digest):
        with pytest.raises(UnreadableFile, match="No such file or directory"):
            read()
    path.mkdir()
    with pytest.raises(UnreadableFile, match="directory"):
        file.open()


def test_datasets_are_named_not_opened(tmp_path: Path) -> None:
    tree(tmp_path, "saved/dataset_info.json", "saved/state.json", "saved/data-0.arrow")
    assert found(tmp_path, "saved", "datasets:squad?split=train") == ["datasets:saved", "datasets:squad?split=train"]
    file = Input("datasets:squad")
    assert file.is_dataset
    assert (file.head(), file.digest(), file.path, file.size_bytes, file.stamp) == (b"", None, None, None, None)


# ---------------------------------------------------------------- standard input

_SHOW = """
import json, sys
from provenance.ingest.inputs import find_inputs
from provenance.ingest.readers.streams import read_plain
from provenance.errors import ProvenanceError
(file,) = find_inputs(["-"])
shown = {"before": file.digest(), "path": file.path, "size": file.size_bytes}
try:
    shown["head"] = len(file.head()), len(file.head())
    shown["text"] = b"".join(read_plain(file, block_bytes=10_000)).decode()
    shown["digest"] = file.digest()
    file.open_seekable()
except ProvenanceError as error:
    shown["error"] = str(error)
print(json.dumps(shown))
"""


def test_standard_input() -> None:
    content = json_lines(prose_records(100))
    done = subprocess.run([sys.executable, "-c", _SHOW], input=content, capture_output=True, env=environment())
    shown = json.loads(done.stdout)
    assert (shown["before"], shown["path"], shown["size"]) == (None, None, None)
    assert shown["head"] == [HEAD_BYTES, HEAD_BYTES]
    assert shown["text"] == content.decode()
    assert shown["digest"] == sha256(content).hexdigest()
    assert "standard input: this format is read from its end" in shown["error"]


def test_standard_input_that_comes_slowly() -> None:
    content = json_lines(prose_records(2))
    with subprocess.Popen(
        [sys.executable, "-c", _SHOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for begin in range(0, len(content), 100):
            process.stdin.write(content[begin : begin + 100])
            process.stdin.flush()
            time.sleep(0.01)
        process.stdin.close()
        shown = json.loads(process.stdout.read())
    assert shown["head"][0] == len(content), "the format is recognised by more than the first write"
    assert shown["text"] == content.decode()
    assert shown["digest"] == sha256(content).hexdigest()


def test_standard_input_that_is_closed() -> None:
    command = f"exec {sys.executable} -c '{_SHOW}' <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, env=environment())
    assert "there is no standard input" in json.loads(done.stdout)["error"], done.stderr.decode()


def test_ingest_from_standard_input(store: Store) -> None:
    store.close()
    content = json_lines(prose_records(50))
    answer = run("--store", store.path, "ingest", "-", "--source", "s", "--origin", "human", input=content)
    assert (answer.code, "50 inserted" in answer.err) == (0, True), answer.err


# ---------------------------------------------------------------- addresses


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.ls("/") else None
    yield system
    system.rm("/", recursive=True) if system.ls("/") else None


def test_addresses(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    content = json_lines(prose_records(20))
    for name in ("/b/a.jsonl", "/b/c/d.jsonl", "/b/e[1].txt", "/b/.hidden/f", "/b/c/.g"):
        memory.pipe(name, content)
    assert found(tmp_path, "memory://b/a.jsonl") == ["memory://b/a.jsonl"]
    assert found(tmp_path, "memory://b/*.jsonl") == ["memory:///b/a.jsonl"]
    assert found(tmp_path, "memory://b") == ["memory:///b/a.jsonl", "memory:///b/c/d.jsonl", "memory:///b/e[1].txt"]
    assert found(tmp_path, "memory://b/**/*.jsonl") == ["memory:///b/a.jsonl", "memory:///b/c/d.jsonl"]
    assert found(tmp_path, "memory://b/e[1].txt") == ["memory://b/e[1].txt"]
    with pytest.raises(NothingToRead):
        found(tmp_path, "memory://b/*.csv")
    with pytest.raises(UnreadableFile, match=r"memory://b/missing: No such file or directory"):
        found(tmp_path, "memory://b/missing")

    file = Input("memory://b/a.jsonl")
    assert (file.is_remote, file.path, file.size_bytes) == (True, None, len(content))
    assert file.head() == content[:HEAD_BYTES]
    assert file.digest() == sha256(content).hexdigest()
    assert b"".join(read_plain(file, block_bytes=100)) == content
    assert file.digest() == sha256(content).hexdigest()
    with file.open_seekable() as seekable:
        seekable.seek(-5, os.SEEK_END)
        assert seekable.read() == content[-5:]
    stamp = file.stamp
    assert stamp is not None
    time.sleep(0.01)
    memory.pipe("/b/a.jsonl", b"other")
    assert Input("memory://b/a.jsonl").stamp != stamp


def test_file_addresses_and_chains(tmp_path: Path) -> None:
    tree(tmp_path, "d/a.txt", "d/b.txt")
    address = f"file://{tmp_path}/d"
    assert found(tmp_path, address) == [f"{address}/a.txt", f"{address}/b.txt"]
    assert found(tmp_path, f"{address}/b*") == [f"{address}/b.txt"]
    file = Input(f"{address}/a.txt")
    assert file.head() == b"d/a.txt"
    assert file.digest() == sha256(b"d/a.txt").hexdigest()
    stamp = file.stamp
    time.sleep(0.02)
    tree(tmp_path, "d/a.txt")
    assert Input(f"{address}/a.txt").stamp != stamp

    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("one.jsonl", "first")
        archive.writestr("two.jsonl", "second")
    (first, second) = find_inputs([f"zip://*.jsonl::{tmp_path}/z.zip"])
    assert [first.head(), second.head()] == [b"first", b"second"]


def test_addresses_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableFile, match="nosuch"):
        find_inputs(["nosuch://a/b"])
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match="fsspec"):
        find_inputs(["memory://a"])


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_remote_file_that_breaks_midway(tmp_path: Path, store: Store, suffix: str) -> None:
    """What came before is stored, and the error names the address."""
    records = prose_records(400)
    content = compressed(json_lines(records), Path(f"a.jsonl{suffix}"))
    name = break_after(content, len(content) * 3 // 4, error=RuntimeError("reset by peer"), name=f"a.jsonl{suffix}")
    with pytest.raises(UnreadableFile, match="reset by peer") as caught:
        ingest_paths(store, name)
    assert caught.value.file == name
    assert 100 < count(store, "documents") < 400
    assert Input(name).name == name
    with pytest.raises(UnreadableFile, match="reset by peer"):
        Input(name).digest()


class _Server(threading.Thread):
    """A web server on a free port of this machine that breaks the connection after some bytes."""

    def __init__(self, content: bytes, n_bytes: int) -> None:
        super().__init__(daemon=True)
        self._content, self._n_bytes = content, n_bytes
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/a.jsonl"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._content)}\r\nConnection: close\r\n\r\n"
                body = b"" if asked.startswith(b"HEAD") else self._content[: self._n_bytes]
                connection.sendall(head.encode() + body)

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.join()


def test_a_web_server_that_breaks_the_connection() -> None:
    pytest.importorskip("aiohttp", reason="fsspec reads http with aiohttp")
    content = json_lines(prose_records(3000))
    server = _Server(content, len(content) // 2)
    server.start()
    try:
        with pytest.raises(UnreadableFile) as caught:
            list(read_plain(Input(server.address), block_bytes=10_000))
        assert caught.value.file == server.address
    finally:
        server.stop()

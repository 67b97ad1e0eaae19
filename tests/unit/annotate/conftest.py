"""A store with a few documents, and files of three formats with the same records."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, document

#: external id -> source; the last two texts are the same.
DOCUMENTS = (("a", "books"), ("b", "books"), ("c", "crawl"), ("d", "crawl"), ("a", "crawl"), ("e", "books"))


@pytest.fixture
def store(make_store) -> Store:
    """Six documents; `a` occurs in two sources, and the text of `d` twice in its source."""
    made = make_store("annotated.duckdb")
    add_documents(made, [document(key, source=source) for key, source in DOCUMENTS])
    again = document("d2", source="crawl", text=document("d", source="crawl")["text"])
    add_documents(made, [{**again, "external_id": "d"}])
    with made.transaction() as connection:
        for source in ("books", "crawl"):
            connection.exec_driver_sql(
                f"INSERT INTO source BY NAME SELECT '{source}' AS name, 'human' AS origin, 'unknown' AS licence_class, "
                "now()::TIMESTAMP AS created_at"
            )
    return made


def ids(store: Store) -> dict[str, str]:
    """Return the ids of the documents by source and external id, of two such the smaller."""
    query = "SELECT source || '/' || external_id AS k, min(document_id)::VARCHAR AS d FROM document GROUP BY ALL"
    return {row["k"]: row["d"] for row in store.fetch(query).to_pylist()}


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Write records in the format that the name says."""
    names = list(dict.fromkeys(name for record in records for name in record))
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [record.get(name) for record in records] for name in names}), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(records)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def values(store: Store) -> dict[tuple[str, str], Any]:
    """Return what the long view says: (document, attribute) -> value."""
    query = "SELECT document_id::VARCHAR AS d, attribute, kind, number, text, boolean FROM annotations"
    rows = store.fetch(query).to_pylist()
    found = {(row["d"], row["attribute"]): row[row["kind"]] for row in rows}
    assert len(found) == len(rows)
    return found

"""Makes the frozen store of a revision: run with the released code of that revision, from its folder.

    python tests/migrations/create_asset.py tests/migrations/assets/0002

The store is exported as text and Parquet, so that it is read whatever becomes of DuckDB's file format.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import duckdb

from provenance.ingest.pipeline import ingest_files, ingest_records
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.records import Claim
from provenance.store.store import Store

_COMMENTS = """
    SELECT 'VIEW ' || view_name AS subject, comment FROM duckdb_views() WHERE NOT internal
    UNION ALL
    SELECT 'COLUMN ' || table_name || '.' || column_name, comment FROM duckdb_columns()
    WHERE comment IS NOT NULL AND table_name IN (SELECT view_name FROM duckdb_views() WHERE NOT internal)
    ORDER BY ALL
"""


def text(seed: int) -> str:
    """Return 80 words that no other seed gives."""
    chance = Random(seed)
    return " ".join(f"w{chance.randrange(100_000)}" for _ in range(80))


def fill(store: Store, folder: Path) -> None:
    """Enter documents of three sources, copies, refused records, a model's output and a training set."""
    human = [
        {"id": f"h{i}", "text": text(i), "author": f"author {i % 3}", "date": str(1800 + i), "licence": "CC0-1.0"}
        for i in range(12)
    ]
    ingest_records(store, human, name="human", source="books", claim=Claim.make("human"))
    lines = folder / "crawl.jsonl"
    copies = [text(i) + " edited" for i in range(4)] + [text(i) for i in range(4, 8)] + ["…", "… …"]
    with lines.open("w") as file:
        file.writelines(f'{{"id": "c{i}", "text": "{one}"}}\n' for i, one in enumerate(copies))
        file.write('no JSON\n{"text": null}\n')
    ingest_files(store, [lines], source="crawl", claim=Claim.make("unknown"))
    parent = str(store.fetch("SELECT document_id FROM document ORDER BY 1 LIMIT 1")["document_id"][0].as_py())
    output = [{"id": f"s{i}", "text": text(100 + i), "parent": parent} for i in range(6)]
    claim = Claim.make("synthetic", generation=1, model="someone's model")
    ingest_records(store, output, name="output", source="output", claim=claim)
    quotas = [{"name": "human", "where": "origin = 'human'", "min": 0.5}]
    make_training_set(store, MixSpec(name="first", budget={"words": 800}, quotas=quotas, seed=3))


def main(target: Path) -> None:
    """Write the asset."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "store.duckdb"
        with Store.create(path) as store:
            fill(store, Path(directory))
        with duckdb.connect(str(path)) as database:
            database.execute(f"EXPORT DATABASE '{target}' (FORMAT parquet)")
            comments = database.execute(_COMMENTS).fetchall()
    (target / "load.sql").unlink()  # it names the folder that it was made in
    with (target / "schema.sql").open("a") as file:  # an export forgets the comments of views
        for subject, comment in comments:
            file.write(f"COMMENT ON {subject} IS '" + comment.replace("'", "''") + "';\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

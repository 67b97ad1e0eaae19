"""Export of lineage as PROV-JSON: what stands behind a training set, for every tool that reads W3C PROV.

The file is written while the database is read, so that memory does not grow with the number of documents: about 1.4 kB
and 20 microseconds a document. The package `prov`, which reads it whole, needs 23 kB and .2 ms a document.

References
----------
PROV-DM: The PROV Data Model, W3C Recommendation, 2013; The PROV-JSON Serialization, W3C Member Submission, 2013.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from provenance.export.files import ExportReport, new_file, settle, write_with_manifest
from provenance.export.jsonl import compressed
from provenance.export.naming import TERMS, namespace
from provenance.export.prov_closure import reach
from provenance.export.prov_rows import PREPARED, STATEMENTS
from provenance.mix.manifest import store_id
from provenance.records import GRADES

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

_KINDS = (
    "document", "training_set", "model", "claim", "statement", "ingest", "mix", "fit", "generate", "source", "agent",
)  # fmt: skip
#: Statements that the database gives at a time.
_BATCH = 4096


def export_prov(
    training_set: TrainingSet, out_path: str | os.PathLike[str], *, overwrite: bool = False
) -> ExportReport:
    """Write what stands behind a training set as PROV-JSON, with the set's manifest beside it (`FILE.manifest.json`).

    The models that were fitted on the set are in it too. The file is compressed where its name ends in .gz or .zst.

    Raises
    ------
    OutputExists
        If there is a file already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    """
    target = Path(out_path)
    with new_file(target, overwrite=overwrite) as draft:
        with draft.open("wb") as file:
            with compressed(file, target.suffix) as text:
                _write(training_set, text)
            settle(file)
        return write_with_manifest(training_set, target, "prov", draft, overwrite=overwrite)


def _write(training_set: TrainingSet, file: IO[bytes]) -> None:
    own = store_id(training_set.store)
    prefixes = {"provenance": TERMS, **{kind: namespace(own, kind) for kind in _KINDS}}
    with training_set.store.read() as connection:
        raw: Any = connection.connection.driver_connection
        _prepare(raw, training_set.name)
        file.write(b'{"prefix":' + orjson.dumps(prefixes, option=orjson.OPT_INDENT_2))
        for kind, same in groupby(STATEMENTS, key=lambda one: one.kind):
            file.write(b',\n"' + kind.encode() + b'":{')
            numbers, begin = count(1), b"\n"
            for statements in same:
                for name, attributes in _statements(raw, statements.query):
                    name = name or f"_:{kind}{next(numbers)}"
                    file.write(begin + orjson.dumps(name) + b":" + orjson.dumps(attributes))
                    begin = b",\n"
            file.write(b"}")
        file.write(b"}\n")


def _prepare(raw: Any, name: str) -> None:
    reach(raw, name)
    for statement in PREPARED:
        raw.execute(statement)
    raw.execute("CREATE OR REPLACE TEMP TABLE reached_grade (evidence_rank UTINYINT, grade VARCHAR)")
    raw.executemany("INSERT INTO reached_grade VALUES (?, ?)", list(enumerate(GRADES)))


def _statements(raw: Any, query: str) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield name and attributes of every statement; relations have no name."""
    for batch in raw.execute(query).to_arrow_reader(_BATCH):
        names = [None] * batch.num_rows
        columns = []
        for column, values in zip(batch.schema.names, batch.columns, strict=True):
            attribute, _, kind = column.partition("@")
            if attribute == "id":
                names = values.to_pylist()
            else:
                columns.append((attribute, kind, values.to_pylist()))
        for i, name in enumerate(names):
            yield (
                name,
                {
                    attribute: {"$": values[i], "type": kind} if kind else values[i]
                    for attribute, kind, values in columns
                    if values[i] is not None
                },
            )

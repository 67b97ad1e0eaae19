"""What a takedown touches: documents, copies, training sets, models, what these generated, exports, refused records."""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection

from provenance.store.store import fetch, registered
from provenance.takedown.mentions import mentions_of
from provenance.takedown.patterns import words_of
from provenance.takedown.refused import find_refused
from provenance.takedown.select import Selection, choose, unknown

#: What becomes of copies: `ask` refuses where the same text stands elsewhere, `erase` takes copies and near-copies
#: along, `keep` leaves them, and so the text where another document has it.
Copies = Literal["ask", "erase", "keep"]

#: Near-copies that are named; all are counted.
_SHOWN = 20
#: Characters of a pattern that are looked for elsewhere; less stands everywhere.
_LEAST_OF_ADDRESS = 8

_N_STORE = "SELECT count(*) AS n FROM document"
_EXACT = """
    CREATE OR REPLACE TEMP TABLE exact_copy AS
    SELECT document_id FROM document
    WHERE content_id IN (SELECT content_id FROM document SEMI JOIN chosen USING (document_id))
      AND document_id NOT IN (SELECT document_id FROM chosen)
"""
_NEAR = """
    CREATE OR REPLACE TEMP TABLE near_copy AS
    WITH own AS (SELECT DISTINCT content_id FROM document SEMI JOIN chosen USING (document_id)),
    edge AS (
        SELECT n.content_a AS content_id, n.content_b AS other, n.rule, n.score FROM near_duplicate n
        UNION ALL SELECT n.content_b, n.content_a, n.rule, n.score FROM near_duplicate n
    )
    SELECT d.document_id, max_by(e.rule, e.score) AS rule, max(e.score) AS score
    FROM edge e SEMI JOIN own USING (content_id) JOIN document d ON d.content_id = e.other
    WHERE d.document_id NOT IN (SELECT document_id FROM chosen UNION ALL SELECT document_id FROM exact_copy)
    GROUP BY ALL
"""
_DOOMED = "CREATE OR REPLACE TEMP TABLE doomed AS SELECT document_id FROM chosen"
_DOOMED_TOO = "INSERT INTO doomed SELECT document_id FROM exact_copy UNION ALL SELECT document_id FROM near_copy"

_ALL_ADDRESSES = """
    SELECT count(*) > 1 AND bool_and(document_id IN (SELECT document_id FROM chosen)) AS is_all
    FROM document WHERE uri IS NOT NULL
"""
_BY_SOURCE = """
    SELECT source, count(*) AS n_documents, sum(n_words)::BIGINT AS n_words
    FROM document SEMI JOIN {table} USING (document_id) GROUP BY ALL ORDER BY ALL
"""
_N_LOST = """
    SELECT count(*) AS n FROM (
        SELECT content_id FROM document SEMI JOIN doomed USING (document_id)
        EXCEPT SELECT content_id FROM document ANTI JOIN doomed USING (document_id)
    )
"""
_NEAREST = """
    SELECT d.document_id::VARCHAR AS document_id, d.source, n.rule, round(n.score, 3) AS score
    FROM near_copy n JOIN document d USING (document_id) ORDER BY n.score DESC, d.document_id LIMIT :shown
"""
_SETS = """
    SELECT i.training_set, count(DISTINCT i.document_id) AS n_documents, count(*) AS n_draws, any_value(t.n_documents)
           AS of_draws
    FROM training_set_item i SEMI JOIN doomed USING (document_id) JOIN training_set t ON t.name = i.training_set
    GROUP BY ALL ORDER BY ALL
"""
_TRAINED = "SELECT name, training_set FROM model WHERE training_set IS NOT NULL ORDER BY ALL"
_DRAWN_OF = "SELECT DISTINCT model, training_set FROM training_set_item WHERE model IS NOT NULL"
_GENERATED = """
    SELECT model, generation, count(*) AS n_documents FROM document WHERE model IS NOT NULL
      AND document_id NOT IN (SELECT document_id FROM doomed) GROUP BY ALL ORDER BY ALL
"""
_DERIVED = """
    SELECT d.source, count(DISTINCT p.document_id) AS n_documents
    FROM parent p JOIN document d USING (document_id)
    WHERE p.parent_id IN (SELECT document_id FROM doomed) AND p.document_id NOT IN (SELECT document_id FROM doomed)
    GROUP BY ALL ORDER BY ALL
"""
_EXPORTS = """
    SELECT training_set, format, path, host, max(exported_at) AS exported_at FROM export
    WHERE list_contains(:names, training_set) GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Step:
    """One step of training after the documents.

    Attributes
    ----------
    step : 1 for models trained on sets that hold the documents, 2 for those trained on the output of these, ...
    training_sets, models : names
    generated : documents in the store that these models wrote, by generation: generation, n_documents
    """

    step: int
    training_sets: tuple[str, ...]
    models: tuple[str, ...]
    generated: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Touched:
    """What a takedown touches.

    Attributes
    ----------
    n_documents, n_words, n_texts : what is erased; texts are those that no document has any more
    n_store : documents of the store
    documents : what is erased, by source: source, n_documents, n_words
    exact_copies : documents beside those selected that have the very same text, by source
    near_copies : documents whose text nearly is the same, by source
    nearest : the nearest of them: document_id, source, rule, score
    training_sets : sets that hold erased documents: training_set, n_documents, n_draws, of_draws
    steps : models trained on these sets, what they wrote, sets that hold that, and so on
    derived : documents that were made from erased ones, by source
    exports : exports of these sets: training_set, format, path, host, exported_at, is_there (None on another host)
    n_quarantined : refused records whose bytes go too
    mentions : where else the author's name, or the address, stands, which stays: place, n_rows
    """

    n_documents: int
    n_words: int
    n_texts: int
    n_store: int
    documents: tuple[dict[str, Any], ...]
    exact_copies: tuple[dict[str, Any], ...]
    near_copies: tuple[dict[str, Any], ...]
    nearest: tuple[dict[str, Any], ...]
    training_sets: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]
    derived: tuple[dict[str, Any], ...]
    exports: tuple[dict[str, Any], ...]
    n_quarantined: int
    mentions: tuple[dict[str, Any], ...]

    @property
    def n_exact(self) -> int:
        """How many documents beside those selected have the very same text."""
        return sum(row["n_documents"] for row in self.exact_copies)

    @property
    def models(self) -> tuple[str, ...]:
        """All models that have seen the documents, or output of such a model."""
        return tuple(name for step in self.steps for name in step.models)

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Found:
    """What a takedown touches, and what only the erasure needs to know.

    Attributes
    ----------
    refused : records whose bytes go, as ids of 16 bytes
    takes_all : whether a pattern takes every one of the documents that have an address
    """

    touched: Touched
    refused: list[bytes]
    takes_all: bool


def find_touched(connection: Connection, selection: Selection, *, copies: Copies) -> Found:
    """Return what a takedown touches; leaves the temporary table `doomed` (document_id) of what it erases.

    Raises
    ------
    UnknownName
        If a value of the selection stands for nothing.
    """
    unmatched = choose(connection, selection)
    with registered(connection) as raw:
        for statement in (_EXACT, _NEAR, _DOOMED, *((_DOOMED_TOO,) if copies == "erase" else ())):
            raw.execute(statement)
    documents = _rows(connection, _BY_SOURCE.format(table="doomed"))
    sets = _rows(connection, _SETS)
    steps = _steps(connection, {row["training_set"] for row in sets})
    held = [row["training_set"] for row in sets]
    refused = find_refused(connection, selection)
    for value in unmatched:
        if value not in refused.named:
            raise unknown(connection, selection.kind, value)
    touched = Touched(
        n_documents=sum(row["n_documents"] for row in documents),
        n_words=sum(row["n_words"] for row in documents),
        n_texts=_rows(connection, _N_LOST)[0]["n"],
        n_store=_rows(connection, _N_STORE)[0]["n"],
        documents=documents,
        exact_copies=_rows(connection, _BY_SOURCE.format(table="exact_copy")),
        near_copies=_rows(connection, _BY_SOURCE.format(table="near_copy")),
        nearest=_rows(connection, _NEAREST, shown=_SHOWN),
        training_sets=sets,
        steps=steps,
        derived=_rows(connection, _DERIVED),
        exports=_exports(connection, held),
        n_quarantined=len(refused.ids),
        mentions=mentions_of(connection, _names(selection)),
    )
    takes_all = selection.kind == "url" and _rows(connection, _ALL_ADDRESSES)[0]["is_all"]
    return Found(touched, refused.ids, takes_all)


def _names(selection: Selection) -> tuple[str, ...]:
    """Return what is looked for beside the documents: names of authors, and what addresses begin with or hold."""
    if selection.kind == "author":
        return tuple(one.strip() for one in selection.values)
    words = [words_of(one) for one in selection.values] if selection.kind == "url" else []
    return tuple(one for one in words if len(one) >= _LEAST_OF_ADDRESS)


def forget_chosen(connection: Connection) -> None:
    """Drop the temporary tables but `doomed`."""
    with registered(connection) as raw:
        for table in ("chosen", "exact_copy", "near_copy"):
            raw.execute(f"DROP TABLE temp.{table}")


def _rows(connection: Connection, query: str, **bound: Any) -> tuple[dict[str, Any], ...]:
    return tuple(fetch(connection, query, bound).to_pylist())


def _steps(connection: Connection, sets: set[str]) -> tuple[Step, ...]:
    """Return the steps of training after some training sets, each model and set in the first that it belongs to."""
    trained: dict[str, list[str]] = {}
    for row in _rows(connection, _TRAINED):
        trained.setdefault(row["training_set"], []).append(row["name"])
    drawn_of: dict[str, set[str]] = {}
    for row in _rows(connection, _DRAWN_OF):
        drawn_of.setdefault(row["model"], set()).add(row["training_set"])
    written: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(connection, _GENERATED):
        written.setdefault(row["model"], []).append(row)
    steps: list[Step] = []
    seen, models = set(sets), set[str]()
    now = sets
    while now:
        new = {model for name in now for model in trained.get(name, ())} - models
        models |= new
        steps.append(Step(len(steps) + 1, tuple(sorted(now)), tuple(sorted(new)), _by_generation(new, written)))
        now = {name for model in new for name in drawn_of.get(model, ())} - seen
        seen |= now
    return tuple(steps)


def _by_generation(models: set[str], written: dict[str, list[dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    counts: dict[int | None, int] = {}
    for model in models:
        for row in written.get(model, ()):
            counts[row["generation"]] = counts.get(row["generation"], 0) + row["n_documents"]
    ordered = sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or 0))
    return tuple({"generation": generation, "n_documents": n} for generation, n in ordered)


def _exports(connection: Connection, names: list[str]) -> tuple[dict[str, Any], ...]:
    own = socket.gethostname()
    rows = _rows(connection, _EXPORTS, names=names) if names else ()
    return tuple({**row, "is_there": Path(row["path"]).exists() if row["host"] == own else None} for row in rows)

"""Relabelling in random lineages against a slow computation by the definitions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.settle import settle
from provenance.ids import uuid_array
from provenance.lineage.errors import LineageCycle
from provenance.records import Claim
from provenance.store.store import Store, utc_now
from tests.factories import ingest, prose_records, rows, violations

N_DOCUMENTS = 7
MODELS = ("m0", "m1", "m2", "m3")
LABELS = [Claim("human", 0), Claim("unknown"), Claim("synthetic", 3, "foreign"), Claim("synthetic", None, "foreign"),
          Claim("mixed", 2), *(Claim("synthetic", 1, name) for name in MODELS), Claim("mixed", None, "m0")]  # fmt: skip

drawn_sets = st.lists(
    st.lists(st.tuples(st.integers(0, N_DOCUMENTS - 1), st.integers(1, 9)), max_size=4),
    min_size=len(MODELS), max_size=len(MODELS),
)  # fmt: skip
relabellings = st.lists(st.tuples(st.integers(0, N_DOCUMENTS - 1), st.sampled_from(LABELS)), max_size=6)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with seven documents of unknown origin, and four models on sets that are filled later."""
    with Store.create(tmp_path_factory.mktemp("lineage") / "s.duckdb") as store:
        ingest(store, prose_records(N_DOCUMENTS), origin="unknown")
        with store.transaction() as connection:
            for name in MODELS:
                connection.exec_driver_sql(
                    """INSERT INTO training_set VALUES
                       (?, 'd', now()::TIMESTAMP, '{}', '{}', 'words', 0, 0, 0, NULL, 1.0)""", (f"set-{name}",)
                )  # fmt: skip
                connection.exec_driver_sql(
                    "INSERT INTO model (name, digest, training_set, created_at) VALUES (?, 'd', ?, now()::TIMESTAMP)",
                    (name, f"set-{name}"),
                )
            connection.exec_driver_sql("INSERT INTO model (name, created_at) VALUES ('foreign', now()::TIMESTAMP)")
        yield store


def begin(store: Store, sets: list[list[tuple[int, int]]]) -> list[str]:
    """Forget all claims, fill the training sets, and return the ids of the documents."""
    ids = [str(row["document_id"]) for row in rows(store, "SELECT document_id FROM document ORDER BY 1")]
    with store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM evidence WHERE subject_kind = 'document'")
        connection.exec_driver_sql("DELETE FROM training_set_item")
        for name, items in zip(MODELS, sets, strict=True):
            for position, (document, n_words) in enumerate(items):
                connection.exec_driver_sql(
                    """INSERT INTO training_set_item SELECT ?, ?, document_id, 0, ?, n_bytes, NULL, origin, generation,
                       evidence_rank, model, source, licence_class, cluster_id, 'all' FROM document
                       WHERE document_id = ?::UUID""", (f"set-{name}", position, n_words, ids[document]),
                )  # fmt: skip
        settle(connection)
    return ids


def behind(sets: list[list[tuple[int, int]]], labels: list[Claim]) -> tuple[dict[str, Any], list[Any]]:
    """Return generation, bound, mean and human ancestry of models and documents by the definitions."""
    models: dict[str, Any] = {}

    def of_model(name: str, above: tuple[str, ...]) -> Any:
        if name in above:
            raise LineageCycle([*above, name])
        if name not in models:
            parts = [(of_text(labels[i], (*above, name)), n) for i, n in sets[MODELS.index(name)]]
            total = sum(n for _, n in parts) or 1
            models[name] = (
                max([0, *(part[0] for part, _ in parts)]),
                any(part[1] for part, _ in parts),
                sum((part[2] * n for part, n in parts), Fraction(0)) / total,
                sum((part[3] * n for part, n in parts), Fraction(0)) / total,
            )
        return models[name]

    def of_text(label: Claim, above: tuple[str, ...] = ()) -> Any:
        if label.origin == "human":
            return 0, False, Fraction(0), Fraction(1)
        if label.origin == "unknown":
            return 0, True, Fraction(0), Fraction(0)
        if label.model in MODELS:
            generation, is_bound, mean, human = of_model(str(label.model), above)
            return generation + 1, is_bound, mean + 1, human
        generation = label.generation or 1
        return generation, True, Fraction(generation), Fraction(0)

    for name in MODELS:
        of_model(name, ())
    return models, [of_text(label) for label in labels]


def shown(label: Claim, found: Any) -> tuple[Any, ...]:
    """Return what a document's row has: what is not known is NULL."""
    if label.origin == "unknown":
        return None, None, None, None
    generation, is_bound, mean, human = found
    if label.origin != "human" and label.model not in MODELS:
        if label.generation is None:
            return None, None, None, None
        return generation, True, float(mean), None
    return generation, is_bound, float(mean), float(human)


def claimed(connection: Connection, document: str, label: Claim) -> pa.Table:
    """State a claim that outranks what was said before, and return the document as `settle` wants it."""
    now = utc_now()
    claim = StatedClaim("document", document, label, "declared", rank=1, author="ann")
    state_claims(connection, [claim], stated_at=now)
    return pa.table({"document_id": uuid_array([UUID(document).bytes])})


@settings(max_examples=12)
@given(sets=drawn_sets, changes=relabellings)
def test_relabelling(world: Store, sets: list[list[tuple[int, int]]], changes: list[tuple[int, Claim]]) -> None:
    ids = begin(world, sets)
    labels = [Claim("unknown")] * N_DOCUMENTS
    for document, label in changes:
        wanted = [label if i == document else old for i, old in enumerate(labels)]
        try:
            models, texts = behind(sets, wanted)
        except LineageCycle:
            before = state(world)
            with pytest.raises(LineageCycle, match="circle"), world.transaction() as connection:
                settle(connection, claimed(connection, ids[document], label))
            assert state(world) == before
            continue
        old = state(world)
        with world.transaction() as connection:
            settled = settle(connection, claimed(connection, ids[document], label))
        labels = wanted
        new = state(world)
        assert settled.n_changed + settled.n_dependent == sum(new[0][one] != old[0][one] for one in ids)
        for one, own, found in zip(ids, labels, texts, strict=True):
            assert new[0][one] == pytest.approx((own.origin, *shown(own, found)), abs=1e-12)
        for name in MODELS:
            assert new[1][name] == pytest.approx(tuple(map(plain, models[name])), abs=1e-12)
        with world.transaction() as connection:
            assert settle(connection).n_changed == 0
    assert [one for one in violations(world) if "training_set" not in one] == []


def plain(value: Any) -> Any:
    """Return a fraction as a number."""
    return float(value) if isinstance(value, Fraction) else value


_ROWS = """
    SELECT document_id::VARCHAR AS id, origin, generation, generation_is_bound, mean_ancestry, human_ancestry
    FROM document
"""
_MODELS = """
    SELECT name AS id, generation, generation_is_bound, mean_ancestry, human_ancestry FROM model
    WHERE training_set IS NOT NULL
"""


def state(store: Store) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Return the rows of documents and of models."""
    documents, models = (
        {row["id"]: tuple(list(row.values())[1:]) for row in rows(store, query)} for query in (_ROWS, _MODELS)
    )
    return documents, models


N_DEEP = 10_000
#: Model i was trained on document i, which model i - 1 wrote; people wrote document 0.
DEEP = (
    """INSERT INTO document BY NAME
       SELECT md5(i::VARCHAR)::UUID AS document_id, md5(i::VARCHAR)::UUID AS content_id, 'books' AS source,
              'unknown' AS licence_class, 'unknown' AS stated_licence_class, 5 AS n_bytes, 1 AS n_words,
              'unknown' AS origin, 0 AS evidence_rank, md5(i::VARCHAR)::UUID AS cluster_id, true AS is_representative,
              uuid() AS ingest_id FROM range($n) t(i)""",
    """INSERT INTO training_set BY NAME
       SELECT 'set-' || i AS name, 'd' AS digest, now()::TIMESTAMP AS created_at, '{}' AS spec, '{}' AS manifest,
              'words' AS budget_unit, 1 AS n_documents, 1 AS n_words, 5 AS n_bytes, 1.0 AS human_share
       FROM range($n) t(i)""",
    """INSERT INTO training_set_item BY NAME
       SELECT 'set-' || i AS training_set, 0 AS position, md5(i::VARCHAR)::UUID AS document_id, 0 AS repeat,
              1 AS n_words, 5 AS n_bytes, 'unknown' AS origin, 0 AS evidence_rank, 'books' AS source,
              'unknown' AS licence_class, md5(i::VARCHAR)::UUID AS cluster_id, 'all' AS stratum FROM range($n) t(i)""",
    """INSERT INTO model BY NAME
       SELECT 'm' || i AS name, 'd' AS digest, 'set-' || i AS training_set, now()::TIMESTAMP AS created_at
       FROM range($n) t(i)""",
    """INSERT INTO evidence BY NAME
       SELECT uuid() AS evidence_id, 'document' AS subject_kind, md5(i::VARCHAR)::UUID AS document_id,
              CASE i WHEN 0 THEN 'human' ELSE 'synthetic' END AS origin, 'declared' AS method, 1 AS rank,
              CASE WHEN i > 0 THEN 'm' || (i - 1) END AS model, 'ann' AS author, now()::TIMESTAMP AS stated_at
       FROM range($n) t(i)""",
)


def test_a_lineage_ten_thousand_deep(store: Store) -> None:
    first, last = "md5('0')::UUID", f"md5('{N_DEEP - 1}')::UUID"
    query = f"SELECT generation AS g, mean_ancestry AS m, human_ancestry AS h FROM document WHERE document_id = {last}"
    with store.transaction() as connection:
        raw: Any = connection.connection.driver_connection
        for statement in DEEP:
            raw.execute(statement, {"n": N_DEEP})
        settle(connection)
    assert rows(store, query) == [{"g": N_DEEP - 1, "m": N_DEEP - 1, "h": 1.0}]
    [one] = rows(store, f"SELECT {first}::VARCHAR AS id")
    with store.transaction() as connection:
        done = settle(connection, claimed(connection, one["id"], Claim("synthetic", 5, "foreign")))
    assert (done.n_changed, done.n_dependent) == (1, N_DEEP - 1)
    assert rows(store, query) == [{"g": N_DEEP + 4, "m": N_DEEP + 4, "h": 0.0}]
    with pytest.raises(LineageCycle) as raised, store.transaction() as connection:
        settle(connection, claimed(connection, one["id"], Claim("synthetic", None, f"m{N_DEEP - 1}")))
    assert len(raised.value.steps) == 3 * N_DEEP + 1
    assert len(str(raised.value)) < 2_000

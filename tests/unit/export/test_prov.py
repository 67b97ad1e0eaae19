"""PROV: the package `prov` reads the file, and the graph it makes answers as SQL does."""

from __future__ import annotations

import gzip
import json
import warnings
from datetime import UTC, datetime
from random import Random
from uuid import UUID, uuid4

import prov.model as prov
import pytest

from provenance.evidence.claims import StatedClaim, state_claims
from provenance.export import prov_json
from provenance.export.files import manifest_path
from provenance.export.naming import TERMS, namespace
from provenance.export.prov_closure import reach
from provenance.export.prov_json import export_prov
from provenance.lineage.models import Model, register_model
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.mix.training_set import TrainingSet
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import ingest, prose, rows
from tests.unit.export.published import AUTHOR, BOOKS, draw, fill

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC).replace(tzinfo=None)
SIGNER = "Ann O'Nym / Rights & Co: 100%"
ACTIVITY, ENTITY, COLLECTION = prov.PROV_ATTR_ACTIVITY, prov.PROV_ATTR_ENTITY, prov.PROV_ATTR_COLLECTION


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # names that it takes today and will refuse tomorrow
        return prov.ProvDocument.deserialize(path, format="json")


def make_chain(store):
    """Set `first` -> model `one` -> its outputs -> set `second` -> model `two`; claims of people, signed statement."""
    fill(store)
    draw(store, "first", where="external_id LIKE '%1'", quotas=[], budget={"documents": 6}, repeats={"max": 1})
    register_model(store, Model("one", "d1", "ngram", "first", 2))
    outputs = [{"id": f"o{i}", "text": prose(5000 + i), "model": "one", "generation": 3} for i in range(8)]
    ingest(store, outputs, source="one's output", origin="synthetic", model="one", generation=3)
    where = "source = 'one''s output' OR external_id LIKE '%2'"
    draw(store, "second", where=where, quotas=[], budget={"documents": 14}, repeats={"max": 2})
    register_model(store, Model("two", "d2", "ngram", "second", 3))
    [document] = rows(store, "SELECT document_id FROM document WHERE external_id = 'b2'")
    with store.transaction() as connection:
        [claim] = state_claims(
            connection,
            [StatedClaim("source", BOOKS, Claim("human", 0), "contract", author=SIGNER, rank=4, note="§ 1")],
            stated_at=AT,
        )
        state_claims(
            connection,
            [StatedClaim("document", str(document["document_id"]), Claim("human", 0), "read", author="Eve", rank=5)],
            stated_at=AT,
        )
        connection.exec_driver_sql(
            """INSERT INTO attestation BY NAME SELECT $1::UUID AS attestation_id, $2 AS source, $3 AS signer,
               DATE '2025-05-05' AS signed_on, 'all rights' AS terms, 'abc' AS statement_digest, true AS is_verified,
               $4::UUID AS evidence_id""",
            (str(uuid4()), BOOKS, SIGNER, str(claim)),
        )
    return store


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with Store.create(tmp_path_factory.mktemp("prov") / "store.duckdb") as store:
        yield make_chain(store)


@pytest.fixture(scope="module")
def document(chain, tmp_path_factory):
    path = tmp_path_factory.mktemp("prov") / "second.json"
    export_prov(TrainingSet.just_verified("second", chain), path)
    return read(path)


def relations(document, kind, first, second):
    found = {}
    for record in document.get_records(kind):
        named = dict(record.formal_attributes)
        found.setdefault(str(named[first]), set()).add(str(named[second]))
    return found


def behind(document, model):
    """Return the human documents behind a model, by the graph alone."""
    generated = relations(document, prov.ProvGeneration, ENTITY, ACTIVITY)
    used = relations(document, prov.ProvUsage, ACTIVITY, ENTITY)
    members = relations(document, prov.ProvMembership, COLLECTION, ENTITY)
    derived = relations(document, prov.ProvDerivation, prov.PROV_ATTR_GENERATED_ENTITY, prov.PROV_ATTR_USED_ENTITY)
    human = {
        str(one.identifier) for one in document.get_records(prov.ProvEntity)
        if f"{TERMS}human" in {getattr(kind, "uri", None) for kind in one.get_asserted_types()}
    }  # fmt: skip
    seen, todo = set(), [f"model:{model}"]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += [entity for activity in generated.get(here, ()) for entity in used.get(activity, ())]
            todo += [*members.get(here, ()), *derived.get(here, ())]
    return {UUID(name.partition(":")[2]) for name in seen & human}


def behind_in_sql(store, model):
    query = """
        WITH RECURSIVE up(kind, name) AS (
            SELECT 'model', :model
            UNION
            SELECT unnest.kind, unnest.name FROM (
                SELECT unnest(CASE up.kind
                    WHEN 'model' THEN (SELECT list({kind: 'set', name: training_set}) FROM model WHERE name = up.name)
                    WHEN 'set' THEN (SELECT list({kind: 'document', name: document_id::VARCHAR})
                                     FROM training_set_item WHERE training_set = up.name)
                    ELSE (SELECT list({kind: 'document', name: parent_id::VARCHAR}) FROM parent
                          WHERE document_id::VARCHAR = up.name)
                END) AS unnest FROM up
                UNION ALL
                SELECT {kind: 'model', name: d.model} FROM up JOIN document d ON d.document_id::VARCHAR = up.name
                WHERE up.kind = 'document' AND d.model IS NOT NULL
            )
        )
        SELECT DISTINCT d.document_id FROM up JOIN document d ON d.document_id::VARCHAR = up.name
        WHERE up.kind = 'document' AND d.origin = 'human'
    """
    return {UUID(str(row["document_id"])) for row in rows(store, query, model=model)}


def test_the_graph_says_which_human_documents_stand_behind_a_model_as_sql_does(chain, document):
    for model in ("one", "two"):
        expected = behind_in_sql(chain, model)
        assert expected
        assert behind(document, model) == expected
    assert behind(document, "one") < behind(document, "two")


def test_what_is_read_is_what_is_written_again(document, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("json", "provn"):
            text = document.serialize(format=kind)
            assert text
        again = prov.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    assert len(again.records) == len(document.records)


def test_every_statement_is_about_something_that_is_described(chain, document):
    known = {str(one.identifier) for one in document.get_records((prov.ProvEntity, prov.ProvActivity, prov.ProvAgent))}
    for record in document.get_records(prov.ProvRelation):
        for attribute, value in record.formal_attributes:
            if value is not None and attribute.localpart != "time":
                assert str(value) in known, (record, attribute)


def test_agents_activities_and_times(chain, document):
    own = rows(chain, "SELECT value->>'$' AS id FROM setting WHERE name = 'store_id'")[0]["id"]
    labels = {str(one.identifier): str(next(iter(one.get_attribute("prov:label")), "")) for one in document.records}
    agents = {labels[str(one.identifier)] for one in document.get_records(prov.ProvAgent)}
    assert {BOOKS, AUTHOR, SIGNER, "Eve"} <= agents
    assert {one.identifier.namespace.uri for one in document.get_records(prov.ProvAgent)} == {
        namespace(own, "source"), namespace(own, "agent"),
    }  # fmt: skip
    kinds = {str(next(iter(one.get_asserted_types()))) for one in document.get_records(prov.ProvActivity)}
    assert kinds == {f"provenance:{kind}" for kind in ("ingest", "mix", "fit", "generate")}
    [mix] = [one for one in document.get_records(prov.ProvActivity) if str(one.identifier) == "mix:second"]
    [stored] = rows(chain, "SELECT created_at FROM training_set WHERE name = 'second'")
    assert mix.get_endTime() == stored["created_at"]
    attributed = relations(document, prov.ProvAttribution, ENTITY, prov.PROV_ATTR_AGENT)
    claims = {
        str(one.identifier): one for one in document.get_records(prov.ProvEntity)
        if "provenance:claim" in map(str, one.get_asserted_types())
    }  # fmt: skip
    signed = [name for name in claims if SIGNER in {labels[agent] for agent in attributed[name]}]
    assert [str(next(iter(claims[name].get_attribute("provenance:evidence")))) for name in signed] == ["attested"]
    assert next(iter(claims[signed[0]].get_attribute("provenance:statedAt"))) == AT
    assert SIGNER in {labels[agent] for agent in attributed["statement:abc"]}
    influenced = relations(document, prov.ProvInfluence, prov.PROV_ATTR_INFLUENCER, prov.PROV_ATTR_INFLUENCEE)
    assert {labels[name] for name in influenced[signed[0]]} == {BOOKS}


def test_a_document_that_is_gone_is_named_and_no_more(empty_store, tmp_path):
    chain = make_chain(empty_store)
    [gone] = rows(chain, "SELECT document_id FROM training_set_item WHERE training_set = 'first' ORDER BY position")[:1]
    with chain.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM document WHERE document_id = $1::UUID", (str(gone["document_id"]),))
    export_prov(TrainingSet.just_verified("second", chain), tmp_path / "x.json")
    [record] = read(tmp_path / "x.json").get_record(f"document:{gone['document_id']}")
    assert [str(value) for _, value in record.attributes] == ["provenance:removed"]


def test_what_stands_behind_is_found_in_graphs_of_any_shape(empty_store):
    chance = Random(7)
    store, n = empty_store, 12
    models = [f"m{i}" for i in range(n)]
    trained = {model: f"s{chance.randrange(i)}" if i > 1 and chance.random() < 0.8 else None
               for i, model in enumerate(models)}  # fmt: skip
    documents = {UUID(int=i + 1): chance.choice([*models[: 1 + i // 8], None, None]) for i in range(90)}
    parents = {(a, b) for a in documents for b in documents if b.int < a.int and chance.random() < 0.01}
    sets = {f"s{i}": set(chance.sample(list(documents), chance.randrange(1, 6))) for i in range(n)}
    with store.transaction() as connection:
        run = connection.exec_driver_sql
        for model, name in trained.items():
            run("INSERT INTO model BY NAME SELECT $1 AS name, $2 AS training_set, now()::TIMESTAMP AS created_at",
                (model, name))  # fmt: skip
        for document, model in documents.items():
            run(
                """INSERT INTO document BY NAME SELECT $1::UUID AS document_id, $1::UUID AS content_id, 's' AS source,
                   'x' AS licence_class, 1 AS n_bytes, 1 AS n_words, $2 AS origin, $3 AS model, 1 AS evidence_rank,
                   $1::UUID AS cluster_id, true AS is_representative, $1::UUID AS ingest_id""",
                (str(document), "synthetic" if model else "human", model),
            )
        for pair in parents:
            run("INSERT INTO parent VALUES ($1::UUID, $2::UUID, 'edit')", tuple(map(str, pair)))
        for name, members in sets.items():
            for i, document in enumerate(sorted(members)):
                run(
                    """INSERT INTO training_set_item BY NAME SELECT $1 AS training_set, $2 AS position,
                       $3::UUID AS document_id, 0 AS repeat, 1 AS n_words, 1 AS n_bytes, 'human' AS origin,
                       1 AS evidence_rank, 's' AS source, 'x' AS licence_class, $3::UUID AS cluster_id,
                       '' AS stratum""",
                    (name, i, str(document)),
                )
    for begin in sets:
        seen, todo = set(), [begin]
        while todo:
            here = todo.pop()
            if here is None or here in seen:
                continue
            seen.add(here)
            todo += [b for a, b in parents if a == here] if isinstance(here, UUID) else list(sets.get(here, ()))
            todo.append(documents.get(here) if isinstance(here, UUID) else trained.get(here))
        with store.read() as connection:
            raw = connection.connection.driver_connection
            reach(raw, begin)
            found = {row[0] for row in raw.execute("SELECT document_id FROM reached_document").fetchall()}
            names = {row[0] for row in raw.execute("FROM reached_model UNION ALL FROM reached_set").fetchall()}
        assert {UUID(str(one)) for one in found} == {one for one in seen if isinstance(one, UUID)}
        fitted = {model for model, name in trained.items() if name == begin}
        assert names == {one for one in seen if isinstance(one, str)} | fitted


def test_the_file_is_there_whole_or_not_at_all(chain, tmp_path, monkeypatch):
    made = TrainingSet.just_verified("second", chain)
    report = export_prov(made, tmp_path / "a.json")
    export_prov(made, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads(manifest_path(tmp_path / "a.json").read_text())["files"] == {"a.json": report.sha256}
    with pytest.raises(OutputExists):
        export_prov(made, tmp_path / "a.json")
    export_prov(made, tmp_path / "a.json.gz")
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()) == (tmp_path / "a.json").read_bytes()

    def full(*arguments):
        raise OSError(28, "full")

    monkeypatch.setattr(prov_json, "_statements", full)
    with pytest.raises(ExportFailed, match="full"):
        export_prov(made, tmp_path / "c.json")
    assert sorted(path.name for path in tmp_path.glob("c*")) == []

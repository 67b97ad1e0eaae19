"""`check` finds every corruption that is planted, and names it; it finds nothing in a store that is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.dedup.parameters import DedupParameters
from provenance.lineage.models import Model, register_model
from provenance.store.check import check_store
from provenance.store.store import Store
from tests.factories import ingest, ingest_paths, prose, prose_records, provenance, violations, write_lines

NOW = "TIMESTAMP '2026-01-01'"

CLAIM, ONE = "INSERT INTO evidence SELECT e.* REPLACE (uuid() AS evidence_id,", "FROM (FROM evidence LIMIT 1) e"

#: what is planted, SQL that plants it, words of the check that must find it
CORRUPTIONS = (
    ("duplicate document", "INSERT INTO document SELECT * FROM document LIMIT 1",
     "document: every document_id occurs once"),
    ("duplicate content", "INSERT INTO content SELECT * FROM content LIMIT 1", "content: every content_id occurs once"),
    ("duplicate number", "UPDATE content SET content_no = 1 WHERE content_no = 0",
     "content: every content_no occurs once"),
    ("duplicate signature", "INSERT INTO signature SELECT * FROM signature LIMIT 1", "signature: every content_id"),
    ("duplicate band", "INSERT INTO band SELECT * FROM band LIMIT 1", "band: every key and content_no occurs once"),
    ("duplicate edge", "INSERT INTO near_duplicate SELECT * FROM near_duplicate LIMIT 1",
     "near_duplicate: every content_a"),
    ("duplicate membership", "INSERT INTO cluster SELECT * FROM cluster LIMIT 1",
     "cluster: every content_id occurs once"),
    ("span of nothing", "INSERT INTO span VALUES (1, 999999)", "span: every content_no is in signature"),
    ("lost spans", "DELETE FROM span", "span: every text of a model is in the index"),
    ("duplicate likeness", "INSERT INTO laundering SELECT * FROM laundering LIMIT 1",
     "laundering: every document_id and synthetic_id occurs once"),
    ("likeness of nothing", "UPDATE laundering SET document_id = uuid()",
     "laundering: every document is there, or is an original that was taken down"),
    ("likeness to people's text", "UPDATE laundering SET synthetic_id = document_id",
     "laundering: every likeness is to a model's text"),
    ("not compared", "INSERT INTO setting VALUES ('laundering_pending', 'true')",
     "laundering: everything was compared with every model's text"),
    ("duplicate claim", "INSERT INTO evidence SELECT * FROM evidence LIMIT 1",
     "evidence: every evidence_id occurs once"),
    ("duplicate refusal", "INSERT INTO quarantine SELECT * FROM quarantine LIMIT 1", "quarantine: every quarantine_id"),
    ("duplicate item", "INSERT INTO training_set_item SELECT * FROM training_set_item LIMIT 1",
     "training_set_item: every"),
    ("duplicate metric", "INSERT INTO metric SELECT * FROM metric LIMIT 1",
     "metric: every metric and run_id occurs once"),
    ("lost content", "DELETE FROM content WHERE content_no = 0", "document: every content_id is in content"),
    ("content of nobody", "DELETE FROM document WHERE external_id = 'r0'", "content: every content_id is in document"),
    ("lost source", "DELETE FROM source", "document: every source is in source"),
    ("lost ingest", "DELETE FROM ingest", "document: every ingest_id is in ingest"),
    ("lost model", "DELETE FROM model WHERE name = 'gpt-x'", "document: every model is in model"),
    ("lost signature", "DELETE FROM signature WHERE content_no = 0",
     "every text with words has a signature with its number"),
    ("signature of nobody", "UPDATE signature SET content_id = uuid() WHERE content_no = 0",
     "signature: every content_id"),
    ("lost signature of a band", "DELETE FROM signature WHERE content_no = 0",
     "band: every content_no is in signature"),
    ("edge to nowhere", "UPDATE near_duplicate SET content_b = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
     "near_duplicate: every content_b is in signature"),
    ("edge from nowhere", "UPDATE near_duplicate SET content_a = '00000000-0000-0000-0000-000000000000'",
     "near_duplicate: every content_a is in signature"),
    ("turned edge", "UPDATE near_duplicate SET content_a = content_b, content_b = content_a",
     "content_a is the smaller id"),
    ("lost edge", "DELETE FROM near_duplicate", "clusters are the connected components"),
    ("edge too many", "INSERT INTO near_duplicate SELECT min(content_id), max(content_id), 'near', 1.0, 1 FROM content",
     "clusters are the connected components"),
    ("lost cluster", "DELETE FROM cluster", "clusters are the connected components"),
    ("cluster of no content",
     "INSERT INTO cluster SELECT cluster_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff' FROM cluster LIMIT 1",
     "cluster: every content_id is in content"),
    ("wrong cluster", "UPDATE cluster SET cluster_id = (SELECT max(content_id) FROM cluster)", "connected components"),
    ("wrong cluster of a document", "UPDATE document SET cluster_id = uuid() WHERE external_id = 'r1'",
     "document: the cluster is that of the content"),
    ("wrong representative",
     "UPDATE document SET is_representative = NOT is_representative WHERE external_id IN ('base', 'copy')",
     "every cluster has one representative"),
    ("no representative", "UPDATE document SET is_representative = false WHERE external_id = 'r1'",
     "one representative"),
    ("two representatives", "UPDATE document SET is_representative = true", "every cluster has one representative"),
    ("wrong n_words of a document", "UPDATE document SET n_words = n_words + 1 WHERE external_id = 'r1'",
     "document: sizes are those of the content"),
    ("wrong n_bytes of a document", "UPDATE document SET n_bytes = 0 WHERE external_id = 'r1'", "document: sizes"),
    ("wrong n_words of a content", "UPDATE content SET n_words = n_words + 1 WHERE content_no = 1", "document: sizes"),
    ("wrong n_bytes of a content", "UPDATE content SET n_bytes = n_bytes + 1 WHERE content_no = 1",
     "content: every size is that of its text"),
    ("changed text", "UPDATE content SET text = text || '.' WHERE content_no = 1",
     "every id is the SHA-256 of its text"),
    ("one letter changed", "UPDATE content SET text = 'x' || text[2:] WHERE content_no = 1", "every id is the SHA-256"),
    ("changed origin", "UPDATE document SET origin = 'synthetic', generation = 1 WHERE external_id = 'r1'",
     "origin, generation, model, evidence and conflict are what the claims say"),
    ("changed generation", "UPDATE document SET generation = 2 WHERE model = 'gpt-x'", "are what the claims say"),
    ("changed model", "UPDATE document SET model = 'base-model' WHERE model = 'gpt-x'", "are what the claims say"),
    ("changed evidence", "UPDATE document SET evidence_rank = 5 WHERE external_id = 'r1'", "are what the claims say"),
    ("lost claims", "DELETE FROM evidence", "are what the claims say"),
    ("human of generation 3", "UPDATE document SET generation = 3 WHERE external_id = 'r1'",
     "generation fits the origin"),
    ("unknown of generation 0", "UPDATE document SET origin = 'unknown' WHERE external_id = 'r1'", "generation fits"),
    ("parent of nobody", "UPDATE parent SET document_id = uuid()", "parent: every document_id is in document"),
    ("lost parent", "UPDATE parent SET parent_id = uuid()", "parent: every parent_id is in document"),
    ("licence class of the document alone", "UPDATE document SET licence_class = stated_licence_class",
     "document: the licence class is the most restrictive one stated in its cluster"),
    ("licence class of nobody", "UPDATE document SET licence_class = 'proprietary' WHERE external_id = 'r1'",
     "document: the licence class"),
    ("freer licence class", "UPDATE document SET licence_class = 'public-domain' WHERE external_id = 'base'",
     "document: the licence class"),
    ("licence class for a document without licence",
     "UPDATE document SET stated_licence_class = 'unknown' WHERE external_id = 'copy'", "document: the licence class"),
    ("lost licence", "UPDATE document SET stated_licence_class = 'permissive' WHERE external_id = 'copy'",
     "document: the licence class"),
    ("refused by nobody", "UPDATE quarantine SET ingest_id = uuid()", "quarantine: every ingest_id is in ingest"),
    ("read more than became of it", "UPDATE ingest SET n_read = n_read + 1", "read = inserted + present + quarantined"),
    ("inserted more than is there", "UPDATE ingest SET n_inserted = n_inserted + 1, n_present = n_present - 1",
     "every document that a finished run inserted is there"),
    ("file of no run", "UPDATE ingest_file SET ingest_id = uuid()", "ingest_file: every ingest_id is in ingest"),
    ("more read than the file holds", "UPDATE ingest_file SET n_read = n_read + 1", "are those of its files"),
    ("less refused than in the file", "UPDATE ingest_file SET n_quarantined = n_quarantined + 1",
     "are those of its files"),
    ("amendment of no document", "UPDATE amendment SET document_id = uuid()", "amendment: every document_id"),
    ("amendment of no run", "UPDATE amendment SET ingest_id = uuid()", "amendment: every ingest_id is in ingest"),
    ("annotated twice", "INSERT INTO annotation SELECT * FROM annotation",
     "annotation: every document_id and attribute occurs once"),
    ("annotation of no document", "UPDATE annotation SET document_id = uuid()",
     "annotation: every document_id is in document"),
    ("annotation of no attribute", "DELETE FROM attribute", "annotation: every attribute is in attribute"),
    ("value in two columns", "UPDATE annotation SET text = 'x'",
     "annotation: the value is in the column of its kind and in no other"),
    ("undone by halves", "UPDATE ingest SET state = 'undone'", "nothing is left of an undone run"),
    ("item whose document is gone", "UPDATE training_set_item SET document_id = uuid() WHERE position = 1",
     "training_set_item: every document_id is in document"),
    ("taken down twice", "INSERT INTO tombstone SELECT * FROM tombstone", "tombstone: every document_id occurs once"),
    ("taken down by nothing", "UPDATE tombstone SET takedown_id = uuid()",
     "tombstone: every takedown_id is in takedown"),
    ("taken down and there",
     "UPDATE tombstone SET document_id = (SELECT document_id FROM document WHERE external_id = 'r1')",
     "tombstone: no document that was taken down is there"),
    ("text taken down and there", "UPDATE tombstone SET content_id = (SELECT min(content_id) FROM content)",
     "tombstone: no text that was taken down is there"),
    ("bytes of what was taken down", "INSERT INTO setting VALUES ('rewrite_pending', '\"id\"')",
     "the file was written anew since"),
    ("another ancestry", "UPDATE document SET human_ancestry = 0.5 WHERE external_id = 'r1'",
     "document: ancestry is that of its origin and model"),
    ("another generation of a model", "UPDATE model SET mean_ancestry = 0.5 WHERE name = 'base-model'",
     "model: generation and ancestry are those of the training set"),
    ("item of no set", "DELETE FROM training_set", "training_set_item: every training_set is in training_set"),
    ("lost item", "DELETE FROM training_set_item WHERE position = 1", "training_set: counts are those of its items"),
    ("gap in the order", "UPDATE training_set_item SET position = 7 WHERE position = 1", "training_set: counts"),
    ("wrong words of a set", "UPDATE training_set SET n_words = n_words + 1", "training_set: counts"),
    ("wrong bytes of an item", "UPDATE training_set_item SET n_bytes = 0", "training_set: counts"),
    ("model of a lost set", "UPDATE model SET training_set = 'gone' WHERE name = 'base-model'",
     "model: every training_set"),
    ("run of a lost set", "UPDATE training_run SET training_set = 'gone'", "training_run: every training_set"),
    ("run of a lost model", "UPDATE training_run SET model = 'gone'", "training_run: every model is in model"),
    ("metric of no run", "DELETE FROM training_run", "metric: every run_id is in training_run"),
    ("count by no tokenizer", "DELETE FROM tokenizer", "token_count: every tokenizer is in tokenizer"),
    ("count of no content", "UPDATE token_count SET content_id = uuid()",
     "token_count: every content_id is in content"),
    ("counted twice", "INSERT INTO token_count SELECT * FROM token_count",
     "token_count: every content_id and tokenizer"),
    ("claim about no document", f"{CLAIM} 'document' AS subject_kind, uuid() AS document_id) {ONE}",
     "evidence: every document_id is in document"),
    ("claim about no run", f"{CLAIM} 'ingest' AS subject_kind, uuid() AS ingest_id) {ONE}",
     "evidence: every ingest_id is in ingest"),
    ("claim about no source", f"{CLAIM} 'source' AS subject_kind, 'gone' AS source) {ONE}",
     "evidence: every source is in source"),
    ("retraction of nothing", f"{CLAIM} uuid() AS retracts) {ONE}", "evidence: every retracts is in evidence"),
    ("taken back twice", f"{CLAIM} evidence_id AS retracts) {ONE}, range(2)", "evidence: no claim is taken back twice"),
    ("claim of another date",
     f"""{CLAIM} 'document' AS subject_kind, (SELECT min(document_id) FROM document) AS document_id, 'date' AS author,
         'published before a cutoff' AS method, 'authored_at 1999-01-01, before 2020-01-01' AS note) {ONE}""",
     "evidence: what dates claim rests on the dates"),
    ("lost support", "UPDATE evidence SET support_digest = 'gone'", "evidence: every support_digest is in support"),
    ("changed support", "UPDATE support SET bytes = 'y'::BLOB", "support: every digest is the SHA-256"),
    ("lost statement", "DELETE FROM support", "attestation: every statement_digest is in support"),
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the file of a store in which every table has rows."""
    path = tmp_path_factory.mktemp("check") / "whole.duckdb"
    with Store.create(path, dedup=DedupParameters(containment=0.8)) as store:
        fill(store, path.with_name("copies.jsonl"))
        assert violations(store) == []
    return path.read_bytes()


def fill(store: Store, file: Path) -> None:
    base = prose(1000)
    ingest(store, [*prose_records(4), {"text": "…", "id": "no words"}, {"no": "text"}])
    copies = [
        {"text": base, "id": "base", "licence": "MIT"},
        {"text": base.replace("w", "W", 1) + " more", "id": "copy", "licence": "CC-BY-SA-4.0"},
        b"bad",
    ]
    ingest_paths(store, write_lines(file, copies))
    ingest(store, [{**prose_records(1)[0], "author": "Ada"}])
    (parent,) = store.fetch("SELECT document_id FROM document WHERE external_id = 'base'")["document_id"].to_pylist()
    made = {"text": prose(2000), "id": "made", "parent": str(parent)}
    ingest(store, [made], source="outputs", origin="synthetic", generation=1, model="gpt-x")
    with store.transaction() as connection:
        for statement in (
            f"""INSERT INTO training_set
                SELECT 'set', 'digest', {NOW}, '{{}}', '{{}}', 'words', 2, 120, sum(n_bytes), NULL, 1.0 FROM document
                WHERE external_id IN ('r0', 'r1')""",
            """INSERT INTO training_set_item SELECT 'set', row_number() OVER (ORDER BY external_id) - 1, document_id, 0,
                      n_words, n_bytes, NULL, origin, generation, evidence_rank, model, source, licence_class,
                      cluster_id, 'all'
               FROM document WHERE external_id IN ('r0', 'r1')""",
            f"INSERT INTO tokenizer VALUES ('words', 'digest', '{{}}', 10, {NOW})",
            f"INSERT INTO attribute VALUES ('quality', 'number', 'tool', NULL, {NOW})",
            f"INSERT INTO annotation SELECT document_id, 'quality', 0.5, NULL, NULL, {NOW} FROM document",
            "INSERT INTO token_count SELECT 'words', content_id, n_words FROM content",
            f"INSERT INTO support VALUES (sha256('x'), 'x', 'text/plain', 1, 'x'::BLOB, {NOW})",
            """INSERT INTO attestation SELECT uuid(), 'books', 'Ada', DATE '2026-01-01', NULL, NULL, sha256('x'), NULL,
                      NULL, false, evidence_id FROM evidence LIMIT 1""",
            f"INSERT INTO detector VALUES ('d', '1', 'digest', 0.5, '{{}}', NULL, {NOW})",
            "INSERT INTO detector_score SELECT 'd', '1', content_id, 0.1 FROM content LIMIT 1",
            f"""INSERT INTO laundering SELECT h.document_id, s.document_id, 'near-duplicate', 0.9, NULL, 'memorisation',
                       'entered before', {NOW} FROM document h, document s
                WHERE h.external_id = 'r1' AND s.external_id = 'made'""",
            f"INSERT INTO export VALUES (uuid(), 'set', 'jsonl', '/x', 'host', NULL, {NOW})",
            f"INSERT INTO takedown VALUES (uuid(), '{{}}', 'asked for', 'me', {NOW}, '{{}}')",
            "INSERT INTO tombstone SELECT takedown_id, uuid(), uuid(), 'books', 'human', 5, true FROM takedown",
            f"INSERT INTO export VALUES (uuid(), 'set', 'jsonl', '/out.jsonl', 'here', NULL, {NOW})",
        ):
            connection.exec_driver_sql(statement)
    register_model(store, Model("base-model", "digest", "ngram", "set"))
    with store.transaction() as connection:
        connection.exec_driver_sql(
            f"""INSERT INTO training_run
                SELECT uuid(), 'e', 'quota', 1, 0, 'finished', 'set', 'base-model', '{{}}', {NOW}, {NOW}, '{{}}'"""
        )
        connection.exec_driver_sql("INSERT INTO metric SELECT run_id, 'loss', 1.5 FROM training_run")


@pytest.mark.parametrize(("statement", "check"), [c[1:] for c in CORRUPTIONS], ids=[c[0] for c in CORRUPTIONS])
def test_corruption_is_found(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, statement: str, check: str
) -> None:
    path = tmp_path_factory.mktemp("corrupt") / "s.duckdb"
    path.write_bytes(whole)
    with Store.open(path, writable=True) as store:
        with store.transaction() as connection:
            assert connection.exec_driver_sql(statement) is not None
        found = [finding for finding in check_store(store) if finding.n_violations]
    assert any(check in finding.check for finding in found), [finding.check for finding in found]
    for finding in found:
        assert 1 <= len(finding.examples) <= 3
        assert finding.n_violations >= len(finding.examples)


def test_every_table_has_rows(whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("full") / "s.duckdb"
    path.write_bytes(whole)
    with Store.open(path) as store:
        for table in store.fetch("SELECT table_name FROM duckdb_tables()")["table_name"].to_pylist():
            assert store.fetch(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py() > 0, table


def test_every_check_is_violated_by_some_corruption(whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No check is dead: each is the one that some corruption above is found by."""
    path = tmp_path_factory.mktemp("all") / "s.duckdb"
    path.write_bytes(whole)
    with Store.open(path) as store:
        names = [finding.check for finding in check_store(store)]
    assert len(names) == len(set(names))
    assert [name for name in names if not any(check in name for _, _, check in CORRUPTIONS)] == []


def test_command(whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("command") / "s.duckdb"
    path.write_bytes(whole)
    good = provenance("--store", path, "check")
    assert (good.code, good.out) == (0, "")
    assert good.err.endswith("checks, 0 violated\n")
    with Store.open(path, writable=True) as store, store.transaction() as connection:
        connection.exec_driver_sql("UPDATE document SET n_words = 0")
    bad = provenance("--store", path, "check")
    assert bad.code == 1
    assert "document: sizes are those of the content" in bad.out
    assert "violated 7 times" in bad.out
    as_json = provenance("--store", path, "check", "--json")
    assert as_json.code == 1
    assert {"check", "n_violations", "examples"} == json.loads(as_json.out)[0].keys()

"""`store.sql` takes one reading query and nothing else, and reaches nothing outside the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import QueryFailed, QueryRefused
from provenance.store.query import _called_functions
from provenance.store.store import Store
from tests.factories import count, dump, ingest, prose_records

READING = (
    "SELECT 1",
    "select 1;",
    "  \n\tSELECT 1",
    "(SELECT 1)",
    "((SELECT 1) UNION ALL (SELECT 2))",
    "-- a comment; with a semicolon\nSELECT 1",
    "/* DROP TABLE document; */ SELECT 1",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t WHERE a < 3) SELECT * FROM t",
    "FROM documents",
    "FROM documents SELECT count(*) GROUP BY ALL",
    "VALUES (1), (2)",
    "DESCRIBE documents",
    "DESC documents",
    "DESCRIBE SELECT 1",
    "SUMMARIZE documents",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN (FORMAT json) SELECT 1",
    "EXPLAIN (ANALYZE, FORMAT json) FROM documents",
    "SELECT ';DROP TABLE document' AS text",
    "SELECT 'enable_logging()' AS text, \"query\" FROM (SELECT 1 AS query)",
    "SELECT source, origin, count(*), sum(n_words) FROM documents WHERE is_representative GROUP BY ALL",
    "SELECT * FROM duckdb_columns()",
    "SELECT 'é中😀' AS text",
    "SELECT * FROM query_table('source')",
    "SELECT * FROM composition, training_sets, runs, lineage, clusters, quarantined, training_set_documents",
)

CHANGING = (
    "INSERT INTO setting VALUES ('x', '1')",
    "INSERT INTO setting SELECT 'x', '1'",
    "INSERT OR REPLACE INTO setting VALUES ('store_id', '1')",
    "UPDATE document SET origin = 'human'",
    "DELETE FROM document",
    "TRUNCATE document",
    "DROP TABLE document",
    "DROP VIEW documents",
    "ALTER TABLE document ADD COLUMN x INTEGER",
    "ALTER TABLE document RENAME TO x",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE OR REPLACE VIEW documents AS SELECT 1",
    "CREATE TEMP TABLE x AS SELECT 1",
    "CREATE TEMP VIEW x AS SELECT 1",
    "CREATE MACRO f() AS 1",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA s",
    "CREATE TYPE t AS ENUM ('a')",
    "CREATE INDEX i ON document (source)",
    "CREATE SECRET (TYPE s3)",
    "COMMENT ON TABLE document IS 'x'",
    "MERGE INTO setting USING setting s ON false WHEN MATCHED THEN DELETE",
    "WITH x AS (SELECT 1) INSERT INTO setting SELECT 'x', '1'",
    "WITH x AS (SELECT 1) DELETE FROM document",
    "WITH x AS (INSERT INTO setting VALUES ('x', '1') RETURNING *) SELECT * FROM x",
    "SELECT * FROM (DELETE FROM document RETURNING *)",
    "SELECT 1 INTO x",
    "FROM setting INSERT INTO setting",
    "(INSERT INTO setting VALUES ('x', '1'))",
    "EXPLAIN ANALYZE INSERT INTO setting VALUES ('x', '1')",
    "EXPLAIN (ANALYZE) INSERT INTO setting VALUES ('x', '1')",
    "EXPLAIN (FORMAT json, ANALYZE) DELETE FROM document",
    "EXPLAIN /* */ ANALYZE DELETE FROM document",
    "EXPLAIN -- x\n ANALYZE DELETE FROM document",
    "EXPLAIN ANALYZE /* SELECT */ DELETE FROM document",
    "EXPLAIN ANALYZE WITH x AS (SELECT 1) DELETE FROM document",
    "EXPLAIN ANALYZE WITH x AS (SELECT 1) INSERT INTO setting SELECT 'x', '1'",
    "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "EXPLAIN DELETE FROM document",
    "EXPLAIN EXPLAIN ANALYZE DELETE FROM document",
    "PREPARE p AS DELETE FROM document",
    "EXECUTE p",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "CALL checkpoint()",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
)

OUTSIDE = (
    "COPY document TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet'",
    "COPY setting FROM '{folder}/in.csv'",
    "EXPLAIN ANALYZE COPY setting TO '{folder}/out.csv'",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}'",
    "EXPLAIN IMPORT DATABASE '{folder}'",
    "SELECT 1; IMPORT DATABASE '{folder}'",
    "ATTACH '{folder}/other.duckdb' AS other",
    "ATTACH ':memory:' AS other",
    "ATTACH '{folder}/new.duckdb'",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/in.csv'",
    "SELECT * FROM '{folder}/in.csv'",
    "FROM '{folder}/in.csv'",
    "FROM '{folder}/*.csv'",
    "FROM '/etc/passwd'",
    "SELECT * FROM read_csv('{folder}/in.csv')",
    "SELECT * FROM read_csv_auto('{folder}/in.csv')",
    "SELECT * FROM sniff_csv('{folder}/in.csv')",
    "SELECT * FROM read_text('{folder}/in.csv')",
    "SELECT * FROM read_blob('{folder}/in.csv')",
    "SELECT * FROM read_json('{folder}/in.csv')",
    "SELECT * FROM read_ndjson_objects('{folder}/in.csv')",
    "SELECT * FROM read_parquet('{folder}/in.parquet')",
    "SELECT * FROM parquet_metadata('{folder}/in.parquet')",
    "SELECT * FROM parquet_schema('{folder}/in.parquet')",
    "SELECT * FROM read_duckdb('{folder}/other.duckdb', table_name := 'secret')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM glob('*')",
    "WITH x AS (SELECT * FROM read_text('{folder}/in.csv')) SELECT * FROM x",
    "SELECT (SELECT content FROM read_text('{folder}/in.csv'))",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{folder}/in.csv')",
    "SUMMARIZE '{folder}/in.csv'",
    "DESCRIBE '{folder}/in.csv'",
    "SELECT * FROM 'https://example.com/a.csv'",
    "SELECT * FROM sqlite_scan('{folder}/other.duckdb', 'a')",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM enable_logging(storage = 'file', storage_config = {{'path': '{folder}/log'}})",
)

SETTINGS = (
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "SET GLOBAL threads = 64",
    "SET SESSION search_path = 'x'",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "PRAGMA memory_limit = '100GB'",
    "PRAGMA enable_external_access = true",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging()",
    'SELECT * FROM "enable_logging" ()',
    "SELECT * FROM ENABLE_LOGGING/* ( */('QueryLog')",
    "FROM system.main.enable_logging()",
    "SELECT * FROM disable_logging()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT * FROM enable_profiling()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM force_checkpoint()",
    "SELECT write_log('x')",
    "SELECT ('x').write_log()",
    "SELECT setseed(0.5)",
    "FROM query('FROM enable_' || 'logging()')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "EXPLAIN ANALYZE FROM enable_logging()",
)

NOT_ONE = (
    "", " ", ";", ";;", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE document", "SELECT 1;; SELECT 2",
    "SELECT 1; -- x\n; DELETE FROM document", "SELECT 1 /* ; */; DELETE FROM document",
)  # fmt: skip

NONSENSE = (
    "SELEC 1", "SELECT", "SELECT nope", "SELECT * FROM nope", "SELECT ?", "SELECT $1", "SELECT 'open", "SELECT \"open",
    "SELECT 1 FROM setting WHERE error('stop')",
    "SELECT '\0'", "SELECT 1/* open", "SELECT '\ud800'", "SELECT 1 AS \ud800",
    "SELECT 'x'::INTEGER", "EXPLAIN", "WITH", "FROM", "DESCRIBE nope", ")", "🙂",
)  # fmt: skip


@pytest.fixture(scope="module", params=["reading", "writing"])
def opened(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Return a store with some documents, open for reading and for writing in turn; no query changes it."""
    path = tmp_path_factory.mktemp("sandbox") / "s.duckdb"
    with Store.create(path) as store:
        ingest(store, prose_records(3))
    with Store.open(path, writable=request.param == "writing") as store:
        yield store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files that nobody may read."""
    path = tmp_path_factory.mktemp("outside")
    (path / "in.csv").write_text("name,value\nsecret,1\n")
    (path / "schema.sql").write_text("SELECT 'secret'")
    (path / "load.sql").write_text("SELECT 'secret'")
    with duckdb.connect(str(path / "other.duckdb")) as database:
        database.execute("CREATE TABLE secret AS SELECT 42 AS a")
        database.execute("CREATE TABLE other AS SELECT 42 AS a")
        database.execute(f"COPY secret TO '{path}/in.parquet'")
    return path


@pytest.mark.parametrize("query", READING)
def test_reading(opened: Store, query: str) -> None:
    result = opened.sql(query)
    assert result.arrow().num_rows == len(result.rows()) == len(result.pandas())


@pytest.mark.parametrize(
    "queries", [CHANGING, SETTINGS, NOT_ONE, NONSENSE], ids=["changing", "settings", "count", "nonsense"]
)
def test_everything_else_is_refused(opened: Store, queries: tuple[str, ...]) -> None:
    before = dump(opened)
    schema = opened.fetch("SELECT * FROM duckdb_columns() ORDER BY ALL").to_pylist()
    settings = opened.fetch("SELECT name, value FROM duckdb_settings() ORDER BY name").to_pylist()
    for query in queries:
        with pytest.raises((QueryRefused, QueryFailed)) as caught:
            opened.sql(query)
        assert "\n" not in str(caught.value), query
        assert opened.sql("SELECT 1").rows() == [(1,)], f"unusable after {query}"
    assert dump(opened) == before
    assert opened.fetch("SELECT * FROM duckdb_columns() ORDER BY ALL").to_pylist() == schema
    assert opened.fetch("SELECT name, value FROM duckdb_settings() ORDER BY name").to_pylist() == settings
    assert opened.sql("SELECT count(*) FROM documents").rows() == [(3,)]


@pytest.mark.parametrize("query", [*CHANGING, *NOT_ONE])
def test_kind_is_refused_before_it_runs(opened: Store, query: str) -> None:
    """What is no reading query never reaches the database, except where only its parser or planner can tell."""
    late = query.startswith(
        ("WITH x AS (INSERT", "SELECT", "FROM", "EXPLAIN ANALYZE WITH", "(INSERT", "EXPLAIN EXPLAIN")
    )
    with pytest.raises((QueryRefused, QueryFailed) if late else QueryRefused):
        opened.sql(query)


def test_nothing_outside_is_reached(opened: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = sorted(os.listdir(folder))
    for template in OUTSIDE:
        query = template.format(folder=folder)
        with pytest.raises((QueryRefused, QueryFailed)) as caught:
            opened.sql(query)
        assert "secret'" not in str(caught.value), query
        assert "42" not in str(caught.value), query
        assert opened.sql("SELECT 1").rows() == [(1,)], f"unusable after {query}"
    assert sorted(os.listdir(folder)) == before
    assert opened.sql("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").rows() == [(1,)]


frame_outside = pd.DataFrame({"a": [1]})


def test_python_variables_are_no_tables(opened: Store) -> None:
    frame_inside = pd.DataFrame({"a": [1]})
    table_inside = pa.table({"a": [1]})
    result = opened.sql("SELECT 1 AS a")
    assert frame_inside.size == table_inside.num_rows == result.arrow().num_rows
    for name in ("frame_outside", "frame_inside", "table_inside", "result", "READING", "opened", "duckdb"):
        with pytest.raises(QueryFailed, match="does not exist"):
            opened.sql(f"SELECT * FROM {name}")


def test_the_program_itself_can_reach_nothing_else(store: Store, folder: Path) -> None:
    """Even trusted statements run in a locked database."""
    with pytest.raises(Exception, match="configuration"):
        store.fetch(f"SELECT * FROM read_text('{folder}/in.csv')")
    with pytest.raises(Exception, match="lock"):
        store.fetch("SET enable_external_access = true")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT f(1), g (2), \"H\"(3), 'i(4)', é(5) -- j(6)", {"f", "g", "h"}),
        ("SELECT a.b.c(1)", {"c"}),
        ("SELECT 1", set()),
        ("FROM x/* ( */(1)", {"x"}),
    ],
)
def test_called_functions(query: str, names: set[str]) -> None:
    assert _called_functions(query.encode()) - {""} == names


@given(
    st.text(max_size=30)
    | st.sampled_from(["(", "'", '"', "x(", ";", "--", "/*", "$$", "é"]).flatmap(
        lambda a: st.text().map(lambda b: a + b)
    )
)
def test_any_text_is_answered_or_refused(_any_store: Store, query: str) -> None:
    try:
        _any_store.sql(query)
    except (QueryRefused, QueryFailed) as error:
        assert "\n" not in str(error)
    assert _any_store.sql("SELECT 1").rows() == [(1,)]


@pytest.fixture(scope="module")
def _any_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.create(tmp_path_factory.mktemp("any") / "s.duckdb") as store:
        yield store


def test_results(store: Store) -> None:
    ingest(store, prose_records(3))
    result = store.sql("SELECT external_id, n_words, metadata, document_id FROM documents ORDER BY external_id")
    assert result.arrow().column_names == ["external_id", "n_words", "metadata", "document_id"]
    assert [row[0] for row in result.rows()] == ["r0", "r1", "r2"]
    assert result.pandas()["n_words"].tolist() == [60, 60, 60]
    assert count(store, "document") == 3


def test_a_query_sees_what_was_committed_and_the_store_stays_writable(store: Store) -> None:
    for n in (1, 2, 3):
        ingest(store, prose_records(n), name=str(n))
        assert store.sql("SELECT count(*) FROM documents").rows() == [(n,)]

"""What annotating takes, what it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import gzip
import pickle
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.annotations import errors
from provenance.annotations.annotate import annotate
from provenance.annotations.names import suggested_name
from provenance.errors import StoreReadOnly, UnknownName
from provenance.store.check import check_store
from provenance.store.store import Store
from tests.unit.annotate.conftest import ids, values, write


def test_kinds_come_from_the_values(store, tmp_path):
    known = ids(store)
    file = tmp_path / "scores.jsonl.gz"
    plain = write(
        tmp_path / "scores.jsonl",
        [
            {"document_id": known["books/b"].upper(), "quality": 1, "topic": "", "poem": False, "unsaid": None},
            {"document_id": known["crawl/c"].replace("-", ""), "quality": 0.25, "topic": "sea"},
        ],
    )
    file.write_bytes(gzip.compress(plain.read_bytes()))
    report = annotate(store, [file], tool="clf 1.2", note="it's 100% :sure, isn't it?")
    assert [(one.name, one.kind, one.n_new) for one in report.attributes] == [
        ("quality", "number", 2), ("topic", "text", 2), ("poem", "boolean", 1),
    ]  # fmt: skip
    assert values(store) == {
        (known["books/b"], "quality"): 1.0,
        (known["crawl/c"], "quality"): 0.25,
        (known["books/b"], "topic"): "",
        (known["crawl/c"], "topic"): "sea",
        (known["books/b"], "poem"): False,
    }


def test_cells_of_csv_are_typed_by_column(store, tmp_path):
    known = ids(store)
    file = tmp_path / "scores.csv"
    file.write_text(
        f"document_id,quality,flag,label\n{known['books/b']}, 1e-3 ,True,x1\n{known['crawl/c']},.5,FALSE,true story\n"
    )
    annotate(store, [file])
    assert {a: v for (d, a), v in values(store).items() if d == known["books/b"]} == {
        "quality": 0.001, "flag": True, "label": "x1",
    }  # fmt: skip


def test_a_text_attribute_takes_cells_as_they_are(store, tmp_path):
    known = ids(store)
    annotate(store, [write(tmp_path / "1.jsonl", [{"document_id": known["books/b"], "label": "x"}])])
    annotate(store, [write(tmp_path / "2.csv", [{"document_id": known["books/e"], "label": "007"}])])
    assert values(store)[known["books/e"], "label"] == "007"


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("text", [1, True, "x", 2.5], ["1", "true", "x", "2.5"]),
        ("number", ["1", 2, "1e3", " -4 "], [1.0, 2.0, 1000.0, -4.0]),
        ("boolean", [1, 0, "TRUE", False], [True, False, True, False]),
    ],
)
def test_a_stated_kind_is_what_values_are_read_as(store, tmp_path, kind, given, kept):
    known = ids(store)
    keys = ["books/a", "books/b", "crawl/c", "books/e"]
    records = [{"document_id": known[k], "v": v} for k, v in zip(keys, given, strict=True)]
    annotate(store, [write(tmp_path / "s.jsonl", records)], kinds={"v": kind})
    assert [values(store)[known[k], "v"] for k in keys] == kept


def test_parquet_as_other_programs_write_it(store, tmp_path):
    known = ids(store)
    file = tmp_path / "scores.parquet"
    columns = {
        "document_id": pa.array([bytes.fromhex(known["books/b"].replace("-", ""))], pa.binary(16)),
        "quality": pa.array([0.5], pa.float32()),
        "cost": pa.array(["1.25"]).cast(pa.decimal128(5, 2)),
        "topic": pa.array(["sea"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), file)
    annotate(store, [file])
    assert {a: v for (_, a), v in values(store).items()} == {"quality": 0.5, "cost": 1.25, "topic": "sea"}


def test_new_values_replace_old_ones_and_the_same_again_changes_nothing(store, tmp_path):
    known = ids(store)
    first = write(tmp_path / "1.jsonl", [{"document_id": known[k], "q": 1} for k in ("books/a", "books/b")])
    second = write(
        tmp_path / "2.jsonl", [{"document_id": known[k], "q": v} for k, v in (("books/b", 2), ("books/e", 1))]
    )
    annotate(store, [first])
    times = "SELECT document_id, annotated_at FROM annotation ORDER BY ALL"
    before = store.fetch(times)
    assert [(one.n_new, one.n_changed, one.n_same) for one in annotate(store, [first]).attributes] == [(0, 0, 2)]
    assert store.fetch(times).equals(before)
    report = annotate(store, [second])
    assert [(one.n_new, one.n_changed, one.n_same) for one in report.attributes] == [(1, 1, 0)]
    assert values(store)[known["books/b"], "q"] == 2


def test_a_content_and_an_external_id_stand_for_all_their_documents(store, tmp_path):
    content = store.fetch("SELECT content_id::VARCHAR AS c FROM document WHERE external_id = 'd' LIMIT 1")["c"][
        0
    ].as_py()
    by_content = annotate(store, [write(tmp_path / "c.jsonl", [{"content_id": content, "q": 1}])], key="content_id")
    assert (by_content.attributes[0].n_new, by_content.n_several) == (2, 1)
    both = write(tmp_path / "e.jsonl", [{"id": "d", "r": 1}, {"id": "c", "r": 2}])
    by_name = annotate(store, [both], key="external_id")
    assert (by_name.attributes[0].n_new, by_name.n_several) == (3, 1)


def test_an_external_id_of_two_sources_needs_the_source(store, tmp_path):
    known = ids(store)
    file = write(tmp_path / "s.jsonl", [{"external_id": "a", "q": 1}])
    with pytest.raises(errors.AmbiguousKeys, match=r"'books' and 'crawl'.*--source"):
        annotate(store, [file], key="external_id")
    annotate(store, [file], key="external_id", source="crawl")
    assert values(store) == {(known["crawl/a"], "q"): 1}
    with pytest.raises(UnknownName, match="Did you mean 'books'"):
        annotate(store, [file], key="external_id", source="boks")


def test_numbers_as_external_ids(store, tmp_path):
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE document SET external_id = '17' WHERE external_id = 'e'")
    annotate(store, [write(tmp_path / "s.jsonl", [{"id": 17, "q": 1}])], key="external_id")
    assert list(values(store)) == [(ids(store)["books/17"], "q")]


def test_keys_without_a_document(store, tmp_path):
    records = [{"id": k, "q": 1} for k in ("z1", "b", "z3", "z2", "z0", "z1")]
    file = write(tmp_path / "s.jsonl", records)
    with pytest.raises(errors.UnknownKeys, match=r"4 keys .*\(for example z1, z3, z2\).*--ignore-missing") as caught:
        annotate(store, [file], key="external_id")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301
    assert values(store) == {}
    report = annotate(store, [file], key="external_id", ignore_missing=True)
    assert (report.n_missing, report.attributes[0].n_new, report.n_records) == (4, 1, 6)


def test_an_attribute_without_a_document_is_not_made(store, tmp_path):
    report = annotate(
        store, [write(tmp_path / "s.jsonl", [{"id": "z", "q": 1}])], key="external_id", ignore_missing=True
    )
    assert report.attributes == ()
    assert store.fetch("SELECT * FROM attribute").num_rows == 0


def test_fields_and_names_can_be_chosen(store, tmp_path):
    known = ids(store)
    file = write(tmp_path / "s.jsonl", [{"doc": known["books/b"], "text": "long", "Score-1": 2, "x": "y"}])
    annotate(store, [file], key_field="doc", attributes=["Score-1"], rename={"Score-1": "order"})
    assert values(store) == {(known["books/b"], "order"): 2}
    found = store.sql('SELECT "order" FROM documents JOIN attributes USING (document_id)').rows()
    assert found == [(2.0,)]


REFUSED = errors.AnnotationRefused
GOOD = '{"id": "b", "q": 1}\n'
REFUSALS = [
    # file, options, error, words of the message
    ("s.jsonl", GOOD + '{"id": "c", "q": NaN}\n', {}, REFUSED, "s.jsonl, line 2: bad JSON"),
    ("s.jsonl", GOOD + '{"id": "c", "q": 1e999}\n', {}, REFUSED, "line 2"),
    ("s.jsonl", GOOD + "nonsense\n", {}, REFUSED, "line 2: bad JSON"),
    ("s.jsonl", GOOD + '{"id": "c", "q": "1"}\n', {}, REFUSED,
     "line 2: the value of 'q': '1' is a text, expected a number like 1 in"),
    ("s.jsonl", GOOD + '{"id": "c", "q": true}\n', {}, REFUSED, "state --kind q=text"),
    ("s.jsonl", GOOD + '{"id": "c", "q": [1]}\n', {}, REFUSED, "line 2: the value of 'q': it is a list"),
    ("s.jsonl", '{"id": "c", "q": {"a": 1}}\n', {}, REFUSED, "line 1: the value of 'q': it is an object"),
    ("s.jsonl", GOOD + '{"id": "c", "q": 9007199254740993}\n', {}, REFUSED, "cannot be kept exactly"),
    ("s.jsonl", '{"id": "b", "t": "%s"}\n' % ("x" * 10_001), {}, REFUSED, "10,001 characters"),
    ("s.jsonl", '{"id": "b", "t": "a\\u0000b"}\n', {}, REFUSED, "NUL"),
    ("s.jsonl", '{"id": "b", "q": "x"}\n', {"kinds": {"q": "number"}}, REFUSED, "no finite number"),
    ("s.jsonl", '{"id": "b", "q": 2}\n', {"kinds": {"q": "boolean"}}, REFUSED, "neither true nor false"),
    ("s.csv", "id,q\nb,1\nc,n/a\n", {}, REFUSED,
     "line 3: the value of 'q': 'n/a' is a text, expected a number like '1' in"),
    ("s.csv", "id,q\nb,x\nc,1\n", {}, REFUSED, "'1' is a number, expected a text"),
    ("s.csv", "id,q\nb,nan\n", {}, REFUSED, "'nan' is no finite number"),
    ("s.csv", "id,q\nb,1e999\n", {}, REFUSED, "no finite number"),
    ("s.csv", "id,q\nb,1,2\n", {}, REFUSED, "line 2: malformed row"),
    ("s.jsonl", GOOD + '{"id": "b", "q": 2}\n', {}, errors.ConflictingValues,
     "'b' has two values of 'q': 1.0 ({}/s.jsonl, line 1) and 2.0 ({}/s.jsonl, line 2)"),
    ("s.jsonl", GOOD + '{"q": 2}\n', {}, errors.NoSuchField, "line 2, has no field 'id'"),
    ("s.jsonl", GOOD + '{"id": null, "q": 2}\n', {}, REFUSED, "line 2: the key 'id' is None"),
    ("s.jsonl", GOOD + '{"id": 1.5, "q": 2}\n', {}, REFUSED, "line 2: the key 'id' is 1.5"),
    ("s.jsonl", GOOD, {"attributes": ["Q"]}, errors.InvalidAttribute, "--rename Q=q"),
    ("s.jsonl", GOOD, {"attributes": ["qq"]}, errors.NoSuchField, "Did you mean 'q'?"),
    ("s.jsonl", GOOD, {"rename": {"qq": "r"}}, errors.NoSuchField, "--rename"),
    ("s.jsonl", GOOD, {"kinds": {"r": "text"}}, errors.NoSuchField, "--kind"),
    ("s.jsonl", GOOD, {"kinds": {"q": "nubmer"}}, errors.InvalidAttribute, "Did you mean 'number'?"),
    ("s.jsonl", '{"id": "b", "q": 1, "r": 2}\n', {"rename": {"r": "q"}}, errors.InvalidAttribute, "both 'r' and 'q'"),
    ("s.jsonl", '{"id": "b", "origin": "human"}\n', {}, errors.AttributeNameTaken, "--rename origin=origin_label"),
    ("s.jsonl", '{"id": "b", "Text": "human"}\n', {}, errors.AttributeNameTaken, "--rename Text=text_label"),
    ("s.jsonl", '{"id": "b", "9 lives!": 1}\n', {}, errors.InvalidAttribute, "--rename 9 lives!=_9_lives_"),
    ("s.jsonl", '{"id": "b", "%s": 1}\n' % ("q" * 64), {}, errors.InvalidAttribute, "63"),
    ("s.csv", "id," + ",".join(f"q{i}" for i in range(101)) + "\nb" + ",1" * 101 + "\n", {}, errors.TooManyAttributes,
     "--fields"),
    ("s.jsonl", '{"q": 1}\n', {"key": "document_id"}, errors.NoSuchField, "line 1, has no field 'document_id'"),
    ("s.csv", "docid,q\nb,1\n", {"key": "document_id"}, errors.NoSuchField, "Did you mean 'docid'?"),
    ("s.jsonl", '{"document_id": "b", "q": 1}\n', {"key": "document_id"}, REFUSED, "line 1: the key 'b' is no id"),
    ("s.jsonl", GOOD, {"key": "id"}, UnknownName, "kind of key"),
    ("s.jsonl", GOOD, {"tool": "a\nb"}, errors.InvalidDescription, "one line"),
    ("s.jsonl", GOOD, {"note": " "}, errors.InvalidDescription, "one line"),
    ("s.jsonl.gz", "no gzip", {}, REFUSED, "bad JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "error", "words"), REFUSALS)
def test_what_is_refused_leaves_nothing(store, tmp_path, name, content, options, error, words):
    before = write(tmp_path / "before.jsonl", [{"id": "e", "earlier": 1}])
    annotate(store, [before], key="external_id")
    held = (values(store), store.fetch("SELECT * FROM attribute").to_pylist())
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(error) as caught:
        annotate(store, [file], **({"key": "external_id"} | options))
    assert words.replace("{}", str(tmp_path)) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301
    assert (values(store), store.fetch("SELECT * FROM attribute").to_pylist()) == held
    assert store.fetch("SELECT * FROM duckdb_tables() WHERE temporary").num_rows == 0
    annotate(store, [before], key="external_id")  # and the store can be written as before


def test_values_that_only_parquet_can_hold(store, tmp_path):
    for n, (column, words) in enumerate(
        [
            (pa.array([1.0, float("nan")]), "row 2: the value of 'q': nan is no finite number"),
            (pa.array([[1], [2]]), "row 1: the value of 'q': it is a list"),
            (pa.array([b"\xff", b"x"]), "it is binary"),
            (pa.array([date(2020, 1, 1)] * 2), "it is of type date"),
        ]
    ):
        file = tmp_path / f"{n}.parquet"
        pq.write_table(pa.table({"id": ["b", "e"], "q": column}), file)
        with pytest.raises(errors.AnnotationRefused) as caught:
            annotate(store, [file], key="external_id")
        assert words in str(caught.value)
    annotate(store, [file], key="external_id", kinds={"q": "text"})
    assert set(values(store).values()) == {"2020-01-01"}


def test_the_kind_is_fixed_at_the_first_use(store, tmp_path):
    annotate(store, [write(tmp_path / "1.jsonl", [{"id": "b", "q": 1}])], key="external_id")
    texts = write(tmp_path / "2.jsonl", [{"id": "e", "q": "x"}])
    with pytest.raises(errors.AnnotationRefused, match="'q' holds number values since it was first used"):
        annotate(store, [texts], key="external_id")
    with pytest.raises(errors.AttributeDiffers, match="kind 'number' since it was first used, not 'text'"):
        annotate(store, [texts], key="external_id", kinds={"q": "text"})


def test_an_attribute_has_one_tool(store, tmp_path):
    file = write(tmp_path / "1.jsonl", [{"id": "b", "q": 1}])

    def said():
        return store.fetch("SELECT tool, note FROM attribute").to_pylist()[0]

    annotate(store, [file], key="external_id", note="first")
    annotate(store, [file], key="external_id", tool="clf")
    assert said() == {"tool": "clf", "note": "first"}
    annotate(store, [file], key="external_id", tool="clf", note="second")
    assert said() == {"tool": "clf", "note": "second"}
    with pytest.raises(errors.AttributeDiffers, match=r"tool 'clf'.*--rename FIELD=q_2"):
        annotate(store, [file], key="external_id", tool="other", note="third")
    assert said() == {"tool": "clf", "note": "second"}


def test_damaged_and_missing_files(store, tmp_path):
    with pytest.raises(errors.AnnotationsUnreadable, match="Nothing was written"):
        annotate(store, [tmp_path / "none.jsonl"])
    damaged = tmp_path / "s.jsonl.gz"
    damaged.write_bytes(gzip.compress(GOOD.encode() * 1000)[:-10])
    with pytest.raises(errors.AnnotationsUnreadable, match="cut off"):
        annotate(store, [damaged], key="external_id")
    assert values(store) == {}


def test_a_store_for_reading_is_not_written(store, tmp_path):
    store.close()
    with Store.open(store.path) as reading, pytest.raises(StoreReadOnly):
        annotate(reading, [write(tmp_path / "s.jsonl", [{"id": "b", "q": 1}])], key="external_id")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("Quality Score", "quality_score"), ("1st", "_1st"), ("é", "_"), ("TEXT", "text_label"), ("", "_")],
)
def test_suggested_names(name, suggestion):
    assert suggested_name(name) == suggestion


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("INSERT INTO annotation SELECT * FROM annotation", "annotation: every document_id and attribute occurs once"),
        ("UPDATE annotation SET document_id = uuid()", "annotation: every document_id is in document"),
        ("DELETE FROM attribute", "annotation: every attribute is in attribute"),
        ("UPDATE annotation SET text = 'x'", "in the column of its kind and in no other"),
        ("UPDATE annotation SET number = NULL, text = 'x'", "in the column of its kind and in no other"),
        ("UPDATE annotation SET number = 'inf'", "in the column of its kind and in no other"),
        ("UPDATE annotation SET boolean = false", "in the column of its kind and in no other"),
    ],
)
def test_check_finds_what_is_wrong(store, tmp_path, statement, check):
    annotate(store, [write(tmp_path / "1.jsonl", [{"id": "b", "q": 1}])], key="external_id")

    def found():
        return [one.check for one in check_store(store) if one.n_violations and one.check.startswith("annotation")]

    assert found() == []
    with store.transaction() as connection:
        connection.exec_driver_sql(statement)
    assert any(check in one for one in found())


def test_many_rows_in_little_memory(make_store, tmp_path: Path, monkeypatch):
    """Far more rows than the database may hold in memory; half of the keys are unknown."""
    monkeypatch.setenv("PROVENANCE_MEMORY", "60MB")
    store = make_store()
    n = 200_000
    with store.transaction() as connection:
        connection.exec_driver_sql(
            f"""INSERT INTO document BY NAME
                SELECT md5(i::VARCHAR)::UUID AS document_id, uuid() AS content_id, 's' AS source,
                       i::VARCHAR AS external_id, 'unknown' AS licence_class, 1 AS n_bytes, 1 AS n_words,
                       'human' AS origin, 1 AS evidence_rank, uuid() AS cluster_id,
                       true AS is_representative, uuid() AS ingest_id
                FROM range({n}) t(i)"""
        )
    file = tmp_path / "s.parquet"
    store_keys = [str(i) for i in range(0, 2 * n, 2)]
    pq.write_table(pa.table({"id": store_keys, "q": list(range(n)), "t": [f"label {i}" for i in range(n)]}), file)
    report = annotate(store, [file], key="external_id", ignore_missing=True)
    assert [one.n_new for one in report.attributes] == [n // 2, n // 2]
    assert report.n_missing == n // 2
    total = store.sql("SELECT sum(q), count(t) FROM attributes").rows()
    assert total == [(sum(range(n // 2)), n // 2)]

"""What is selected, what it touches, what is refused, and what is left."""

from __future__ import annotations

import json
import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import AmbiguousId, ProvenanceError, UnknownName, WasTakenDown
from provenance.export.record import record_export
from provenance.mix.errors import TrainingSetViolated
from provenance.mix.stale import stale_sets
from provenance.mix.training_set import TrainingSet, list_training_sets
from provenance.mix.verify import verify
from provenance.store.store import Store
from provenance.takedown.erase import look, take_down
from provenance.takedown.errors import ConfirmCount, CopiesRemain, NothingToErase, ReasonMissing, ReasonTells
from provenance.takedown.select import Selection
from tests.factories import count, dump, ingest, ingest_paths, prose_records, rows, violations, write_lines

FIVE = Selection("author", ("Author 5",))


def ids_of(store: Store, condition: str) -> list[str]:
    return [row["id"] for row in rows(store, f"SELECT document_id::VARCHAR AS id FROM document WHERE {condition}")]


def by_source(rows: tuple[dict[str, Any], ...]) -> dict[str, int]:
    return {row["source"]: row["n_documents"] for row in rows}


# ---------------------------------------------------------------- selection


def test_every_way_of_selecting(trained: Store) -> None:
    one, other = ids_of(trained, "external_id IN ('r1', 'r2')")
    found = {
        Selection("document", (one, other[:13])): 2,
        Selection("document", (one.replace("-", "").upper(),)): 1,
        Selection("author", ("Author 5", "Author 6", "Author 5")): 6,
        Selection("source", ("copy", "near")): 2,
        Selection("licence", ("CC-BY-4.0",)): 60,
        Selection("url", ("https://a.example/1?",)): 10,
        Selection("url", ("https://a.example/*",)): 60,
    }
    before = dump(trained)
    assert {one: look(trained, one).n_documents for one in found} == found
    assert dump(trained) == before


def test_what_an_author_was_called_before_counts(trained: Store) -> None:
    ingest(trained, [{**prose_records(1)[0], "author": "New Name", "url": "https://b.example/"}], source="letters",
           name="again")  # fmt: skip
    for selection in (
        Selection("author", ("Author 0",)),
        Selection("url", ("https://a.example/0", "https://a.example/20", "https://a.example/40")),
    ):
        assert look(trained, selection).n_documents == 3
    assert look(trained, Selection("author", ("New Name",))).n_documents == 1


def test_nothing_matches(trained: Store) -> None:
    wrong: list[tuple[Any, str, str]] = [
        ("author", "author 5", "Did you mean 'Author 5'"),
        ("source", "letter", "Did you mean 'letters'"),
        ("licence", "CC-BY-4", "Did you mean 'CC-BY-4.0'"),
        ("url", "https://a.example/A*", "capitals"),
        ("document", "beef", "first 8 digits"),
        ("document", "0badbeef", "id as in the view"),
        ("document", "no id", "id as in the view"),
        ("document", "'; --", "id as in the view"),
    ]
    for kind, value, says in wrong:
        with pytest.raises(UnknownName, match=says):
            look(trained, Selection(kind, ("Author 5", value) if kind == "author" else (value,)))


def test_an_id_that_begins_several(store: Store) -> None:
    ingest(store, [{"text": f"t {i}"} for i in range(40)])
    with store.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE document SET document_id = ('abcdef00' || substr(document_id::VARCHAR, 9))::UUID"
        )
    with pytest.raises(AmbiguousId, match=r"Several begin so: abcdef00-.*Give more digits") as refused:
        look(store, Selection("document", ("ABCDEF-00",)))
    assert len(refused.value.ids) == 4


def test_however_a_name_is_composed(store: Store) -> None:
    ingest(store, [{"text": "one", "author": "Ren\u00e9e "}, {"text": "two", "author": "Rene\u0301e"}, *others(9)])
    assert look(store, Selection("author", (" Rene\u0301e",))).n_documents == 2
    assert look(store, Selection("author", ("Ren\u00e9e",))).n_documents == 2


def test_however_an_address_is_written(store: Store) -> None:
    written = ["https://x.example/caf\u00e9", "HTTPS://X.EXAMPLE/cafe\u0301", "https://x.example/caf%C3%A9?q=a+b"]
    others_of_it = ["https://x.example/CAF\u00c9", "https://x.example.org/caf\u00e9", "https://x.example/caf%E9"]
    ingest(store, [{"text": f"{i}", "url": url} for i, url in enumerate([*written, *others_of_it])])
    for pattern in ("https://x.example/caf\u00e9*", "HTTPS://x.Example/caf%c3%A9*", "https://x.example/caf[\u00e9e]*"):
        found = look(store, Selection("url", (pattern,)))
        assert found.n_documents == 3, pattern
    assert look(store, Selection("url", ("https://x.example/caf%E9",))).n_documents == 1, "no UTF-8: as it stands"


def others(n: int) -> list[dict[str, Any]]:
    return [{**record, "author": "Somebody"} for record in prose_records(n, start=200)]


def test_a_name_that_only_a_refused_record_has(store: Store, tmp_path: Path) -> None:
    lines = [*others(9), {"author": "Ann Hidden", "text": None}, {"url": "https://h.example/page/1", "text": 7}]
    ingest_paths(store, write_lines(tmp_path / "in.jsonl", lines))
    for selection in (Selection("author", ("ann hidden",)), Selection("url", ("https://h.example/page/*",))):
        assert (look(store, selection).n_documents, look(store, selection).n_quarantined) == (0, 1)
        assert take_down(store, selection, reason="r").touched.n_quarantined == 1
        with pytest.raises(UnknownName, match="It was taken down on 2"):
            look(store, selection)
    assert rows(store, "SELECT DISTINCT raw FROM quarantine") == [{"raw": b""}]


# ---------------------------------------------------------------- what is touched


def test_what_is_touched(trained: Store, tmp_path: Path) -> None:
    first = TrainingSet.open("first", trained)
    record_export(trained, first, kind="jsonl", target=tmp_path)
    record_export(trained, first, kind="parquet", target=tmp_path / "gone.parquet")
    touched = look(trained, FIVE)
    drawn = rows(trained, "SELECT count(*) AS n FROM training_set_item JOIN document USING (document_id) "
                          "WHERE training_set = 'first' AND author = 'Author 5'")  # fmt: skip
    assert by_source(touched.documents) == {"letters": 3}
    assert by_source(touched.exact_copies) == {"copy": 1}
    assert by_source(touched.near_copies) == {"near": 1}
    assert [(row["source"], row["rule"]) for row in touched.nearest] == [("near", "near")]
    assert touched.training_sets == (
        {"training_set": "first", "n_documents": drawn[0]["n"], "n_draws": drawn[0]["n"], "of_draws": 50},
    )
    assert [(step.training_sets, step.models) for step in touched.steps] == [
        (("first",), ("m1",)),
        (("second",), ("m2",)),
    ]
    assert [step.generated for step in touched.steps] == [
        ({"generation": 2, "n_documents": 10},),
        ({"generation": 3, "n_documents": 5},),
    ]
    assert [(row["format"], row["is_there"]) for row in touched.exports] == [("jsonl", True), ("parquet", False)]
    assert (touched.n_documents, touched.n_texts, touched.n_store) == (3, 2, 137)
    assert touched.mentions == ()


def test_where_else_the_name_stands(trained: Store) -> None:
    ingest(trained, [{"text": "a portrait of AUTHOR 5, by another"}, {"text": "b", "title": "to Author 5"}], source="x")
    places = {row["place"]: row["n_rows"] for row in look(trained, FIVE).mentions}
    assert places == {"texts of other documents": 1, "other documents' descriptions": 1}


def test_documents_made_from_erased_ones_are_told(trained: Store) -> None:
    (one,) = ids_of(trained, "external_id = 'r7'")
    ingest(trained, [{"text": "made from it", "parent": [one]}], source="made", origin="synthetic", model="gpt")
    selection = Selection("document", (one,))
    assert by_source(look(trained, selection).derived) == {"made": 1}
    take_down(trained, selection, reason="r")
    assert count(trained, "parent") == 0
    assert rows(trained, "SELECT touched->'derived'->0->>'source' AS source FROM takedowns") == [{"source": "made"}]


# ---------------------------------------------------------------- erasing


def test_the_same_text_elsewhere_is_a_decision(trained: Store) -> None:
    before = dump(trained)
    with pytest.raises(CopiesRemain, match="copy \\(1\\)") as refused:
        take_down(trained, FIVE, reason="r")
    assert refused.value.sources == {"copy": 1}
    assert dump(trained) == before


def test_copies_go_too(trained: Store) -> None:
    done = take_down(trained, FIVE, reason="r", copies="erase")
    assert (done.touched.n_documents, done.touched.n_texts) == (5, 4)
    assert rows(trained, "SELECT source FROM document WHERE source IN ('copy', 'near')") == []
    assert rows(trained, "SELECT count(*) AS n FROM taken_down WHERE with_text") == [{"n": 5}]
    assert violations(trained) == ["takedown: the file was written anew since; if not: provenance takedown --finish: "
                                   f"('\"{done.takedown_id}\"',)"]  # fmt: skip


def test_copies_are_kept(trained: Store) -> None:
    done = take_down(trained, FIVE, reason="r", copies="keep")
    assert (done.touched.n_documents, done.touched.n_texts) == (3, 2)
    assert len(rows(trained, "SELECT text FROM documents WHERE source = 'copy' AND text IS NOT NULL")) == 1
    assert rows(trained, "SELECT with_text, count(*) AS n FROM taken_down GROUP BY ALL ORDER BY ALL") == [
        {"with_text": False, "n": 1},
        {"with_text": True, "n": 2},
    ]
    again = ingest(trained, letters_of_five(), source="letters", name="later")
    assert again.counts.n_quarantined == 3
    assert ingest(trained, letters_of_five(), source="elsewhere").counts.n_inserted == 1


def letters_of_five() -> list[dict[str, Any]]:
    return [{"id": f"r{i}", "text": prose_records(1, start=i)[0]["text"]} for i in (5, 25, 45)]


def test_names_and_addresses_stay_only_as_digests(trained: Store) -> None:
    take_down(trained, FIVE, reason="case 12", copies="erase", actor="the officer")
    (row,) = rows(trained, "SELECT * FROM takedown")
    kept = {"kind": "author", "sha256": [sha256(b"Author 5").hexdigest()], "copies": "erase"}
    assert json.loads(row["selection"]) == kept
    assert (row["reason"], row["actor"]) == ("case 12", "the officer")
    assert "Author" not in str(row)


def test_a_reason_is_asked_for_and_tells_no_name(trained: Store) -> None:
    for reason in (None, " "):
        with pytest.raises(ReasonMissing):
            take_down(trained, FIVE, reason=reason, copies="erase")
    named: list[tuple[Any, str]] = [("author", "Author 5"), ("url", "https://a.example/5*")]
    for kind, value in named:
        with pytest.raises(ReasonTells):
            take_down(
                trained, Selection(kind, (value,)), reason=f"As {value.upper().strip('*')} wishes", copies="erase"
            )
    assert count(trained, "takedown") == 0


def test_everything_asks_for_the_exact_number(trained: Store) -> None:
    everything = Selection("url", ("*",))
    ingest(trained, [{"id": f"u{i}", "text": f"{i}", "url": "u:"} for i in range(70)], source="urls")
    before = dump(trained)
    for given in (None, 129, 131, 0):
        with pytest.raises(ConfirmCount, match="--yes-all 130") as refused:
            take_down(trained, everything, reason="r", copies="keep", yes_all=given)
        assert (refused.value.n_documents, refused.value.n_store) == (130, 207)
    with pytest.raises(ConfirmCount, match="not 4"):  # a number that is not needed has to be right as well
        take_down(trained, FIVE, reason="r", copies="erase", yes_all=4)
    assert dump(trained) == before
    assert take_down(trained, everything, reason="r", copies="keep", yes_all=130).touched.n_documents == 130
    assert count(trained, "document") == 77


def test_every_address_asks_for_the_number_in_a_store_of_few(trained: Store) -> None:
    """A pattern that is meant for one site and takes all addresses is a slip even where most documents have none."""
    ingest(trained, prose_records(300, start=9000), source="no addresses")
    for pattern in ("*", "http*", "*a*", "https://?.example/*"):
        with pytest.raises(ConfirmCount, match=r"60 of the 437 .* every one that has an address.*--yes-all 60"):
            take_down(trained, Selection("url", (pattern,)), reason="r", copies="keep")
    assert take_down(trained, Selection("url", ("*/1?",)), reason="r", copies="keep").touched.n_documents == 10


def test_where_else_an_address_stands(trained: Store) -> None:
    ingest(trained, [{"text": "see HTTPS://a.example/7 for it"}, {"text": "or https://b.example/7"}], source="x")
    (place,) = look(trained, Selection("url", ("https://a.example/*",))).mentions
    assert place == {"place": "texts of other documents", "n_rows": 1}
    assert look(trained, Selection("url", ("*/7",))).mentions == (), "too little to be looked for"


def test_a_source_whose_documents_are_gone(trained: Store) -> None:
    near = Selection("source", ("near",))
    take_down(trained, near, reason="r")
    with pytest.raises(NothingToErase, match="near"):
        take_down(trained, near, reason="r")
    (one,) = rows(trained, "SELECT document_id::VARCHAR AS id FROM taken_down")
    with pytest.raises(WasTakenDown, match="It was taken down on 2"):
        look(trained, Selection("document", (one["id"],)))


def test_errors_survive_pickle() -> None:
    for error in (
        CopiesRemain(1, {"a": 1}),
        ConfirmCount(1, 2, 3, takes_all=True),
        ReasonTells("author"),
        NothingToErase(["s"]),
    ):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (what this test made)
        assert isinstance(copy, ProvenanceError)
        assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


# ---------------------------------------------------------------- training sets are marked


def test_sets_are_marked_and_are_no_tampering(trained: Store) -> None:
    take_down(trained, FIVE, reason="r", copies="erase")
    (n,) = (row["n"] for row in rows(trained, "SELECT n_taken_down AS n FROM training_sets WHERE name = 'first'"))
    assert n > 0
    assert {info.name: info.n_taken_down for info in list_training_sets(trained)} == {"first": n, "second": 0}
    verdict = verify(trained, "first")
    assert verdict.as_drawn == ()
    told = {violation.claim: violation.found for violation in verdict.as_of_now}
    assert told["draws of documents that were taken down"] == str(n)
    assert "documents that are no longer in the store" not in told
    (stale,) = stale_sets(trained)
    assert (stale.name, stale.taken_down, stale.gone_draws, stale.meets_quotas) == ("first", n, n, False)
    for accept in (False, True):
        with pytest.raises(TrainingSetViolated, match="taken down"):
            TrainingSet.open("first", trained, accept_relabelled=accept)
    assert verify(trained, "second").violations == ()
    with trained.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM tombstone")
    claims = {violation.claim for violation in verify(trained, "first").as_of_now}
    assert "documents that are no longer in the store" in claims, "without a tombstone it is what it was"
    assert any("or was taken down" in one for one in violations(trained))


def test_the_checks_find_what_must_not_be(trained: Store) -> None:
    with trained.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO tombstone SELECT uuid(), document_id, content_id, source, origin, n_words, true FROM document"
        )
    found = " ".join(violations(trained))
    for says in ("no document that was taken down", "no text that was taken down", "takedown_id is in takedown"):
        assert says in found

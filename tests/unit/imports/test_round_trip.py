"""From a store to files and into another store: the same contents, origins, generations, models and licences."""

from __future__ import annotations

import pytest

from provenance.errors import SourceExists
from provenance.export.card import export_card
from provenance.export.croissant import export_croissant
from provenance.imports.load import describe, import_described
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import dump, provenance, rows, violations
from tests.unit.export.published import draw, drawn, fill

EXPORTS = {"croissant": export_croissant, "card": export_card}
LABELS = ("content_id", "origin", "generation", "model", "licence", "licence_class", "author", "title", "authored_at")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the draws, and the folder of each export."""
    folder = tmp_path_factory.mktemp("round")
    with Store.create(folder / "store.duckdb") as store:
        made = draw(fill(store))
        for kind, export in EXPORTS.items():
            export(made, folder / kind)
        return drawn(made), {kind: folder / kind for kind in EXPORTS}


@pytest.mark.parametrize("kind", EXPORTS)
def test_what_comes_back_is_what_was_there(store, exported, kind):
    draws, folders = exported
    report = import_described(store, describe(str(folders[kind])), source="back")
    assert report.counts.n_quarantined == 0
    assert report.counts.n_read == len(draws) > report.counts.n_inserted
    once = {str(row["document_id"]): row for row in draws}
    back = {row["external_id"]: row for row in rows(store, "FROM document")}
    assert back.keys() == once.keys()
    for key, row in once.items():
        assert {name: back[key][name] for name in LABELS} == {name: row[name] for name in LABELS}
    claims = rows(store, "SELECT origin, generation, model, method, rank FROM evidence WHERE subject_kind = 'document'")
    assert {(c["method"], c["rank"]) for c in claims} == {("declared by the record", 1)}
    assert len(claims) == len(once)
    assert violations(store) == []


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_same_export_twice_changes_nothing(store, exported, kind):
    _, folders = exported
    import_described(store, describe(str(folders[kind])), source="back")
    before = dump(store, without=["ingest", "ingest_file", "ingest_id"])
    again = import_described(store, describe(str(folders[kind])), source="back")
    assert (again.counts.n_inserted, again.counts.n_amended) == (0, 0)
    assert dump(store, without=["ingest", "ingest_file", "ingest_id"]) == before


def test_what_a_store_says_again_is_the_same_export(store, exported, tmp_path):
    """The texts of an import can be mixed and exported again; labels are still those of the first store."""
    draws, folders = exported
    import_described(store, describe(str(folders["croissant"])), source="back")
    made = draw(store, budget={"words": 1000}, repeats={"max": 1})
    export_croissant(made, tmp_path / "again")
    labels = {(str(row["content_id"]), row["origin"], row["generation"], row["model"], row["licence"]) for row in draws}
    for row in drawn(made):
        assert (str(row["content_id"]), row["origin"], row["generation"], row["model"], row["licence"]) in labels


def test_a_source_of_that_name_that_is_another_one_is_left_alone(store, exported):
    _, folders = exported
    found = describe(str(folders["croissant"]))
    import_described(store, found, source="back")
    before = dump(store)
    with pytest.raises(SourceExists):
        import_described(store, found, source="back", claim=Claim.make("human"))
    with pytest.raises(SourceExists):
        import_described(store, describe(str(folders["card"])), source="back")
    assert dump(store) == before


def test_an_import_can_be_undone(store, exported):
    _, folders = exported
    report = import_described(store, describe(str(folders["croissant"])), source="back")
    store.close()
    answer = provenance("--store", store.path, "ingest-undo", report.ingest_id)
    assert answer.code == 0, answer.err
    with Store.open(store.path) as again:
        assert rows(again, "FROM document") == rows(again, "FROM content") == []

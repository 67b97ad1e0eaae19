"""What is remembered about runs shared with excluded sets equals what is found anew, whatever happened in between."""

from __future__ import annotations

import pytest

from provenance.mix import candidate_texts
from provenance.mix.candidates import read_candidates
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from tests.factories import ingest, prose

RUN = prose(0, n_words=13)


def _spec(name: str, spans: int = 13, **fields: object) -> MixSpec:
    exclude = {"training_sets": ["heldout"], "clusters": False, "spans": spans}
    return MixSpec(**({"name": name, "budget": "all", "exclude": exclude} | fields))


@pytest.fixture
def held(make_store, monkeypatch):
    """A store with a held-out text, one that shares a run with it, and others."""
    monkeypatch.setattr(candidate_texts, "_remembered", {})
    store = make_store()
    ingest(store, [{"id": "held", "text": f"{prose(1)} {RUN} {prose(2)}"}], source="held")
    ingest(store, [{"id": f"r{i}", "text": prose(i)} for i in range(10, 30)] + [{"id": "s", "text": f"a {RUN} b"}])
    make_training_set(store, MixSpec(name="heldout", budget="all", where="source = 'held'"))
    return store


def _left_out(store, spec: MixSpec) -> tuple[int, str]:
    found = read_candidates(store, spec)
    return found.left_out["spans"], found.ids.tobytes().hex()


def _fresh(store, spec: MixSpec) -> tuple[int, str]:
    kept = dict(candidate_texts._remembered)
    candidate_texts._remembered.clear()
    found = _left_out(store, spec)
    candidate_texts._remembered.clear()
    candidate_texts._remembered.update(kept)
    return found


def test_texts_are_compared_once(held, monkeypatch):
    compared: list[int] = []
    original = candidate_texts._shared
    monkeypatch.setattr(
        candidate_texts,
        "_shared",
        lambda store, ids, keep, known: compared.append(int(keep.sum())) or original(store, ids, keep, known),
    )
    books = _spec("m", where="source = 'books'")
    assert _left_out(held, books)[0] == 1
    assert _left_out(held, books)[0] == 1 and compared == [21]
    ingest(held, [{"id": "t", "text": f"c {RUN} d"}, {"id": "u", "text": prose(77)}], source="more")
    assert _left_out(held, _spec("m", where="source <> 'held'"))[0] == 2
    assert compared == [21, 2]


def test_other_length_other_set_and_lost_documents_are_compared_anew(held):
    books = {"where": "source = 'books'"}
    assert _left_out(held, _spec("m", **books))[0] == 1
    assert _left_out(held, _spec("m", spans=14, **books))[0] == 0
    assert _left_out(held, _spec("m", **books))[0] == 1
    with held.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM document WHERE source = 'held'")
    assert _left_out(held, _spec("m", **books)) == _fresh(held, _spec("m", **books))


def test_more_documents_than_are_remembered(held, monkeypatch):
    monkeypatch.setattr(candidate_texts, "_MOST_VERDICTS", 5)
    for where in ("source = 'books'", "external_id = 's'", "true", "source = 'books'"):
        spec = _spec("m", where=where)
        assert _left_out(held, spec) == _fresh(held, spec)

from __future__ import annotations

from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.curation.errors import DocumentGone, JudgedMeanwhile, NothingToUndo
from provenance.curation.judging import WORDS, Judgement, judge_document, take_back
from provenance.curation.queue import find_queue
from provenance.curation.view import view_document
from provenance.detection.run import run_detector
from provenance.errors import UnknownName
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.settle import settle
from provenance.ids import uuid_array
from provenance.mix.errors import ConditionError
from provenance.mix.spec import MixSpec
from provenance.records import Claim
from provenance.store.store import Store, utc_now
from tests.conftest import Maker
from tests.factories import ingest, prose, provenance, rows
from tests.unit.curation.judging_desk import fill
from tests.unit.detection.speakers import Fake


def _ids(store: Store) -> dict[str, str]:
    found = rows(store, "SELECT document_id::VARCHAR AS id, external_id FROM documents")
    return {row["external_id"]: row["id"] for row in found}


def _names(store: Store, **options: object) -> list[str]:
    ids = {one: name for name, one in _ids(store).items()}
    return [ids[one.document_id] for one in find_queue(store, **options)]  # type: ignore[arg-type]


def _claim(store: Store, document: str, *origins: str, rank: int = 1) -> None:
    """State claims by as many authors, resolved as `settle` does."""
    stated = [
        StatedClaim("document", document, Claim.make(one), "heard", rank=rank, author=f"a{i}")
        for i, one in enumerate(origins)
    ]
    with store.transaction() as connection:
        state_claims(connection, stated, stated_at=utc_now())
        settle(connection, pa.table({"document_id": uuid_array([UUID(document).bytes])}))


def test_conflicts_come_first_then_long_unknowns_then_doubtful_scores(store: Store) -> None:
    fill(store)
    scores = [{"id": f"d{k}", "text": f"plain words score {k}"} for k in range(-20, 21)]
    ingest(store, scores, source="scored")
    ids = _ids(store)
    _claim(store, ids["h"], "human", "synthetic")
    run_detector(store, Fake(), plugin="p", source="scored")  # threshold 0.5, deviation 11.8
    queue = find_queue(store)
    names = _names(store)
    assert names[:4] == ["h", "u300", "u200", "u100"]
    assert [{*names[4:6]}, {*names[6:8]}, {*names[8:]}] == [{"d0", "d1"}, {"d-1", "d2"}, set()]  # a fifth of 11.8
    by_name = dict(zip(names, queue, strict=True))
    assert by_name["h"].reason == "in conflict (claims)"
    assert by_name["h"].score == pytest.approx(3 + 80 / 1080)
    assert by_name["u300"].reason == "origin unknown"
    assert by_name["u300"].score == pytest.approx(2 + 300 / 1300)
    assert by_name["d0"].reason == "near the threshold of fake@1"
    assert _names(store, source="scored") == names[4:]
    assert _names(store, limit=2) == ["h", "u300"]
    with pytest.raises(UnknownName, match="Did you mean 'scored'"):
        find_queue(store, source="score")


def test_near_copies_of_a_representative_wait_behind_it(store: Store) -> None:
    text = prose(5, n_words=200)
    ingest(store, [{"id": "a", "text": text + " one"}, {"id": "b", "text": text}], source="crawl", origin="unknown")
    assert _names(store) == ["a"]


def test_whatever_is_judged_leaves_the_queue_until_it_is_taken_back(store: Store) -> None:
    fill(store)
    document = _ids(store)["u300"]
    for word, origin in WORDS.items():
        judgement = Judgement(document, origin, "anna")
        claim = judge_document(store, judgement)
        assert _names(store) == ["u200", "u100"]
        for judge in ("bert", "anna"):
            with pytest.raises(JudgedMeanwhile, match=f"was judged {word} by anna"):
                judge_document(store, Judgement(document, "human", judge))
        with pytest.raises(JudgedMeanwhile):
            view_document(store, document)
        take_back(store, judgement, claim)
        assert _names(store) == ["u300", "u200", "u100"]
        with pytest.raises(NothingToUndo):
            take_back(store, judgement, claim)
        assert view_document(store, document).document["origin"] == "unknown"
    assert rows(store, "SELECT count(*) AS n FROM evidence WHERE rank = 5") == [{"n": 8}]


def test_a_judgement_keeps_the_model_that_was_claimed(store: Store) -> None:
    fill(store)
    document = _ids(store)["s"]
    judge_document(store, Judgement(document, "synthetic", "anna"))
    [row] = rows(store, "SELECT origin, generation, model, evidence_rank FROM documents WHERE external_id = 's'")
    assert tuple(row.values()) == ("synthetic", 1, "m", 5)


def test_a_document_that_is_gone_is_said_to_be(store: Store) -> None:
    gone = "00000000-0000-0000-0000-000000000001"
    with pytest.raises(DocumentGone):
        judge_document(store, Judgement(gone, "human", "anna"))
    with pytest.raises(DocumentGone):
        view_document(store, gone)


def test_neighbours_are_copies_near_copies_and_laundering_partners(store: Store) -> None:
    text = prose(9, n_words=300)
    ingest(store, [{"id": "asked", "text": text}], source="crawl", origin="unknown")
    ingest(store, [{"id": "same", "text": text}, {"id": "near", "text": text + " more"}], source="books")
    ingest(store, [{"id": "bot", "text": prose(10)}], source="bot", origin="synthetic", generation=1, model="m")
    ids = _ids(store)
    with store.transaction() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO laundering VALUES ('{ids['asked']}', '{ids['bot']}', 'shared span', 0.3, 60, 'conflict', "
            "'none', now()::TIMESTAMP)"
        )
    viewed = view_document(store, ids["asked"])
    found = [(n["document_id"], n["kind"]) for n in viewed.neighbours]
    assert found == [(ids["same"], "same text"), (ids["near"], "near"), (ids["bot"], "laundering: shared span")]
    assert viewed.neighbours[2]["text"] == prose(10)
    assert [c["subject_kind"] for c in viewed.claims] == ["source"]


# ---------------------------------------------------------------- what a mix would want


def _mix(**fields: object) -> MixSpec:
    return MixSpec.from_mapping({"name": "pretrain", "budget": {"words": 100}, **fields})


_WANTS: list[tuple[dict[str, object], list[str]]] = [
        ({"where": "origin = 'human'"}, ["u300", "u200", "u100"]),
        ({"where": "origin = 'human' AND n_words < 250"}, ["u200", "u100"]),
        ({"where": "origin <> 'synthetic'"}, []),  # they are in already
        ({"quotas": [{"name": "human", "where": "origin = 'human' AND evidence_rank >= 4", "min": 0.5}]},
         ["u300", "u200", "u100"]),
        ({"quotas": [{"name": "few", "where": "origin = 'human'", "max": 0.5}]}, []),
        ({"quotas": [{"name": "crawl", "where": "source = 'crawl'", "min": 0.5}]}, []),
        ({"where": "source <> 'crawl'", "quotas": [{"name": "human", "where": "origin = 'human'", "min": 0.5}]}, []),
        ({"where": "contains(text, ' w') AND generation = 0 AND model IS NULL", "duplicates": {"at_most": 1}},
         ["u300", "u200", "u100"]),
    ]  # fmt: skip


def test_a_mix_wants_what_would_count_if_people_wrote_it(store: Store) -> None:
    fill(store)
    for fields, wanted in _WANTS:
        assert _names(store, mix=_mix(**fields)) == wanted, fields
    assert find_queue(store, mix=_mix(where="origin = 'human'"))[0].reason == "origin unknown, wanted by pretrain"


def test_a_mix_that_cannot_be_read_is_refused(store: Store) -> None:
    with pytest.raises(ConditionError):
        find_queue(store, mix=_mix(where="orign = 'human'"))
    with pytest.raises(UnknownName):
        find_queue(store, mix=_mix(exclude={"training_sets": ["nowhere"]}))


def test_the_command_line_lists_the_queue(store: Store) -> None:
    fill(store)
    spec = store.path.with_name("mix.yaml")
    spec.write_text("name: pretrain\nbudget: {words: 100}\nwhere: origin = 'human'\n")
    store.close()
    answer = provenance("--store", store.path, "curate", "--list", "--mix", spec, "--limit", 1, "--json")
    assert '"reason": "origin unknown, wanted by pretrain"' in answer.out
    assert provenance("--store", store.path, "curate", "--list", "--export", "x.csv").code == 2


@settings(max_examples=4)
@given(st.data())
def test_judged_documents_resolve_to_what_was_said_last(make_store: Maker, data: st.DataObject) -> None:
    store = make_store()
    ingest(store, [{"id": f"{k}", "text": prose(k, n_words=10)} for k in range(3)], source="crawl", origin="unknown")
    ids = _ids(store)
    said: dict[str, tuple[Judgement, UUID]] = {}
    for _ in range(data.draw(st.integers(1, 5))):
        name = data.draw(st.sampled_from(sorted(ids)))
        if name in said:
            take_back(store, *said.pop(name))
        else:
            judgement = Judgement(ids[name], data.draw(st.sampled_from(list(WORDS.values()))), "anna")
            said[name] = (judgement, judge_document(store, judgement))
    found = {row["external_id"]: row["origin"] for row in rows(store, "SELECT external_id, origin FROM documents")}
    assert found == {name: said[name][0].origin if name in said else "unknown" for name in ids}
    assert set(_names(store)) == set(ids) - set(said)
    store.close()

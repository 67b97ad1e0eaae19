"""Claims that people state: what is refused, what follows, and that nothing is ever changed."""

from __future__ import annotations

import json
import pickle
import time
from datetime import timedelta
from pathlib import Path

import pytest

from provenance.errors import ContradictoryClaim, ProvenanceError, UnknownName, UnknownOrigin
from provenance.evidence.claim_files import state_file
from provenance.evidence.errors import (
    AlreadyRetracted,
    ContradictoryEvidence,
    FromTheFuture,
    GradeOfAnotherMethod,
    InvalidLine,
    InvalidStatement,
    NothingToRetract,
    NotRetractable,
    SupportUnreadable,
    UnknownGrade,
    UnknownMethod,
)
from provenance.evidence.retract import Choice, look, retract, retract_all
from provenance.evidence.statements import Statement, state
from provenance.ingest.undo import undo_ingest
from provenance.store.store import Store, utc_now
from tests.factories import count, ingest, prose_records, provenance, rows, violations, write_lines


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with four documents of unknown origin, and two of a model's."""
    ingest(store, prose_records(4), origin="unknown", source="crawl")
    ingest(store, prose_records(2, start=4), origin="synthetic", source="logs", generation=1, model="gpt-x")
    return store


def document(store: Store, number: int) -> str:
    """Return the id of a document by its number."""
    return str(rows(store, f"SELECT document_id FROM document WHERE external_id = 'r{number}'")[0]["document_id"])


def statement(store: Store, number: int = 0, **fields: object) -> Statement:
    """Return a statement about a document."""
    values = {"kind": "document", "subject": document(store, number), "author": "ann", "origin": "human", **fields}
    return Statement(**values)  # type: ignore[arg-type]


def labels(store: Store, number: int) -> tuple[object, ...]:
    """Return what a document shows."""
    query = f"SELECT origin, generation, evidence_rank, conflict FROM documents WHERE external_id = 'r{number}'"
    return tuple(rows(store, query)[0].values())


REFUSED = [
    ({"subject": "0" * 32}, UnknownName),
    ({"subject": "xyz"}, UnknownName),
    ({"kind": "source", "subject": "crawll"}, UnknownName),
    ({"kind": "ingest", "subject": "12345678"}, UnknownName),
    ({"origin": "humane"}, UnknownOrigin),
    ({"method": "guess"}, UnknownMethod),
    ({"grade": "certain"}, UnknownGrade),
    ({"grade": "curated"}, GradeOfAnotherMethod),
    ({"generation": 2}, ContradictoryClaim),
    ({"model": "gpt-x"}, ContradictoryClaim),
    ({"origin": "synthetic", "generation": 0}, ContradictoryClaim),
    ({"origin": "unknown", "generation": 1}, ContradictoryClaim),
    ({"method": "detector"}, ContradictoryEvidence),
    ({"origin": "mixed", "method": "published before a cutoff"}, ContradictoryEvidence),
    ({"confidence": 1.5}, InvalidStatement),
    ({"confidence": float("nan")}, InvalidStatement),
    ({"author": " "}, InvalidStatement),
    ({"author": "a" * 201}, InvalidStatement),
    ({"author": "date"}, InvalidStatement),
    ({"author": "corpus-provenance 9"}, InvalidStatement),
    ({"author": "a\udcff"}, InvalidStatement),
    ({"note": "half \ud800 of it"}, InvalidStatement),
    ({"note": "a\0b"}, InvalidStatement),
    ({"origin": "synthetic", "model": " "}, InvalidStatement),
    ({"origin": "synthetic", "model": "a\nb"}, InvalidStatement),
    ({"support": "://"}, SupportUnreadable),
    ({"support": "/nowhere/letter.pdf"}, SupportUnreadable),
]


@pytest.mark.parametrize(("fields", "error"), REFUSED, ids=[str(fields) for fields, _ in REFUSED])
def test_wrong_claims_are_refused_and_leave_nothing(
    filled: Store, fields: dict[str, object], error: type[ProvenanceError]
) -> None:
    n = count(filled, "evidence")
    with pytest.raises(error) as raised:
        state(filled, [statement(filled, 1), statement(filled, **fields)])
    assert (count(filled, "evidence"), labels(filled, 1)[0]) == (n, "unknown")
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # noqa: S301


def test_a_claim_from_the_future_is_refused(filled: Store) -> None:
    with pytest.raises(FromTheFuture, match="in the future"):
        state(filled, [statement(filled, at=utc_now() + timedelta(hours=1))])


def test_two_claims_that_contradict_each_other_are_refused(filled: Store) -> None:
    with pytest.raises(ContradictoryEvidence, match="same grade"):
        state(filled, [statement(filled), statement(filled, origin="mixed")])
    state(filled, [statement(filled), statement(filled, origin="mixed", method="judged by a person")])
    assert labels(filled, 0) == ("mixed", None, 5, None)


def test_claims_about_documents_sources_and_ingests(filled: Store) -> None:
    run = str(rows(filled, "SELECT ingest_id FROM ingest WHERE source = 'logs'")[0]["ingest_id"])
    assert state(filled, [statement(filled, kind="source", subject="crawl")]).n_documents == 4
    assert labels(filled, 3) == ("human", 0, 1, None)
    done = state(filled, [statement(filled, kind="ingest", subject=run[:8], method="licence deal")])
    assert (done.n_documents, done.settled.n_changed) == (2, 2)
    assert labels(filled, 4) == ("human", 0, 4, None)
    assert violations(filled) == []


def test_authors_of_the_same_grade_who_differ_make_a_conflict(filled: Store) -> None:
    state(filled, [statement(filled), statement(filled, author="bob", origin="synthetic", model="new")])
    assert labels(filled, 0) == ("unknown", None, 0, "claims")
    claims = rows(filled, "SELECT claim_id FROM claims WHERE author = 'bob'")
    assert retract(filled, str(claims[0]["claim_id"]), author="bob").settled.n_changed == 1
    assert labels(filled, 0) == ("human", 0, 1, None)
    assert violations(filled) == []


def test_retractions(filled: Store) -> None:
    before = rows(filled, "SELECT * FROM evidence ORDER BY evidence_id")
    [claim] = state(filled, [statement(filled)]).ids
    retract(filled, str(claim), author="ann")
    assert labels(filled, 0)[0] == "unknown"
    with pytest.raises(AlreadyRetracted):
        retract(filled, str(claim), author="ann")
    taken_back = rows(filled, "SELECT claim_id FROM claims WHERE retracts IS NOT NULL")[0]["claim_id"]
    with pytest.raises(NotRetractable):
        retract(filled, str(taken_back), author="ann")
    with pytest.raises(UnknownName):
        retract(filled, "ffffffff", author="ann")
    after = rows(filled, "SELECT * FROM evidence ORDER BY evidence_id")
    assert [row for row in after if row in before] == before


def test_support_is_kept_once(filled: Store, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("I wrote this.")
    state(filled, [statement(filled, number, support=str(letter)) for number in (0, 1)])
    state(filled, [statement(filled, 2, support="https://example.org/deal")])
    assert rows(filled, "SELECT name, kind, n_bytes, bytes FROM support") == [
        {"name": "letter.txt", "kind": "text/plain", "n_bytes": 13, "bytes": b"I wrote this."}
    ]
    digests = rows(filled, "SELECT DISTINCT support_digest FROM claims WHERE support_digest IS NOT NULL")
    assert digests == rows(filled, "SELECT sha256(bytes) AS support_digest FROM support")
    letter.write_bytes(b"")
    with pytest.raises(SupportUnreadable, match="is empty"):
        state(filled, [statement(filled, support=str(letter))])


def test_files_of_claims_are_stated_whole_or_not_at_all(filled: Store, tmp_path: Path) -> None:
    good = [
        {"document": document(filled, 0), "origin": "human", "author": "eve", "confidence": 0.5, "at": "2026-01-02"},
        {"source": "crawl", "origin": "mixed", "note": "looked at ten of them"},
    ]
    file = tmp_path / "claims.jsonl"
    path = filled.path
    filled.close()
    for bad, reason in (
        ({"document": "0" * 32, "origin": "human"}, "There is no document"),
        ({"source": "crawl", "origin": "human", "metod": "x"}, "Did you mean 'method'"),
        ({"source": "crawl", "document": "a", "origin": "human"}, "one of source, ingest, document"),
        ({"source": "crawl", "origin": "human", "generation": "0"}, "a whole number"),
        ({"source": "crawl", "origin": "human", "at": "tomorrow"}, "is no date"),
        ({"source": "crawl", "origin": "human", "support": "missing.pdf"}, "missing.pdf"),
        ("{", "no JSON"),
        ("[" * 100_000, "nested too deep"),
        ({"source": "crawl", "origin": "human", "at": "0001-01-01T00:00+14:00"}, "is no date"),
        ({"source": "crawl", "origin": "human", "confidence": float("nan")}, "not between 0 and 1"),
        ({"source": "crawl", "origin": "human", "note": "\ud800"}, "no valid Unicode"),
    ):
        lines = [*map(json.dumps, good), "", bad if isinstance(bad, str) else json.dumps(bad)]
        file.write_text("\n".join(lines))
        answer = provenance("--store", path, "claim", "--file", file)
        assert answer.code == 1
        assert f"{file}, line 4" in answer.err
        assert reason in answer.err
    file.write_text("\n".join(map(json.dumps, good)))
    assert provenance("--store", path, "claim", "--file", file).code == 0
    told = json.loads(provenance("--store", path, "claims", "--author", "eve", "--json").out)
    assert [(one["origin"], one["confidence"], one["stated_at"]) for one in told] == [
        ("human", 0.5, "2026-01-02 00:00:00")
    ]


def test_commands_tell_what_they_did(filled: Store) -> None:
    path, one = filled.path, document(filled, 0)
    filled.close()
    made = provenance("--store", path, "claim", one[:8], "--origin", "human", "--author", "ann")
    assert (made.code, "1 changed" in made.err) == (0, True)
    told = provenance("--store", path, "why", one)
    assert "counts" in told.out
    assert "Outcome: human, grade declared (1)" in told.out
    as_json = json.loads(provenance("--store", path, "why", one, "--json").out)
    assert (as_json["outcome"]["origin"], len(as_json["steps"]), len(as_json["claims"])) == ("human", 8, 2)
    assert provenance("--store", path, "claim", "--origin", "human").code == 2
    assert provenance("--store", path, "why", "ffffffff").code == 1


def test_what_comes_later_is_resolved_by_everything_that_was_claimed(filled: Store) -> None:
    run = str(rows(filled, "SELECT ingest_id FROM ingest WHERE source = 'logs'")[0]["ingest_id"])
    state(filled, [statement(filled, kind="source", subject="crawl")])
    state(filled, [statement(filled, kind="source", subject="logs")])  # the program said `synthetic`: a conflict
    ingest(filled, prose_records(1, start=6), origin="unknown", source="crawl", name="more")
    ingest(filled, prose_records(1, start=7), origin=None, source="logs", name="more")
    assert labels(filled, 6) == ("human", 0, 1, None)
    assert labels(filled, 7) == ("unknown", None, 0, "claims")
    state(filled, [statement(filled, kind="ingest", subject=run, origin="mixed")])
    assert labels(filled, 4) == ("mixed", None, 1, None)
    assert violations(filled) == []


def test_claims_at_the_same_instant_are_no_lottery(filled: Store) -> None:
    at = utc_now() - timedelta(days=1)
    state(filled, [statement(filled, at=at)])
    state(filled, [statement(filled, at=at, origin="mixed")])
    assert labels(filled, 0) == ("unknown", None, 0, "claims")
    path, one = filled.path, document(filled, 0)
    filled.close()
    assert provenance("--store", path, "why", one).out.count("contradicts") == 2


def test_a_change_of_mind_in_one_file_is_no_contradiction(filled: Store) -> None:
    at = utc_now() - timedelta(days=1)
    state(filled, [statement(filled), statement(filled, at=at, origin="mixed")])
    assert labels(filled, 0) == ("human", 0, 1, None)
    with pytest.raises(ContradictoryEvidence, match="by 'a' and that it is 'synthetic', by 'b'"):
        state(filled, [statement(filled, origin="synthetic", model=name) for name in "ab"])


def test_large_files_of_claims(filled: Store, tmp_path: Path) -> None:
    ingest(filled, prose_records(2_000, start=10, n_words=8), origin="unknown", source="crawl", name="more")
    ids = [str(row["document_id"]) for row in rows(filled, "SELECT document_id FROM document ORDER BY ALL")]
    claims = [{"document": one, "origin": "human", "author": f"judge {i % 3}"} for i, one in enumerate(ids * 10)]
    file = tmp_path / "claims.jsonl"
    started = time.perf_counter()
    done = state_file(filled, write_lines(file, claims), author="ann")
    assert time.perf_counter() - started < 30  # one look-up and one insertion a claim took minutes
    assert (len(done.ids), done.n_documents, done.settled.n_changed) == (len(claims), len(ids), len(ids))
    claims[7_000]["document"], claims[9_000]["origin"], claims[5] = "0" * 32, "humane", b"["
    with pytest.raises(InvalidLine, match=r"line 6: It is no JSON.* 3 lines are wrong, this is the first"):
        state_file(filled, write_lines(file, claims), author="ann")
    assert count(filled, "claims") == len(done.ids) + 2
    assert violations(filled) == []


def test_retractions_of_everything_that_somebody_claimed(filled: Store) -> None:
    state(filled, [statement(filled, n, author="words@1", method="detector", origin="synthetic") for n in range(3)])
    state(filled, [statement(filled, 0, author="bob"), statement(filled, 1, author="words@2", origin="mixed")])
    before = rows(filled, "SELECT * FROM evidence ORDER BY evidence_id")
    seen = look(filled, Choice(author="words@1"))
    assert (seen.n_claims, seen.n_documents, len(seen.groups)) == (3, 3, 1)
    assert rows(filled, "SELECT * FROM evidence ORDER BY evidence_id") == before
    done = retract_all(filled, Choice(author="words@1", source="crawl"), author="ann", note="wrong threshold")
    # One of them is declared to be mixed, for which it needed no detector.
    assert (done.n_claims, done.n_documents, done.settled.n_changed) == (3, 3, 2)
    assert [labels(filled, n)[0] for n in range(3)] == ["human", "mixed", "unknown"]
    after = rows(filled, "SELECT * FROM evidence ORDER BY evidence_id")
    assert [row for row in after if row in before] == before
    notes = {(row["author"], row["note"], row["method"]) for row in after if row["retracts"] is not None}
    assert notes == {("ann", "wrong threshold", "detector")}
    with pytest.raises(NothingToRetract, match="author words@1"):
        retract_all(filled, Choice(author="words@1"), author="ann")
    assert violations(filled) == []


def test_retractions_by_subject_and_time(filled: Store) -> None:
    run = str(rows(filled, "SELECT ingest_id FROM ingest WHERE source = 'logs'")[0]["ingest_id"])
    early, late = (utc_now() - timedelta(days=days) for days in (9, 1))
    state(filled, [statement(filled, 4, at=early), statement(filled, 5, at=late), statement(filled, 0, at=late)])
    state(filled, [statement(filled, kind="ingest", subject=run, author="bob", origin="mixed", at=late)])
    state(filled, [statement(filled, kind="source", subject="logs", author="cy", at=late)])
    between = early + timedelta(days=1)

    def n(**choice: object) -> tuple[int, int]:
        found = look(filled, Choice(**choice))  # type: ignore[arg-type]
        return found.n_claims, found.n_documents

    assert n(author="ann") == (3, 3)
    assert n(author="ann", since=between) == (2, 2)
    assert n(author="ann", before=between) == (1, 1)
    assert n(author="ann", since=late, source="logs") == (1, 1)
    assert n(author="ann", ingest=run[:8]) == (2, 2)
    assert n(source="logs") == (5, 2)  # with what the program itself declared
    assert n(ingest=run) == (3, 2)
    assert n(method="declared", author="cy") == (1, 2)
    for choice in ({"author": "bobb"}, {"method": "declare"}, {"source": "log"}, {"ingest": "12345678"}):
        with pytest.raises(UnknownName):
            look(filled, Choice(**choice))
    retract_all(filled, Choice(source="logs", before=between), author="ann")
    retract_all(filled, Choice(source="logs"), author="ann")
    assert [labels(filled, number)[0] for number in (0, 4, 5)] == ["human", "unknown", "unknown"]
    assert violations(filled) == []


def test_retract_by_command(filled: Store) -> None:
    state(filled, [statement(filled, number, author="words@1") for number in range(3)])
    path = filled.path
    ids = [str(row["claim_id"]) for row in rows(filled, "SELECT claim_id FROM claims WHERE author = 'words@1'")]
    filled.close()
    seen = provenance("--store", path, "retract", "--claimed-by", "words@1")
    assert (seen.code, "3 claims about 3 documents" in seen.out, "--yes" in seen.err) == (0, True, True)
    assert "took back 1 claim about 1 document: 1 changed" in provenance("--store", path, "retract", ids[0]).err
    answer = provenance("--store", path, "retract", "--claimed-by", "words@1", "--yes", "--json")
    told = json.loads(answer.out)
    assert (told["retracted"], told["n_claims"], told["n_changed"]) == (True, 2, 2)
    assert provenance("--store", path, "retract", "--claimed-by", "words@1", "--yes").code == 1
    wrong = (["--since", "2026-01-01"], [ids[0], "--yes"], [ids[0], "--method", "declared"], [])
    assert [provenance("--store", path, "retract", *options).code for options in wrong] == [2] * 4
    assert provenance("--store", path, "retract", ids[1], ids[1]).code == 1
    assert provenance("--store", path, "retract", "--source", "crawl", "--since", "soon").code == 1


def test_a_run_that_was_undone_is_no_subject(filled: Store) -> None:
    run = str(rows(filled, "SELECT ingest_id FROM ingest WHERE source = 'logs'")[0]["ingest_id"])
    undo_ingest(filled, run)
    with pytest.raises(UnknownName, match="was undone"):
        state(filled, [statement(filled, kind="ingest", subject=run)])
    assert violations(filled) == []

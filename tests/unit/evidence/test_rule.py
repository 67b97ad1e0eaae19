"""The rule against a slow reading of its eight steps, and `why` against both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.resolve import RESOLVED
from provenance.evidence.settle import settle
from provenance.evidence.why import why
from provenance.ids import uuid_array
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import ingest, prose_records, rows, violations

NOW = datetime(2026, 5, 1)  # noqa: DTZ001 — as the store keeps times
SPECIFICITY = {"document": 3, "ingest": 2, "source": 1}

one_claim = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["document", "document", "ingest", "source"]),
        "which": st.integers(0, 3),
        "claim": st.sampled_from(
            [
                Claim("human", 0),
                Claim("synthetic", 1, "a"),
                Claim("synthetic", 4, "b"),
                Claim("mixed"),
                Claim("unknown"),
            ]
        ),
        "rank": st.integers(0, 5),
        "author": st.sampled_from(["ann", "bob", "cy"]),
        "hour": st.integers(0, 2),
        "retracts": st.none() | st.integers(0, 8),
    }
)


def outcome(claims: list[dict[str, Any]], gone: set[int], *, is_laundered: bool) -> tuple[Any, ...]:
    """Return origin, generation, model, rank and conflict by the eight steps, one after the other."""
    said = [claim for claim in claims if claim["retracts"] is None and claim["id"] not in gone]
    said = [claim for claim in said if claim["origin"] != "unknown" or claim["rank"] <= 1]
    if not said:
        return "unknown", None, None, 0, None
    if max(claim["rank"] for claim in said) == 2:  # a detector is the best there is: does it change anything?
        without = outcome([claim for claim in said if claim["rank"] < 2], set(), is_laundered=False)
        if without[0] in ("synthetic", "mixed"):
            return without
    best = max((claim["rank"], SPECIFICITY[claim["kind"]]) for claim in said)
    said = [claim for claim in said if (claim["rank"], SPECIFICITY[claim["kind"]]) == best]
    ends = {
        author: max(claim["at"] for claim in said if claim["author"] == author)
        for author in {claim["author"] for claim in said}
    }
    last = [claim for claim in said if claim["at"] == ends[claim["author"]]]
    known = [claim for claim in last if claim["origin"] != "unknown"]
    if len({claim["origin"] for claim in known}) > 1:
        return "unknown", None, None, 0, "claims"
    won = max(known or last, key=lambda c: (c["at"], c["id"]))
    if won["origin"] == "human" and won["rank"] < 5 and is_laundered:
        return "unknown", None, None, 0, "laundering"
    rank = 0 if won["origin"] == "unknown" else won["rank"]
    return won["origin"], won["generation"], won["model"], rank, None


#: Output that was taken down: what is like it is not judged anew.
TAKEN_DOWN = "00000000-0000-0000-0000-00000000000a"


def state_all(store: Store, drawn: list[dict[str, Any]], laundered: set[int]) -> None:
    """Write drawn claims about three documents of two ingests of one source, and output that they resemble."""
    documents = [str(row["document_id"]) for row in rows(store, "SELECT document_id FROM document ORDER BY 1")]
    ingests = [str(row["ingest_id"]) for row in rows(store, "SELECT ingest_id FROM ingest ORDER BY 1")]
    subjects = {"document": documents, "ingest": ingests, "source": ["books"]}
    ids: list[UUID] = []
    standing: set[UUID] = set()  # a claim is taken back once, and what takes back is not taken back
    with store.transaction() as connection:
        for one in drawn:
            known = subjects[one["kind"]]
            named = None if one["retracts"] is None or one["retracts"] >= len(ids) else ids[one["retracts"]]
            taken_back = named if named in standing else None
            claim = StatedClaim(
                one["kind"], known[one["which"] % len(known)], one["claim"], "declared", rank=one["rank"],
                author=one["author"], retracts=taken_back,
            )  # fmt: skip
            ids += state_claims(connection, [claim], stated_at=NOW + timedelta(hours=one["hour"]))
            if taken_back is None:
                standing.add(ids[-1])
            else:
                standing.remove(taken_back)
        for one in laundered:
            connection.exec_driver_sql(
                "INSERT INTO laundering VALUES (?::UUID, ?::UUID, 'same text', 1, 9, 'conflict', 'none', now())",
                (documents[one], TAKEN_DOWN),
            )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with three documents of two ingests, of which nothing is claimed."""
    with Store.create(tmp_path_factory.mktemp("rule") / "s.duckdb") as store:
        ingest(store, prose_records(2), origin="unknown")
        ingest(store, prose_records(1, start=2), origin="unknown", name="second")
        with store.transaction() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO takedown VALUES ('{TAKEN_DOWN}', '{{}}', 'asked', 'ann', now(), '{{}}')"
            )
            connection.exec_driver_sql(
                f"INSERT INTO tombstone VALUES ('{TAKEN_DOWN}', '{TAKEN_DOWN}', uuid(), 'bot', 'synthetic', 9, true)"
            )
        yield store


@given(drawn=st.lists(one_claim, max_size=9), laundered=st.sets(st.integers(0, 2)))
def test_rule(world: Store, drawn: list[dict[str, Any]], laundered: set[int]) -> None:
    store = world
    with store.transaction() as connection:
        for table in ("evidence", "laundering"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    state_all(store, drawn, laundered)
    with store.transaction() as connection:
        settle(connection)
    claims = [
        {
            **row, "id": UUID(row["evidence_id"]).int, "kind": row["subject_kind"], "at": row["stated_at"],
            "retracts": row["retracts"] and UUID(row["retracts"]).int,
        }
        for row in rows(store, "SELECT * FROM evidence")
    ]  # fmt: skip
    resolved = {row["document_id"]: row for row in rows(store, RESOLVED)}
    names = ("origin", "generation", "model", "evidence_rank", "conflict")
    for place, row in enumerate(rows(store, "SELECT * FROM document ORDER BY document_id")):
        about = [c for c in claims if row["document_id"] == c["document_id"] or row["ingest_id"] == c["ingest_id"]
                 or c["source"] is not None]  # fmt: skip
        expected = outcome(about, {claim["retracts"] for claim in claims}, is_laundered=place in laundered)
        assert tuple(row[name] for name in names) == expected
        assert tuple(resolved[row["document_id"]][name] for name in names) == expected
        if place > 0:
            continue
        told = why(store, str(row["document_id"]))
        assert tuple(told.outcome[name] for name in names) == expected
        assert len(told.claims) == len(about)
        counting = [one for one in told.claims if one["fate"] == "counts"]
        assert len(counting) <= 1
        if expected[4] is None and counting:
            assert counting[0]["origin"] == expected[0]
        assert bool(expected[4] == "claims") == any("contradicts" in one["fate"] for one in told.claims)


def test_the_store_is_sound_after_all_of_that(world: Store) -> None:
    assert violations(world) == []


def test_settling_some_documents_is_settling_all_of_them(make_store: Maker) -> None:
    store = make_store()
    ingest(store, prose_records(4))
    documents = rows(store, "SELECT document_id FROM document ORDER BY 1")
    chosen = pa.table({"document_id": uuid_array([UUID(row["document_id"]).bytes for row in documents[:2]])})
    with store.transaction() as connection:
        for row in documents[:3]:
            claim = StatedClaim("document", str(row["document_id"]), Claim("mixed"), "declared", author="ann")
            state_claims(connection, [claim], stated_at=NOW)
        assert settle(connection, chosen).n_changed == 2
        assert settle(connection, chosen).n_changed == 0
        assert settle(connection).n_changed == 1

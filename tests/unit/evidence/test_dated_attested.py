"""Early dates and signed statements as evidence."""

from __future__ import annotations

import base64
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from provenance.errors import ProvenanceError, UnknownName
from provenance.evidence.attested import Attestation, attest, attestations
from provenance.evidence.dated import state_dates
from provenance.evidence.errors import ContradictoryEvidence, FromTheFuture, SignatureRefused, StatementExpired
from provenance.evidence.retract import Choice, retract, retract_all
from provenance.evidence.statements import Statement, state
from provenance.ingest.removal import remove_source
from provenance.ingest.undo import undo_ingest
from provenance.store.store import Store
from tests.factories import count, ingest, prose_records, provenance, rows, violations

DATES = [
    {"collected_at": "2012-05-01", "authored_at": "2024-01-01"},  # the crawl's date counts
    {"collected_at": "2024-05-01", "authored_at": "1999-01-01"},  # a page that only says it is old
    {"authored_at": "1887-01-01"},
    {"collected_at": "2020-01-01"},
    {},
]


def origins(store: Store) -> list[tuple[str, int]]:
    """Return what the documents show, in their order."""
    query = "SELECT origin, evidence_rank FROM documents WHERE source = 'crawl' ORDER BY external_id"
    return [(row["origin"], row["evidence_rank"]) for row in rows(store, query)]


def test_early_documents_are_human(store: Store) -> None:
    records = [{**record, **dates} for record, dates in zip(prose_records(5), DATES, strict=True)]
    ingest(store, records, origin="unknown", source="crawl")
    early = {**prose_records(1, start=9)[0], "collected_at": "2011-01-01"}
    ingest(store, [early], origin="synthetic", source="markov", generation=1, model="chain")
    n = count(store, "evidence")
    assert [one.n_stated for one in state_dates(store, dry_run=True).sources] == [2, 0]
    assert count(store, "evidence") == n
    found = state_dates(store)
    assert [(one.source, one.n_stated, one.n_generated) for one in found.sources] == [("crawl", 2, 0), ("markov", 0, 1)]
    expected = [("human", 3), ("unknown", 0), ("human", 3), ("unknown", 0), ("unknown", 0)]
    assert (found.n_changed, origins(store)) == (2, expected)
    again = state_dates(store)
    assert (again.n_changed, [one.n_present for one in again.sources]) == (0, [2, 0])
    state_dates(store, before=date(2021, 1, 1), source="crawl")
    assert origins(store)[3] == ("human", 3)
    with pytest.raises(FromTheFuture):
        state_dates(store, before=date(2999, 1, 1))
    with pytest.raises(UnknownName):
        state_dates(store, source="craw")
    assert violations(store) == []


KEYS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "pss": rsa.generate_private_key(65537, 2048),
}


def signed(kind: str, data: bytes) -> bytes:
    """Return a signature."""
    key, digest = KEYS[kind], hashes.SHA256()
    if kind == "ed25519":
        return bytes(key.sign(data))
    if kind == "ec":
        return bytes(key.sign(data, ec.ECDSA(digest)))
    scheme = padding.PSS(padding.MGF1(digest), 32) if kind == "pss" else padding.PKCS1v15()
    return bytes(key.sign(data, scheme, digest))


def deal(folder: Path, kind: str = "ed25519", **fields: Any) -> Attestation:
    """Return a signed deal about the source, its files in a folder."""
    (folder / "deal.txt").write_bytes(b"All of crawl was written by people.")
    (folder / "deal.sig").write_bytes(signed(kind, b"All of crawl was written by people."))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = KEYS[kind].public_key().public_bytes(serialization.Encoding.PEM, form)
    (folder / "key.pem").write_bytes(public)
    values = {
        "source": "crawl", "statement": folder / "deal.txt", "signer": "Press Ltd", "signed_on": date(2024, 5, 6),
        "signature": folder / "deal.sig", "public_key": folder / "key.pem", **fields,
    }  # fmt: skip
    return Attestation(**values)


@pytest.fixture
def crawl(store: Store) -> Store:
    """Return a store with three documents of unknown origin."""
    ingest(store, prose_records(3), origin="unknown", source="crawl")
    return store


@pytest.mark.parametrize("kind", KEYS)
def test_signed_statements(crawl: Store, tmp_path: Path, kind: str) -> None:
    given = deal(tmp_path, kind)
    if kind == "ec":
        (tmp_path / "deal.sig").write_bytes(base64.encodebytes((tmp_path / "deal.sig").read_bytes()))
    assert attest(crawl, given).settled.n_changed == 3
    assert origins(crawl) == [("human", 4)] * 3
    [one] = attestations(crawl)
    assert (one["state"], one["signer"], one["signed_on"]) == ("verified", "Press Ltd", date(2024, 5, 6))
    ingest(crawl, prose_records(2, start=5), origin="unknown", source="crawl", name="more")
    assert origins(crawl) == [("human", 4)] * 5  # what comes later is covered too
    assert violations(crawl) == []


REFUSED: list[tuple[dict[str, Any], type[ProvenanceError]]] = [
    ({"signed_on": date(2999, 1, 1)}, FromTheFuture),
    ({"expires_on": date(2025, 1, 1)}, StatementExpired),
    ({"expires_on": date(2024, 1, 1)}, ContradictoryEvidence),
    ({"signature": None}, SignatureRefused),
    ({"source": "crowl"}, UnknownName),
]


@pytest.mark.parametrize(("fields", "error"), REFUSED, ids=[error.__name__ for _, error in REFUSED])
def test_wrong_statements_leave_nothing(
    crawl: Store, tmp_path: Path, fields: dict[str, Any], error: type[ProvenanceError]
) -> None:
    with pytest.raises(error):
        attest(crawl, deal(tmp_path, **fields))
    assert [count(crawl, table) for table in ("support", "attestation")] == [0, 0]
    assert origins(crawl) == [("unknown", 0)] * 3


@pytest.mark.parametrize("forged", ["deal.txt", "deal.sig", "key.pem"])
def test_forgeries_are_refused(crawl: Store, tmp_path: Path, forged: str) -> None:
    given = deal(tmp_path)
    data = bytearray((tmp_path / forged).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / forged).write_bytes(data)
    with pytest.raises(SignatureRefused, match="Nothing was stored"):
        attest(crawl, given)
    assert [count(crawl, table) for table in ("support", "attestation")] == [0, 0]


def test_what_is_kept_is_checked_again(crawl: Store, tmp_path: Path) -> None:
    attest(crawl, deal(tmp_path))
    attest(crawl, deal(tmp_path, public_key=None, signer="Other Ltd"))
    attest(crawl, deal(tmp_path, public_key=None, signature=None, signer="Third Ltd", expires_on=date(2999, 1, 1)))
    states = {one["signer"]: one["state"] for one in attestations(crawl)}
    assert states == {"Press Ltd": "verified", "Other Ltd": "signed", "Third Ltd": "kept"}
    with crawl.transaction() as connection:
        connection.exec_driver_sql("UPDATE support SET bytes = 'changed'::BLOB WHERE name = 'deal.txt'")
        connection.exec_driver_sql("UPDATE attestation SET expires_on = DATE '2025-01-01' WHERE signer = 'Third Ltd'")
    states = {one["signer"]: one["state"] for one in attestations(crawl)}
    assert states == {"Press Ltd": "BROKEN", "Other Ltd": "BROKEN", "Third Ltd": "BROKEN, expired"}
    path = crawl.path
    crawl.close()
    answer = provenance("--store", path, "attestations")
    assert (answer.code, "BROKEN" in answer.out) == (1, True)
    assert "Of 1 expired statement the claim still counts" in answer.err


def test_a_statement_that_was_exchanged_with_signature_and_key_is_broken(crawl: Store, tmp_path: Path) -> None:
    attest(crawl, deal(tmp_path, "rsa"))
    other = b"None of crawl was written by people."
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key = KEYS["ed25519"].public_key().public_bytes(serialization.Encoding.PEM, form)
    for name, data in (("deal.txt", other), ("deal.sig", signed("ed25519", other)), ("key.pem", key)):
        with crawl.transaction() as connection:
            connection.exec_driver_sql("UPDATE support SET bytes = ? WHERE name = ?", (data, name))
        assert [one["state"] for one in attestations(crawl)] == ["BROKEN"]


def test_an_attestation_outlives_its_source_and_claims_nothing(crawl: Store, tmp_path: Path) -> None:
    attest(crawl, deal(tmp_path))
    remove_source(crawl, "crawl")
    ingest(crawl, prose_records(3), origin="unknown", source="crawl")
    assert origins(crawl) == [("unknown", 0)] * 3
    assert [(one["state"], one["counts"]) for one in attestations(crawl)] == [("verified, source removed", False)]
    [claim] = attest(crawl, deal(tmp_path)).ids
    retract(crawl, str(claim), author="ann")
    states = sorted(one["state"] for one in attestations(crawl))
    assert states == ["verified, source removed", "verified, taken back"]
    assert violations(crawl) == []


def test_commands(crawl: Store, tmp_path: Path) -> None:
    path, given = crawl.path, deal(tmp_path)
    crawl.close()
    options = ["--statement", given.statement, "--signer", "Press Ltd", "--signed-on", "2024-05-06", "--signature",
               given.signature, "--public-key", given.public_key]  # fmt: skip
    made = provenance("--store", path, "attest", "crawl", *options)
    assert (made.code, "the signature fits" in made.err) == (0, True)
    [one] = json.loads(provenance("--store", path, "attestations", "--json").out)
    assert one["state"] == "verified"
    assert provenance("--store", path, "date", "--before", "1990-01-01").err.startswith("No document")
    assert provenance("--store", path, "date", "--before", "soon").code == 2


def dated(store: Store, **options: Any) -> tuple[int, ...]:
    """Return the counts of what dates say of the source `crawl`."""
    [one] = state_dates(store, **options).sources
    return one.n_stated, one.n_present, one.n_generated, one.n_withdrawn


def test_a_date_that_is_amended_takes_its_claim_along(store: Store) -> None:
    record = prose_records(1)[0]
    ingest(store, [{**record, "date": "1999-01-01"}], origin="unknown", source="crawl")
    assert (dated(store), origins(store)) == ((1, 0, 0, 0), [("human", 3)])
    later = ingest(store, [{**record, "date": "2024-01-01"}], origin="unknown", source="crawl", name="later")
    assert (later.counts.n_amended, origins(store)) == (1, [("unknown", 0)])
    assert violations(store) == []
    undo_ingest(store, str(later.ingest_id))
    assert (origins(store), dated(store), origins(store)) == ([("unknown", 0)], (1, 0, 0, 0), [("human", 3)])
    ingest(store, [{**record, "collected_at": "2012-03-04"}], origin="unknown", source="crawl", name="crawled")
    assert origins(store) == [("unknown", 0)]  # the crawl's own date counts, and nobody has claimed by it yet
    assert (dated(store), origins(store)) == ((1, 0, 0, 0), [("human", 3)])
    assert violations(store) == []


def test_a_date_that_an_undone_run_gave_takes_its_claim_along(store: Store) -> None:
    record = prose_records(1)[0]
    ingest(store, [record], origin="unknown", source="crawl")
    run = ingest(store, [{**record, "date": "1999-01-01"}], origin="unknown", source="crawl", name="dated")
    assert (dated(store), origins(store)) == ((1, 0, 0, 0), [("human", 3)])
    undo_ingest(store, str(run.ingest_id))
    assert origins(store) == [("unknown", 0)]
    assert state_dates(store).sources == ()
    assert violations(store) == []


def say(store: Store, **fields: Any) -> str:
    """State a claim about the first document of `crawl`, unless another subject is given, and return its id."""
    [one] = rows(store, "SELECT document_id FROM document WHERE external_id = 'r0'")
    values = {"kind": "document", "subject": one["document_id"], "author": "ann", "origin": "synthetic", **fields}
    return str(state(store, [Statement(**values)]).ids[0])


def test_what_dates_claim_does_not_depend_on_when(store: Store) -> None:
    ingest(store, [{**prose_records(1)[0], "collected_at": "2011-01-01"}], origin="unknown", source="crawl")
    said = say(store, author="words@1", method="detector")
    assert origins(store) == [("synthetic", 2)]
    assert (dated(store), origins(store)) == ((1, 0, 0, 0), [("human", 3)])  # as if it had been dated before
    said = say(store)
    assert (dated(store, dry_run=True), origins(store)) == ((0, 0, 1, 1), [("human", 3)])
    assert (dated(store), origins(store)[0][0]) == ((0, 0, 1, 1), "synthetic")
    assert dated(store) == (0, 0, 1, 0)
    retract(store, said, author="ann")
    assert (dated(store), origins(store)) == ((1, 0, 0, 0), [("human", 3)])
    say(store, kind="source", subject="crawl")
    assert dated(store) == (0, 0, 1, 1)
    say(store, origin="human")  # who knows the document knows better than who knows its source
    assert dated(store) == (1, 0, 0, 0)
    retract_all(store, Choice(author="date"), author="ann")
    assert dated(store) == (0, 1, 0, 0)  # a person's word is final
    assert violations(store) == []

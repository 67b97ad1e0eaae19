"""Evidence of grade `attested`: a licence deal or a signed statement that covers a source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert

from provenance.evidence.errors import ContradictoryEvidence, FromTheFuture, SignatureRefused, StatementExpired
from provenance.evidence.grades import LICENSED, SIGNED
from provenance.evidence.signatures import require_signature
from provenance.evidence.statements import Stated, Statement, state_in
from provenance.evidence.support import keep_support, read_support
from provenance.store import schema
from provenance.store.store import Store, utc_now


@dataclass(frozen=True, kw_only=True)
class Attestation:
    """A statement that somebody signed about a source.

    Attributes
    ----------
    source : name of the source
    statement : the file
    signer : who signed it
    signed_on, expires_on : dates
    terms : what was agreed, in a few words
    origin, generation, model : what it says of every document of the source
    signature, public_key : files of a detached signature and of the key to check it with
    """

    source: str
    statement: Path
    signer: str
    signed_on: date
    expires_on: date | None = None
    terms: str | None = None
    origin: str = "human"
    generation: int | None = None
    model: str | None = None
    signature: Path | None = None
    public_key: Path | None = None


def attest(store: Store, given: Attestation) -> Stated:
    """Keep a statement with its signature, and claim what it says of its source.

    Raises
    ------
    FromTheFuture, StatementExpired, ContradictoryEvidence
        If the dates cannot be.
    SignatureRefused
        If there is a key without a signature, or they do not fit the statement.
    SupportUnreadable
        If a file cannot be read.
    UnknownName, UnknownOrigin, ContradictoryClaim
        If source or origin are wrong.
    """
    today = utc_now().date()
    if given.signed_on > today:
        raise FromTheFuture("The date of the signature", given.signed_on, utc_now())
    if given.expires_on is not None and given.expires_on < given.signed_on:
        raise ContradictoryEvidence(f"It would expire on {given.expires_on}, before it was signed.")
    if given.expires_on is not None and given.expires_on < today:
        raise StatementExpired(given.expires_on)
    if given.public_key is not None and given.signature is None:
        raise SignatureRefused("There is a public key and no signature to check with it.")
    files = {
        kind: (path.name, read_support(path))
        for kind, path in (
            ("statement", given.statement), ("signature", given.signature), ("public_key", given.public_key)
        )
        if path is not None
    }  # fmt: skip
    is_verified = "public_key" in files
    if is_verified:
        require_signature(files["statement"][1], files["signature"][1], files["public_key"][1])
    with store.transaction() as connection:
        return _attest(connection, given, files, is_verified=is_verified)


def _attest(
    connection: Connection, given: Attestation, files: dict[str, tuple[str, bytes]], *, is_verified: bool
) -> Stated:
    digests = {kind: keep_support(connection, *file) for kind, file in files.items()}
    claim = Statement(
        kind="source", subject=given.source, author=given.signer, origin=given.origin, generation=given.generation,
        model=given.model, method=SIGNED if "signature" in files else LICENSED, note=given.terms,
        support=str(given.statement),
    )  # fmt: skip
    stated = state_in(connection, [claim])
    row = {
        "attestation_id": uuid4(),
        "source": given.source,
        "signer": given.signer,
        "signed_on": given.signed_on,
        "expires_on": given.expires_on,
        "terms": given.terms,
        **{f"{kind}_digest": digests.get(kind) for kind in ("statement", "signature", "public_key")},
        "is_verified": is_verified,
        "evidence_id": stated.ids[0],
    }
    connection.execute(insert(schema.attestation), [row])
    return stated


_ATTESTATIONS = """
    SELECT a.attestation_id::VARCHAR AS attestation_id, a.source, a.signer, a.signed_on, a.expires_on, a.terms,
           a.statement_digest, a.is_verified, a.evidence_id::VARCHAR AS claim_id, c.origin, c.is_retracted,
           s.bytes AS statement, g.bytes AS signature, k.bytes AS public_key,
           (sha256(s.bytes), sha256(g.bytes), sha256(k.bytes))
               IS NOT DISTINCT FROM (a.statement_digest, a.signature_digest, a.public_key_digest) AS is_whole
    FROM attestation a
    LEFT JOIN claims c ON c.claim_id = a.evidence_id
    LEFT JOIN support s ON s.digest = a.statement_digest
    LEFT JOIN support g ON g.digest = a.signature_digest
    LEFT JOIN support k ON k.digest = a.public_key_digest
    ORDER BY a.source, a.signed_on, a.attestation_id
"""


def attestations(store: Store) -> list[dict[str, Any]]:
    """Return all attestations; what is kept of each is checked again.

    `state` is `verified` (its signature was checked, now again), `signed` (there is a signature and no key), `kept`
    (there is a statement only), `BROKEN` (what is kept is not what was attested), each with `, expired`,
    `, taken back` or `, source removed` where it is. `counts` tells whether its claim does.
    """
    found = []
    today = utc_now().date()
    for row in store.fetch(_ATTESTATIONS).to_pylist():
        statement, signature, key = (row.pop(name) for name in ("statement", "signature", "public_key"))
        if not row.pop("is_whole") or statement is None:
            state = "BROKEN"
        elif row["is_verified"]:
            state = _again(statement, signature, key)
        else:
            state = "kept" if signature is None else "signed"
        row["counts"] = row["is_retracted"] is False
        state += ", expired" if row["expires_on"] is not None and row["expires_on"] < today else ""
        state += ", taken back" if row["is_retracted"] else ", source removed" if row["is_retracted"] is None else ""
        found.append({**row, "attestation_id": UUID(row["attestation_id"]), "state": state})
    return found


def _again(statement: bytes, signature: bytes | None, key: bytes | None) -> str:
    if signature is None or key is None:
        return "BROKEN"
    try:
        require_signature(statement, signature, key)
    except SignatureRefused:
        return "BROKEN"
    return "verified"

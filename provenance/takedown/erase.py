"""The erasure: one transaction takes everything out, and the file is written anew.

What is left of a document is a tombstone: its ids, its source, what it counted for. Training sets keep their draws,
which are ids. A text that other documents keep stays, and only the documents are refused when they come again.
DELETE, CHECKPOINT and VACUUM leave the bytes of removed rows in the file, so it is written into a new one that takes
its place; until then the store says that this is still to be done, and `finish` does it.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, select

from provenance.errors import CompactFailed, StoreBusy, StoreWriteFailed
from provenance.ingest.removal import drop_bare_models, erase_doomed
from provenance.ingest.runs import actor as present_actor
from provenance.store import schema
from provenance.store.compact import PENDING, CompactReport, compact
from provenance.store.files import real_file, remove_drafts, remove_spilled
from provenance.store.store import Store, registered, utc_now
from provenance.takedown.errors import (
    ConfirmCount,
    CopiesRemain,
    NothingToErase,
    NotRewritten,
    ReasonMissing,
    ReasonTells,
)
from provenance.takedown.refused import blank_refused
from provenance.takedown.select import Selection
from provenance.takedown.touched import Copies, Found, Touched, find_touched, forget_chosen
from provenance.takedown.words import folded

_TOMBSTONES = """
    INSERT INTO tombstone BY NAME
    SELECT $takedown::UUID AS takedown_id, d.document_id, d.content_id, d.source, d.origin, d.n_words,
           k.content_id IS NULL AS with_text
    FROM document d SEMI JOIN doomed USING (document_id)
    LEFT JOIN (SELECT DISTINCT content_id FROM document ANTI JOIN doomed USING (document_id)) k USING (content_id)
"""
_OWN_SUPPORT = """
    CREATE OR REPLACE TEMP TABLE own_support AS
    SELECT DISTINCT support_digest AS digest FROM evidence SEMI JOIN doomed USING (document_id)
    WHERE support_digest IS NOT NULL
"""
_DELETE_SUPPORT = """
    DELETE FROM support WHERE digest IN (SELECT digest FROM own_support) AND digest NOT IN (
        SELECT support_digest FROM evidence WHERE support_digest IS NOT NULL
        UNION ALL SELECT statement_digest FROM attestation
        UNION ALL SELECT signature_digest FROM attestation WHERE signature_digest IS NOT NULL
        UNION ALL SELECT public_key_digest FROM attestation WHERE public_key_digest IS NOT NULL
    )
"""


@dataclass(frozen=True)
class TakenDown:
    """What a takedown did.

    Attributes
    ----------
    takedown_id : its id
    touched : what it erased and what hung on that
    """

    takedown_id: UUID
    touched: Touched


def look(store: Store, selection: Selection, *, copies: Copies = "ask") -> Touched:
    """Return what a takedown would touch; changes nothing.

    Raises
    ------
    UnknownName
        If a value of the selection stands for nothing.
    """
    with store.read() as connection:
        return find_touched(connection, selection, copies=copies).touched


def take_down(
    store: Store,
    selection: Selection,
    *,
    reason: str | None,
    actor: str | None = None,
    copies: Copies = "ask",
    yes_all: int | None = None,
) -> TakenDown:
    """Erase the documents selected, in one transaction; `finish` has to write the file anew after it.

    Parameters
    ----------
    reason : why, which stays in the store
    actor : who, by default the user and the machine
    copies : what becomes of documents with the same text, and of near-copies
    yes_all : the exact number of documents, which is asked for where it is more than half of the store, or everything
        that has an address

    Raises
    ------
    UnknownName
        If a value of the selection stands for nothing.
    NothingToErase
        If it is a source of which nothing is left.
    ReasonMissing, ReasonTells
        If there is no reason, or it holds what is to be erased.
    CopiesRemain
        If other documents have the same text, and `copies` does not say what becomes of them.
    ConfirmCount
        If it is more than half of the store or everything that has an address, or the number confirmed is another one.
    """
    told = _checked_reason(reason, selection)
    with store.transaction() as connection:
        found = find_touched(connection, selection, copies=copies)
        if not (found.touched.n_documents or found.refused):
            raise NothingToErase(selection.values)
        _require_leave(found, copies, yes_all)
        takedown_id = uuid4()
        row = {
            "takedown_id": takedown_id,
            "selection": {**selection.described(), "copies": copies},
            "reason": told,
            "actor": actor or present_actor(),
            "taken_down_at": utc_now(),
            "touched": json.loads(json.dumps(_counts(found.touched), default=str)),
        }
        connection.execute(insert(schema.takedown), [row])
        _erase(connection, store, found, takedown_id)
    return TakenDown(takedown_id, found.touched)


def is_pending(store: Store) -> bool:
    """Return whether documents were erased and the file has not been written anew since."""
    with store.read() as connection:
        pending = select(schema.setting.c.name).where(schema.setting.c.name == PENDING)
        return connection.execute(pending).first() is not None


def finish(path: Path, *, wait_s: float = 10.0) -> CompactReport:
    """Write the store's file anew, so that no byte of what was erased is left in it.

    Drafts of the file that killed processes left, and files into which the database put what its memory could not hold,
    go too.

    Raises
    ------
    NotRewritten
        If it cannot be written, or another process holds it; it can be done later.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            report = compact(path, wait_s=max(0.0, deadline - time.monotonic()))
            break
        except StoreBusy as error:  # or somebody, such as an ingest that had let go, was quicker
            if time.monotonic() >= deadline:
                raise NotRewritten(path, str(error)) from error
        except (CompactFailed, StoreWriteFailed) as error:
            raise NotRewritten(path, str(error)) from error
    file = real_file(path)
    remove_drafts(file)
    remove_spilled(file)
    return report


def _checked_reason(reason: str | None, selection: Selection) -> str:
    if reason is None or not reason.strip():
        raise ReasonMissing
    told = reason.strip()
    if any(_tells(told, value) for value in selection.personal):
        raise ReasonTells("URL" if selection.kind == "url" else selection.kind)
    return told


def _tells(reason: str, value: str) -> bool:
    """Return whether a reason holds a name or address, as words of its own: Al is not in legal."""
    wanted = folded(value.strip("*? "))
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", folded(reason)) is not None


def _require_leave(found: Found, copies: Copies, yes_all: int | None) -> None:
    touched = found.touched
    if copies == "ask" and touched.n_exact:
        raise CopiesRemain(touched.n_exact, {row["source"]: row["n_documents"] for row in touched.exact_copies})
    is_most = found.takes_all or 2 * touched.n_documents > touched.n_store
    if (is_most and yes_all is None) or (yes_all is not None and yes_all != touched.n_documents):
        raise ConfirmCount(touched.n_documents, touched.n_store, yes_all, takes_all=found.takes_all)


def _erase(connection: Connection, store: Store, found: Found, takedown_id: UUID) -> None:
    with registered(connection) as raw:
        raw.execute(_TOMBSTONES, {"takedown": str(takedown_id)})
        raw.execute(_OWN_SUPPORT)
        forget_chosen(connection)
        erase_doomed(connection, store.dedup)
        raw.execute(_DELETE_SUPPORT)
        raw.execute("DROP TABLE temp.own_support")
    blank_refused(connection, found.refused)
    drop_bare_models(connection)
    pending = schema.setting
    connection.execute(pending.delete().where(pending.c.name == PENDING))
    connection.execute(insert(pending), [{"name": PENDING, "value": str(takedown_id)}])


def _counts(touched: Touched) -> dict[str, Any]:
    """Return what the store keeps of it: counts, and names of sets and models."""
    left_out = ("nearest", "mentions")
    return {name: value for name, value in asdict(touched).items() if name not in left_out}

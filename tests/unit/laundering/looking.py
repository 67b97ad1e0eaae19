"""A store with a model's outputs, and what was found about documents by their own ids."""

from __future__ import annotations

from typing import Any

from provenance.store.store import Store
from tests.factories import rows


def found(store: Store) -> dict[str, tuple[str, str, str]]:
    """Return for the own id of every document that is like an output: verdict, ground and kind of the first pair."""
    pairs = rows(
        store,
        """SELECT d.external_id AS id, l.verdict, l.ground, l.kind FROM laundered l JOIN documents d USING (document_id)
           ORDER BY l.verdict DESC, l.kind DESC, l.ground DESC""",
    )
    return {row["id"]: (row["verdict"], row["ground"], row["kind"]) for row in pairs}


def labels(store: Store) -> dict[str, tuple[str, Any, int]]:
    """Return origin, conflict and rank of the evidence of every document by its own id."""
    return {
        row["external_id"]: (row["origin"], row["conflict"], row["evidence_rank"])
        for row in rows(store, "SELECT external_id, origin, conflict, evidence_rank FROM documents")
    }

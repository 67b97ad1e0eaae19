"""Where an author's name stands beside the documents that are erased: what a takedown leaves, and people look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from provenance.store.store import registered

#: What of a document, or of its text, is no mention elsewhere: it is erased.
_OF_OTHERS = "document_id NOT IN (SELECT document_id FROM doomed)"
_OTHER_TEXTS = f"content_id IN (SELECT content_id FROM document WHERE {_OF_OTHERS})"
_OTHER_CLAIMS = f"(document_id IS NULL OR {_OF_OTHERS})"

#: (what people call it, table, columns, condition)
_PLACES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("texts of other documents", "content", ("text",), _OTHER_TEXTS),
    ("other documents' descriptions", "document", ("author", "title", "uri", "external_id", "metadata"), _OF_OTHERS),
    ("other documents' amendments", "amendment", ("previous", "value"), _OF_OTHERS),
    ("other documents' annotations", "annotation", ("text",), _OF_OTHERS),
    ("claims", "evidence", ("author", "note", "support_uri"), _OTHER_CLAIMS),
    ("sources", "source", ("name", "uri", "note"), "true"),
    ("options of ingest runs", "ingest", ("options",), "true"),
    ("names of ingested files", "ingest_file", ("file",), "true"),
    ("names of files of refused records", "quarantine", ("file",), "true"),
    ("training sets' specifications", "training_set", ("spec",), "true"),
    ("strata of training sets", "training_set_item", ("stratum",), "true"),
    ("attestations", "attestation", ("signer", "terms"), "true"),
    ("paths of exports", "export", ("path",), "true"),
)


def mentions_of(connection: Connection, names: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Return where any of the names stands, capitals or not, outside of the documents in the table `doomed`."""
    if not names:
        return ()
    found = []
    with registered(connection) as raw:
        for place, table, columns, condition in _PLACES:
            says = " OR ".join(
                f"list_bool_or([contains(lower({column}::VARCHAR), lower(n)) FOR n IN $names])" for column in columns
            )
            query = f"SELECT count(*) FROM {table} WHERE ({says}) AND {condition}"
            (n_rows,) = raw.execute(query, {"names": list(names)}).fetchone()
            if n_rows:
                found.append({"place": place, "n_rows": n_rows})
    return tuple(found)

"""The comparison of everything with every output made anew, a bounded number of texts at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.parameters import DedupParameters
from provenance.evidence.settle import settle
from provenance.laundering.follow import AT_ONCE_BYTES, parameters_of, set_pending
from provenance.laundering.index import index_outputs, outputs_with, pick_spans, text_batches
from provenance.laundering.judge import DELETE_ALL, judge
from provenance.laundering.roles import CONFLICT, IS_CANDIDATE, IS_OUTPUT
from provenance.laundering.search import candidates_of, similar_hits, span_hits, with_copies
from provenance.store.store import Store, fetch, fetch_ids, registered

_CANDIDATES = f"SELECT content_id FROM document WHERE {IS_CANDIDATE}"
_OUTPUTS = f"SELECT DISTINCT content_id FROM document WHERE {IS_OUTPUT}"
_COUNTS = f"""
    SELECT count(DISTINCT document_id) FILTER (verdict = '{CONFLICT}') AS n_conflicts,
           count(DISTINCT document_id) FILTER (verdict <> '{CONFLICT}') AS n_memorised FROM laundering
"""
_CONFLICTS = f"SELECT DISTINCT document_id FROM laundering WHERE verdict = '{CONFLICT}'"


@dataclass(frozen=True)
class Rescanned:
    """What a comparison of everything found.

    Attributes
    ----------
    n_texts : texts that were compared with models' texts
    n_outputs : texts of models
    n_conflicts, n_memorised : documents that are laundered text, and that models repeat
    n_changed : documents of which that was not known, or is no more
    """

    n_texts: int
    n_outputs: int
    n_conflicts: int
    n_memorised: int
    n_changed: int


def rescan(store: Store, *, progress: Callable[[int, int], None] | None = None) -> Rescanned:
    """Compare every document with every output, in one transaction.

    Parameters
    ----------
    progress : is told how many texts of how many are done
    """
    with store.transaction() as connection:
        return rescan_in(connection, store.dedup, progress=progress)


def rescan_if_small(connection: Connection) -> None:
    """Compare everything where that takes a second or two, otherwise note that it is to be done."""
    if not fetch(connection, f"{_OUTPUTS} LIMIT 1").num_rows:
        return
    [n_bytes] = fetch(connection, "SELECT sum(n_bytes)::BIGINT AS n FROM content")["n"].to_pylist()
    if n_bytes > AT_ONCE_BYTES:
        set_pending(connection, is_pending=True)
    else:
        rescan_in(connection, parameters_of(connection))


def rescan_in(
    connection: Connection, parameters: DedupParameters, *, progress: Callable[[int, int], None] | None = None
) -> Rescanned:
    """Compare every document with every output in the caller's transaction; see `rescan`."""
    with registered(connection) as raw:
        raw.execute(f"CREATE OR REPLACE TEMP TABLE conflict_before AS {_CONFLICTS}")
        raw.execute(DELETE_ALL)
    if parameters.containment is None:
        index_outputs(connection)
    outputs = fetch_ids(connection, _OUTPUTS)
    todo = candidates_of(connection, _CANDIDATES)
    found = [similar_hits(connection, outputs, parameters)]
    n_done = 0
    for rows in text_batches(connection, todo) if outputs.num_rows else ():
        spans = pick_spans(rows["text"], sampled_frac=parameters.sampled_frac)
        found.append(span_hits(connection, rows, spans, lambda hashes: outputs_with(connection, hashes)))
        n_done += rows.num_rows
        if progress is not None:
            progress(n_done, todo.num_rows)
    judge(connection, with_copies(connection, pa.concat_tables(found), parameters))
    set_pending(connection, is_pending=False)
    changed = fetch_ids(
        connection,
        f"""(({_CONFLICTS}) EXCEPT FROM conflict_before) UNION ALL (FROM conflict_before EXCEPT ({_CONFLICTS}))""",
    )
    with registered(connection) as raw:
        raw.execute("DROP TABLE temp.conflict_before")
    settle(connection, changed)
    [counts] = fetch(connection, _COUNTS).to_pylist()
    return Rescanned(todo.num_rows, outputs.num_rows, **counts, n_changed=changed.num_rows)

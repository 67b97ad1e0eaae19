"""Laundered text as documents come in, and as claims make a text a model's or no model's any more."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, delete, insert, select

from provenance.dedup.buckets import Members
from provenance.dedup.incremental import SPANS
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.spans import Spans
from provenance.ids import uuid_array
from provenance.laundering.index import (
    index_outputs,
    is_indexed,
    outputs_with,
    pick_spans,
    text_batches,
    unindex,
)
from provenance.laundering.judge import judge
from provenance.laundering.roles import IS_CANDIDATE, IS_OUTPUT, MIN_WORDS, PENDING
from provenance.laundering.search import HIT, Lookup, candidates_of, similar_hits, span_hits, with_copies
from provenance.store import schema
from provenance.store.store import fetch, fetch_ids, registered, staged

#: Texts of so many bytes are read when a text becomes known as a model's; beyond, that waits for a rescan.
AT_ONCE_BYTES = 128 << 20

#: Documents whose part in the comparison is another now than before `relabelled` was written; see `settle`.
TURNED = f"""
    CREATE OR REPLACE TEMP TABLE turned AS
    SELECT d.document_id, d.content_id,
           {IS_OUTPUT.replace("origin", "d.origin").replace("evidence_rank", "d.evidence_rank")} AS was_output,
           {IS_OUTPUT.replace("origin", "r.origin").replace("evidence_rank", "r.evidence_rank")} AS is_output,
           {IS_CANDIDATE.replace("origin", "d.origin")} AS was_candidate,
           {IS_CANDIDATE.replace("origin", "r.origin")} AS is_candidate,
           r.model IS DISTINCT FROM d.model AS is_of_another_model
    FROM relabelled r JOIN document d USING (document_id)
    WHERE was_output <> is_output OR was_candidate <> is_candidate OR (is_output AND is_of_another_model)
"""
_OUTPUTS_NOW = "SELECT DISTINCT content_id FROM turned WHERE is_output"
_NO_OUTPUTS_NOW = "SELECT DISTINCT content_id FROM turned WHERE was_output AND NOT is_output"
_CANDIDATES_NOW = "SELECT DISTINCT content_id FROM turned WHERE is_candidate AND NOT was_candidate"
# Whoever was like a text that is no output any more may be like others that were not kept.
_FREED = """
    SELECT h.content_id FROM laundering l JOIN turned t ON t.document_id = l.synthetic_id AND t.was_output
    JOIN document h ON h.document_id = l.document_id
"""
#: Documents to judge anew: those whose claims changed, and all that are like the same outputs.
_JUDGED_ANEW = """
    WITH own AS (SELECT synthetic_id, document_id FROM laundering WHERE document_id IN (SELECT document_id FROM given)
                    OR synthetic_id IN (SELECT document_id FROM given))
    SELECT DISTINCT document_id FROM laundering WHERE synthetic_id IN (SELECT synthetic_id FROM own)
"""
_TURNED_INGESTS = """
    SELECT DISTINCT ingest_id FROM document SEMI JOIN (FROM turned WHERE is_output) USING (document_id)
"""
_NUMBERS = f"SELECT content_no FROM content SEMI JOIN fresh USING (content_id) WHERE n_words >= {MIN_WORDS}"
_SINCE = f"""
    FROM document WHERE {IS_CANDIDATE} AND content_id NOT IN (SELECT content_id FROM done)
      AND ingest_id IN (SELECT ingest_id FROM ingest WHERE started_at >= (
          SELECT min(started_at) FROM ingest SEMI JOIN entered USING (ingest_id)))
"""
_ENTERED_SINCE = f"SELECT content_id {_SINCE}"
_BYTES_SINCE = f"SELECT coalesce(sum(n_bytes), 0)::BIGINT AS n_bytes {_SINCE}"
_OTHERS_WITH = """
    SELECT content_no FROM span WHERE hash IN (
        SELECT hash FROM span WHERE content_no IN (SELECT content_no FROM wanted)
    )
"""
_CONTENTS = "SELECT content_id FROM content SEMI JOIN wanted USING (content_no)"


def compare_ingested(
    connection: Connection,
    documents: pa.Table,
    texts: pa.Table,
    spans: Spans | None,
    parameters: DedupParameters,
    *,
    ingest_id: UUID,
) -> pa.Table:
    """Compare documents that came in with all others; return those for which the outcome changed anything.

    Parameters
    ----------
    documents : columns content_id and origin of the documents, which are in the store
    texts : columns content_id and text of all their contents
    spans : picked ones of `texts`, where that is done already
    ingest_id : run that they came with; what it brought before, or a later one that was quicker, did not enter before
    """
    origins = documents["origin"]
    outputs = documents.filter(pc.equal(origins, "synthetic")).select(["content_id"])
    if outputs.num_rows and parameters.containment is None:
        index_outputs(connection, outputs)
    if not (outputs.num_rows or is_indexed(connection)):
        return pa.table({"document_id": pa.array([], pa.uuid())})
    found = [similar_hits(connection, documents.select(["content_id"]), parameters)]
    candidates = documents.filter(pc.is_in(origins, pa.array(["human", "unknown"])))
    rows = _rows_of(texts, candidates)
    if rows.size:
        taken = texts.take(pa.array(rows))
        own = pick_spans(taken["text"], sampled_frac=parameters.sampled_frac) if spans is None else spans.take(rows)
        found.append(span_hits(connection, taken, own, lambda hashes: outputs_with(connection, hashes)))
    if outputs.num_rows:
        ingests = pa.table({"ingest_id": uuid_array([ingest_id.bytes])})
        found += _compared_with_new(connection, outputs, ingests, parameters, done=candidates.select(["content_id"]))
    hits = with_copies(connection, pa.concat_tables(found), parameters)
    return judge(connection, hits) if hits.num_rows else pa.table({"document_id": pa.array([], pa.uuid())})


def follow(connection: Connection, documents: pa.Table | None) -> pa.Table | None:
    """Compare anew what claims made a model's text or a person's; return documents for which that changed anything.

    Parameters
    ----------
    documents : column document_id — those whose claims may have changed; None for all. The temporary table `turned`
        holds those of them whose part in the comparison is another.

    Returns
    -------
    column document_id; None where nothing had to be compared
    """
    has_turned = bool(fetch(connection, "SELECT 1 FROM turned LIMIT 1").num_rows)
    has_rows = bool(fetch(connection, "SELECT 1 FROM laundering LIMIT 1").num_rows)
    if not (has_turned or has_rows):
        return None
    parameters = parameters_of(connection)
    hits = _hits_of_turned(connection, parameters) if has_turned else HIT.empty_table()
    everything = "SELECT DISTINCT document_id FROM laundering"
    if documents is None:
        again = fetch_ids(connection, everything)
    else:
        with staged(connection, given=documents):
            again = fetch_ids(connection, _JUDGED_ANEW)
    return judge(connection, hits, again) if hits.num_rows or again.num_rows else None


def compare_again(connection: Connection, documents: pa.Table, parameters: DedupParameters) -> None:
    """Look for everything that documents are like, as if they came in now.

    Parameters
    ----------
    documents : column document_id
    """
    with staged(connection, given=documents):
        contents = fetch_ids(connection, "SELECT DISTINCT content_id FROM document SEMI JOIN given USING (document_id)")
    with staged(connection, looked_at=contents):
        todo = candidates_of(connection, "SELECT content_id FROM looked_at")
    found = [similar_hits(connection, contents, parameters)]
    found += _span_hits_of(connection, todo, parameters, lambda hashes: outputs_with(connection, hashes))
    judge(connection, with_copies(connection, pa.concat_tables(found), parameters), documents)


def set_pending(connection: Connection, *, is_pending: bool) -> None:
    """Note whether there are texts of models with which not everything was compared."""
    setting = schema.setting
    connection.execute(delete(setting).where(setting.c.name == PENDING))
    if is_pending:
        connection.execute(insert(setting), [{"name": PENDING, "value": True}])


def is_pending(connection: Connection) -> bool:
    """Return whether there are texts of models with which not everything was compared: a rescan does it."""
    setting = schema.setting
    return connection.execute(select(setting.c.name).where(setting.c.name == PENDING)).first() is not None


def _hits_of_turned(connection: Connection, parameters: DedupParameters) -> pa.Table:
    outputs = fetch_ids(connection, _OUTPUTS_NOW)
    candidates = fetch_ids(connection, f"{_CANDIDATES_NOW} UNION {_FREED}")
    if parameters.containment is None:
        unindex(connection, fetch_ids(connection, _NO_OUTPUTS_NOW))
    found = [similar_hits(connection, pa.concat_tables([outputs, candidates]), parameters)]
    if outputs.num_rows:
        if parameters.containment is None:
            index_outputs(connection, outputs)
        ingests = fetch(connection, _TURNED_INGESTS)
        found += _compared_with_new(connection, outputs, ingests, parameters, done=outputs.slice(0, 0))
    if candidates.num_rows:
        with staged(connection, looked_at=candidates):
            todo = candidates_of(connection, "SELECT content_id FROM looked_at")
            found += _span_hits_of(connection, todo, parameters, lambda hashes: outputs_with(connection, hashes))
    return with_copies(connection, pa.concat_tables(found), parameters)


def _compared_with_new(
    connection: Connection, outputs: pa.Table, ingests: pa.Table, parameters: DedupParameters, *, done: pa.Table
) -> list[pa.Table]:
    """Return likenesses of others with texts that became known as models', or note that a rescan must find them.

    Parameters
    ----------
    outputs : column content_id
    ingests : column ingest_id, of these; what entered before them all is left to a rescan, for it stays people's
    done : column content_id, of candidates that were compared with them already
    """
    if parameters.containment is not None:
        return [_older(connection, outputs, parameters)]
    with staged(connection, fresh=outputs, entered=ingests, done=done):
        [size] = fetch(connection, _BYTES_SINCE)["n_bytes"].to_pylist()
        if not size:
            return []
        if size > AT_ONCE_BYTES:
            set_pending(connection, is_pending=True)
            return []
        todo = candidates_of(connection, _ENTERED_SINCE)
        numbers = fetch(connection, _NUMBERS)["content_no"].to_numpy()
    members = SPANS.of_contents(connection, numbers)
    return _span_hits_of(connection, todo, parameters, lambda hashes: _among(members, hashes))


def _older(connection: Connection, outputs: pa.Table, parameters: DedupParameters) -> pa.Table:
    """Return likenesses of outputs with whatever stands in the index of spans, which holds all texts."""
    with staged(connection, looked_at=outputs) as raw:
        numbers = raw.execute("SELECT content_no FROM content SEMI JOIN looked_at USING (content_id)").to_arrow_table()
        members = SPANS.of_contents(connection, numbers["content_no"].to_numpy())
        with staged(connection, wanted=numbers.select(["content_no"])):
            others = fetch(connection, f"SELECT DISTINCT content_no FROM ({_OTHERS_WITH})")
        with staged(connection, wanted=others):
            todo = candidates_of(connection, _CONTENTS)
    return pa.concat_tables(
        [HIT.empty_table(), *_span_hits_of(connection, todo, parameters, lambda hashes: _among(members, hashes))]
    )


def _span_hits_of(
    connection: Connection, contents: pa.Table, parameters: DedupParameters, lookup: Lookup
) -> list[pa.Table]:
    """Return the likenesses of contents (content_no, n_bytes), whose texts are read from the store."""
    return [
        span_hits(connection, rows, pick_spans(rows["text"], sampled_frac=parameters.sampled_frac), lookup)
        for rows in text_batches(connection, contents)
    ]


def _among(members: Members, hashes: npt.NDArray[np.uint64]) -> Members:
    kept = np.isin(members.keys, hashes)
    return Members(members.keys[kept], members.numbers[kept])


def _rows_of(texts: pa.Table, documents: pa.Table) -> npt.NDArray[np.int64]:
    wanted = set(documents["content_id"].combine_chunks().storage.to_pylist())
    ids = texts["content_id"].combine_chunks().storage.to_pylist()
    return np.array([row for row, one in enumerate(ids) if one in wanted], dtype=np.int64)


def parameters_of(connection: Connection) -> DedupParameters:
    """Return the parameters of the store's near-duplicate search."""
    with registered(connection):
        value = connection.execute(select(schema.setting.c.value).where(schema.setting.c.name == "dedup")).scalar_one()
    return DedupParameters(**value)

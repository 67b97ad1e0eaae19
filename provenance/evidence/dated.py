"""Evidence of grade `dated`: what was published before models wrote as people do was written by people.

What dates claim is a function of what the store holds now: `state_dates` takes back what it claimed before and would
claim no more, because a date was amended or somebody said meanwhile that it is a model's. Claims of dates that are no
longer those of their documents are taken back at once, by whatever changes the date (`withdraw_outdated`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from provenance.evidence.errors import FromTheFuture
from provenance.evidence.grades import DATED, DETECTED
from provenance.evidence.retract import append_retractions
from provenance.evidence.settle import settle
from provenance.evidence.subjects import find_subject
from provenance.evidence.words import BY_DATE
from provenance.records import GRADES
from provenance.store.store import Store, fetch_ids, registered, staged, utc_now

#: Text published earlier is taken for people's.
CUTOFF = date(2020, 1, 1)

# A crawl's own date counts where there is one: an author can write any date under a text.
_PUBLISHED = "coalesce(d.collected_at, d.authored_at)"
#: The beginning of a claim's note: what its document's date says.
_GROUND = f"""
    CASE WHEN d.collected_at IS NULL THEN 'authored_at ' ELSE 'collected_at ' END || strftime({_PUBLISHED}, '%Y-%m-%d')
"""
_LIVE = "retracts IS NULL AND evidence_id NOT IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)"
_OWN = f"author = '{BY_DATE}' AND method = '{DATED}' AND {_LIVE}"
_DATABLE = f"""
    CREATE OR REPLACE TEMP TABLE datable AS
    SELECT d.document_id, d.source, d.ingest_id, {_PUBLISHED} AS published_at, {_GROUND.strip()} AS ground
    FROM document d LEFT JOIN (SELECT DISTINCT document_id FROM evidence WHERE {_OWN}) o USING (document_id)
    WHERE ($source IS NULL OR d.source = $source)
        AND ({_PUBLISHED} < $cutoff::TIMESTAMP OR o.document_id IS NOT NULL)
"""
# Somebody who names a model's text knows better than its date; not so a detector, which a date outranks. Of each author
# the last claim counts, and those about the closest subject.
_MODELS = f"""
    CREATE OR REPLACE TEMP TABLE models_text AS
    WITH said AS (
        SELECT subject_kind, source, ingest_id, document_id,
               arg_max(origin, (stated_at, origin NOT IN ('human', 'unknown'))) AS origin
        FROM evidence
        WHERE {_LIVE} AND method <> '{DETECTED}' AND author <> '{BY_DATE}'
            AND (subject_kind <> 'document' OR document_id IN (SELECT document_id FROM datable))
        GROUP BY subject_kind, source, ingest_id, document_id, author
    ),
    known AS (
        SELECT subject_kind, source, ingest_id, document_id, bool_or(origin <> 'human') AS is_models
        FROM said WHERE origin <> 'unknown' GROUP BY ALL
    )
    SELECT c.document_id FROM datable c
    LEFT JOIN known o ON o.document_id = c.document_id
    LEFT JOIN known i ON i.ingest_id = c.ingest_id
    LEFT JOIN known s ON s.source = c.source
    WHERE coalesce(o.is_models, i.is_models, s.is_models, false)
"""
_EARLY = """
    CREATE OR REPLACE TEMP TABLE early AS
    SELECT document_id, source, published_at, ground || ', before ' || $cutoff AS note,
           document_id IN (SELECT document_id FROM models_text) AS is_generated
    FROM datable WHERE published_at < $cutoff::TIMESTAMP
"""
# What a person took back is not claimed again; what this program itself took back is.
_STATED = f"""
    CREATE OR REPLACE TEMP TABLE stated AS
    SELECT DISTINCT e.document_id, e.note FROM evidence e LEFT JOIN evidence r ON r.retracts = e.evidence_id
    WHERE e.author = '{BY_DATE}' AND e.method = '{DATED}' AND e.retracts IS NULL
        AND r.author IS DISTINCT FROM '{BY_DATE}'
"""
_OUTDATED = f"""
    SELECT e.* FROM (FROM evidence WHERE {_OWN}) e JOIN document d ON d.document_id = e.document_id
    WHERE NOT coalesce(starts_with(e.note, {_GROUND.strip()} || ', '), false)
"""
#: Claims of dates that documents do not have; for `provenance check`.
OUTDATED = f"SELECT evidence_id::VARCHAR FROM ({_OUTDATED})"
_CHOOSE_AMENDED = f"""
    CREATE OR REPLACE TEMP TABLE chosen_claim AS FROM ({_OUTDATED}) SEMI JOIN given USING (document_id)
"""
_WITHDRAWN = f"""
    CREATE OR REPLACE TEMP TABLE withdrawn AS
    SELECT e.*, c.source AS of_source
    FROM (FROM evidence WHERE {_OWN}) e JOIN datable c ON c.document_id = e.document_id
    WHERE NOT coalesce(starts_with(e.note, c.ground || ', '), false)
        OR c.document_id IN (SELECT document_id FROM models_text)
"""
_NEW = """
    CREATE OR REPLACE TEMP TABLE dated AS
    FROM early ANTI JOIN stated USING (document_id, note) WHERE NOT is_generated
"""
_COUNT = """
    SELECT source, count(*) FILTER (n.document_id IS NOT NULL) AS n_stated,
           count(*) FILTER (NOT is_generated AND n.document_id IS NULL) AS n_present,
           count(*) FILTER (is_generated) AS n_generated, coalesce(any_value(w.n), 0) AS n_withdrawn,
           min(published_at) AS earliest, max(published_at) AS latest
    FROM early e LEFT JOIN (SELECT document_id FROM dated) n USING (document_id)
    FULL JOIN (SELECT of_source AS source, count(*) AS n FROM withdrawn GROUP BY ALL) w USING (source)
    GROUP BY source ORDER BY source
"""
_CHOOSE_WITHDRAWN = "CREATE OR REPLACE TEMP TABLE chosen_claim AS SELECT * EXCLUDE (of_source) FROM withdrawn"
_STATE = """
    INSERT INTO evidence BY NAME
    SELECT uuid() AS evidence_id, 'document' AS subject_kind, document_id, 'human' AS origin, 0 AS generation,
           $method AS method, $rank AS rank, $author AS author, $now AS stated_at, note
    FROM dated
"""
_TEMPORARY = ("datable", "models_text", "early", "stated", "withdrawn", "dated")


@dataclass(frozen=True)
class DatedSource:
    """What the dates of a source say.

    Attributes
    ----------
    n_stated : documents for which the claim is new
    n_present : documents for which it stood already, or was taken back by somebody
    n_generated : early documents that are claimed to be a model's, and get no claim
    n_withdrawn : claims that are taken back: the date is another now, or somebody claims that it is a model's
    earliest, latest : dates of the early documents; None where there is none
    """

    source: str
    n_stated: int
    n_present: int
    n_generated: int
    n_withdrawn: int
    earliest: date | None
    latest: date | None


@dataclass(frozen=True)
class Dated:
    """What the dates of documents say, by source, and how many documents show another origin or grade now."""

    sources: tuple[DatedSource, ...]
    n_changed: int


def state_dates(store: Store, *, before: date = CUTOFF, source: str | None = None, dry_run: bool = False) -> Dated:
    """Claim for every document published before a date that people wrote it, once for each such date.

    A document's own `collected_at` counts, which a crawl records, and only without it `authored_at`. What was claimed
    so before, of any date, and does not hold any more, is taken back.

    Raises
    ------
    FromTheFuture
        If the date is.
    UnknownName
        If there is no such source.
    """
    if before > utc_now().date():
        raise FromTheFuture("The cutoff", before, utc_now())
    if dry_run:
        with store.read() as connection:
            return _state(connection, before, source, dry_run=True)
    with store.transaction() as connection:
        return _state(connection, before, source, dry_run=False)


def withdraw_outdated(connection: Connection, documents: pa.Table) -> pa.Table:
    """Take back what was claimed of documents for a date that they no longer have, in the caller's transaction.

    Parameters
    ----------
    documents : column document_id

    Returns
    -------
    column document_id : those that lost a claim, which the caller has to settle
    """
    with staged(connection, given=documents.select(["document_id"])) as raw:
        raw.execute(_CHOOSE_AMENDED)
    return append_retractions(connection, author=BY_DATE, note="the document has another date now")


def _state(connection: Connection, before: date, source: str | None, *, dry_run: bool) -> Dated:
    if source is not None:
        find_subject(connection, "source", source)
    with registered(connection) as raw:
        raw.execute(_DATABLE, {"cutoff": before.isoformat(), "source": source})
        raw.execute(_MODELS)
        raw.execute(_EARLY, {"cutoff": before.isoformat()})
        for statement in (_STATED, _WITHDRAWN, _NEW):
            raw.execute(statement)
        found = tuple(
            DatedSource(*row, *(None if when is None else when.date() for when in (earliest, latest)))
            for *row, earliest, latest in raw.execute(_COUNT).fetchall()
        )
        n_changed = 0 if dry_run else _write(connection, raw)
        for table in _TEMPORARY:
            raw.execute(f"DROP TABLE temp.{table}")
    return Dated(found, n_changed)


def _write(connection: Connection, raw: Any) -> int:
    """State the claims in `dated`, take those in `withdrawn` back, and return how many documents changed."""
    raw.execute(_CHOOSE_WITHDRAWN)
    withdrawn = append_retractions(connection, author=BY_DATE, note="dates say so no more")
    values = {"method": DATED, "rank": GRADES.index("dated"), "now": utc_now(), "author": BY_DATE}
    raw.execute(_STATE, values)
    documents = pa.concat_tables([withdrawn, fetch_ids(connection, "SELECT document_id FROM dated")])
    return settle(connection, documents).n_changed if documents.num_rows else 0

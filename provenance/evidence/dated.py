"""Evidence of grade `dated`: what was published before models wrote as people do was written by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from provenance.evidence.errors import FromTheFuture
from provenance.evidence.grades import DATED
from provenance.evidence.settle import settle
from provenance.evidence.subjects import find_subject
from provenance.records import GRADES
from provenance.store.store import Store, fetch_ids, registered, utc_now

#: Text published earlier is taken for people's.
CUTOFF = date(2020, 1, 1)

# A crawl's own date counts where there is one: an author can write any date under a text.
_EARLY = """
    CREATE OR REPLACE TEMP TABLE early AS
    SELECT document_id, source, coalesce(collected_at, authored_at) AS published_at,
           CASE WHEN collected_at IS NULL THEN 'authored_at' ELSE 'collected_at' END AS ground,
           md5('dated ' || $cutoff || ' ' || document_id::VARCHAR)::UUID AS evidence_id,
           origin IN ('synthetic', 'mixed') AS is_generated
    FROM document
    WHERE coalesce(collected_at, authored_at) < $cutoff::TIMESTAMP AND ($source IS NULL OR source = $source)
"""
# Somebody who names a model's text knows better than its date.
_CONTRADICTED = """
    UPDATE early SET is_generated = true WHERE document_id IN (
        SELECT document_id FROM evidence
        WHERE subject_kind = 'document' AND origin IN ('synthetic', 'mixed') AND retracts IS NULL
            AND evidence_id NOT IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)
    )
"""
_COUNT = """
    SELECT source, count(*) FILTER (NOT is_generated AND NOT is_stated) AS n_stated,
           count(*) FILTER (is_stated AND NOT is_generated) AS n_present, count(*) FILTER (is_generated) AS n_generated,
           min(published_at) AS earliest, max(published_at) AS latest
    FROM (SELECT e.*, evidence_id IN (SELECT evidence_id FROM evidence) AS is_stated FROM early e)
    GROUP BY ALL ORDER BY source
"""
_NEW = """
    CREATE OR REPLACE TEMP TABLE dated AS
    FROM early ANTI JOIN evidence USING (evidence_id) WHERE NOT is_generated
"""
_STATE = """
    INSERT INTO evidence BY NAME
    SELECT evidence_id, 'document' AS subject_kind, document_id, 'human' AS origin, 0 AS generation, $method AS method,
           $rank AS rank, 'date' AS author, $now AS stated_at,
           ground || ' ' || strftime(published_at, '%Y-%m-%d') || ', before ' || $cutoff AS note
    FROM dated
"""


@dataclass(frozen=True)
class DatedSource:
    """What the dates of a source say.

    Attributes
    ----------
    n_stated : documents for which the claim is new
    n_present : documents for which it stood already, or was taken back
    n_generated : early documents that are claimed to be a model's, and get no claim
    earliest, latest : dates of the early documents
    """

    source: str
    n_stated: int
    n_present: int
    n_generated: int
    earliest: date
    latest: date


@dataclass(frozen=True)
class Dated:
    """What the dates of documents say, by source, and how many documents show another origin or grade now."""

    sources: tuple[DatedSource, ...]
    n_changed: int


def state_dates(store: Store, *, before: date = CUTOFF, source: str | None = None, dry_run: bool = False) -> Dated:
    """Claim for every document published before a date that people wrote it, once for each such date.

    A document's own `collected_at` counts, which a crawl records, and only without it `authored_at`.

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


def _state(connection: Connection, before: date, source: str | None, *, dry_run: bool) -> Dated:
    if source is not None:
        find_subject(connection, "source", source)
    with registered(connection) as raw:
        raw.execute(_EARLY, {"cutoff": before.isoformat(), "source": source})
        raw.execute(_CONTRADICTED)
        found = tuple(
            DatedSource(source, stated, present, generated, earliest.date(), latest.date())
            for source, stated, present, generated, earliest, latest in raw.execute(_COUNT).fetchall()
        )
        n_changed = 0
        if not dry_run:
            raw.execute(_NEW)
            values = {"method": DATED, "rank": GRADES.index("dated"), "now": utc_now(), "cutoff": before.isoformat()}
            raw.execute(_STATE, values)
            documents = fetch_ids(connection, "SELECT document_id FROM dated")
            if documents.num_rows:
                n_changed = settle(connection, documents).n_changed
            raw.execute("DROP TABLE temp.dated")
        raw.execute("DROP TABLE temp.early")
    return Dated(found, n_changed)

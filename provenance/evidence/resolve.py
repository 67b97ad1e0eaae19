"""How claims become the one origin that `documents` shows: one rule, as SQL that anybody can read.

1. A claim that a later one takes back does not count; nor does the claim that takes it back.
2. What is claimed of a source holds for its ingests and documents, what is claimed of an ingest for its documents.
3. The highest grade that anybody reached counts, and no other. `unknown` above grade `declared` says nothing: somebody
   looked and could not tell. A detector's word counts only against what would be human or unknown without it: where it
   is the best there is and what was declared gives `synthetic` or `mixed`, that counts, with its model and generation.
4. Within it the most specific subject counts: the document itself before its ingest, the ingest before the source.
5. Of each author the last claim counts, or all that are equally late; `unknown` gives way to those who know. If these
   claims name different origins, the document is in conflict (`claims`). Otherwise the last one gives generation and
   model.
6. A document that resolves to `human` below grade `curated` and was found to be or to hold a model's text is in
   conflict (`laundering`), unless one of the exceptions holds (see `provenance.laundering`).
7. A document in conflict, or without a claim that says anything, has origin `unknown` and evidence of rank 0.
8. What one of our models wrote has one generation more than that model (see `provenance.lineage`).

Resolved values are stored with the document; `provenance check` computes them again by this query.
"""

from __future__ import annotations

from provenance.records import RANK_DETECTOR

#: Generation and ancestry as a document shows them: `origin` and the claimed `generation` of a row, and `m`, the row of
#: its model or none. `mean_ancestry` and `human_ancestry` are those of `provenance.lineage.generations`.
GENERATION = """
    CASE WHEN origin IN ('synthetic', 'mixed') AND m.training_set IS NOT NULL THEN m.generation + 1 ELSE {claimed} END
"""
ANCESTRY = """
    CASE WHEN origin = 'human' THEN false
         WHEN origin IN ('synthetic', 'mixed') AND m.training_set IS NOT NULL THEN m.generation_is_bound
         WHEN {claimed} IS NOT NULL THEN true END AS generation_is_bound,
    CASE WHEN origin = 'human' THEN 0
         WHEN origin IN ('synthetic', 'mixed') AND m.training_set IS NOT NULL THEN 1 + m.mean_ancestry
         ELSE {claimed}::DOUBLE END AS mean_ancestry,
    CASE WHEN origin = 'human' THEN 1
         WHEN origin IN ('synthetic', 'mixed') AND m.training_set IS NOT NULL THEN m.human_ancestry
         END AS human_ancestry
"""

# What is claimed of sources and ingests is resolved once for each pair of them, not once a document.
_COUNTING = """
        QUALIFY dense_rank() OVER (PARTITION BY {subject} ORDER BY rank DESC, specificity DESC) = 1
            AND rank() OVER (PARTITION BY {subject}, rank, specificity, author ORDER BY stated_at DESC) = 1
"""
_OUTCOME = """
        SELECT {subject}, max(rank) AS rank,
               count(DISTINCT origin) FILTER (origin <> 'unknown') > 1 AS is_contradicted,
               arg_max(struct_pack(origin, generation, model), (origin <> 'unknown', stated_at, evidence_id)) AS said
"""
#: What the claims in the table `live` give for the documents in the table `chosen`; all names begin with `prefix`.
_WON = f"""
    {{prefix}}own AS (
        SELECT document_id, origin, generation, model, author, rank, stated_at, evidence_id, 3 AS specificity
        FROM {{live}} SEMI JOIN {{chosen}} USING (document_id) WHERE subject_kind = 'document'
    ),
    {{prefix}}own_outcome AS (
        {_OUTCOME.format(subject="document_id").strip()}
        FROM (FROM {{prefix}}own {_COUNTING.format(subject="document_id").strip()}) GROUP BY document_id
    ),
    {{prefix}}pairs AS (SELECT DISTINCT source, ingest_id FROM {{chosen}}),
    {{prefix}}inherited AS (
        SELECT p.*, e.* EXCLUDE (source, ingest_id), 1 AS specificity
        FROM {{prefix}}pairs p JOIN {{live}} e ON e.subject_kind = 'source' AND e.source = p.source
        UNION ALL BY NAME
        SELECT p.*, e.* EXCLUDE (source, ingest_id), 2 AS specificity
        FROM {{prefix}}pairs p JOIN {{live}} e ON e.subject_kind = 'ingest' AND e.ingest_id = p.ingest_id
    ),
    {{prefix}}inherited_outcome AS (
        {_OUTCOME.format(subject="source, ingest_id").strip()}
        FROM (FROM {{prefix}}inherited {_COUNTING.format(subject="source, ingest_id").strip()})
        GROUP BY source, ingest_id
    ),
    {{prefix}}outcome AS (
        SELECT d.document_id, d.source, d.ingest_id,
               CASE WHEN o.rank >= coalesce(i.rank, 0)
                    THEN struct_pack(o.said, o.rank, o.is_contradicted)
                    ELSE struct_pack(i.said, i.rank, i.is_contradicted) END AS won
        FROM {{chosen}} d LEFT JOIN {{prefix}}own_outcome o USING (document_id)
        LEFT JOIN {{prefix}}inherited_outcome i ON i.source = d.source AND i.ingest_id = d.ingest_id
    )
"""
_RESOLVED_OF = f"""
    WITH live AS NOT MATERIALIZED (
        FROM evidence WHERE evidence_id NOT IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)
            AND retracts IS NULL AND (origin <> 'unknown' OR rank <= 1)
    ),
    chosen AS ({{documents}}),
    {_WON.format(prefix="", live="live", chosen="chosen").strip()},
    flagged AS (SELECT document_id, source, ingest_id FROM outcome WHERE won.rank = {RANK_DETECTOR}),
    declared AS NOT MATERIALIZED (FROM live WHERE rank < {RANK_DETECTOR}),
    {_WON.format(prefix="declared_", live="declared", chosen="flagged").strip()},
    counting AS (
        SELECT o.document_id,
               CASE WHEN d.won.said.origin IN ('synthetic', 'mixed') AND NOT d.won.is_contradicted
                    THEN d.won ELSE o.won END AS won
        FROM outcome o LEFT JOIN declared_outcome d USING (document_id)
    ),
    judged AS (
        SELECT o.document_id, won.said.generation AS claimed, won.said.model AS model, won.rank AS rank,
               CASE WHEN won.is_contradicted THEN 'claims'
                    WHEN won.said.origin = 'human' AND won.rank < 5 AND l.document_id IS NOT NULL THEN 'laundering'
               END AS conflict,
               CASE WHEN conflict IS NULL THEN coalesce(won.said.origin, 'unknown') ELSE 'unknown' END AS origin
        FROM counting o
        LEFT JOIN (SELECT DISTINCT document_id FROM laundering WHERE verdict = 'conflict') l USING (document_id)
    ),
    shown AS (
        SELECT document_id, conflict, origin, CASE WHEN conflict IS NULL THEN claimed END AS claimed,
               CASE WHEN conflict IS NULL THEN model END AS model,
               CASE WHEN origin = 'unknown' THEN 0 ELSE rank END AS evidence_rank
        FROM judged
    )
    SELECT s.document_id, s.conflict, s.origin, s.model, s.evidence_rank,
           {GENERATION.format(claimed="s.claimed").strip()} AS generation,
           {ANCESTRY.format(claimed="s.claimed").strip()}
    FROM shown s LEFT JOIN model m ON m.name = s.model
"""


def resolved_of(documents: str) -> str:
    """Return the query that gives documents their labels as claims and models have them.

    Its columns: document_id, origin, generation, model, evidence_rank, conflict, generation_is_bound, mean_ancestry,
    human_ancestry.

    Parameters
    ----------
    documents : trusted query with the columns document_id, source, ingest_id of the documents to resolve
    """
    return _RESOLVED_OF.format(documents=documents)


#: Of all documents.
RESOLVED = resolved_of("SELECT document_id, source, ingest_id FROM document")

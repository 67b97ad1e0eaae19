"""What likenesses mean: conflict or memorisation, for each pair of a document and an output.

An output stands for all documents that hold one text of one model, by the first of them to enter the store: who wrote
before that, wrote before all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from provenance.ids import id_values, uuid_array
from provenance.laundering.overlap import overlap_beside
from provenance.laundering.roles import CONFLICT, IS_CANDIDATE, IS_OUTPUT, KINDS, MEMORISATION, OF_LOST_ORIGINALS
from provenance.laundering.search import HIT, classified
from provenance.store.store import fetch_ids, registered, staged, utc_now

#: Outputs that are kept of each document, conflicts first.
MOST_PARTNERS = 8
#: Documents there before that are compared, for what they have in common with an output.
_MOST_QUOTED = 32
#: Steps that prompts are followed back: a model's answer may be the prompt of another.
_STEPS = 16

NO_GROUND, QUOTED = "none", "quoted"
#: Why a document is no laundered text, the most telling first.
GROUNDS = ("in training set", "prompt", "dated earlier", "entered before", QUOTED)

#: A document in conflict for its likeness is people's by its claims; `h` is its row.
IS_CLAIMED_HUMAN = "(h.origin = 'human' OR h.conflict IS NOT DISTINCT FROM 'laundering')"
#: People's documents that are the original of what some output has.
ORIGINALS = f"""
    SELECT l.document_id FROM laundering l JOIN document h USING (document_id)
    WHERE l.ground NOT IN ('{NO_GROUND}', '{QUOTED}') AND {IS_CLAIMED_HUMAN}
"""
_KIND_ORDER = "list_position([" + ", ".join(f"'{kind}'" for kind in KINDS) + "], kind)"

# Rows whose output was taken down stay as they are: what was known of it cannot be found again.
_CONCERNED = f"""
    CREATE OR REPLACE TEMP TABLE concerned AS
    SELECT document_id FROM given
    UNION SELECT document_id FROM document WHERE content_id IN (SELECT content_id FROM hit) AND {IS_CANDIDATE}
"""
_STORED = """
    CREATE OR REPLACE TEMP TABLE stored AS
    SELECT l.*, h.content_id, s.content_id AS output_id
    FROM laundering l JOIN document h USING (document_id) JOIN document s ON s.document_id = l.synthetic_id
    WHERE l.document_id IN (SELECT document_id FROM concerned)
"""
_ALL_HITS = f"""
    CREATE OR REPLACE TEMP TABLE likeness AS
    SELECT content_id, output_id, kind, score, n_words
    FROM (SELECT content_id, output_id, kind, score, n_words FROM hit
          UNION ALL SELECT content_id, output_id, kind, score, n_words FROM stored)
    QUALIFY row_number() OVER (PARTITION BY content_id, output_id ORDER BY {_KIND_ORDER}, score DESC) = 1
"""
_OUTPUTS = f"""
    CREATE OR REPLACE TEMP TABLE output AS
    SELECT d.content_id AS output_id, d.model, arg_min(d.document_id, (i.started_at, d.document_id)) AS synthetic_id,
           min(i.started_at) AS entered_at, min(coalesce(d.collected_at, d.authored_at, i.started_at)) AS made_at
    FROM document d JOIN ingest i USING (ingest_id)
    WHERE {IS_OUTPUT} AND d.content_id IN (SELECT output_id FROM likeness) GROUP BY d.content_id, d.model
"""
# Documents are compared by their claims as they stand, so that the order in which labels and likenesses come to be
# known changes nothing.
_VOUCHED = """
    CREATE OR REPLACE TEMP TABLE vouched AS
    WITH d AS (SELECT document_id, ingest_id, source FROM document SEMI JOIN concerned USING (document_id)),
    c AS (  -- one condition a scan: together they would read all columns of all claims
        FROM evidence WHERE document_id IN (SELECT document_id FROM d)
        UNION ALL FROM evidence WHERE ingest_id IN (SELECT ingest_id FROM d)
        UNION ALL FROM evidence WHERE source IN (SELECT source FROM d)
    ),
    live AS (
        FROM c WHERE origin = 'human' AND rank >= 3 AND retracts IS NULL
            AND evidence_id NOT IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)
    )
    SELECT document_id FROM d WHERE document_id IN (SELECT document_id FROM live WHERE document_id IS NOT NULL)
        OR ingest_id IN (SELECT ingest_id FROM live WHERE ingest_id IS NOT NULL)
        OR source IN (SELECT source FROM live WHERE source IS NOT NULL)
"""
#: Our models, and those whose text is in their training sets.
LEARNT_FROM = """
    SELECT DISTINCT m.name, i.model FROM model m JOIN training_set_item i USING (training_set)
    WHERE i.model IS NOT NULL
"""
_TRAINED_ON = """
    CREATE OR REPLACE TEMP TABLE trained_on AS
    SELECT DISTINCT b.model, d.content_id FROM behind b JOIN model m ON m.name = b.ancestor
    JOIN training_set_item i USING (training_set) JOIN document d USING (document_id)
    WHERE d.content_id IN (SELECT content_id FROM likeness)
"""
_PROMPTS = f"""
    CREATE OR REPLACE TEMP TABLE prompted_by AS
    WITH RECURSIVE made_from AS (
        SELECT d.content_id AS output_id, d.model, p.parent_id, 1 AS step
        FROM document d JOIN parent p USING (document_id)
        WHERE {IS_OUTPUT} AND d.content_id IN (SELECT output_id FROM likeness)
        UNION
        SELECT f.output_id, f.model, p.parent_id, step + 1 FROM made_from f JOIN parent p ON p.document_id = f.parent_id
        WHERE step < {_STEPS}
    )
    SELECT DISTINCT f.output_id, f.model, d.content_id FROM made_from f JOIN document d ON d.document_id = f.parent_id
"""
_JUDGED = f"""
    CREATE OR REPLACE TEMP TABLE judged AS
    SELECT h.document_id, h.content_id, {IS_CLAIMED_HUMAN} AS is_human, o.synthetic_id, o.output_id,
           l.kind, l.score, l.n_words,
           CASE WHEN (o.model, h.content_id) IN (SELECT (model, content_id) FROM trained_on) THEN 'in training set'
                WHEN (o.output_id, coalesce(o.model, ''), h.content_id)
                     IN (SELECT (output_id, coalesce(model, ''), content_id) FROM prompted_by) THEN 'prompt'
                WHEN h.document_id IN (SELECT document_id FROM vouched)
                     AND coalesce(h.collected_at, h.authored_at) < o.made_at THEN 'dated earlier'
                WHEN i.started_at < o.entered_at THEN 'entered before'
                ELSE '{NO_GROUND}' END AS ground
    FROM likeness l JOIN output o USING (output_id)
    JOIN document h ON h.content_id = l.content_id AND h.document_id IN (SELECT document_id FROM concerned)
    JOIN ingest i USING (ingest_id) WHERE {IS_CANDIDATE.replace("origin", "h.origin")}
"""
# Of what stands in the store too: a likeness that is judged now may be quoted from a document that was judged before.
_ORIGINALS = f"""
    WITH original AS (
        SELECT synthetic_id, content_id FROM judged
        WHERE ground NOT IN ('{NO_GROUND}', '{QUOTED}') AND is_human
        UNION
        SELECT l.synthetic_id, h.content_id FROM laundering l JOIN document h USING (document_id)
        WHERE l.ground NOT IN ('{NO_GROUND}', '{QUOTED}') AND {IS_CLAIMED_HUMAN}
          AND l.synthetic_id IN (SELECT synthetic_id FROM judged)
          AND l.document_id NOT IN (SELECT document_id FROM concerned)
    )
    SELECT DISTINCT j.content_id::BLOB AS content_id, j.synthetic_id::BLOB AS synthetic_id, c.text,
           o.text AS output, q.quoted
    FROM judged j
    JOIN (SELECT synthetic_id, (list(text ORDER BY content_id))[:{_MOST_QUOTED}] AS quoted
          FROM original JOIN content USING (content_id) GROUP BY synthetic_id) q USING (synthetic_id)
    JOIN content c ON c.content_id = j.content_id JOIN content o ON o.content_id = j.output_id
    WHERE j.ground = '{NO_GROUND}'
"""
_QUOTE = f"""
    UPDATE judged SET ground = '{QUOTED}' FROM {{quoting}} q
    WHERE judged.content_id = q.content_id AND judged.synthetic_id = q.synthetic_id AND ground = '{NO_GROUND}'
"""
_IS_QUOTED_FROM_LOST = f"""
    ground = '{QUOTED}' AND synthetic_id IN (SELECT synthetic_id FROM laundering WHERE {OF_LOST_ORIGINALS})
"""
#: Likenesses (content_id, synthetic_id) that are quoted from an original that was taken down. What would show it is
#: gone with its text, so that what was found stands, and holds for the same text from elsewhere.
_QUOTED_FROM_LOST = f"""
    SELECT content_id, synthetic_id FROM laundering JOIN document USING (document_id) WHERE {_IS_QUOTED_FROM_LOST}
"""
_DELETE = (
    f"""DELETE FROM laundering WHERE document_id IN (SELECT document_id FROM concerned) AND NOT {OF_LOST_ORIGINALS}
          AND synthetic_id NOT IN (SELECT document_id FROM tombstone)""",
    f"""DELETE FROM laundering WHERE {OF_LOST_ORIGINALS}
          AND synthetic_id IN (SELECT document_id FROM document WHERE NOT {IS_OUTPUT})""",
)
#: Takes out what a comparison of everything finds again.
DELETE_ALL = f"""
    DELETE FROM laundering WHERE synthetic_id NOT IN (SELECT document_id FROM tombstone) AND NOT {OF_LOST_ORIGINALS}
      AND NOT ({_IS_QUOTED_FROM_LOST})
"""
_INSERT = f"""
    INSERT INTO laundering BY NAME
    SELECT j.document_id, j.synthetic_id, j.kind, j.score, j.n_words,
           CASE WHEN j.ground = '{NO_GROUND}' THEN '{CONFLICT}' ELSE '{MEMORISATION}' END AS verdict, j.ground,
           coalesce(s.found_at, $now) AS found_at
    FROM judged j LEFT JOIN stored s USING (document_id, synthetic_id)
    QUALIFY row_number() OVER (
        PARTITION BY j.document_id
        ORDER BY verdict, {_KIND_ORDER.replace("kind)", "j.kind)")}, j.score DESC, j.synthetic_id
    ) <= {MOST_PARTNERS}
"""
_CONFLICTS = f"SELECT DISTINCT document_id FROM laundering WHERE verdict = '{CONFLICT}'"
_BEFORE = f"""
    CREATE OR REPLACE TEMP TABLE before AS
    FROM ({_CONFLICTS}) SEMI JOIN concerned USING (document_id)
"""
_CHANGED = f"""
    WITH now AS (FROM ({_CONFLICTS}) SEMI JOIN concerned USING (document_id))
    (FROM now EXCEPT FROM before) UNION ALL (FROM before EXCEPT FROM now)
"""
_TEMPORARY = (
    "hit", "given", "concerned", "stored", "likeness", "output", "vouched", "trained_on", "prompted_by", "judged",
    "before",
)  # fmt: skip


def judge(connection: Connection, hits: pa.Table, documents: pa.Table | None = None) -> pa.Table:
    """Write what likenesses mean into the table `laundering`, and return the documents for which that changed.

    Parameters
    ----------
    hits : pairs of contents that are alike, as `search.HIT`, beside those that the table holds
    documents : column document_id — to judge anew, beside the documents of these contents

    Returns
    -------
    column document_id of those that are in conflict now and were not, or the other way round
    """
    no_documents = pa.table({"document_id": pa.array([], pa.uuid())})
    tables = {"arrow_hit": hits.cast(HIT), "arrow_given": no_documents if documents is None else documents}
    with registered(connection, **tables) as raw:
        for name in ("hit", "given"):
            raw.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM arrow_{name}")
        for statement in (_CONCERNED, _STORED, _ALL_HITS, _OUTPUTS, _VOUCHED, _BEFORE):
            raw.execute(statement)
        _trace_training(raw)
        for statement in (_PROMPTS, _JUDGED):
            raw.execute(statement)
        _find_quotes(connection)
        for statement in (_QUOTE.format(quoting=f"({_QUOTED_FROM_LOST})"), *_DELETE):
            raw.execute(statement)
        raw.execute(_INSERT, {"now": utc_now()})
        changed = fetch_ids(connection, _CHANGED)
        for table in _TEMPORARY:
            raw.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return changed


def _trace_training(raw: Any) -> None:
    """Make the temporary table `trained_on`: model of an output, content in its training set or one behind it."""
    writers = [name for (name,) in raw.execute("SELECT DISTINCT model FROM output WHERE model IS NOT NULL").fetchall()]
    learnt_from: dict[str, list[str]] = {}
    for name, before in raw.execute(LEARNT_FROM).fetchall() if writers else ():
        learnt_from.setdefault(name, []).append(before)
    behind = [(name, one) for name in writers for one in sorted(ancestors(name, learnt_from))]
    columns = [pa.array(list(one), pa.string()) for one in zip(*behind, strict=True)] or [pa.array([], pa.string())] * 2
    raw.register("behind", pa.table(columns, names=["model", "ancestor"]))
    raw.execute(_TRAINED_ON)
    raw.unregister("behind")


def ancestors(name: str, learnt_from: Mapping[str, list[str]]) -> set[str]:
    """Return a model and all models whose text it, or one of these, was trained on."""
    found, todo = {name}, [name]
    while todo:
        fresh = set(learnt_from.get(todo.pop(), ())) - found
        found |= fresh
        todo += fresh
    return found


def _find_quotes(connection: Connection) -> None:
    """Set the ground of likenesses of which nothing is left without what stands in documents there before."""
    with registered(connection) as raw:
        pairs = raw.execute(_ORIGINALS).to_arrow_table()
    quoting = []
    for row in range(pairs.num_rows):
        one = pairs.slice(row, 1).to_pylist()[0]
        common = overlap_beside(pa.array([one["text"], one["output"]]), pa.array(one["quoted"], pa.string()))
        if classified(common)[0][0] == "":
            quoting.append(row)
    if quoting:
        taken = pairs.take(pa.array(quoting))
        ids = {name: uuid_array(id_values(taken[name])) for name in ("content_id", "synthetic_id")}
        with staged(connection, quoting=pa.table(ids)):
            raw.execute(_QUOTE.format(quoting="quoting"))

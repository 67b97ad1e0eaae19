"""One step along the lineage: from nodes to their neighbours, and ahead of that along chains of documents.

A level of the walk is a query a kind of node. Chains of documents may be thousands of levels long, so that as long as
they are thin, the next documents are read ahead, twice as many levels each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from provenance.store.store import registered

#: What is read of a document, model, set and group of documents; names as in the views.
LABELS = """
    'document' AS kind, d.document_id::VARCHAR AS name, d.source, d.external_id, d.origin, d.generation,
    d.generation_is_bound, d.mean_ancestry, d.human_ancestry, d.evidence_rank, d.model, d.n_words
"""
MODEL = """
    'model' AS kind, m.name, m.learner, m.revision, m.training_set, m.generation, m.generation_is_bound,
    m.mean_ancestry, m.human_ancestry
"""
SET = """
    'set' AS kind, t.name, t.n_documents, t.n_words, t.human_share, t.created_at
"""
_COUNTS = "count(*) AS n_draws, count(DISTINCT document_id) AS n_documents, sum(n_words)::BIGINT AS n_words"
# Documents that were taken down stand in a set by the labels under which they were drawn.
_DRAWN = f"""
    SELECT here, 'in' AS relation, 'group' AS kind, source, origin, generation,
           bool_or(generation_is_bound) AS generation_is_bound, model, {_COUNTS},
           count(DISTINCT document_id) FILTER (is_gone) AS n_taken_down
    FROM (SELECT h.key AS here, i.document_id, i.n_words, d.generation_is_bound, d.document_id IS NULL AS is_gone,
                 CASE WHEN is_gone THEN i.source ELSE d.source END AS source,
                 CASE WHEN is_gone THEN i.origin ELSE d.origin END AS origin,
                 CASE WHEN is_gone THEN i.generation ELSE d.generation END AS generation,
                 CASE WHEN is_gone THEN i.model ELSE d.model END AS model
          FROM here h JOIN training_set_item i ON i.training_set = h.name
          LEFT JOIN document d ON d.document_id = i.document_id)
    GROUP BY ALL ORDER BY n_words DESC, source, origin, generation, model
"""
_WRITTEN = f"""
    SELECT h.key AS here, 'wrote' AS relation, 'group' AS kind, d.source, d.origin, d.generation,
           bool_or(d.generation_is_bound) AS generation_is_bound, d.model, {_COUNTS}, 0 AS n_taken_down
    FROM here h JOIN document d ON d.model = h.name
    GROUP BY ALL ORDER BY n_words DESC, d.source, d.origin, d.generation
"""
#: Begins every query below. No temporary table: these keep their blocks until the transaction ends.
_HERE = """
    WITH here AS MATERIALIZED (
        SELECT unnest($keys::VARCHAR[]) AS key, unnest($names::VARCHAR[]) AS name,
               unnest($sources::VARCHAR[]) AS source, unnest($models::VARCHAR[]) AS model
    )
"""
#: Direction -> columns of `parent`: of the document at which a step begins, and of that at which it ends.
_ENDS = {"up": ("document_id", "parent_id"), "down": ("parent_id", "document_id")}
_BESIDE = {
    direction: f"""
        SELECT p.here, p.relation, {LABELS}
        FROM (SELECT h.key AS here, p.{to} AS document_id, p.relation FROM here h JOIN parent p ON p.{at} = h.name::UUID
              QUALIFY row_number() OVER (PARTITION BY here ORDER BY p.{to}, p.relation) <= $most) p
        JOIN document d USING (document_id) ORDER BY name, p.relation
    """
    for direction, (at, to) in _ENDS.items()
}
#: Direction -> queries from nodes of a kind (in `here`) to their neighbours, with `here` and `relation`.
_STEPS: dict[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("document", _BESIDE["up"]),
        (
            "document",
            f"""SELECT h.key AS here, 'wrote' AS relation, {MODEL} FROM here h
                JOIN document d ON d.document_id = h.name::UUID JOIN model m ON m.name = d.model ORDER BY m.name""",
        ),
        (
            "model",
            f"""SELECT h.key AS here, 'trained' AS relation, {SET} FROM here h JOIN model m ON m.name = h.name
                JOIN training_set t ON t.name = m.training_set ORDER BY t.name""",
        ),
        ("set", _DRAWN),
        (
            "group",
            f"""SELECT h.key AS here, 'wrote' AS relation, {MODEL} FROM here h JOIN model m ON m.name = h.model
                ORDER BY m.name""",
        ),
    ),
    "down": (
        ("document", _BESIDE["down"]),
        (
            "document",
            f"""SELECT DISTINCT h.key AS here, 'in' AS relation, {SET} FROM here h
                JOIN training_set_item i ON i.document_id = h.name::UUID
                JOIN training_set t ON t.name = i.training_set ORDER BY t.name""",
        ),
        (
            "set",
            f"""SELECT h.key AS here, 'trained' AS relation, {MODEL} FROM here h
                JOIN model m ON m.training_set = h.name ORDER BY m.name""",
        ),
        ("model", _WRITTEN),
        (
            "group",
            f"""SELECT DISTINCT h.key AS here, 'in' AS relation, {SET} FROM here h
                JOIN document d ON d.source = h.source AND d.model = h.model
                JOIN training_set_item i USING (document_id)
                JOIN training_set t ON t.name = i.training_set ORDER BY t.name""",
        ),
    ),
}

#: Direction -> documents at most `hops` levels away, each once.
_AHEAD = {
    direction: f"""
        WITH RECURSIVE reached(document_id, depth) USING KEY (document_id) AS (
            SELECT unnest($names::UUID[]), 1
            UNION
            SELECT p.{to}, r.depth + 1 FROM reached r JOIN parent p ON p.{at} = r.document_id
            WHERE r.depth < $hops AND p.{to} NOT IN (SELECT document_id FROM recurring.reached)
        )
        SELECT document_id::VARCHAR FROM reached
    """
    for direction, (at, to) in _ENDS.items()
}
#: Levels that are read ahead at most.
_MOST = 1024
#: Documents a level up to which a chain is thin.
_THIN = 4

Row = dict[str, Any]


class Steps:
    """The neighbours of nodes in one direction, as rows with `here` (key of the node) and `relation`.

    Parameters
    ----------
    limit : nodes that the walk may find; of a document with many more neighbours not all are read
    """

    def __init__(self, connection: Connection, *, direction: str, limit: int) -> None:
        self._connection = connection
        self._direction = direction
        self._limit = limit
        self._hops = 1
        self._read: set[str] = set()
        self._ahead: dict[str, list[tuple[int, Row]]] = {}

    def of(self, kind: str, nodes: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return the neighbours of nodes of one kind.

        Parameters
        ----------
        nodes : each with `key`, `name`, and where it has them `source` and `model`; no document is asked for twice
        """
        if kind != "document":
            return [row for _, row in self._rows(kind, nodes)]
        names = [str(node["name"]) for node in nodes]
        unread = [name for name in names if name not in self._read]
        if unread:
            self._read_ahead(unread)
        rows = [found for name in names for found in self._ahead.pop(name, ())]
        rows.sort(key=lambda found: (found[0], found[1]["name"], found[1]["relation"]))
        return [row for _, row in rows]

    def _read_ahead(self, names: list[str]) -> None:
        found = names
        if self._hops > 1:
            with registered(self._connection) as raw:
                query = raw.execute(_AHEAD[self._direction], {"names": names, "hops": self._hops})
                found = [name for (name,) in query.fetchall() if name not in self._read]
        self._read.update(found)
        for place, row in self._rows("document", [{"key": f"document:{name}", "name": name} for name in found]):
            self._ahead.setdefault(row["here"].removeprefix("document:"), []).append((place, row))
        is_thin = len(found) <= _THIN * self._hops
        self._hops = min(2 * self._hops, self._limit, _MOST) if is_thin else 1

    def _rows(self, kind: str, nodes: Iterable[Mapping[str, Any]]) -> list[tuple[int, Row]]:
        """Return the rows of all queries of a kind, each with the place of its query."""
        here = {f"{name}s": [node.get(name) for node in nodes] for name in ("key", "name", "source", "model")}
        found = []
        for place, (of, query) in enumerate(_STEPS[self._direction]):
            if of == kind and here["keys"]:
                bound = {**here, "most": 2 * self._limit + 2} if "$most" in query else here
                with registered(self._connection) as raw:
                    rows = raw.execute(_HERE + query, bound).to_arrow_table().to_pylist()
                found += [(place, row) for row in rows]
        return found

"""What something came from and what came of it: documents, models and training sets as a graph.

Documents of a training set, and of a model, are shown as groups of the same source, origin, generation and model, so
that a set of a million documents is a few nodes. The graph is walked level by level, one query a kind and level, and
the walk ends at a number of nodes, so that neither ten million documents nor ten thousand generations are too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa
from sqlalchemy import Connection

from provenance.errors import AmbiguousId, UnknownName, WasTakenDown
from provenance.lineage.errors import AmbiguousSubject
from provenance.records import GRADES
from provenance.store.lookup import find_id
from provenance.store.store import Store, staged

Kind = Literal["document", "model", "set"]
NodeKind = Literal["document", "model", "set", "group"]
Direction = Literal["up", "down"]

#: Nodes that a walk finds at most, in each direction, unless told otherwise.
LIMIT = 200


@dataclass(frozen=True)
class Node:
    """A document, a model, a training set, or a group of documents.

    Attributes
    ----------
    key : unique in the graph
    name : id of the document, name of the model or set; of a group what its documents have in common
    facts : what is known of it; names as in the views
    """

    key: str
    kind: NodeKind
    name: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Edge:
    """`later` came from `earlier`; `relation` is how: prompt, edit, ..., `wrote`, `trained`, `in`."""

    earlier: str
    later: str
    relation: str


@dataclass
class Lineage:
    """A part of the graph around a node.

    Attributes
    ----------
    root : key of the node that was asked for
    nodes : key -> node, in the order in which they were found
    edges : between these nodes
    is_cut : whether there is more than is shown
    """

    root: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    is_cut: bool = False

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        nodes = [asdict(node) for node in self.nodes.values()]
        return {"root": self.root, "nodes": nodes, "edges": [asdict(one) for one in self.edges], "is_cut": self.is_cut}


_LABELS = """
    'document' AS kind, d.document_id::VARCHAR AS name, d.source, d.external_id, d.origin, d.generation,
    d.generation_is_bound, d.mean_ancestry, d.human_ancestry, d.evidence_rank, d.model, d.n_words
"""
_MODEL = """
    'model' AS kind, m.name, m.learner, m.revision, m.training_set, m.generation, m.generation_is_bound,
    m.mean_ancestry, m.human_ancestry
"""
_SET = """
    'set' AS kind, t.name, t.n_documents, t.n_words, t.human_share, t.created_at
"""
_GROUP = """
    'group' AS kind, d.source, d.origin, d.generation, bool_or(d.generation_is_bound) AS generation_is_bound, d.model,
    count(*) AS n_draws, count(DISTINCT d.document_id) AS n_documents, sum(d.n_words)::BIGINT AS n_words
"""
#: Direction -> queries from the frontier (table `here`: key, name) of a kind to nodes, with `here` and `relation`.
_STEPS: dict[Direction, tuple[tuple[NodeKind, str], ...]] = {
    "up": (
        (
            "document",
            f"""SELECT h.key AS here, p.relation, {_LABELS} FROM here h JOIN parent p ON p.document_id = h.name::UUID
                JOIN document d ON d.document_id = p.parent_id ORDER BY name, p.relation""",
        ),
        (
            "document",
            f"""SELECT h.key AS here, 'wrote' AS relation, {_MODEL} FROM here h
                JOIN document d ON d.document_id = h.name::UUID JOIN model m ON m.name = d.model ORDER BY m.name""",
        ),
        (
            "model",
            f"""SELECT h.key AS here, 'trained' AS relation, {_SET} FROM here h JOIN model m ON m.name = h.name
                JOIN training_set t ON t.name = m.training_set ORDER BY t.name""",
        ),
        (
            "set",
            f"""SELECT h.key AS here, 'in' AS relation, {_GROUP} FROM here h
                JOIN training_set_item i ON i.training_set = h.name JOIN document d USING (document_id)
                GROUP BY ALL ORDER BY n_words DESC, d.source, d.origin, d.generation, d.model""",
        ),
        (
            "group",
            f"""SELECT h.key AS here, 'wrote' AS relation, {_MODEL} FROM here h JOIN model m ON m.name = h.model
                ORDER BY m.name""",
        ),
    ),
    "down": (
        (
            "document",
            f"""SELECT h.key AS here, p.relation, {_LABELS} FROM here h JOIN parent p ON p.parent_id = h.name::UUID
                JOIN document d ON d.document_id = p.document_id ORDER BY name, p.relation""",
        ),
        (
            "document",
            f"""SELECT DISTINCT h.key AS here, 'in' AS relation, {_SET} FROM here h
                JOIN training_set_item i ON i.document_id = h.name::UUID
                JOIN training_set t ON t.name = i.training_set ORDER BY t.name""",
        ),
        (
            "set",
            f"""SELECT h.key AS here, 'trained' AS relation, {_MODEL} FROM here h
                JOIN model m ON m.training_set = h.name ORDER BY m.name""",
        ),
        (
            "model",
            f"""SELECT h.key AS here, 'wrote' AS relation, {_GROUP} FROM here h JOIN document d ON d.model = h.name
                GROUP BY ALL ORDER BY n_words DESC, d.source, d.origin, d.generation""",
        ),
        (
            "group",
            f"""SELECT DISTINCT h.key AS here, 'in' AS relation, {_SET} FROM here h
                JOIN document d ON d.source = h.source AND d.model = h.model
                JOIN training_set_item i USING (document_id)
                JOIN training_set t ON t.name = i.training_set ORDER BY t.name""",
        ),
    ),
}
_ROOTS: dict[Kind, str] = {
    "document": f"SELECT {_LABELS} FROM document d WHERE d.document_id = ?::UUID",
    "model": f"SELECT {_MODEL} FROM model m WHERE m.name = ?",
    "set": f"SELECT {_SET} FROM training_set t WHERE t.name = ?",
}
_NAMES = "SELECT name FROM model UNION SELECT name FROM training_set ORDER BY ALL"


def lineage(
    store: Store,
    subject: str,
    *,
    kind: Kind | None = None,
    directions: Iterable[Direction] = ("up", "down"),
    limit: int = LIMIT,
) -> Lineage:
    """Return what a document, model or training set came from, and what came of it.

    Parameters
    ----------
    subject : id of a document or at least its first 8 digits, or the name of a model or training set
    kind : what it is; None finds out
    directions : where to look
    limit : nodes that are looked for in each direction

    Raises
    ------
    UnknownName
        If there is nothing of that name.
    AmbiguousSubject
        If a model and a training set both have it, and `kind` does not tell which.
    """
    with store.read() as connection:
        root = _root(connection, subject, kind)
        found = Lineage(root.key, {root.key: root})
        for direction in directions:
            _walk(connection, found, root, direction, limit)
    return found


def _root(connection: Connection, subject: str, kind: Kind | None) -> Node:
    matches: dict[Kind, Node] = {}
    kinds: tuple[Kind, ...] = ("model", "set") if kind is None else (kind,)
    for one in kinds:
        name = find_id(connection, "document", subject) if one == "document" else subject
        for node in _rooted(connection, one, name):
            matches[one] = node
    if len(matches) > 1:
        raise AmbiguousSubject(subject, tuple(matches))
    if matches:
        return next(iter(matches.values()))
    raw: Any = connection.connection.driver_connection
    names = [row[0] for row in raw.execute(_NAMES).fetchall()]
    try:
        if kind is None:
            return next(_rooted(connection, "document", find_id(connection, "document", subject)))
    except (AmbiguousId, WasTakenDown):
        raise
    except UnknownName:
        pass
    known = {None: "document, model or training set", "set": "training set"}.get(kind, str(kind))
    raise UnknownName(known, subject, names, hint="See: provenance stats, provenance training-sets")


def _rooted(connection: Connection, kind: Kind, name: str) -> Iterator[Node]:
    raw: Any = connection.connection.driver_connection
    for row in raw.execute(_ROOTS[kind], [name]).to_arrow_table().to_pylist():
        yield _node(row)


def _walk(connection: Connection, found: Lineage, root: Node, direction: Direction, limit: int) -> None:
    frontier = [root]
    seen = {root.key}
    known = set(found.edges)
    while frontier:
        reached: list[Node] = []
        for kind, query in _STEPS[direction]:
            here = [node for node in frontier if node.kind == kind]
            if not here:
                continue
            for row in _step(connection, here, query):
                at, relation = row.pop("here"), row.pop("relation")
                node = _node(row, at=at)
                if node.key not in seen:
                    if len(seen) > limit:
                        found.is_cut = True
                        continue
                    seen.add(node.key)
                    found.nodes.setdefault(node.key, node)
                    reached.append(node)
                edge = Edge(node.key, at, relation) if direction == "up" else Edge(at, node.key, relation)
                if edge not in known:
                    known.add(edge)
                    found.edges.append(edge)
        frontier = reached


def _step(connection: Connection, here: list[Node], query: str) -> list[dict[str, Any]]:
    columns = {
        "key": [node.key for node in here],
        "name": [node.name for node in here],
        "source": pa.array([node.facts.get("source") for node in here], pa.string()),
        "model": pa.array([node.facts.get("model") for node in here], pa.string()),
    }
    with staged(connection, here=pa.table(columns)) as raw:
        rows: list[dict[str, Any]] = raw.execute(query).to_arrow_table().to_pylist()
    return rows


def _node(row: dict[str, Any], *, at: str = "") -> Node:
    facts = dict(row)
    kind: NodeKind = facts.pop("kind")
    if kind == "group":
        parts = [facts["source"], facts["origin"], facts["generation"], facts["model"]]
        name = ", ".join("–" if part is None else str(part) for part in parts)
        return Node(f"group:{at}:{name}", kind, name, facts)
    if kind == "document":
        facts["evidence_grade"] = GRADES[facts["evidence_rank"]]
    name = facts.pop("name")
    return Node(f"{kind}:{name}", kind, name, facts)

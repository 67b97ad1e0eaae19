"""What something came from and what came of it: documents, models and training sets as a graph.

Documents of a training set, and of a model, are shown as groups of the same source, origin, generation and model, so
that a set of a million documents is a few nodes. The graph is walked level by level, one query a kind and level, and
the walk ends at a number of nodes, so that neither ten million documents nor ten thousand generations are too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from sqlalchemy import Connection

from provenance.errors import AmbiguousId, UnknownName, WasTakenDown
from provenance.lineage.errors import AmbiguousSubject
from provenance.lineage.steps import LABELS, MODEL, SET, Steps
from provenance.records import GRADES
from provenance.store.lookup import find_id
from provenance.store.store import Store

Kind = Literal["document", "model", "set"]
NodeKind = Literal["document", "model", "set", "group"]
Direction = Literal["up", "down"]

_KINDS: tuple[NodeKind, ...] = get_args(NodeKind)
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


_ROOTS: dict[Kind, str] = {
    "document": f"SELECT {LABELS} FROM document d WHERE d.document_id = ?::UUID",
    "model": f"SELECT {MODEL} FROM model m WHERE m.name = ?",
    "set": f"SELECT {SET} FROM training_set t WHERE t.name = ?",
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
    steps = Steps(connection, direction=direction, limit=limit)
    frontier = [root]
    seen = {root.key}
    known = set(found.edges)
    while frontier:
        reached: list[Node] = []
        for kind in _KINDS:
            here = [{**node.facts, "key": node.key, "name": node.name} for node in frontier if node.kind == kind]
            for row in steps.of(kind, here) if here else ():
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

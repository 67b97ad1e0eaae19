"""A lineage as text: a tree for people, and Graphviz's language for its tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provenance.lineage.graph import Direction, Lineage, Node

#: Levels that are indented; deeper ones say how deep they are, or their lines would not fit.
_INDENTED = 24
_SHAPES = {"document": "note", "group": "folder", "set": "cylinder", "model": "box"}


def tree(found: Lineage, direction: Direction) -> Iterator[str]:
    """Yield the lines of a tree: what came before (`up`) or after (`down`), each node once with what is behind it."""
    following: dict[str, list[tuple[str, str]]] = {}
    for edge in found.edges:
        at, to = (edge.later, edge.earlier) if direction == "up" else (edge.earlier, edge.later)
        following.setdefault(at, []).append((to, edge.relation))
    told: set[str] = set()
    waiting: list[tuple[str, str, int, str]] = [(found.root, "", 0, "")]  # key, relation, depth, indentation
    while waiting:
        key, relation, depth, margin = waiting.pop()
        again = key in told
        told.add(key)
        begin = margin if depth <= _INDENTED else f"{margin}[{depth} deep] "
        how = f"{relation}: " if relation else ""
        yield f"{begin}{how}{told_of(found.nodes[key])}{' (see above)' if again else ''}"
        if not again:
            inner = margin + "  " if depth < _INDENTED else margin
            waiting += [(to, how, depth + 1, inner) for to, how in reversed(following.get(key, ()))]


def told_of(node: Node) -> str:
    """Return a node in one line."""
    facts = node.facts
    if node.kind == "document":
        named = f"{facts['source']}/{facts['external_id']}" if facts["external_id"] else facts["source"]
        return f"document {node.name[:8]} {named}: {origin(facts)}, grade {facts['evidence_grade']}, {_words(facts)}"
    if node.kind == "model":
        known = [facts["learner"], f"generation {generation(facts)}" if facts["generation"] is not None else None]
        known.append(ancestry(facts))
        return ", ".join([f"model {node.name}", *(one for one in known if one)])
    if node.kind == "set":
        human = f"{facts['human_share']:.1%} human"
        return f"training set {node.name}: {facts['n_documents']:,} draws, {_words(facts)}, {human}"
    draws = f" in {facts['n_draws']:,} draws" if facts["n_draws"] != facts["n_documents"] else ""
    noun = "document" if facts["n_documents"] == 1 else "documents"
    return f"{facts['n_documents']:,} {noun} of {facts['source']}{draws}: {origin(facts)}, {_words(facts)}"


def origin(facts: dict[str, Any]) -> str:
    """Return origin, generation, model and ancestry in words."""
    parts = [facts["origin"]]
    if facts["origin"] in ("synthetic", "mixed"):
        parts.append(f"generation {generation(facts)}")
        parts += [f"by {facts['model']}"] if facts["model"] else []
        parts += [known for known in [ancestry(facts)] if known]
    return ", ".join(parts)


def generation(facts: dict[str, Any]) -> str:
    """Return a generation, as a lower bound where it is one."""
    if facts["generation"] is None:
        return "unknown"
    return f">= {facts['generation']}" if facts["generation_is_bound"] else str(facts["generation"])


def ancestry(facts: dict[str, Any]) -> str:
    """Return the human share of what stands behind, or nothing."""
    human = facts.get("human_ancestry")
    if human is None:
        return ""
    return f"{'at least ' if facts['generation_is_bound'] else ''}{human:.1%} human behind it"


def _words(facts: dict[str, Any]) -> str:
    return f"{facts['n_words']:,} words"


def dot(found: Lineage) -> str:
    """Return the graph in the language of Graphviz."""
    numbers = {key: f"n{i}" for i, key in enumerate(found.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif", fontsize=10];']
    for key, node in found.nodes.items():
        width = ", penwidth=2" if key == found.root else ""
        label = _quoted(told_of(node).replace(": ", "\n", 1).replace(", ", "\n"))
        lines.append(f"  {numbers[key]} [label={label}, shape={_SHAPES[node.kind]}{width}];")
    for edge in found.edges:
        lines.append(f"  {numbers[edge.earlier]} -> {numbers[edge.later]} [label={_quoted(edge.relation)}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'

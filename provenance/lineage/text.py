"""A lineage as text: a tree for people, and Graphviz's language for its tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provenance.lineage.graph import Direction, Lineage, Node
from provenance.svg import cut
from provenance.visible import JOINERS, one_line

#: Levels that are indented; deeper ones say how deep they are, or their lines would not fit.
_INDENTED = 24
#: Letters in the widest line of a box.
_WIDEST = 52
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
        how = f"{visible(relation)}: " if relation else ""
        yield f"{begin}{how}{told_of(found.nodes[key])}{' (see above)' if again else ''}"
        if not again:
            inner = margin + "  " if depth < _INDENTED else margin
            waiting += [(to, how, depth + 1, inner) for to, how in reversed(following.get(key, ()))]


def told_of(node: Node) -> str:
    """Return a node in one line."""
    head, facts = _told(node)
    return ", ".join((head, *facts)) if node.kind == "model" else f"{head}: {', '.join(facts)}"


def lines_of(node: Node) -> list[str]:
    """Return a node in the lines of a box; names that are too long for it are cut."""
    head, facts = _told(node)
    return [cut(line, _WIDEST) for line in (head, *facts)]


def _told(node: Node) -> tuple[str, list[str]]:
    """Return what a node is called, and what is known of it."""
    facts, words = node.facts, f"{node.facts.get('n_words', 0):,} words"
    if node.kind == "document":
        named = f"{facts['source']}/{facts['external_id']}" if facts["external_id"] else facts["source"]
        known = [*origin(facts), f"grade {facts['evidence_grade']}", words]
        return f"document {node.name[:8]} {visible(named)}", known
    if node.kind == "model":
        known = [visible(facts["learner"])] if facts["learner"] else []
        known += [f"generation {generation(facts)}"] if facts["generation"] is not None else []
        return f"model {visible(node.name)}", [*known, *ancestry(facts)]
    if node.kind == "set":
        known = [f"{facts['n_documents']:,} draws", words, f"{facts['human_share']:.1%} human"]
        return f"training set {visible(node.name)}", known
    draws = f" in {facts['n_draws']:,} draws" if facts["n_draws"] != facts["n_documents"] else ""
    gone = [f"{facts['n_taken_down']:,} of them taken down"] if facts["n_taken_down"] else []
    noun = "document" if facts["n_documents"] == 1 else "documents"
    return f"{facts['n_documents']:,} {noun} of {visible(facts['source'])}{draws}", [*origin(facts), words, *gone]


def visible(name: str) -> str:
    """Return a name in one line, with a sign for characters that steer a terminal or that a picture cannot hold."""
    return one_line(name, keep=JOINERS)


def origin(facts: dict[str, Any]) -> list[str]:
    """Return origin, generation, model and ancestry in words."""
    if facts["origin"] not in ("synthetic", "mixed"):
        return [facts["origin"]]
    model = [f"by {visible(facts['model'])}"] if facts["model"] else []
    return [facts["origin"], f"generation {generation(facts)}", *model, *ancestry(facts)]


def generation(facts: dict[str, Any]) -> str:
    """Return a generation, as a lower bound where it is one."""
    if facts["generation"] is None:
        return "unknown"
    return f">= {facts['generation']}" if facts["generation_is_bound"] else str(facts["generation"])


def ancestry(facts: dict[str, Any]) -> list[str]:
    """Return the human share of what stands behind, where it is known."""
    human = facts.get("human_ancestry")
    if human is None:
        return []
    return [f"{'at least ' if facts['generation_is_bound'] else ''}{human:.1%} human behind it"]


def dot(found: Lineage) -> str:
    """Return the graph in the language of Graphviz."""
    numbers = {key: f"n{i}" for i, key in enumerate(found.nodes)}
    lines = [
        "digraph lineage {",
        "  rankdir=LR;",
        '  node [fontname="sans-serif", fontsize=10];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    for key, node in found.nodes.items():
        width = ", penwidth=2" if key == found.root else ""
        label = _quoted("\n".join(lines_of(node)))
        lines.append(f"  {numbers[key]} [label={label}, shape={_SHAPES[node.kind]}{width}];")
    for edge in found.edges:
        label = _quoted(visible(edge.relation))
        lines.append(f"  {numbers[edge.earlier]} -> {numbers[edge.later]} [label={label}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """Return a label; Graphviz reads escapes and HTML's names of characters in it."""
    for sign, meant in (("\\", "\\\\"), ('"', '\\"'), ("&", "&amp;"), ("\n", "\\n")):
        text = text.replace(sign, meant)
    return f'"{text}"'

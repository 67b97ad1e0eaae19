"""The lineage of documents, models and training sets, as a graph, a tree, a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from provenance.errors import UnknownName
from provenance.lineage.drawing import svg
from provenance.lineage.errors import AmbiguousSubject, PictureNotDrawn
from provenance.lineage.graph import Edge, Lineage, Node, lineage
from provenance.lineage.models import Model, register_model
from provenance.lineage.text import dot, tree
from provenance.store.store import Store
from provenance.takedown.erase import take_down
from provenance.takedown.select import Selection
from tests.factories import ingest, prose, prose_records, provenance, rows


@pytest.fixture
def loop(store: Store) -> Store:
    """Return a store in which model `m` was trained on two human documents and wrote one after a prompt."""
    ingest(store, prose_records(3))
    with store.transaction() as connection:
        connection.exec_driver_sql(
            """INSERT INTO training_set VALUES
               ('set', 'd', now()::TIMESTAMP, '{}', '{}', 'words', 2, 120, 0, NULL, 1.0)"""
        )
        connection.exec_driver_sql(
            """INSERT INTO training_set_item SELECT 'set', row_number() OVER (ORDER BY external_id) - 1, document_id, 0,
                      n_words, n_bytes, NULL, origin, generation, evidence_rank, model, source, licence_class,
                      cluster_id, 'all' FROM document WHERE external_id <> 'r2'"""
        )
    register_model(store, Model("m", "digest", "ngram", "set"))
    prompt = document(store, "r2")
    made = {"id": "made", "text": prose(77), "parent": {"document_id": prompt, "relation": "prompt"}}
    ingest(store, [made], source="out", origin="synthetic", generation=1, model="m")
    return store


def document(store: Store, name: str) -> str:
    """Return the id of a document by its name."""
    return str(rows(store, f"SELECT document_id FROM document WHERE external_id = '{name}'")[0]["document_id"])


def test_up_and_down(loop: Store) -> None:
    made, prompt, first = (document(loop, name) for name in ("made", "r2", "r0"))
    group = "group:set:set:books, human, 0, –"
    up = lineage(loop, made[:8], directions=["up"])
    assert set(up.edges) == {
        Edge(f"document:{prompt}", f"document:{made}", "prompt"),
        Edge("model:m", f"document:{made}", "wrote"),
        Edge("set:set", "model:m", "trained"),
        Edge(group, "set:set", "in"),
    }
    facts = up.nodes[group].facts
    assert (facts["n_documents"], facts["n_draws"], facts["n_words"]) == (2, 2, 120)
    assert up.nodes[f"document:{made}"].facts["human_ancestry"] == 1.0
    down = lineage(loop, first, directions=["down"])
    assert [(edge.earlier.split(":")[0], edge.later.split(":")[0], edge.relation) for edge in down.edges] == [
        ("document", "set", "in"), ("set", "model", "trained"), ("model", "group", "wrote")
    ]  # fmt: skip
    assert lineage(loop, prompt, directions=["up"]).edges == []
    assert not down.is_cut


def test_a_set_says_what_of_it_was_taken_down(loop: Store) -> None:
    gone = document(loop, "r0")
    take_down(loop, Selection("document", (gone,)), reason="r")
    found = lineage(loop, "set", directions=["up"])
    assert list(tree(found, "up")) == [
        "training set set: 2 draws, 120 words, 100.0% human",
        "  in: 2 documents of books: human, 120 words, 1 of them taken down",
    ]
    with pytest.raises(UnknownName, match="It was taken down on 20"):
        lineage(loop, gone[:10])


def test_the_walk_ends_at_the_limit_and_says_so(loop: Store) -> None:
    cut = lineage(loop, document(loop, "made"), directions=["up"], limit=2)
    assert (len(cut.nodes), cut.is_cut) == (3, True)


def test_names(loop: Store) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'set'"):
        lineage(loop, "sett")
    with loop.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO model (name, created_at) VALUES ('set', now()::TIMESTAMP)")
    with pytest.raises(AmbiguousSubject, match="--kind model"):
        lineage(loop, "set")
    assert lineage(loop, "set", kind="set").root == "set:set"
    with pytest.raises(UnknownName):
        lineage(loop, "m", kind="set")


def test_a_circle_made_by_hand_ends(loop: Store) -> None:
    a, b = document(loop, "r0"), document(loop, "r1")
    with loop.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO parent VALUES (?::UUID, ?::UUID, 'edit'), (?::UUID, ?::UUID, 'edit')", (a, b, b, a)
        )
    found = lineage(loop, a, directions=["up"])
    assert len(found.edges) == 2
    assert [line for line in tree(found, "up") if "see above" in line]


def test_a_chain_of_two_thousand_parents(store: Store) -> None:
    n = 2_000
    ingest(store, prose_records(n, n_words=3))
    with store.transaction() as connection:
        connection.exec_driver_sql(
            """INSERT INTO parent SELECT document_id, before, 'edit' FROM
               (SELECT document_id, lag(document_id) OVER (ORDER BY external_id) AS before FROM document)
               WHERE before IS NOT NULL"""
        )
    last = rows(store, "SELECT arg_max(document_id, external_id)::VARCHAR AS id FROM document")[0]["id"]
    found = lineage(store, last, directions=["up"], limit=300)
    assert (len(found.edges), found.is_cut) == (300, True)
    lines = list(tree(found, "up"))
    assert len(lines) == 301
    assert max(map(len, lines)) < 160


def test_formats_and_pictures(loop: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, made = loop.path, document(loop, "made")
    found = lineage(loop, made)
    assert dot(found).count("->") == len(found.edges)
    loop.close()
    monkeypatch.setenv("PATH", str(tmp_path))  # no Graphviz here
    told = provenance("--store", path, "lineage", made, "--up")
    assert "wrote: model m, ngram, generation 0, 100.0% human behind it" in told.out
    assert "Of it came" not in told.out
    as_json = json.loads(provenance("--store", path, "lineage", made, "--json").out)
    assert {node["kind"] for node in as_json["nodes"]} == {"document", "model", "set", "group"}
    picture = tmp_path / "x.svg"
    assert provenance("--store", path, "lineage", "m", "--picture", picture).code == 0
    both = provenance("--store", path, "lineage", "m", "--json", "--picture", picture)
    assert json.loads(both.out)["root"] == "model:m" and "drew 4 nodes" in both.err
    root = ET.parse(picture).getroot()  # noqa: S314
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 4
    assert "only Graphviz" in provenance("--store", path, "lineage", "m", "--picture", tmp_path / "x.png").err
    assert issubclass(PictureNotDrawn, OSError)
    assert provenance("--store", path, "lineage", "m", "--picture", tmp_path / "x.gif").code == 1


# ---------------------------------------------------------------- pictures


NAMES = (
    "<b>&\"'</b>",
    "a: b, c",
    "名前の長い文書" * 9,
    "x" * 300,
    "tab\tline\nend\x1b[31m",
    "back\\slash \\N",
    "&amp;",
    "]]>",
)


def text_node(name: str) -> Node:
    facts = {"source": "s", "external_id": name, "origin": "human", "evidence_grade": "declared", "n_words": 7}
    return Node(f"document:{name}", "document", f"{abs(hash(name)):08x}", facts)


def graph(*steps: str) -> Lineage:
    """Return a graph of documents from `earlier later` pairs; the last one named is the root."""
    pairs = [step.split() for step in steps]
    nodes = {f"document:{name}": text_node(name) for pair in reversed(pairs) for name in reversed(pair)}
    edges = [Edge(f"document:{one}", f"document:{other}", "edit") for one, other in pairs]
    return Lineage(next(iter(nodes)), nodes, edges)


def boxes(found: Lineage) -> dict[str, tuple[float, float, float, float]]:
    """Return the box of every node: left, top, right, bottom."""
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(svg(found))  # noqa: S314
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    drawn = {}
    for group, name in zip(root.iter(f"{space}g"), found.nodes, strict=True):
        rect = next(group.iter(f"{space}rect"))
        x, y, w, h = (float(rect.get(key, "")) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
        drawn[name] = (x, y, x + w, y + h)
    return drawn


def test_names_of_any_characters_are_drawn_and_told_in_their_lines() -> None:
    nodes = [text_node(name) for name in NAMES]
    found = Lineage(nodes[0].key, {node.key: node for node in nodes})
    root = ET.fromstring(svg(found))  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    for group, name in zip(root.iter(f"{space}g"), NAMES, strict=True):
        lines = [one.text for one in group.iter(f"{space}text")]
        assert lines[1:] == ["human", "grade declared", "7 words"], name
        assert name[:3].split()[0] in (lines[0] or "")
    assert max(right - left for left, _, right, _ in boxes(found).values()) < 400
    for node in nodes:
        [line] = tree(Lineage(node.key, {node.key: node}), "up")
        assert line.isprintable()
    assert len(dot(found).splitlines()) == 5 + len(nodes)
    assert "\x1b" not in dot(found)


@pytest.mark.parametrize(
    "steps",
    [
        ("a b", "b c", "a c"),
        ("a b", "b c", "c d", "d e", "a e", "b e"),
        ("h0 s0", "s0 m0", "m0 o01", "m0 o02", "o01 s1", "s1 m1", "m1 o12", "o12 s2", "o02 s2"),
    ],
)
def test_what_is_earlier_stands_to_the_left_of_all_that_came_of_it(steps: tuple[str, ...]) -> None:
    for found in (graph(*steps), Lineage("document:" + steps[0].split()[0], graph(*steps).nodes, graph(*steps).edges)):
        drawn = boxes(found)
        for edge in found.edges:
            assert drawn[edge.earlier][2] < drawn[edge.later][0], edge
        taken = sorted(drawn.values())
        for one in taken:
            for other in taken:
                apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
                assert one == other or apart


def test_a_circle_is_drawn_too() -> None:
    assert len(boxes(graph("a b", "b c", "c a"))) == 3


def test_graphviz_draws_and_what_goes_wrong_with_it_is_said(
    loop: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "dot"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = loop.path
    loop.close()

    def drawn(script: str) -> tuple[int, str]:
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        answer = provenance("--store", path, "lineage", "m", "--picture", tmp_path / "x.png")
        return answer.code, answer.err

    assert drawn('echo "$1"; cat') == (0, f"drew 4 nodes into {tmp_path / 'x.png'}\n")
    assert (tmp_path / "x.png").read_text(encoding="utf-8").startswith("-Tpng\ndigraph lineage {")
    code, said = drawn("cat >/dev/null; printf 'no\nfont\n' >&2; exit 3")
    assert code == 1 and "Graphviz failed: no font." in said and said.count("\n") == 1
    monkeypatch.setattr("provenance.lineage.drawing._PATIENCE_S", 0.2)
    code, said = drawn("exec sleep 5")
    assert code == 1 and "was not done after 0.2 s" in said

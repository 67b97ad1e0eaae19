"""The walk through lineages of any shape against a slow one over the tables and over the view."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provenance.lineage.drawing import svg
from provenance.lineage.graph import Direction, lineage
from provenance.lineage.text import dot, tree
from provenance.store.store import Store
from tests.factories import dump, rows

Pairs = set[tuple[str, str, str]]

_SET = """INSERT INTO training_set VALUES ($1, 'd', now()::TIMESTAMP, '{}', '{}', 'words', 0, 0, 0, NULL, 1.0)"""
_MODEL = "INSERT INTO model BY NAME SELECT $1 AS name, $2 AS training_set, now()::TIMESTAMP AS created_at"
_DOCUMENT = """
    INSERT INTO document BY NAME SELECT $1::UUID AS document_id, $1::UUID AS content_id, $3 AS source, 'x' AS
    licence_class, 'x' AS stated_licence_class, 1 AS n_bytes, 2 AS n_words, $4 AS origin, $2 AS model,
    1 AS evidence_rank, $1::UUID AS cluster_id, true AS is_representative, $1::UUID AS ingest_id
"""
_ITEM = """
    INSERT INTO training_set_item BY NAME SELECT $1 AS training_set, $2 AS position, $3::UUID AS document_id,
    0 AS repeat, 2 AS n_words, 1 AS n_bytes, 'mixed' AS origin, $4 AS model, 1 AS evidence_rank, 'gone' AS source,
    'x' AS licence_class, $3::UUID AS cluster_id, '' AS stratum
"""


def fill(store: Store, chance: Random) -> None:
    """Enter documents with chains of parents, models on sets of them, and what these wrote; a tenth was taken down."""
    n = chance.randrange(2, 60)
    ids = [f"00000000-0000-0000-0000-{i:012x}" for i in range(n)]
    gone = {one for one in ids if chance.random() < 0.1}
    models = [f"m{i}" for i in range(chance.randrange(1, 6))]
    with store.transaction() as connection:
        run: Any = connection.exec_driver_sql
        for i, name in enumerate(models):
            run(_MODEL, (name, f"s{i}" if chance.random() < 0.8 else None))
            run(_SET, (f"s{i}",))
        for i, one in enumerate(ids):
            model = chance.choice([None, *models[: 1 + i * len(models) // n]])
            if one not in gone:
                run(_DOCUMENT, (one, model, chance.choice("ab"), "synthetic" if model else "human"))
            near = [other for other in ids[max(0, i - 3) : i] if chance.random() < 0.6]
            for other in {*near, *chance.sample(ids[:i], min(i, chance.choice((0, 0, 1))))}:
                if not {one, other} & gone:
                    run(
                        "INSERT INTO parent VALUES ($1::UUID, $2::UUID, $3)", (one, other, chance.choice(("edit", "x")))
                    )
        for i in range(len(models)):
            for position in range(chance.randrange(4)):
                as_drawn = (chance.choice(ids[: 1 + i * n // len(models)]), chance.choice([None, *models[:i]]))
                run(_ITEM, (f"s{i}", position, *as_drawn))


def slow(store: Store, root: str, direction: Direction) -> tuple[set[str], Pairs]:
    """Return the keys that can be reached and the edges between them, found one by one in the tables."""
    held = {name: rows(store, f"FROM {name}") for name in ("document", "model", "parent", "training_set_item")}
    document = {str(row["document_id"]): row for row in held["document"]}
    pairs: Pairs = {(f"document:{row['parent_id']}", f"document:{row['document_id']}", row["relation"])
                    for row in held["parent"]}  # fmt: skip
    names = {row["name"] for row in held["model"]}
    pairs |= {(f"set:{row['training_set']}", f"model:{row['name']}", "trained")
              for row in held["model"] if row["training_set"]}  # fmt: skip
    drawn: dict[str, dict[str, Any]] = defaultdict(dict)  # set -> document -> its labels, as drawn where it is gone
    written = defaultdict(set)
    for row in held["training_set_item"]:
        one = str(row["document_id"])
        drawn[row["training_set"]][one] = document.get(one, row)
    for one, row in document.items():
        written[row["model"]].add(one)

    def group(at: str, row: dict[str, Any]) -> str:
        parts = (row["source"], row["origin"], row["generation"], row["model"])
        return f"group:{at}:" + ", ".join("–" if part is None else str(part) for part in parts)

    if direction == "up":
        pairs |= {
            (f"model:{row['model']}", f"document:{one}", "wrote") for one, row in document.items() if row["model"]
        }
        for name, members in drawn.items():
            for row in members.values():
                at = group(f"set:{name}", row)
                pairs.add((at, f"set:{name}", "in"))
                pairs |= {(f"model:{row['model']}", at, "wrote")} if row["model"] else set()
    else:
        pairs |= {(f"document:{one}", f"set:{name}", "in") for name, members in drawn.items() for one in members}
        for model in names:
            for one in written[model]:
                at = group(f"model:{model}", document[one])
                pairs.add((f"model:{model}", at, "wrote"))
                alike = {other for other in written[model] if document[other]["source"] == document[one]["source"]}
                pairs |= {(at, f"set:{name}", "in") for name, members in drawn.items() if members.keys() & alike}
    seen, todo = {root}, [root]
    while todo:
        here = todo.pop()
        for earlier, later, _ in pairs:
            at, to = (later, earlier) if direction == "up" else (earlier, later)
            if at == here and to not in seen:
                seen.add(to)
                todo.append(to)
    at = 1 if direction == "up" else 0
    return seen, {pair for pair in pairs if pair[at] in seen}


@pytest.mark.parametrize("seed", range(6))
def test_everything_is_found_once_and_nothing_else(store: Store, seed: int) -> None:
    fill(store, Random(seed))
    query = """
        SELECT 'document' AS k, document_id::VARCHAR AS n FROM document UNION ALL SELECT 'model', name FROM model
        UNION ALL SELECT 'set', name FROM training_set ORDER BY ALL
    """
    names = [(row["k"], row["n"]) for row in rows(store, query)]
    before = dump(store)
    for kind, name in Random(seed).sample(names, min(8, len(names))):
        for direction in ("up", "down"):
            found = lineage(store, name, kind=kind, directions=[direction], limit=10_000)
            keys, pairs = slow(store, f"{kind}:{name}", direction)
            assert found.nodes.keys() == keys
            assert {(one.earlier, one.later, one.relation) for one in found.edges} == pairs
            assert len(found.edges) == len(pairs) and not found.is_cut
            few = lineage(store, name, kind=kind, directions=[direction], limit=3)
            assert list(few.nodes) == list(found.nodes)[:4]
            assert few.is_cut == (len(keys) > 4)
    assert dump(store) == before


def test_the_view_says_the_same_of_every_document(store: Store) -> None:
    fill(store, Random(11))
    told = defaultdict(set)
    for row in rows(store, "SELECT document_id::VARCHAR AS id, parent_id::VARCHAR AS p, relation, model, training_set "
                           "FROM lineage"):  # fmt: skip
        told[row["id"]] |= {(f"document:{row['p']}", row["relation"])} if row["p"] else set()
        told[row["id"]] |= {(f"model:{row['model']}", "wrote")} if row["model"] else set()
        told[row["id"]] |= (
            {(f"set:{row['training_set']}", f"trained model:{row['model']}")} if row["training_set"] else set()
        )
    assert len(told) > 20
    for one, expected in told.items():
        found = lineage(store, one, kind="document", directions=["up"], limit=10_000)
        own = {edge for edge in found.edges if edge.later == found.root}
        said = {(edge.earlier, edge.relation) for edge in own}
        writers = {edge.earlier for edge in own if edge.relation == "wrote"}
        said |= {(edge.earlier, f"trained {edge.later}") for edge in found.edges if edge.later in writers}
        assert said == expected


#: More levels than a query a level and a table a query leave memory for.
N_DEEP = 3_000


def test_thousands_of_parents_in_all_formats(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Graphviz here
    with store.transaction() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute(
            """INSERT INTO document BY NAME SELECT md5(i::VARCHAR)::UUID AS document_id, document_id AS content_id,
               'books' AS source, 'x' AS licence_class, 'x' AS stated_licence_class, 5 AS n_bytes, 1 AS n_words,
               'human' AS origin, 1 AS evidence_rank, document_id AS cluster_id, true AS is_representative,
               document_id AS ingest_id FROM range($1) t(i)""", [N_DEEP],
        )  # fmt: skip
        raw.execute(
            """INSERT INTO parent SELECT md5(i::VARCHAR)::UUID, md5((i - 1)::VARCHAR)::UUID, 'edit'
               FROM range(1, $1) t(i)""", [N_DEEP],
        )  # fmt: skip
    [ends] = rows(store, f"SELECT md5('0')::UUID::VARCHAR AS a, md5('{N_DEEP - 1}')::UUID::VARCHAR AS z")
    found = lineage(store, ends["z"], limit=N_DEEP)
    assert (len(found.nodes), len(found.edges), found.is_cut) == (N_DEEP, N_DEEP - 1, False)
    assert list(found.nodes)[-1] == f"document:{ends['a']}"
    assert len(list(tree(found, "up"))) == N_DEEP
    assert dot(found).count("->") == svg(found).count("<path") == N_DEEP - 1
    assert len(json.dumps(found.as_mapping())) > 500 * N_DEEP
    down = lineage(store, ends["a"], directions=["down"], limit=300)
    assert (len(down.nodes), len(down.edges), down.is_cut) == (301, 300, True)


def test_of_what_very_much_came_only_so_much_is_read(store: Store) -> None:
    with store.transaction() as connection:
        for i in range(50):
            connection.exec_driver_sql(_DOCUMENT, (f"00000000-0000-0000-0000-{i:012x}", None, "a", "human"))
        connection.exec_driver_sql(
            """INSERT INTO parent SELECT document_id, '00000000-0000-0000-0000-000000000000'::UUID, 'prompt'
               FROM document WHERE document_id <> '00000000-0000-0000-0000-000000000000'::UUID"""
        )
    found = lineage(store, "00000000-0000-0000-0000-000000000000", kind="document", directions=["down"], limit=5)
    assert (len(found.nodes), len(found.edges), found.is_cut) == (6, 5, True)
    assert [node.name[-2:] for node in found.nodes.values()] == ["00", "01", "02", "03", "04", "05"]

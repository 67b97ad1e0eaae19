"""What stands behind a model or a text, against brute force over every single path."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from provenance.errors import UnknownName
from provenance.store.store import Store
from tests.factories import rows
from training.ancestry import ancestry
from training.cli import main
from training.errors import AncestryUnknown

_NOW = datetime(2026, 1, 1)  # noqa: DTZ001 (the store's times have no zone)


class World:
    """Sources, models and training sets written straight into a store, without mixing or training."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.n_documents = 0

    def document(self, origin: str, *, model: str | None = None, generation: int | None = None) -> str:
        self.n_documents += 1
        one = str(UUID(int=self.n_documents))
        self._append(
            "document", document_id=one, content_id=one, source=model or "books", external_id=f"d{self.n_documents}",
            licence_class="unknown", n_bytes=10, n_words=2, origin=origin, generation=generation, model=model,
            evidence_rank=1, cluster_id=one, is_representative=True, ingest_id=str(UUID(int=0)),
        )  # fmt: skip
        return one

    def model(self, name: str, items: list[tuple[str, int]], *, unit: str = "tokens", generation: int = 0) -> None:
        """Enter a training set of (document, units) and a model that was fitted on it."""
        self._append(
            "training_set", name=name, digest="0", created_at=_NOW, spec="{}", manifest="{}", budget_unit=unit,
            n_documents=len(items), n_words=0, n_bytes=0, n_tokens=None, human_share=0.0,
        )  # fmt: skip
        labels = {str(row["document_id"]): row for row in rows(self.store, "SELECT * FROM document")}
        for position, (one, size) in enumerate(items):
            label = labels[one]
            sizes = {"n_words": 7, "n_bytes": 7, "n_tokens": None if unit == "words" else 7, f"n_{unit}": size}
            self._append(
                "training_set_item", training_set=name, position=position, document_id=one, repeat=0,
                origin=label["origin"], generation=label["generation"], evidence_rank=1, model=label["model"],
                source=label["source"], licence_class="unknown", cluster_id=one, stratum="all",
                **{key: value for key, value in sizes.items() if key != "n_documents"},
            )  # fmt: skip
        self.foreign(name, training_set=name, generation=generation)

    def foreign(self, name: str, **more: Any) -> None:
        """Enter a model by its name alone, or with more."""
        self._append("model", name=name, created_at=_NOW, **more)

    def _append(self, table: str, **row: Any) -> None:
        with self.store.transaction() as connection:
            self.store.append(connection, table, pa.Table.from_pylist([row]))


@pytest.fixture
def world(make_store: Callable[..., Store]) -> World:
    return World(make_store())


def brute_force(store: Store, model: str) -> tuple[dict[str, Fraction], dict[int, Fraction]]:
    """Walk every path from a model down: weight by document, and human weight by depth."""
    items = rows(store, "SELECT * FROM training_set_item")
    unit = {row["name"]: row["budget_unit"] for row in rows(store, "SELECT name, budget_unit FROM training_set")}
    by_document: dict[str, Fraction] = defaultdict(Fraction)
    by_depth: dict[int, Fraction] = defaultdict(Fraction)

    def walk(name: str, weight: Fraction, depth: int) -> None:
        own = [item for item in items if item["training_set"] == name]
        sizes = [1 if unit[name] == "documents" else item[f"n_{unit[name]}"] for item in own]
        for item, size in zip(own, sizes, strict=True):
            share = weight * Fraction(size, sum(sizes))
            if item["origin"] == "synthetic" and item["model"] in unit:
                walk(item["model"], share, depth + 1)
                continue
            by_document[str(item["document_id"])] += share
            if item["origin"] == "human":
                by_depth[depth] += share

    walk(model, Fraction(1), 1)
    return {one: weight for one, weight in by_document.items() if weight}, dict(by_depth)


@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_those_of_every_path(world: World, seed: int) -> None:
    """Models that draw from any earlier ones, in every unit, the same document more than once, foreign text between."""
    chance = Random(seed)
    world.foreign("elsewhere")
    others = [world.document("human", generation=0) for _ in range(12)]
    others += [world.document("unknown"), world.document("synthetic", model="elsewhere", generation=1)]
    written: list[str] = []
    for generation in range(6):
        name = f"m{generation}"
        pool = [*others, *written]
        # Documents of no size and documents drawn twice are among them.
        items = [(chance.choice(pool), chance.randrange(0, 900)) for _ in range(12)] + [(others[0], 1)]
        world.model(name, items, unit=chance.choice(["tokens", "words", "documents"]), generation=generation)
        written += [world.document("synthetic", model=name, generation=generation + 1) for _ in range(3)]
    for name in ("m0", "m3", "m5"):
        found = ancestry(world.store, name)
        weights, human = brute_force(world.store, name)
        assert {root.document_id: root.weight for root in found.roots} == pytest.approx(
            {one: float(weight) for one, weight in weights.items()}, rel=1e-12
        )
        assert {level.depth: level.human for level in found.levels if level.human} == human  # exact
        assert found.human_share == sum(human.values())
        assert sum((level.human + level.other for level in found.levels), start=Fraction(0)) == 1
        assert sum(root.weight for root in found.roots) == pytest.approx(1, abs=1e-12)
        assert [root.weight for root in found.roots] == sorted((root.weight for root in found.roots), reverse=True)


def test_a_chain_of_ten_generations_under_a_quota(world: World) -> None:
    """Half human each time: depth d holds 2^-d of the weight, and a document of generation 10 the same as its model."""
    humans = [world.document("human", generation=0) for _ in range(11)]
    world.model("g0", [(humans[0], 5)])
    for generation in range(1, 11):
        before = world.document("synthetic", model=f"g{generation - 1}", generation=generation)
        world.model(f"g{generation}", [(humans[generation], 40), (before, 40)], generation=generation)
    text = world.document("synthetic", model="g10", generation=11)
    found = ancestry(world.store, text)
    assert (found.model, found.generation, found.human_share) == ("g10", 11, 1)
    assert [level.human for level in found.levels] == [Fraction(1, 2**d) for d in range(1, 11)] + [Fraction(1, 1024)]
    assert [(root.document_id, root.nearest) for root in found.roots[:9]] == [
        (humans[11 - depth], depth) for depth in range(1, 10)
    ]
    assert found.levels == ancestry(world.store, "g10").levels


def test_prompt_is_named_and_has_no_weight(world: World) -> None:
    human, prompt = world.document("human", generation=0), world.document("human", generation=0)
    world.model("m", [(human, 3)])
    text = world.document("synthetic", model="m", generation=1)
    world._append("parent", document_id=text, parent_id=prompt, relation="prompt")
    found = ancestry(world.store, text)
    assert found.prompts == (prompt,)
    assert [root.document_id for root in found.roots] == [human]


def test_documents_that_nobody_of_ours_wrote_stand_for_themselves(world: World) -> None:
    for origin, share in [("human", 1), ("unknown", 0), ("mixed", 0)]:
        one = world.document(origin, generation=0 if origin == "human" else None)
        found = ancestry(world.store, one)
        assert found.human_share == share and [root.document_id for root in found.roots] == [one]


def test_what_is_not_known_is_refused(world: World) -> None:
    world.foreign("elsewhere")
    foreign = world.document("synthetic", model="elsewhere", generation=1)
    world.model("ours", [(foreign, 1)])
    for subject in ("elsewhere", foreign):
        with pytest.raises(AncestryUnknown, match="no training set of model 'elsewhere'"):
            ancestry(world.store, subject)
    with pytest.raises(UnknownName, match="ours"):
        ancestry(world.store, "our")
    with pytest.raises(UnknownName):
        ancestry(world.store, str(UUID(int=999)))
    # Rows that were changed by hand so that a model was trained on its own text.
    own = world.document("synthetic", model="circle", generation=1)
    world.model("circle", [(own, 1)])
    with pytest.raises(AncestryUnknown):
        ancestry(world.store, "circle")


def test_command(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    humans = [world.document("human", generation=0) for _ in range(4)]
    world.model("m", [(one, i + 1) for i, one in enumerate(humans)])
    path = Path(world.store.path)
    world.store.close()
    with pytest.raises(SystemExit):
        main(["ancestry", "m", "--store", str(path), "--limit", "2"])
    printed = capsys.readouterr()
    assert "100 % of its weight is human; 4 documents" in printed.err and "2 more documents" in printed.err
    assert "40 %" in printed.out and "30 %" in printed.out and "20 %" not in printed.out
    with pytest.raises(SystemExit):
        main(["ancestry", "m", "--store", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [round(one["weight"], 9) for one in found["documents"]] == [0.4, 0.3, 0.2, 0.1]
    assert found["levels"][0]["human"] == 1 and found["human_share"] == 1

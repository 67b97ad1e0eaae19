"""A store as people have it: names of any characters, several licences, models, parents; and a set drawn from it."""

from __future__ import annotations

from typing import Any

from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet
from provenance.store.store import Store
from tests.factories import ingest, prose, rows

BOOKS, OUTPUTS = "the bücher/1 | <b>%41", "outputs: a,b"
AUTHOR = 'Müller, "A" & B: 50% |'
LICENCES = ("CC-BY-4.0", "cc0-1.0", "MIT OR Apache-2.0", "LicenseRef-Ours", "our own words", None)


def text(seed: int, n_words: int = 40) -> str:
    """Return a text with more than words in it."""
    return f'“{prose(seed, n_words=n_words)}”\n\t☃ \\ "{seed}" \u2028 \U0001f950'


def fill(store: Store) -> Store:
    """Enter 60 human documents, and 60 of two models of which some were made from the human ones."""
    human = [
        {"id": f"b{i}", "text": text(i), "author": AUTHOR, "licence": LICENCES[i % 6], "title": f"T | {i}",
         "date": f"19{10 + i}-01-02T03:04:05", "uri": f"https://x.example/{i}"}
        for i in range(60)
    ]  # fmt: skip
    ingest(store, human, source=BOOKS)
    ids = {row["external_id"]: str(row["document_id"]) for row in rows(store, "FROM document")}
    outputs: list[dict[str, Any]] = [
        {"id": f"s{i}", "text": text(1000 + i), "parent": [ids[f"b{j}"] for j in range(i % 4)],
         "origin": ("synthetic", "mixed")[i % 2], "generation": (1, 2, None)[i % 3],
         "model": ("gpt x/1", "m:2")[i // 2 % 2]}
        for i in range(60)
    ]  # fmt: skip
    ingest(store, outputs, source=OUTPUTS, origin="unknown")
    return store


def draw(store: Store, name: str = "m", **more: Any) -> TrainingSet:
    """Draw nearly everything, human documents up to three times."""
    human = {"name": "human", "where": "origin = 'human'", "min": 0.6}
    spec = {"budget": {"words": 6_000}, "quotas": [human], "repeats": {"max": 3}, **more}
    return make_training_set(store, MixSpec(name=name, **spec))


def drawn(made: TrainingSet) -> list[dict[str, Any]]:
    """Return what the tables say of the draws, in order."""
    query = """
        SELECT i.position, d.* EXCLUDE (metadata), c.text, i.repeat, i.stratum, e.parents
        FROM training_set_item i JOIN document d USING (document_id) JOIN content c USING (content_id)
        LEFT JOIN (
            SELECT document_id, list(parent_id::VARCHAR ORDER BY parent_id) AS parents FROM parent GROUP BY ALL
        ) e USING (document_id)
        WHERE i.training_set = :name ORDER BY i.position
    """
    return rows(made.store, query, name=made.name)

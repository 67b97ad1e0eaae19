"""The commands, and what a model repeats of its training set."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from provenance.laundering.errors import NothingToCompare
from provenance.laundering.memorisation import measure_memorisation
from provenance.lineage.models import Model, register_model
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.store.store import Store
from tests.factories import ingest, prose, provenance, rows

N_TEXTS = 40


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with a model that copies every fourth text, whole or in part, from what it was trained on."""
    path = tmp_path_factory.mktemp("copier") / "s.duckdb"
    books = [prose(i, n_words=120) for i in range(N_TEXTS)]
    with Store.create(path) as store:
        ingest(store, [{"id": f"book {i}", "text": text} for i, text in enumerate(books)])
        make_training_set(store, MixSpec(name="set", budget="all", seed=1))
        register_model(store, Model("copier", "digest", "ngram", "set"))
        said = [prose(1000 + i, n_words=100) for i in range(N_TEXTS)]
        for i in range(0, N_TEXTS, 4):
            words = books[i].split()
            said[i] = books[i] if i % 8 else f"{' '.join(words[:60])} {prose(2000 + i, n_words=140)}"
        Random(1).shuffle(said)
        ingest(store, [{"id": f"said {i}", "text": text} for i, text in enumerate(said)], source="logs",
               origin="synthetic", model="copier")  # fmt: skip
        ingest(store, [{"id": "foreign", "text": prose(5000)}], source="others", origin="synthetic", model="elsewhere")
    return path


def test_the_share_that_a_model_repeats(copier: Path) -> None:
    with Store.open(copier) as store:
        found = measure_memorisation(store, "copier")
        assert (found.n_sampled, found.n_repeated, found.share) == (N_TEXTS, 10, 0.25)
        assert found.n_words == 30 * 100 + 5 * 120 + 5 * 200
        assert found.n_words_repeated == 5 * 120 + 5 * 60
        assert found.training_sets == ("set",)
        kinds = sorted((one.kind, one.n_words) for one in found.repeated)
        assert kinds == [("containment", 60)] * 5 + [("same text", 120)] * 5
        assert {one.trained_on["external_id"] for one in found.repeated} == {f"book {i}" for i in range(0, N_TEXTS, 4)}
        part = measure_memorisation(store, "copier", sample=12, seed=3)
        assert part == measure_memorisation(store, "copier", sample=12, seed=3)
        assert part.n_sampled == 12
        labels = rows(store, "SELECT DISTINCT origin FROM documents WHERE source = 'books'")
        assert labels == [{"origin": "human"}], "what a model was trained on stays people's"


def test_memorisation_command(copier: Path) -> None:
    shown = provenance("--store", copier, "memorisation", "copier")
    assert shown.code == 0, shown.err
    assert "10 of 40 texts by copier (25.00%) stand in what it was trained on (set)" in shown.out
    assert "book 12" in shown.out
    told = json.loads(provenance("--store", copier, "memorisation", "copier", "--sample", 5, "--json").out)
    assert told["n_sampled"] == 5
    for name, reason in (("elsewhere", "not trained on a training set"), ("nobody", "nobody")):
        refused = provenance("--store", copier, "memorisation", name)
        assert refused.code == 1
        assert reason in refused.err


def test_a_model_without_texts_is_refused(store: Store) -> None:
    ingest(store, [{"id": "book", "text": prose(1)}])
    make_training_set(store, MixSpec(name="set", budget="all", seed=1))
    register_model(store, Model("silent", "digest", "ngram", "set"))
    with pytest.raises(NothingToCompare, match="no text of 13 words or more"):
        measure_memorisation(store, "silent")


def test_laundering_command(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    output = prose(1, n_words=100)
    with Store.create(path) as store:
        ingest(store, [{"id": "first", "text": prose(2)}])
    assert provenance("--store", path, "laundering").out == "No document is like a text of a model.\n"
    with Store.open(path, writable=True) as store:
        ingest(store, [{"id": "out", "text": output}], source="logs", origin="synthetic", model="bot")
        ingest(store, [{"id": "copy", "text": output}], source="crawl")
    shown = provenance("--store", path, "laundering", "--model", "bot", "--verdict", "conflict")
    assert shown.code == 0
    assert "1 documents in conflict" not in shown.out
    assert "1 document in conflict" in shown.out
    assert "same text" in shown.out and "copy" in shown.out and "bot" in shown.out
    told = json.loads(provenance("--store", path, "laundering", "--json").out)
    assert (told["totals"], told["rows"][0]["ground"]) == ({"conflict": 1, "memorisation": 0}, "none")
    again = provenance("--store", path, "laundering", "--rescan")
    assert "compared 2 texts with 1 text of models" in again.err
    unknown = provenance("--store", path, "laundering", "--verdict", "guilty")
    assert (unknown.code, "conflict" in unknown.err) == (1, True)
    [copy] = [row["document_id"] for row in told["rows"]]
    why = provenance("--store", path, "why", copy)
    assert "laundering" in why.out and "bot" in why.out

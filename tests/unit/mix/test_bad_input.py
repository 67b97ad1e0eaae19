"""Mixes that ask for what cannot be, over stores that hold odd documents: each gets its clear answer."""

from __future__ import annotations

import gzip
import json

import pytest

from provenance.errors import NameTaken
from provenance.mix.errors import EvaluationSetUnreadable, InfeasibleMix, TokenizerUnavailable
from provenance.mix.make import make_training_set, plan_mix
from provenance.mix.spec import MixSpec
from provenance.mix.verify import verify
from tests.unit.mix.corpus import add_documents, byte_tokenizer, document, make_text


def mix(name="m", budget=None, **more):
    return MixSpec(name=name, budget=budget or {"words": 2_000}, **more)


def ids(training_set):
    return {row["external_id"] for row in training_set}


def test_a_held_out_set_that_is_the_whole_store(store):
    make_training_set(store, mix("heldout", "all", duplicates="all", order="shuffled"))
    with pytest.raises(InfeasibleMix) as refused:
        make_training_set(store, mix(exclude={"training_sets": ["heldout"]}))
    assert (refused.value.reason, refused.value.available, refused.value.largest_budget) == ("budget", 0, 0)


def test_one_enormous_document(make_store):
    store = make_store()
    add_documents(store, [document("giant", 5_000), *(document(f"d{i}", 10) for i in range(20))])
    made = make_training_set(store, mix(budget={"words": 150}))
    assert "giant" not in ids(made)
    assert made.manifest["candidates"]["left_out"]["too_large"] == 1
    long = {"name": "long", "where": "n_words > 1000", "max": 0.5}
    with pytest.raises(InfeasibleMix) as refused:
        make_training_set(store, mix("n", {"words": 5_200}, quotas=[long]))
    assert refused.value.reason == "whole documents"
    assert refused.value.largest_budget == 200  # all but the giant


def test_documents_without_words(make_store):
    store = make_store()
    rows = [document(f"d{i}", 10) for i in range(20)]
    add_documents(store, [document("marks", text="!!! ???") | {"n_words": 0}, *rows])
    made = make_training_set(store, mix(budget={"words": 100}))
    assert made.manifest["candidates"]["left_out"]["empty"] == 1
    assert verify(store, "m").violations == ()


def test_an_unknown_generation_counts_for_a_maximum_and_against_a_minimum(store):
    far = {"name": "far", "where": "generation >= 3", "max": 0.0}
    made = make_training_set(store, mix(quotas=[far], where="origin <> 'human' OR generation = 0"))
    assert all(row["generation"] is not None and row["generation"] < 3 for row in made)
    near = {"name": "near", "where": "generation <= 3", "min": 1}
    assert all(row["generation"] is not None for row in make_training_set(store, mix("n", quotas=[near])))


# ---------------------------------------------------------------- decontamination


def test_evaluation_files_of_any_format(store, tmp_path):
    quoted = {f"h{i}": make_text(f"h{i}", 40 + i % 21) for i in (1, 2, 3)}
    middle = " ".join(quoted["h1"].split()[5:18])  # 13 words of it, in an answer of several fields
    record = {"id": 1, "question": "Which?", "answers": [{"text": f"So: {middle}."}]}
    (tmp_path / "qa.jsonl").write_text(json.dumps(record))
    with gzip.open(tmp_path / "more.csv.gz", "wt") as file:
        file.write(f'a,b\nx,"{quoted["h2"]}"\n')
    (tmp_path / "near.txt").write_text(" ".join(quoted["h3"].split()[:12]))  # one word short of a run
    files = [str(tmp_path / name) for name in ("qa.jsonl", "more.csv.gz", "near.txt")]
    made = make_training_set(store, mix(budget={"documents": 548}, decontaminate={"against": files}))
    assert {"h1", "h2"}.isdisjoint(ids(made))
    assert "h3" in ids(made)
    claim = made.manifest["decontaminate"]
    assert claim["n_excluded"] == 2
    assert [(f["n_texts"], f["n_short"]) for f in claim["files"]] == [(2, 1), (2, 1), (1, 1)]
    assert verify(store, "m").violations == ()
    (tmp_path / "qa.jsonl").unlink()
    assert any("decontaminate" in unchecked.claim for unchecked in verify(store, "m").unchecked)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file|not found|No such"), (b'{"a": "b"}\n{broken\n', "line 2 cannot be read")],
)
def test_an_evaluation_file_that_cannot_be_read(store, tmp_path, content, reason):
    path = tmp_path / "eval.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvaluationSetUnreadable, match=reason):
        make_training_set(store, mix(decontaminate={"against": [str(path)]}))
    assert store.fetch("SELECT count(*) AS n FROM training_set")["n"][0].as_py() == 0


# ---------------------------------------------------------------- tokenizers


def test_a_tokenizer_in_a_folder_is_stored_and_must_stay_as_it_is(store, tmp_path):
    (tmp_path / "tokenizer.json").write_text(byte_tokenizer())
    spec = mix(budget={"tokens": 20_000}, tokenizer=str(tmp_path))
    made = make_training_set(store, spec)
    assert made.manifest["totals"]["tokens"] == made.manifest["totals"]["bytes"]
    assert verify(store, "m").violations == ()
    assert plan_mix(store, spec).manifest["digest"] == made.digest
    (tmp_path / "tokenizer.json").write_text(byte_tokenizer(template=True))
    with pytest.raises(NameTaken):
        make_training_set(store, mix("n", {"tokens": 20_000}, tokenizer=str(tmp_path)))


def test_the_tokenizer_of_a_model_of_the_store(store, tmp_path):
    from datetime import UTC, datetime

    from sqlalchemy import insert

    from provenance.store import schema

    (tmp_path / "tokenizer.json").write_text(byte_tokenizer())
    row = {"name": "our-model", "path": str(tmp_path), "created_at": datetime.now(UTC).replace(tzinfo=None)}
    with store.transaction() as connection:
        connection.execute(insert(schema.model), row)
    made = make_training_set(store, mix(budget={"tokens": 20_000}, tokenizer="our-model"))
    assert made.manifest["tokenizer"]["name"] == "our-model"


def test_a_tokenizer_that_cannot_be_had(store, tmp_path, monkeypatch):
    monkeypatch.setattr("provenance.mix.tokens._hub_answers", lambda: False)
    with pytest.raises(TokenizerUnavailable, match="cannot be reached"):
        make_training_set(store, mix(budget={"tokens": 20_000}, tokenizer="some-org/some-model"))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Exception, match="cannot be loaded"):
        make_training_set(store, mix(budget={"tokens": 20_000}, tokenizer=str(tmp_path)))

"""Experiments that ship, made so small that they run in seconds (whether they show what they are for: scripts/)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from provenance.demo.corpus import read_corpus
from provenance.store.store import Store
from tests.factories import REPOSITORY, ingest, rows
from tests.training.loop_factory import metrics
from training.experiment import Experiment
from training.loop import run_experiment
from training.report.make import write_report


def shrunk(name: str, **changes: Any) -> Experiment:
    """Return an experiment that ships, with less of everything that takes time."""
    settings = yaml.safe_load((REPOSITORY / "training" / "experiments" / f"{name}.yaml").read_text(encoding="utf-8"))
    return Experiment.from_mapping({**settings, "evaluation": {"tokens": 300, "heldout_tokens": 600}, **changes})


def test_reduced_protocol_of_the_study(store: Store, tmp_path: Path) -> None:
    """Beams continue the blocks of the original text, and the followed prompt is in the report, model by model."""
    words = [word for record, _ in zip(read_corpus(), range(12), strict=False) for word in record["text"].split()]
    texts = [" ".join(words[at : at + 40]) for at in range(0, len(words), 40)]
    records = [{"id": f"wiki.{'test' if i < 10 else 'train'}.{i}", "text": text} for i, text in enumerate(texts)]
    ingest(store, records, source="wikitext-2")
    experiment = shrunk(
        "opt125m-wikitext2-reduced",
        learner={"name": "transformer", "n_layers": 1, "width": 16, "n_heads": 2, "feedforward_width": 32},
        tokenizer={"vocab_size": 500},
        first={"words": 1_500, "epochs": 1, "learning_rate": 1e-2},
        later={"tokens": 800, "epochs": 1, "learning_rate": 1e-3, "init": "previous"},
        generations=1,
    )
    assert (experiment.decoding.beams, experiment.block_length, experiment.prompt_source) == (5, 64, "human")
    assert any("master mason" in prompt for prompt in experiment.follow)
    run_experiment(store, experiment, out=tmp_path / "out", jobs=1)
    arms = {arm for arm, _, generation in metrics(store, experiment.name) if generation == 1}
    assert arms == {"replace", "keep-10", "human", "human-only-keep-10"}
    drawn = rows(
        store,
        """SELECT training_set, sum(n_tokens) FILTER (origin = 'human') / sum(n_tokens) AS share, min(d.n) AS kept
           FROM training_set_documents t LEFT JOIN (
               SELECT document_id, count(*) AS n FROM training_set_documents
               WHERE training_set LIKE '%shared%' GROUP BY ALL
           ) d ON d.document_id = t.document_id AND t.origin = 'human'
           WHERE training_set LIKE '%.keep-10.s1.g1' GROUP BY ALL""",
    )
    assert 0.1 <= drawn[0]["share"] < 0.3 and drawn[0]["kept"] == 1  # a tenth of the original text, not of fresh text
    prompted = rows(
        store,
        """SELECT count(*) AS n, count(p.parent_id) AS prompted
           FROM documents d LEFT JOIN parent p USING (document_id) WHERE d.source LIKE '%.replace.s1.g1'""",
    )
    assert prompted[0]["n"] > 0 and prompted[0]["prompted"] >= prompted[0]["n"]
    page = tmp_path / "report.html"
    write_report(store, experiment.name, page)
    assert "master mason" in page.read_text(encoding="utf-8")


def test_unknown_text_taken_left_or_judged(store: Store, tmp_path: Path) -> None:
    """As human, unknown text is drawn for the quota; excluded, never; a detector admits some of it."""
    records = [record for record, _ in zip(read_corpus(), range(90), strict=False)]
    held = [one["metadata"]["address"] for one in records]
    known = [one for one in records if one["metadata"]["address"] != held[0]]
    ingest(store, [one for one in records if one["metadata"]["address"] == held[0]], source="annual-messages")
    ingest(store, known[::2], source="annual-messages")
    ingest(
        store,
        [{"id": f"u{i}", "text": one["text"]} for i, one in enumerate(known[1::2])],
        source="crawl",
        origin="unknown",
    )
    experiment = shrunk(
        "detect",
        heldout=f"metadata->>'address' = '{held[0]}'",
        learner={"name": "ngram", "sample_length": 128},
        block_length=32,
        first={"words": 2_000},
        later={"tokens": 1_500},
        generations=1,
        seeds=[1],
    )
    run_experiment(store, experiment, out=tmp_path / "out", jobs=1)
    drawn = {
        row["arm"]: row["n"]
        for row in rows(
            store,
            """SELECT split_part(training_set, '.', 2) AS arm, count(*) FILTER (origin = 'unknown') AS n
               FROM training_set_documents WHERE training_set LIKE 'detect.%.g1' GROUP BY ALL""",
        )
    }
    assert drawn["as-human"] > 0 and drawn["excluded"] == 0 and drawn["human"] == 0
    # Which of them the detector admits is stored with every one: its mix draws those and no other.
    judged = rows(
        store,
        """SELECT a.boolean AS admitted, count(*) AS n, count(t.document_id) AS drawn FROM annotations a
           LEFT JOIN training_set_documents t
             ON t.document_id = a.document_id AND t.training_set LIKE 'detect.detector.%.g1'
           JOIN documents d ON d.document_id = a.document_id
           WHERE d.origin = 'unknown' AND a.boolean IS NOT NULL GROUP BY ALL""",
    )
    assert sum(row["n"] for row in judged) == len(known[1::2])
    assert sum(row["drawn"] for row in judged if not row["admitted"]) == 0

"""The main job by the commands that a user types, in real processes, on real text."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from provenance.demo.corpus import read_corpus
from provenance.demo.crawl import CrawlCounts, generated_crawl, planted_crawl, write_jsonl

N_DOCUMENTS = 250
EXPERIMENT = """
name: small
corpus: source = 'annual-messages'
heldout: metadata->>'address' IN ('1797-Adams-1', '1801-Jefferson-1')
learner: {name: ngram}
tokenizer: {vocab_size: 20_000}
block_length: 64
first: {words: 20_000}
later: {tokens: 10_000}
evaluation: {tokens: 2_000}
arms:
  - {name: replace, regime: replace}
  - {name: quota, regime: quota, share: 0.5}
  - {name: human, regime: human}
generations: 2
seeds: [1]
"""
REFUSED = """
name: refused
budget: {words: 50_000}
quotas:
  - {name: from the web, where: "source = 'crawl'", min: 0.9}
"""
MADE = """
name: made
budget: {words: 50_000}
quotas:
  - {name: human, where: "origin = 'human'", min: 0.95}
seed: 3
"""


class Commands:
    """Runs commands against one store and checks their exit status."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "e2e.duckdb"

    def run(self, program: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def provenance(self, *arguments: object, status: int = 0) -> str:
        return self.run("provenance", "--store", self.store, *arguments, status=status).stdout

    def rows(self, query: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.provenance("sql", query, "--format", "json"))
        return found


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Return commands on a store that the whole main job has been through."""
    folder = tmp_path_factory.mktemp("e2e")
    run = Commands(folder)
    corpus = list(islice(read_corpus(), N_DOCUMENTS))
    counts = CrawlCounts(verbatim=10, edited=20, truncated=5, unrelated=30)
    write_jsonl(folder / "corpus.jsonl", corpus)
    write_jsonl(folder / "crawl.jsonl", planted_crawl(corpus, counts=counts))
    (folder / "small.yaml").write_text(EXPERIMENT)
    run.provenance("init")
    run.provenance("ingest", folder / "corpus.jsonl", "--source", "annual-messages", "--origin", "human")
    run.provenance("ingest", folder / "crawl.jsonl", "--source", "crawl", "--origin", "unknown")
    run.run("recurse", "run", folder / "small.yaml", "--store", run.store, "--out", folder / "loop")
    generated = run.rows("SELECT document_id, text FROM documents WHERE origin = 'synthetic' ORDER BY document_id")
    pages = generated_crawl(generated, n_pages=12, n_unrelated=5)
    write_jsonl(folder / "later.jsonl", pages)
    run.provenance("ingest", folder / "later.jsonl", "--source", "later-crawl", "--origin", "unknown")
    return run


def test_planted_copies_are_found_and_nothing_else(commands: Commands) -> None:
    rows = commands.rows(
        """SELECT d.metadata->>'kind' AS kind, count(*) AS pages,
                  count(*) FILTER (list_contains(c.sources, 'annual-messages')) AS found
           FROM documents d LEFT JOIN clusters c USING (cluster_id) WHERE d.source = 'crawl' GROUP BY ALL"""
    )
    found = {row["kind"]: (row["found"], row["pages"]) for row in rows}
    assert found["verbatim"] == (10, 10)
    assert found["unrelated"] == (0, 30)
    n_found, n_pages = found["edited"]
    assert n_pages == 20
    assert int(str(n_found)) >= 16


def test_a_mix_is_refused_with_numbers_or_made_and_verified(commands: Commands) -> None:
    (commands.folder / "refused.yaml").write_text(REFUSED)
    (commands.folder / "made.yaml").write_text(MADE)
    refusal = commands.run("provenance", "--store", commands.store, "mix", "refused.yaml", status=1)
    assert "45,000" in refusal.stderr  # 0.9 of 50,000 words are needed
    assert "Traceback" not in refusal.stderr
    commands.provenance("mix", "made.yaml")
    assert "as drawn: holds" in commands.provenance("verify", "made")
    (human,) = commands.rows(
        """SELECT sum(n_words) FILTER (origin = 'human') AS human, sum(n_words) AS words
           FROM training_set_documents WHERE training_set = 'made'"""
    )
    assert int(str(human["human"])) * 100 >= 95 * int(str(human["words"]))
    commands.provenance("export", "made", "--format", "jsonl", "--out", "made.jsonl")
    lines = (commands.folder / "made.jsonl").read_text("utf-8").splitlines()
    (count,) = commands.rows("SELECT n_documents FROM training_sets WHERE name = 'made'")
    assert len(lines) == count["n_documents"]


def test_generated_text_carries_its_model_training_set_and_generation(commands: Commands) -> None:
    rows = commands.rows(
        """SELECT DISTINCT l.model, l.generation, l.training_set FROM lineage l
           JOIN documents d USING (document_id) WHERE d.origin = 'synthetic' ORDER BY ALL"""
    )
    assert {row["generation"] for row in rows} == {1, 2, 3}  # that of the training text and one more
    assert all(row["training_set"] for row in rows)
    loop = commands.rows(
        """SELECT training_set, sum(n_tokens) FILTER (origin = 'human') AS human, sum(n_tokens) AS tokens
           FROM training_set_documents WHERE training_set LIKE 'small.quota.%' GROUP BY ALL"""
    )
    assert len(loop) == 2
    assert all(2 * int(str(row["human"])) >= int(str(row["tokens"])) for row in loop)


def test_no_held_out_text_is_ever_trained_on(commands: Commands) -> None:
    (row,) = commands.rows(
        """SELECT count(*) AS n FROM training_set_documents t JOIN documents d USING (document_id)
           WHERE t.training_set LIKE 'small.%' AND t.training_set NOT LIKE '%heldout%'
             AND (d.metadata->>'address') IN ('1797-Adams-1', '1801-Jefferson-1')"""
    )
    assert row["n"] == 0


def test_a_models_output_that_comes_back_is_recognised_with_the_model_named(commands: Commands) -> None:
    rows = commands.rows(
        """SELECT d.metadata->>'kind' AS kind, d.origin, c.models FROM documents d
           LEFT JOIN clusters c USING (cluster_id) WHERE d.source = 'later-crawl'"""
    )
    copies = [row for row in rows if row["kind"] != "unrelated"]
    assert sum(bool(row["models"]) for row in copies) >= 0.75 * len(copies) > 0
    assert not any(row["models"] for row in rows if row["kind"] == "unrelated")
    assert all(row["origin"] == "unknown" for row in rows)  # recognised or not, it is never human


def test_the_store_is_whole_and_the_report_is_one_page(commands: Commands) -> None:
    commands.provenance("check")
    commands.run("recurse", "report", "small", "--store", commands.store, "--out", "report.html")
    page = (commands.folder / "report.html").read_text("utf-8")
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    again = commands.run("recurse", "run", "small.yaml", "--store", commands.store, "--out", "loop", "--json")
    assert json.loads(again.stdout)["made_now"] == 0

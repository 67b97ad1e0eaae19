"""The whole path once through on the embedded corpus, by the commands that a user types.

Run by `make demo`. Leaves a store, a report and everything between them in `demo-output/`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from provenance.demo.corpus import corpus_path, read_corpus
from provenance.demo.crawl import generated_crawl, planted_crawl, write_jsonl

#: Marks a folder as ours, so that nobody else's is emptied.
_MARK = ".made-by-the-demo"

_COPIES = """
SELECT d.metadata->>'kind' AS planted_as, count(*) AS pages,
       count(*) FILTER (list_contains(c.sources, 'annual-messages')) AS recognised_as_copies
FROM documents d LEFT JOIN clusters c USING (cluster_id)
WHERE d.source = 'crawl' GROUP BY ALL ORDER BY ALL
"""
_COMPOSITION = """
SELECT source, origin, licence_class, sum(n_documents) AS documents, sum(n_representatives) AS unique_documents,
       sum(n_words) AS words
FROM composition GROUP BY ALL ORDER BY words DESC
"""
_GENERATED = "SELECT document_id, text FROM documents WHERE origin = 'synthetic' AND n_words >= 40 ORDER BY document_id"
_RETURNED = """
SELECT m.model AS copied_from_model, m.generation, count(DISTINCT c.document_id) AS pages
FROM documents c JOIN documents m USING (cluster_id)
WHERE c.source = 'crawl-2' AND m.origin = 'synthetic' GROUP BY ALL ORDER BY ALL
"""
_RETURNED_IN_ALL = """
SELECT count(*) AS pages, count(*) FILTER (len(c.models) > 0) AS recognised_as_a_models_output,
       count(*) FILTER (d.origin = 'human') AS counted_as_human
FROM documents d LEFT JOIN clusters c USING (cluster_id) WHERE d.source = 'crawl-2'
"""
_TOO_MUCH = """\
name: too-much
budget: {words: 500_000}
quotas:
  - {name: human, where: "origin = 'human'", min: 0.6}
  - {name: from the web, where: "source = 'crawl'", min: 0.3}
seed: 7
"""
_PRETRAIN = """\
name: pretrain
budget: {words: 500_000}
where: n_words >= 20
quotas:
  - {name: human, where: "origin = 'human'", min: 0.95}
  - {name: nobody vouches for, where: "origin = 'unknown'", max: 0.05}
weights: {source: {annual-messages: 19, crawl: 1}}
seed: 7
"""


def main() -> None:
    """Run the demonstration in ./demo-output."""
    Demo(Path("demo-output")).run()


class Demo:
    """The steps of the demonstration, in the order in which data flows."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.store = out / "demo.duckdb"
        self.started = time.monotonic()

    def run(self) -> None:
        """Run every step; stops at the first that does not do what it should."""
        _empty(self.out)
        self._heading("1  Human text goes in: every US presidential annual message since 1790")
        self._provenance("init")
        self._provenance("ingest", corpus_path(), "--source", "annual-messages", "--origin", "human")

        self._heading("2  A crawl of unknown origin, with planted copies: what is a copy of what?")
        crawl = write_jsonl(self.out / "crawl.jsonl", planted_crawl(read_corpus()))
        self._provenance("ingest", crawl, "--source", "crawl", "--origin", "unknown")
        self._provenance("sql", _COPIES)
        self._say("(Near-duplicates are found from a Jaccard similarity of 0.7 on: a truncation that")
        self._say(" keeps less than that of its original is none.)")
        self._provenance("clusters", "--source", "crawl", "--limit", "5")

        self._heading("3  How human is it?")
        self._provenance("stats")
        self._provenance("sql", _COMPOSITION)

        self._heading("4  A mix that cannot be had is refused with numbers; one that can is made and proved")
        self._mix("too-much.yaml", _TOO_MUCH, refused=True)
        self._mix("pretrain.yaml", _PRETRAIN, refused=False)
        self._provenance("verify", "pretrain")
        self._provenance("export", "pretrain", "--format", "jsonl", "--out", self.out / "pretrain.jsonl")

        self._heading("5  Models trained on their own output, with and without a human quota (about three minutes)")
        self._recurse("run", "demo", "--store", self.store, "--out", self.out / "loop")

        self._heading("6  The models' output comes back as another crawl: is it recognised?")
        self._return_as_crawl()
        self._provenance("sql", _RETURNED)
        self._provenance("sql", _RETURNED_IN_ALL)

        self._heading("7  What happened to the models")
        self._provenance("check")
        self._recurse("report", "demo", "--store", self.store, "--out", self.out / "report.html")
        self._farewell()

    def _mix(self, name: str, spec: str, *, refused: bool) -> None:
        path = self.out / name
        path.write_text(spec, encoding="utf-8")
        self._say(f"{path}:\n" + "\n".join(f"    {line}" for line in spec.splitlines()))
        self._provenance("mix", path, status=1 if refused else 0)

    def _return_as_crawl(self) -> None:
        from provenance.store.store import Store

        with Store.open(self.store) as store:
            generated = store.sql(_GENERATED).arrow().to_pylist()
        crawl = write_jsonl(self.out / "crawl-2.jsonl", generated_crawl(generated))
        self._provenance("ingest", crawl, "--source", "crawl-2", "--origin", "unknown")

    def _provenance(self, *arguments: object, status: int = 0) -> None:
        self._command("provenance", "--store", self.store, *arguments, status=status)

    def _recurse(self, *arguments: object) -> None:
        self._command("recurse", *arguments, status=0)

    def _command(self, program: str, *arguments: object, status: int) -> None:
        words = [str(argument) for argument in arguments]
        self._say(f"\n$ {program} {' '.join(_quoted(word) for word in words)}")
        command = [str(Path(sys.executable).with_name(program)), *words]
        done = subprocess.run(command, env=_environment(), check=False)  # noqa: S603 (our own commands)
        if done.returncode != status:
            self._say(f"\nThe demonstration stopped: exit status {done.returncode}, expected {status}.")
            raise SystemExit(1)

    def _heading(self, text: str) -> None:
        self._say(f"\n{'─' * 100}\n{text}\n{'─' * 100}")

    def _farewell(self) -> None:
        seconds = time.monotonic() - self.started
        store = shlex.quote(str(self.store))
        self._say(
            f"\nDone in {seconds / 60:.1f} minutes. The report: {self.out / 'report.html'} (open it in a browser)"
        )
        self._say("Try next, on the store that is left behind (in this folder, after: . .venv/bin/activate):")
        self._say(f"  provenance --store {store} schema")
        self._say(
            f"  provenance --store {store} sql "
            "\"SELECT arm, generation, value FROM runs WHERE metric = 'heldout_ce' ORDER BY ALL\""
        )
        self._say(
            f"  provenance --store {store} sql "
            '"SELECT model, generation, text FROM documents WHERE generation = 4 LIMIT 3"'
        )

    def _say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _empty(folder: Path) -> None:
    """Make the folder anew; refuse to touch one that the demonstration did not make."""
    if folder.exists():
        if not (folder / _MARK).exists():
            sys.stderr.write(f"{folder} exists and was not made by the demonstration: move it away first.\n")
            raise SystemExit(1)
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / _MARK).touch()


def _environment() -> dict[str, str]:
    return {"OMP_WAIT_POLICY": "passive", **os.environ}


def _quoted(word: str) -> str:
    word = word.strip()
    return f'"{word}"' if "\n" in word or " " in word else word


if __name__ == "__main__":
    main()

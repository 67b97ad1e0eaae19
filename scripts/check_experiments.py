"""Run experiments that ship and say whether they show what is expected of them.

Every experiment gets a store of its own in --out, made from the embedded corpus (that of WikiText-2 from --wikitext, a
folder with wiki.train.raw and wiki.test.raw). Run again, the same command goes on where it was. Status 1 if something
expected was not seen.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from _bench_commands import text_table
from _expected_outcomes import EXPECTED, LIMITS_MIN, Measured, Outcome

BIN = Path(sys.executable).parent
ODD = "substr(metadata->>'address', 4, 1)::INT % 2 = 1"
WRITTEN = "model LIKE 'ladder-ngram.replace.s_.g2' OR model LIKE 'ladder-ngram.quota%.g2'"


class Bench:
    """Makes stores and runs experiments in a folder."""

    def __init__(self, out: Path, wikitext: Path | None) -> None:
        self.out, self.wikitext = out, wikitext
        out.mkdir(parents=True, exist_ok=True)

    def store(self, experiment: str) -> Path:
        """Return the store of an experiment, made and filled if there is none."""
        path = self.out / f"{experiment}.duckdb"
        if not path.is_file():
            made = path.with_suffix(".making")
            made.unlink(missing_ok=True)
            self._provenance(made, "init")
            form = ("--format", "wikitext") if experiment.startswith("opt125m") else ()
            for files, source, origin in self._texts(experiment):
                self._provenance(made, "ingest", *files, "--source", source, "--origin", origin, *form)
            made.rename(path)
        return path

    def run(self, experiment: str) -> float:
        """Run an experiment to its end and return the seconds that it took."""
        store = self.store(experiment)
        began = time.perf_counter()
        _run(BIN / "recurse", "run", experiment, "--store", store, "--out", self.out / experiment)
        return time.perf_counter() - began

    def _texts(self, experiment: str) -> list[tuple[list[Path], str, str]]:
        """Return files, source and origin of what an experiment reads."""
        if experiment in ("theory", "three-errors"):
            _run(sys.executable, Path(__file__).with_name("theory.py"), "--corpus", self.out / "exact")
            return [([self.out / "exact" / f"{name}.jsonl"], name, "human") for name in ("words", "two-components")]
        if experiment == "opt125m-wikitext2-reduced":
            if self.wikitext is None:
                raise SystemExit(f"{experiment} needs --wikitext, a folder with wiki.train.raw and wiki.test.raw.")
            files = [self.wikitext / f"wiki.{part}.raw" for part in ("train", "test")]
            return [(files, "wikitext-2", "human")]
        if experiment == "detect":
            return self._crawl()
        return [([_corpus()], "annual-messages", "human")]

    def _crawl(self) -> list[tuple[list[Path], str, str]]:
        """Return the messages of odd years, and those of even years among what the models of ladder-ngram wrote."""
        ladder = self.out / "ladder-ngram.duckdb"
        if not ladder.is_file():
            self.run("ladder-ngram")
        own = "source = 'annual-messages'"
        queries = {
            "odd": "SELECT external_id AS id, text, metadata->>'address' AS address "
            f"FROM documents WHERE {own} AND {ODD}",
            "even": f"SELECT 'human-' || external_id AS id, text FROM documents WHERE {own} AND NOT ({ODD})",
            "model": f"SELECT 'model-' || document_id AS id, text FROM documents WHERE {WRITTEN}",
        }
        files = {name: self.out / f"{name}.parquet" for name in queries}
        for name, query in queries.items():
            self._provenance(ladder, "sql", query, "--format", "parquet", "--out", files[name])
        return [([files["odd"]], "annual-messages", "human"), ([files["even"], files["model"]], "crawl", "unknown")]

    def _provenance(self, store: Path, *arguments: str | Path) -> None:
        _run(BIN / "provenance", "--store", store, *arguments)


def _corpus() -> Path:
    from provenance.demo.corpus import corpus_path

    return corpus_path()


def _run(*command: str | Path) -> None:
    ended = subprocess.run([str(part) for part in command], stdout=sys.stderr)
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed with status {ended.returncode}")


def report(experiment: str, store: Path, seconds: float | None) -> bool:
    """Print what was expected and what was seen; return whether all of it holds."""
    measured = Measured(store, experiment)
    outcomes = EXPECTED[experiment](measured)
    limit = LIMITS_MIN.get(experiment)
    if limit is not None and seconds is not None:
        minutes = seconds / 60
        outcomes.append(Outcome(f"at most {limit:g} minutes", f"{minutes:.1f}", minutes <= limit))
    print(f"\n{experiment}: {len(measured.seeds)} seeds, {measured.last} generations")
    rows = [(one.expected, one.seen, "holds" if one.holds else "DOES NOT HOLD") for one in outcomes]
    print(text_table(("expected", "seen", ""), rows))
    return all(one.holds for one in outcomes)


def main(argv: Sequence[str] | None = None) -> int:
    """Run and check the experiments that are asked for; return 1 if something expected was not seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", choices=sorted(EXPECTED), metavar="EXPERIMENT",
                        help="any of: " + ", ".join(sorted(EXPECTED)))  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("experiments-output"), help="default: %(default)s")
    parser.add_argument("--wikitext", type=Path, metavar="FOLDER", help="WikiText-2, raw")
    parser.add_argument("--no-run", action="store_true", help="check what is there")
    arguments = parser.parse_args(argv)
    bench = Bench(arguments.out, arguments.wikitext)
    hold = []
    for experiment in arguments.experiments:
        seconds = None if arguments.no_run else bench.run(experiment)
        hold.append(report(experiment, bench.out / f"{experiment}.duckdb", seconds))
    return 0 if all(hold) else 1


if __name__ == "__main__":
    sys.exit(main())

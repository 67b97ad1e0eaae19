"""How much generated text is found when it comes back as people's, by what was done to it, and at what cost.

A bigram model is fitted on every second document of the embedded corpus and writes texts as long as the others. These
enter a store as the model's, then what was made of them enters as people's: copied, cut, joined, with other case and
punctuation, with words replaced, quoted inside people's text. Beside it stand the false alarms on people's text, also
on what they write from templates that a model uses too, a model that copies from what it was trained on, and what the
search costs an ingest.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import _bench
import _bench_templates

if TYPE_CHECKING:
    from provenance.store.store import Store

#: Words of an output inside a quotation.
N_QUOTED = 80
_FOUND = """
    SELECT d.source, count(DISTINCT d.document_id) AS n, count(DISTINCT l.document_id) AS n_found
    FROM document d LEFT JOIN (FROM laundering WHERE verdict = 'conflict') l USING (document_id) GROUP BY ALL
"""


def replaced(text: str, share: float, vocabulary: Sequence[str], chance: Random) -> str:
    """Return a text with a share of its words replaced by others."""
    return " ".join(chance.choice(vocabulary) if chance.random() < share else word for word in text.split())


def quoting(output: str, human: str, chance: Random) -> str:
    """Return people's text with a run of an output's words in the middle."""
    words, around = output.split(), human.split()
    start = chance.randrange(max(1, len(words) - N_QUOTED))
    half = len(around) // 2
    return " ".join([*around[:half], *words[start : start + N_QUOTED], *around[half:]])


def disguises(outputs: Sequence[str], human: Sequence[str]) -> dict[str, list[str]]:
    """Return what is done to outputs, and the texts that come of it."""
    chance = Random(0)
    vocabulary = sorted({word for text in human for word in text.split()})
    n = len(outputs)
    found = {
        "copied": list(outputs),
        "first half": [" ".join(text.split()[: len(text.split()) // 2]) for text in outputs],
        "two joined": [f"{text} {outputs[(i + 1) % n]}" for i, text in enumerate(outputs)],
        "case and punctuation": [text.upper().replace(",", ";").replace(" ", " - ") for text in outputs],
    }
    for share in (0.05, 0.1, 0.2, 0.4):
        found[f"{share:.0%} of words replaced"] = [replaced(text, share, vocabulary, chance) for text in outputs]
    found[f"{N_QUOTED} words quoted"] = [quoting(text, human[i % len(human)], chance) for i, text in enumerate(outputs)]
    return found


def enter(store: Store, name: str, texts: Sequence[str], *, origin: str, model: str | None = None) -> float:
    """Ingest texts as a source of their own and return the seconds it took."""
    from provenance.ingest.pipeline import ingest_records
    from provenance.records import Claim

    records = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    start = time.perf_counter()
    ingest_records(store, records, name=name, source=name, claim=Claim.make(origin, model=model))
    return time.perf_counter() - start


def shares(store: Store) -> dict[str, float]:
    """Return the share of each source's documents that are in conflict."""
    return {row["source"]: row["n_found"] / row["n"] for row in store.fetch(_FOUND).to_pylist()}


def in_a_store(work: Callable[[Store], Mapping[str, float]]) -> Mapping[str, float]:
    """Return what is measured in a store of its own."""
    from provenance.store.store import Store

    with tempfile.TemporaryDirectory(prefix="bench-laundering-") as folder:
        with Store.create(Path(folder) / "bench.duckdb") as store:
            return work(store)


def detection(outputs: Sequence[str], human: Sequence[str], unseen: Sequence[str]) -> Mapping[str, float]:
    """Return the share found by disguise, and of people's text."""

    def work(store: Store) -> Mapping[str, float]:
        enter(store, "outputs", outputs, origin="synthetic", model="bigram")
        for name, texts in disguises(outputs, unseen).items():
            enter(store, name, texts, origin="human")
        enter(store, "people's text", human, origin="human")
        return shares(store)

    return in_a_store(work)


def among_people(human: Sequence[str], others: Sequence[str]) -> Mapping[str, float]:
    """Return the share of people's texts that are like other people's, which pass for a model's here.

    That is the hard case: they quote the same laws and treaties, and one another.
    """

    def work(store: Store) -> Mapping[str, float]:
        enter(store, "outputs", human, origin="synthetic", model="people")
        enter(store, "others", others, origin="human")
        return shares(store)

    return in_a_store(work)


def templated(n: int) -> Mapping[str, float]:
    """Return by template which share of people's texts made from it is like some of a model's made from the same."""
    chance = Random(0)

    def work(store: Store) -> Mapping[str, float]:
        for origin, prefix in (("synthetic", "model's "), ("human", "")):
            for name, template in _bench_templates.TEMPLATES.items():
                texts = [_bench_templates.filled(template, chance) for _ in range(n)]
                enter(store, prefix + name, texts, origin=origin, model="writer" if prefix else None)
        return shares(store)

    return in_a_store(work)


def copying(human: Sequence[str], outputs: Sequence[str]) -> Mapping[str, float]:
    """Return what happens to people's text of which a model copies a part, and to later copies of the same."""
    from provenance.laundering.memorisation import measure_memorisation
    from provenance.lineage.models import Model, register_model
    from provenance.mix.make import make_training_set
    from provenance.mix.spec import MixSpec

    def work(store: Store) -> Mapping[str, float]:
        enter(store, "training text", human, origin="human")
        make_training_set(store, MixSpec(name="set", budget="all", seed=1))
        register_model(store, Model("copier", "0" * 64, "ngram", "set"))
        said = [human[i] if i % 4 == 0 else text for i, text in enumerate(outputs)]
        enter(store, "outputs", said, origin="synthetic", model="copier")
        enter(store, "later copies", [f"{text} Again." for text in human[: len(outputs)]], origin="human")
        return {**shares(store), "repeated": measure_memorisation(store, "copier", sample=len(said)).share}

    return in_a_store(work)


def cost(human: Sequence[str], outputs: Sequence[str]) -> Mapping[str, float]:
    """Return the seconds that an ingest of people's text takes, by what the store holds."""

    def beside(other: Sequence[str], origin: str) -> Callable[[Store], Mapping[str, float]]:
        def work(store: Store) -> Mapping[str, float]:
            enter(store, "before", other, origin=origin)
            return {"seconds": enter(store, "people's text", human, origin="human")}

        return work

    return {
        name: median(in_a_store(beside(outputs, origin))["seconds"] for _ in range(3))
        for name, origin in (("no text of a model", "human"), ("texts of a model", "synthetic"))
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write, disguise, ingest and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=int, default=1000, help="texts that the model writes (default: 1000)")
    arguments = parser.parse_args(argv)
    os.environ.update(_bench.one_thread())
    load = _bench.load()
    from bench_detector import fit_model, write_texts

    from provenance.demo.corpus import read_corpus

    texts = [document["text"] for document in read_corpus()]
    human, unseen = texts[::2], [text for text in texts[1::2] if len(text.split()) >= 100]
    lengths = [len(text.split()) for text in unseen[: arguments.outputs]]
    outputs = write_texts(fit_model(human), lengths=lengths)
    print(f"Laundered text; {_bench.versions('numpy', 'numba', 'duckdb')}; at the start {load}")
    print(
        f"{len(outputs):,} texts of a bigram model, {median(lengths):,.0f} words in the median; found as people's text:"
    )
    found = detection(outputs, texts, unseen)
    for name in disguises(outputs[:1], unseen):
        print(f"  {name:25} {found[name]:7.1%}")
    print(f"  {'false alarms':25} {found['people' + chr(39) + 's text']:7.2%} of {len(texts):,} documents by people")
    alike = among_people(human, texts[1::2])
    print(
        f"  {'alike among themselves':25} {alike['others']:7.2%} of {len(texts) // 2:,}, were the other half a model's"
    )
    made = templated(len(outputs))
    for name in _bench_templates.TEMPLATES:
        print(f"  {name:25} {made[name]:7.2%} of {len(outputs):,}, written from the template that a model uses")
    done = copying(human, outputs)
    print("A model of whose texts every fourth is copied from what it was trained on:")
    print(f"  {'found to be repeated':25} {done['repeated']:7.1%} of its texts")
    print(
        f"  {'in conflict':25} {done['training text']:7.1%} of its training text, {done['later copies']:.1%} of later "
        "copies of that"
    )
    seconds = cost(texts, outputs)
    slowest = seconds["texts of a model"] / seconds["no text of a model"]
    print(f"Ingest of {len(texts):,} documents by people, median of 3:")
    for name, value in seconds.items():
        print(f"  beside {name:20} {value:7.2f} s, {len(texts) / value:7,.0f} documents/s")
    print(f"  ratio {slowest:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

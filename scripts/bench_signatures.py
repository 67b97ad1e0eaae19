"""How fast MinHash signatures are made, beside datasketch and rensa, on one thread and the same documents.

Everybody gets the texts of the embedded corpus in memory and returns 112 hash values a document over shingles
of five words. The peers' time includes finding the words and joining the shingles in Python, as a user has
to; ours includes the same in its kernel. Loading, imports and compilation are left out for all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import _bench

OURS = "ours"
PACKAGES = ("datasketch", "rensa")
#: What the project set out to reach: so many times as fast.
WANTED = {"datasketch loop": 50, "datasketch batch": 50, "rensa loop": 8}


def measure(contender: str, *, n_docs: int) -> _bench.Measurement:
    """Return the rate of one contender on the first `n_docs` documents of the embedded corpus."""
    from itertools import islice

    from provenance.demo.corpus import read_corpus

    texts = [document["text"] for document in islice(read_corpus(), n_docs)]
    seconds, n_words = _ours(texts) if contender == OURS else _peer(contender, texts)
    return _bench.Measurement(
        contender=contender,
        seconds=seconds,
        n_docs=len(texts),
        n_bytes=sum(len(text.encode()) for text in texts),
        n_words=n_words,
    )


def _ours(texts: list[str]) -> tuple[float, int]:
    import pyarrow as pa

    from provenance.dedup.signatures import SignatureKernel

    kernel = SignatureKernel(n_perm=_bench.N_PERM)
    array = pa.array(texts, pa.large_string())
    _, n_words = kernel.compute(array)  # also compiles, or loads what was compiled before
    return _bench.median_seconds(lambda: kernel.compute(array)), int(n_words.sum())


def _peer(name: str, texts: list[str]) -> tuple[float, int]:
    peer = _bench.PEERS[name]()

    def sign() -> None:
        for text in texts:
            peer.sign(_bench.shingles(_bench.words(text)))

    return _bench.median_seconds(sign), sum(len(_bench.words(text)) for text in texts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every contender in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=10_000, help="at most so many documents (default: all)")
    parser.add_argument("--contender", choices=[OURS, *_bench.PEERS], help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.contender:
        _bench.report(measure(arguments.contender, n_docs=arguments.docs))
        return 0
    load = _bench.load()
    results = [
        _bench.in_process([__file__, "--docs", str(arguments.docs), "--contender", name], env=_bench.one_thread())
        for name in (OURS, *_bench.PEERS)
    ]
    size = f"{results[0].n_bytes / 1e6:.1f} MB"
    print(f"Signatures of {size} on one thread; {_bench.versions(*PACKAGES)}; at the start {load}")
    print(_bench.table(results))
    print(_bench.verdict(results, wanted=WANTED))
    return 0


if __name__ == "__main__":
    sys.exit(main())

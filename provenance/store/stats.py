"""Composition of a store: how much there is of what, and how human it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from provenance.store.store import Store

#: One pass over the documents; everything else is summed over its few rows.
_PIECES = """
    SELECT source, origin, generation, evidence_rank, is_representative, count(*) AS n_documents,
           sum(n_words)::BIGINT AS n_words, sum(n_bytes)::BIGINT AS n_bytes
    FROM document GROUP BY ALL ORDER BY source, origin, generation NULLS LAST, evidence_rank
"""
_COUNTS = ("n_documents", "n_words", "n_bytes")


@dataclass(frozen=True)
class Stats:
    """Composition of a store.

    Attributes
    ----------
    rows : one mapping a source, origin and generation
    totals : counts over the whole store
    human_evidence : words of human text by rank of the evidence for it
    n_quarantined, n_training_sets, n_models : how many there are
    """

    rows: list[dict[str, Any]]
    totals: dict[str, int]
    human_evidence: dict[int, int]
    n_quarantined: int
    n_training_sets: int
    n_models: int

    def human_share(self, of: str = "words") -> float | None:
        """Return the human share of all words or bytes, 0..1; None for an empty store. Unknown is never human."""
        total = self.totals[f"n_{of}"]
        return self.totals[f"human_{of}"] / total if total else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "composition": self.rows,
            "totals": self.totals,
            "human_share": {"words": self.human_share("words"), "bytes": self.human_share("bytes")},
            "human_words_by_evidence_rank": self.human_evidence,
            "n_quarantined": self.n_quarantined,
            "n_training_sets": self.n_training_sets,
            "n_models": self.n_models,
        }


def read_stats(store: Store) -> Stats:
    """Return the composition of the store."""
    pieces = store.fetch(_PIECES).to_pylist()
    return Stats(
        rows=_composition(pieces),
        totals=_totals(pieces),
        human_evidence=_human_evidence(pieces),
        n_quarantined=_count(store, "quarantine"),
        n_training_sets=_count(store, "training_set"),
        n_models=_count(store, "model"),
    )


def _composition(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for piece in pieces:
        labels = {name: piece[name] for name in ("source", "origin", "generation")}
        row = rows.setdefault(tuple(labels.values()), {**labels, **dict.fromkeys((*_COUNTS, "n_representatives"), 0)})
        for name in _COUNTS:
            row[name] += piece[name]
        row["n_representatives"] += piece["n_documents"] * piece["is_representative"]
    return list(rows.values())


def _totals(pieces: list[dict[str, Any]]) -> dict[str, int]:
    human = [piece for piece in pieces if piece["origin"] == "human"]
    representative = [piece for piece in pieces if piece["is_representative"]]
    both = [piece for piece in human if piece["is_representative"]]
    return {
        **{name: _sum(pieces, name) for name in _COUNTS},
        "n_representatives": _sum(representative, "n_documents"),
        "human_words": _sum(human, "n_words"),
        "human_bytes": _sum(human, "n_bytes"),
        "representative_words": _sum(representative, "n_words"),
        "human_representative_words": _sum(both, "n_words"),
    }


def _human_evidence(pieces: list[dict[str, Any]]) -> dict[int, int]:
    words: Counter[int] = Counter()
    for piece in pieces:
        if piece["origin"] == "human":
            words[piece["evidence_rank"]] += piece["n_words"]
    return dict(sorted(words.items()))


def _sum(pieces: list[dict[str, Any]], name: str) -> int:
    return sum(piece[name] for piece in pieces)


def _count(store: Store, table: str) -> int:
    condition = " WHERE part = 0" if table == "quarantine" else ""
    value: int = store.fetch(f"SELECT count(*) AS n FROM {table}{condition}")["n"][0].as_py()
    return value

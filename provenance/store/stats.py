"""Composition of a store: how much there is of what, and how human it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.store.store import Store

_TOTALS = """
    SELECT count(*) AS n_documents, coalesce(sum(n_words), 0)::BIGINT AS n_words,
           coalesce(sum(n_bytes), 0)::BIGINT AS n_bytes,
           count(*) FILTER (is_representative) AS n_representatives,
           coalesce(sum(n_words) FILTER (origin = 'human'), 0)::BIGINT AS human_words,
           coalesce(sum(n_bytes) FILTER (origin = 'human'), 0)::BIGINT AS human_bytes,
           coalesce(sum(n_words) FILTER (is_representative), 0)::BIGINT AS representative_words,
           coalesce(sum(n_words) FILTER (is_representative AND origin = 'human'), 0)::BIGINT
               AS human_representative_words
    FROM document
"""
_BY_ORIGIN = """
    SELECT source, origin, generation, sum(n_documents)::BIGINT AS n_documents, sum(n_words)::BIGINT AS n_words,
           sum(n_bytes)::BIGINT AS n_bytes, sum(n_representatives)::BIGINT AS n_representatives
    FROM composition GROUP BY ALL ORDER BY source, origin, generation NULLS LAST
"""
_EVIDENCE = """
    SELECT evidence_rank, sum(n_words)::BIGINT AS n_words FROM document WHERE origin = 'human'
    GROUP BY ALL ORDER BY evidence_rank
"""


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
    evidence = store.fetch(_EVIDENCE)
    return Stats(
        rows=store.fetch(_BY_ORIGIN).to_pylist(),
        totals=store.fetch(_TOTALS).to_pylist()[0],
        human_evidence=dict(zip(*(column.to_pylist() for column in evidence.columns), strict=True)),
        n_quarantined=_count(store, "quarantine"),
        n_training_sets=_count(store, "training_set"),
        n_models=_count(store, "model"),
    )


def _count(store: Store, table: str) -> int:
    condition = " WHERE part = 0" if table == "quarantine" else ""
    value: int = store.fetch(f"SELECT count(*) AS n FROM {table}{condition}")["n"][0].as_py()
    return value

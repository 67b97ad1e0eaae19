"""A prompt followed through the generations: how the models of every arm continue the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.store.store import Store
from training.mixes import followed_source
from training.report.data import Results
from training.report.samples import SampleText, shortened

_FOLLOWED = """
SELECT source, external_id, (metadata->>'prompt') AS prompt, n_words, text FROM documents
WHERE list_contains(:sources, source) ORDER BY external_id, source
"""


@dataclass(frozen=True)
class FollowedPrompt:
    """One prompt and what became of it.

    Attributes
    ----------
    rows : generation -> arm -> continuation; generation 0 has one, of the model that all arms share
    """

    prompt: str
    rows: tuple[tuple[int, tuple[tuple[str, SampleText | None], ...]], ...]


def read_followed(store: Store, results: Results) -> list[FollowedPrompt]:
    """Return the followed prompts of the first seed; none where the experiment follows none."""
    seed = results.seeds[0]
    runs = {followed_source(run.model): run for run in results.finished.values() if run.model and run.seed == seed}
    found: dict[str, dict[tuple[int, str], SampleText]] = {}
    for row in store.fetch(_FOLLOWED, {"sources": sorted(runs)}).to_pylist():
        run = runs[row["source"]]
        text = shortened(row["text"], row["n_words"])
        found.setdefault(row["prompt"] or "", {})[run.generation, run.arm] = text
    return [FollowedPrompt(prompt, _rows(results, texts)) for prompt, texts in found.items()]


def _rows(
    results: Results, texts: dict[tuple[int, str], SampleText]
) -> tuple[tuple[int, tuple[tuple[str, SampleText | None], ...]], ...]:
    rows = []
    for generation in sorted({at for at, _ in texts}):
        arms: Sequence[str] = list(dict.fromkeys(arm for at, arm in texts if at == generation))
        order = [arm.name for arm in results.arms]
        arms = sorted(arms, key=lambda name: order.index(name) if name in order else -1)
        rows.append((generation, tuple((arm, texts.get((generation, arm))) for arm in arms)))
    return tuple(rows)

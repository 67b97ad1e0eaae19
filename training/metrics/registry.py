"""Every metric that a loop stores: its unit, what it means, and when in a collapse it moves.

The report, the view `runs`, exports and the check of an experiment's `metrics:` all take names from here. `heldout_*`
are of the model on held-out human text; `arm_*` and `t1_*` of text it wrote, under the arm's own decoding and from its
own distribution (temperature 1); the others say how the run went.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

#: When a collapse moves a metric.
When = Literal["early", "middle", "late"]
#: What a metric is of.
Subject = Literal["heldout", "arm", "t1", "run"]

#: Words of headings for the two samples.
_SAMPLES: Mapping[Subject, str] = {"arm": "own decoding", "t1": "T\u00a0=\u00a01"}
_MEMBER = re.compile(r"^(?P<family>.+)_(?P<number>\d+)$")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : in the view `runs`; of a family, what stands in front of the number of each member (`NAME_3`)
    title : what headings call it
    unit : of its values
    meaning : what it is, in one sentence
    moves : when collapse moves it; None where it does not, or where it only describes
    damage : +1 if collapse raises it, -1 if collapse lowers it, 0 if it goes either way or neither
    of : the model on held-out text, its text under the arm's decoding, its text at temperature 1, or the run
    digits : decimals worth showing
    noticeable : smallest difference that one seed can be trusted to show; 0 where nobody has looked
    sign : the group of signs in the collapse profile that it belongs to; None keeps it out
    family : whether there are many of it, numbered: bins, or documents
    """

    name: str
    title: str
    unit: str
    meaning: str
    moves: When | None = None
    damage: Literal[-1, 0, 1] = 0
    of: Subject = "run"
    digits: int = 3
    noticeable: float = 0.0
    sign: When | None = None
    family: bool = False


_HELDOUT = (
    Metric(
        name="heldout_ce", title="Loss on held-out human text", unit="nats per token", digits=2,
        meaning="Mean negative log-likelihood of held-out human text.",
        moves="middle", damage=+1, noticeable=0.05, sign="middle",
    ),
    Metric(
        name="heldout_perplexity", title="Perplexity of held-out human text", unit="perplexity", digits=1,
        meaning="exp of the loss on held-out human text.", moves="middle", damage=+1,
    ),
    Metric(
        name="heldout_tail_ce", title="Loss on the rarest words", unit="nats per word", digits=2,
        meaning="Mean cost of a held-out word among generation 0's rarest types, which hold 20 % of its words.",
        moves="early", damage=+1, noticeable=0.10, sign="early",
    ),
    Metric(
        name="heldout_head_ce", title="Loss on common words", unit="nats per word", digits=2,
        meaning="Mean cost of a held-out word of generation 0 outside the tail.", moves="early", damage=+1,
    ),
    Metric(
        name="heldout_tokens", title="Held-out tokens", unit="tokens", digits=0,
        meaning="Tokens of held-out text that the model scored: the same for all models of a seed.",
    ),
    *(
        Metric(
            name=f"heldout_group_{name}", title=f"{title} by group of documents", unit=unit, family=True,
            meaning=f"{title} of one of at most 20 groups of held-out documents: for intervals within a seed.",
        )
        for name, title, unit in (
            ("nats", "Held-out cost", "nats"),
            ("tokens", "Scored held-out tokens", "tokens"),
            ("tail_nats", "Cost of held-out tail words", "nats"),
            ("tail_words", "Scored held-out tail words", "words"),
        )
    ),
)  # fmt: skip

#: Of each of the two samples; names and titles lack which.
_GENERATED = (
    Metric(
        name="tail_mass", title="Tail mass of its text", unit="share of words",
        meaning="Share of generated words among generation 0's rarest types, which hold 20 % of human words.",
        moves="early", damage=-1, noticeable=0.01, sign="early",
    ),
    Metric(
        name="js_divergence", title="Distance of its words from human text", unit="bits",
        meaning="Jensen-Shannon divergence of the unigrams of generated and human text: 0 equal, 1 disjoint.",
        moves="early", damage=+1, noticeable=0.01,
    ),
    Metric(
        name="gen0_nll_mean", title="Its text under generation 0's model", unit="nats per token",
        meaning="Mean cost of generated text under generation 0's model: collapsed text is too likely, "
        "drifted text too unlikely.",
        moves="early", digits=2, noticeable=0.05, sign="late",
    ),
    *(
        Metric(
            name=f"gen0_nll_p{percentile}", unit="nats per token", moves="early", digits=2,
            title=f"Its text under generation 0's model, percentile {percentile}",
            meaning=f"{percentile} % of generated tokens stand in stretches of up to 64 tokens that cost so much or "
            "less under generation 0's model.",
        )
        for percentile in (5, 50, 95, 99)
    ),
    Metric(
        name="gen0_nll_bin", title="Its text under generation 0's model, histogram", unit="share of tokens",
        family=True,
        meaning="Share of generated tokens in stretches that cost n/5 to (n+1)/5 nats a token under generation 0's "
        "model.",
    ),
    Metric(
        name="entropy", title="Entropy of its text", unit="bits per word", digits=2,
        meaning="Plug-in entropy of the unigrams of generated text.",
        moves="middle", damage=-1, noticeable=0.10, sign="late",
    ),
    *(
        Metric(
            name=f"distinct_{n}", title=f"Distinct {grams}", unit="share", moves="middle",
            meaning=f"Distinct {n}-grams over all {n}-grams of generated text; can rise while a model drifts.",
        )
        for n, grams in ((1, "words"), (2, "pairs of words"), (3, "triples of words"))
    ),
    Metric(
        name="repeated_3grams", title="Repeated triples of words", unit="share", moves="middle", damage=+1,
        meaning="Share of the 3-grams of generated text that occur more than once, every occurrence counted.",
    ),
    Metric(
        name="zlib_ratio", title="Compressed size of its text", unit="share", moves="middle", damage=-1,
        meaning="Compressed (zlib, level 9) over plain size of generated text in UTF-8.",
    ),
    Metric(
        name="zipf_slope", title="Zipf slope", unit="log count per log rank", moves="middle", digits=2,
        meaning="Least-squares slope of log count over log rank of the 1,000 most frequent words; human: near -1.",
    ),
    Metric(
        name="near_duplicates_within", title="Near-copies of its own text", unit="share of documents",
        meaning="Share of the evaluated documents that are near-duplicates (MinHash) of another one of them.",
        moves="middle", damage=+1,
    ),
    Metric(
        name="near_duplicates_human", title="Near-copies of human text", unit="share of documents",
        meaning="Share of the evaluated documents that are near-duplicates (MinHash) of generation 0's human text.",
        moves="middle",
    ),
    Metric(
        name="vocabulary", title="Vocabulary", unit="human words in 10,000", digits=0,
        meaning="Types of generation 0's human text among the first 10,000 generated words.",
        moves="late", damage=-1, noticeable=40, sign="late",
    ),
    Metric(name="words", title="Words evaluated", unit="words", digits=0, meaning="Words of the evaluated text."),
    Metric(
        name="tokens", title="Tokens evaluated", unit="tokens", digits=0,
        meaning="Tokens of the evaluated text: the same for all models.",
    ),
    Metric(
        name="documents", title="Documents evaluated", unit="documents", digits=0,
        meaning="Documents of the evaluated text, the last one perhaps cut.",
    ),
    Metric(
        name="quarantined", title="Texts refused", unit="documents", digits=0,
        meaning="Generated texts that were empty or unreadable.",
    ),
)  # fmt: skip

_RUN = (
    Metric(
        name="fit_tokens", title="Tokens trained on", unit="tokens", digits=0,
        meaning="Tokens seen, every epoch counted.",
    ),
    Metric(name="sample_tokens", title="Tokens sampled", unit="tokens", digits=0, meaning="Tokens of both samples."),
    Metric(
        name="train_loss", title="Training loss", unit="nats per token", digits=2,
        meaning="Mean training loss of the last tenth of the steps.",
    ),
    *(
        Metric(name=f"{phase}_seconds", title=f"Seconds of {said}", unit="seconds", digits=1, meaning=f"Of {said}.")
        for phase, said in (
            ("fit", "fitting the model"),
            ("sample", "drawing the output"),
            ("evaluation_sample", "drawing the sample at temperature 1"),
            ("evaluate", "scoring and counting"),
        )
    ),
)  # fmt: skip


def _all() -> Iterator[Metric]:
    yield from (replace(metric, of="heldout") for metric in _HELDOUT)
    for of in _SAMPLES:
        for metric in _GENERATED:
            yield replace(metric, name=f"{of}_{metric.name}", title=f"{metric.title}, {_SAMPLES[of]}", of=of)
    yield from _RUN


#: Name -> metric, in the order in which tables show them.
METRICS: dict[str, Metric] = {metric.name: metric for metric in _all()}


def metric_of(name: str) -> Metric | None:
    """Return the metric of a name as it stands in the store, also of a member of a family; None if there is none."""
    known = METRICS.get(name)
    if known is not None:
        return known
    found = _MEMBER.match(name)
    family = METRICS.get(found["family"]) if found else None
    return family if family is not None and family.family else None


def members(values: Mapping[str, float], family: str) -> dict[int, float]:
    """Return the members of a family among the values of a run, by their number."""
    found = {}
    for name, value in values.items():
        match = _MEMBER.match(name)
        if match and match["family"] == family:
            found[int(match["number"])] = value
    return dict(sorted(found.items()))


def chosen(values: Mapping[str, float], names: Collection[str] | None) -> dict[str, float]:
    """Return the values whose metric is among `names`, members of families with them; all for None."""
    if names is None:
        return dict(values)
    kept = {}
    for name, value in values.items():
        metric = metric_of(name)
        if name in names or (metric is not None and metric.name in names):
            kept[name] = value
    return kept


def profile_metrics() -> tuple[Metric, ...]:
    """Return the metrics of the collapse profile: early signs, then middle, then late ones."""
    order = {"early": 0, "middle": 1, "late": 2}
    return tuple(sorted((m for m in METRICS.values() if m.sign), key=lambda m: order[m.sign or "late"]))

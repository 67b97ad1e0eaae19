"""The plots of a dataset card."""

from __future__ import annotations

from provenance.export.facts import SetFacts, Share
from provenance.export.plot import Bar, ranked, stacked
from provenance.export.wording import part_name

#: More sources than this stand together as the rest.
_MOST_SOURCES = 12
_HUMAN, _MIXED, _UNKNOWN, _SOURCE = "#8a8f9b", "#447b64", "#d9c27a", "#337df9"
#: From the first generation of models to the fifth and later ones.
_GENERATIONS = ("#f0a58a", "#dd6d4c", "#bf4424", "#8f2a10", "#5f1a08")


def composition_plot(facts: SetFacts) -> str:
    """Return the plot of words by origin and generation."""
    bars = [Bar(part_name(one), one.word_share, f"{one.words:,} words", *_colour(one)) for one in facts.generations]
    return stacked(f"{facts.name}: words by origin and generation", bars)


def sources_plot(facts: SetFacts) -> str:
    """Return the plot of words by source, the largest first."""
    parts = sorted(facts.sources, key=lambda one: (-one.words, one.names["source"]))
    bars = [Bar(one.names["source"], one.word_share, f"{one.words:,} words", _SOURCE) for one in parts[:_MOST_SOURCES]]
    rest = parts[_MOST_SOURCES:]
    if rest:
        words = sum(one.words for one in rest)
        share = sum(one.word_share for one in rest)
        bars.append(Bar(f"{len(rest):,} other sources", share, f"{words:,} words", _UNKNOWN))
    return ranked(f"{facts.name}: words by source", bars)


def _colour(part: Share) -> tuple[str, bool]:
    """Return the colour of a part, and whether text on it is white."""
    origin, generation = part.names["origin"], part.names["generation"]
    if origin == "human":
        return _HUMAN, True
    if origin == "unknown":
        return _UNKNOWN, False
    if origin == "mixed":
        return _MIXED, True
    step = min(max(generation or 1, 1), len(_GENERATIONS)) - 1
    return _GENERATIONS[step], step > 0

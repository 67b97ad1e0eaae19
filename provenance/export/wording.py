"""What descriptions of a training set say in words."""

from __future__ import annotations

from provenance.export.facts import NO_LICENCE, SetFacts, Share
from provenance.spdx import identifiers

_OF_ORIGIN = {"human": "written by people", "mixed": "written by people and models together",
              "synthetic": "written by models", "unknown": "of unknown origin"}  # fmt: skip
#: A sentence names at most so many licences.
_MOST_NAMED = 12


def description_of(facts: SetFacts) -> str:
    """Return two or three sentences on what a training set is."""
    return (
        f"Training set of {facts.documents:,} documents ({facts.words:,} words), "
        f"{facts.human.word_share:.2%} of the words written by people. {by_generation(facts)} "
        f"{licence_sentence(facts)}"
    )


def by_generation(facts: SetFacts) -> str:
    """Return the share of every origin and generation, in one sentence."""
    parts = [f"{one.word_share:.2%} {part_name(one).replace(', ', ' of ')}" for one in facts.generations]
    return f"Words by origin and generation: {', '.join(parts)}." if parts else "It holds no documents."


def part_name(part: Share) -> str:
    """Return the name of a part by origin and generation.

    Examples
    --------
    >>> part_name(Share({"origin": "synthetic", "generation": 2}, 1, 1, 1.0, 1.0))
    'synthetic, generation 2'
    """
    origin, generation = part.names["origin"], part.names["generation"]
    if origin in ("human", "unknown"):
        return str(origin)
    return f"{origin}, generation {'unknown' if generation is None else generation}"


def origin_in_words(origin: str) -> str:
    """Return what an origin means."""
    return _OF_ORIGIN[origin]


def licence_sentence(facts: SetFacts) -> str:
    """Return which licences hold, and which class is the most restrictive."""
    unstated = sum(part.documents for part in facts.licences if part.names["licence"] is None)
    missing = f", {unstated:,} documents state none" if unstated else ""
    stated = [name for name in facts.licence_names if name != NO_LICENCE]
    if not stated:
        return "No document states a licence."
    more = f" and {len(stated) - _MOST_NAMED:,} more" if len(stated) > _MOST_NAMED else ""
    named = ", ".join(stated[:_MOST_NAMED]) + more
    return f"Licences: {named}{missing}; the most restrictive class is {facts.strictest_class}."


def spdx_address(licence: str) -> str:
    """Return the address at which SPDX describes a licence; an expression or another's words as they stand.

    Examples
    --------
    >>> spdx_address("CC-BY-4.0")
    'https://spdx.org/licenses/CC-BY-4.0.html'
    >>> spdx_address("MIT OR Apache-2.0")
    'MIT OR Apache-2.0'
    """
    known = identifiers().get(licence.lower())
    is_listed = known is not None and not licence.startswith(("LicenseRef-", "DocumentRef-"))
    return f"https://spdx.org/licenses/{licence}.html" if is_listed else licence

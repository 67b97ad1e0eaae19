"""The words of the store as types: origins, grades of evidence, claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from provenance.errors import ContradictoryClaim, UnknownOrigin

Origin = Literal["human", "synthetic", "mixed", "unknown"]
ORIGINS: tuple[str, ...] = get_args(Origin)

#: The largest generation that the store can hold.
MAX_GENERATION = 2**32 - 1

#: Grades of evidence; the rank of a grade is its position.
GRADES = ("none", "declared", "detector", "dated", "attested", "curated")
RANK_DECLARED, RANK_DETECTOR, RANK_CURATED = (GRADES.index(grade) for grade in ("declared", "detector", "curated"))


@dataclass(frozen=True)
class Claim:
    """What somebody says about the origin of a document, a source or a whole ingest.

    Attributes
    ----------
    origin : one of `ORIGINS`
    generation : 0 for people, 1 or more for a model's output, None where it is not known
    model : name of the generator, None for people
    """

    origin: str
    generation: int | None = None
    model: str | None = None

    @classmethod
    def make(cls, origin: str, *, generation: int | None = None, model: str | None = None) -> Claim:
        """Return a claim that is consistent in itself; human text gets generation 0.

        Raises
        ------
        UnknownOrigin
            If the origin is none of the four words.
        ContradictoryClaim
            If generation or model contradict the origin.
        """
        if origin not in ORIGINS:
            raise UnknownOrigin(origin)
        if origin == "human" and generation is None:
            generation = 0
        problem = contradiction(origin, generation, model)
        if problem:
            raise ContradictoryClaim(problem)
        return cls(origin, generation, model)

    @property
    def rank(self) -> int:
        """Rank of the evidence that a bare claim is: 0 where it says nothing, else `declared`."""
        return 0 if self.origin == "unknown" else RANK_DECLARED


def contradiction(origin: str, generation: int | None, model: str | None) -> str | None:
    """Return what is wrong between origin, generation and model, or None."""
    if generation is not None and generation < 0:
        return f"Generation {generation} is negative"
    if generation is not None and generation > MAX_GENERATION:
        return f"Generation {generation} is beyond {MAX_GENERATION:,}"
    if origin == "human" and generation != 0:
        return f"Origin 'human' with generation {generation}"
    if origin == "human" and model is not None:
        return f"Origin 'human' with model {model!r}"
    if origin in ("synthetic", "mixed") and generation == 0:
        return f"Origin {origin!r} with generation 0"
    if origin == "unknown" and (generation is not None or model is not None):
        return f"Origin 'unknown' with generation {generation} and model {model!r}"
    return None

"""Arms of an experiment: the ways in which the text of the next generation is chosen."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

Regime = Literal["replace", "quota", "accumulate", "accumulate_subsample", "human", "human_only", "curated"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

#: Generation 0 belongs to all arms.
SHARED_ARM = "shared"

#: Regimes that take a share of human text.
_WITH_SHARE = ("quota", "curated")


def _exact(value: Any) -> Fraction:
    """Return a share as the fraction that its decimal text says, so that 0.07 is 7/100."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return Fraction(str(value).strip())


Share = Annotated[Fraction, BeforeValidator(_exact), PlainSerializer(str, return_type=str)]


class Section(BaseModel):
    """A part of an experiment: its fields are fixed, and so are their values."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PerplexityBand(Section):
    """A band of generation 0's nats per token, open at both ends: collapsed text lies below it, broken text above."""

    low: float = Field(0.05, ge=0, lt=1)
    """Quantile of what generation 0 itself wrote; text of fewer nats is left out."""
    high: float = Field(0.95, gt=0, le=1)
    """Quantile; text of more nats is left out."""

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class Filter(Section):
    """What a model's text must pass before the next generation may be trained on it. All that is given must hold."""

    perplexity: PerplexityBand | None = None
    """Neither more predictable nor stranger to generation 0's model than nearly all of its own text."""
    near_duplicates: bool = False
    """Of near-copies in the model's output only one, and none of human text."""
    classifier: float | None = Field(None, gt=0, lt=1)
    """Probability of being human, by a classifier between human text and generation 0's, that it must reach."""

    @model_validator(mode="after")
    def _filters(self) -> Self:
        if self.perplexity is None and not self.near_duplicates and self.classifier is None:
            raise ValueError("give at least one of perplexity, near_duplicates and classifier")
        return self


class Arm(Section):
    """One way to choose the text of the next generation."""

    name: Name
    regime: Regime
    """`replace`: the previous model's output only; `quota`: with a share of human text; `accumulate`: everything so
    far; `accumulate_subsample`: as much of everything so far as a generation has; `human`: human text only, as much as
    the others have; `human_only`: the human text that a quota arm had, and nothing else; `curated`: the output that
    passes a filter, with or without a share of human text."""
    share: Share | None = None
    """Smallest share of human text, for `quota` and `curated`."""
    human: Literal["fresh", "fixed"] = "fresh"
    """Human text that no earlier generation used, or the same text every time."""
    human_loss_weight: float | Literal["optimal"] | None = None
    """How much the loss of a human token counts where one of a model counts 1; `optimal`: by golden weighting."""
    of: Name | None = None
    """The quota arm whose human text `human_only` has."""
    filter: Filter | None = None
    """What output must pass, for `curated`."""
    unknown: Literal["exclude", "human", "detector"] = "exclude"
    """Documents of unknown origin: left out, taken for human as a crawl takes them, or where a detector says so."""

    @model_validator(mode="after")
    def _fits_regime(self) -> Self:
        if self.name == SHARED_ARM:
            raise ValueError(f"an arm cannot be called {SHARED_ARM!r}: that is generation 0, which all arms share")
        if self.regime == "quota" and self.share is None:
            raise ValueError(f"arm {self.name!r}: regime quota needs a share")
        if self.regime not in _WITH_SHARE and self.share is not None:
            raise ValueError(f"arm {self.name!r}: a share is for the regimes {' and '.join(_WITH_SHARE)} only")
        if self.share is not None and not 0 < self.share < 1:
            raise ValueError(f"arm {self.name!r}: share {self.share} is not between 0 and 1")
        if (self.regime == "human_only") != (self.of is not None):
            raise ValueError(f"arm {self.name!r}: `of` names the quota arm of regime human_only, and of no other")
        if (self.regime == "curated") != (self.filter is not None):
            raise ValueError(f"arm {self.name!r}: a filter is needed by regime curated, and by no other")
        self._check_weight()
        return self

    def _check_weight(self) -> None:
        weight = self.human_loss_weight
        if weight is not None and not self.has_both:
            raise ValueError(f"arm {self.name!r}: human_loss_weight needs human and synthetic text beside each other")
        if isinstance(weight, float) and not 0 < weight < float("inf"):
            raise ValueError(f"arm {self.name!r}: human_loss_weight {weight:g} is not above 0")

    @property
    def has_both(self) -> bool:
        """Whether human and synthetic text stand beside each other in its training sets."""
        return self.share is not None or self.regime in ("accumulate", "accumulate_subsample")

    @property
    def is_synthetic(self) -> bool:
        """Whether it trains on what its own models wrote."""
        return self.regime not in ("human", "human_only")

    @property
    def human_share(self) -> Fraction | None:
        """Smallest share of human text in this arm's training sets; None where it falls with the generations."""
        if self.regime.startswith("accumulate"):
            return None
        return {"human": Fraction(1), "human_only": Fraction(1)}.get(self.regime, self.share or Fraction(0))

"""Arms of an experiment: the ways in which the text of the next generation is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from training.learners.base import Decoding

Regime = Literal["replace", "quota", "accumulate", "accumulate_subsample", "human", "human_only", "curated"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

#: Generation 0 belongs to all arms.
SHARED_ARM = "shared"

#: Regimes that take a share of human text.
_WITH_SHARE = ("quota", "curated")


def _exact(value: Any) -> Fraction:
    """Return a share as the fraction that its decimal text says, so that 0.07 is 7/100."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return Fraction(str(value).strip())
    except (TypeError, ValueError, ZeroDivisionError):
        raise ValueError(f"{value!r} is no number; expected one such as 0.25 or 1/4") from None


Share = Annotated[Fraction, BeforeValidator(_exact), PlainSerializer(str, return_type=str)]


def _given(decoding: Decoding | None) -> dict[str, Any] | None:
    """Return the settings that were given, without those that are defaults only."""
    return None if decoding is None else decoding.model_dump(mode="json", exclude_unset=True)


class Section(BaseModel):
    """A part of an experiment: its fields are fixed, and so are their values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_numbers_for_numbers(cls, data: Any) -> Any:
        """Refuse `yes` and `no` where a number stands: YAML makes true and false of them, and Python 1 and 0."""
        for name, value in data.items() if isinstance(data, Mapping) else ():
            field = cls.model_fields.get(name)
            values = value if isinstance(value, list | tuple) else [value]
            if field is not None and field.annotation is not bool and any(isinstance(one, bool) for one in values):
                raise ValueError(f"{name}: true and false are no value of it")
        return data


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
    human: Literal["fresh", "fixed", "original"] = "fresh"
    """Human text that no earlier generation used, generation 0 included; the same text every time, none of generation
    0's; or `original`: of generation 0's own text, drawn anew every generation."""
    human_loss_weight: float | Literal["optimal"] | None = None
    """How much the loss of a human token counts where one of a model counts 1; `optimal`: by golden weighting."""
    of: Name | None = None
    """The quota arm whose human text `human_only` has."""
    filter: Filter | None = None
    """What output must pass, for `curated`."""
    unknown: Literal["exclude", "human", "detector"] = "exclude"
    """Documents of unknown origin: left out, taken for human as a crawl takes them, or where a detector says so."""
    decoding: Annotated[Decoding | None, PlainSerializer(_given, return_type=dict[str, Any] | None)] = None
    """What this arm's models draw otherwise than the experiment says; generation 0 writes for all, as it says."""

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
        if self.human != "fresh" and self.regime not in (*_WITH_SHARE, "human"):
            raise ValueError(f"arm {self.name!r}: human: {self.human} is for the regimes quota, curated and human only")
        if self.unknown != "exclude" and not (self.regime == "human" or self.share is not None):
            raise ValueError(f"arm {self.name!r}: unknown needs human text that is drawn every generation")
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
        return self.share is not None or self.accumulates

    @property
    def accumulates(self) -> bool:
        """Whether it trains on everything so far: generation 0's human text, and what all its models wrote."""
        return self.regime in ("accumulate", "accumulate_subsample")

    @property
    def is_synthetic(self) -> bool:
        """Whether it trains on what its own models wrote."""
        return self.regime not in ("human", "human_only")

    @property
    def human_share(self) -> Fraction | None:
        """Smallest share of human text in this arm's training sets; None where it falls with the generations."""
        if self.accumulates:
            return None
        return {"human": Fraction(1), "human_only": Fraction(1)}.get(self.regime, self.share or Fraction(0))

"""An experiment as data: what is trained on what, in which arms, for how many generations. YAML or Python."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from provenance.yaml_text import load_yaml
from training.errors import ExperimentInvalid, UnknownField, UnknownLearner
from training.learners.base import Decoding
from training.learners.configs import AnyLearnerConfig, Init
from training.learners.registry import LEARNERS

Regime = Literal["replace", "quota", "human"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

#: Generation 0 belongs to all arms.
SHARED_ARM = "shared"


def _exact(value: Any) -> Fraction:
    """Return a share as the fraction that its decimal text says, so that 0.07 is 7/100."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return Fraction(str(value).strip())


Share = Annotated[Fraction, BeforeValidator(_exact), PlainSerializer(str, return_type=str)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainedTokenizer(_Section):
    """A tokenizer trained on generation 0's text."""

    vocab_size: int = Field(2048, ge=3)
    """Most types it may have."""


class FirstGeneration(_Section):
    """Generation 0: human text only, the same model for all arms."""

    words: int | None = Field(None, gt=0)
    """Words to train on; the unit where the tokenizer is trained on this very text."""
    tokens: int | None = Field(None, gt=0)
    """Tokens to train on, where the tokenizer comes with a pretrained model."""
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        if (self.words is None) == (self.tokens is None):
            raise ValueError("needs exactly one of words and tokens")
        return self


class LaterGenerations(_Section):
    """Every generation after the first, in every arm."""

    tokens: int = Field(gt=0)
    """Tokens to train on, human and synthetic together."""
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    init: Init = "scratch"
    """From random weights, from the arm's previous model, or from the pretrained model."""


class Evaluation(_Section):
    """What metrics are computed on: the same number of tokens for every model."""

    tokens: int = Field(20_000, gt=0)
    """Tokens of generated text, under the arm's decoding and again at temperature 1."""
    heldout_tokens: int | None = Field(None, gt=0)
    """Tokens of held-out text, whole documents; null takes all."""


class Arm(_Section):
    """One way to choose the text of the next generation."""

    name: Name
    regime: Regime
    """`replace`: the previous model's output only; `quota`: with a share of human text; `human`: human text only."""
    share: Share | None = None
    """Smallest share of human tokens, for `quota`."""
    human: Literal["fresh", "fixed"] = "fresh"
    """Human text that no earlier generation used, or the same text every time."""

    @model_validator(mode="after")
    def _share_fits_regime(self) -> Self:
        if self.name == SHARED_ARM:
            raise ValueError(f"an arm cannot be called {SHARED_ARM!r}: that is generation 0, which all arms share")
        if (self.regime == "quota") != (self.share is not None):
            raise ValueError(f"arm {self.name!r}: a share is needed by regime quota, and by no other")
        if self.share is not None and not 0 < self.share < 1:
            raise ValueError(f"arm {self.name!r}: share {self.share} is not between 0 and 1")
        return self

    @property
    def human_share(self) -> Fraction:
        """Share of human tokens in this arm's training sets."""
        return {"replace": Fraction(0), "human": Fraction(1)}.get(self.regime, self.share or Fraction(0))


class Experiment(_Section):
    """A recursive training experiment.

    Raises
    ------
    ExperimentInvalid
        From `from_yaml` and `from_mapping`: a field is unknown (the nearest known one is named), or a value is wrong.
    """

    name: Name
    description: str = ""
    corpus: str = Field(min_length=1)
    """SQL condition over the documents view: what human text may be used."""
    heldout: str = Field(min_length=1)
    """SQL condition: the human text that models are evaluated on and never trained on."""
    learner: AnyLearnerConfig
    tokenizer: TrainedTokenizer | Literal["own"] = TrainedTokenizer()
    """Trained on generation 0's text, or `own`: the pretrained model's."""
    block_length: int = Field(128, ge=2)
    """Tokens that a model sees at once."""
    batch_size: int = Field(8, ge=1)
    """Blocks of one training step."""
    first: FirstGeneration
    later: LaterGenerations
    decoding: Decoding = Decoding()
    """How text for the next generation is drawn."""
    evaluation: Evaluation = Evaluation()
    duplicates: Literal["all", "representative"] = "all"
    """Whether near-copies within the text of a generation are all used: a model's repetitions are part of collapse."""
    heldout_span: int | None = Field(13, ge=2)
    """Whatever shares so many words in a row with held-out text is never trained on; null: do not look."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    generations: int = Field(ge=1)
    """Generations after generation 0."""
    seeds: tuple[int, ...] = Field((1,), min_length=1)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read an experiment from a YAML file."""
        try:
            data = load_yaml(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ExperimentInvalid(str(path), "", f"it cannot be read ({error})") from error
        except yaml.YAMLError as error:
            raise ExperimentInvalid(str(path), "", f"it is no YAML ({' '.join(str(error).split())})") from error
        return cls.from_mapping(data, origin=str(path))

    @classmethod
    def from_mapping(cls, data: Any, *, origin: str = "experiment") -> Self:
        """Check a mapping, as read from YAML."""
        if not isinstance(data, dict):
            raise ExperimentInvalid(origin, "", "expected a mapping of fields to values")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise _explain(error, origin) from error

    def as_mapping(self) -> dict[str, Any]:
        """Return all settings as plain data."""
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms: two arms have one name ({', '.join(names)})")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice")
        if min(self.seeds) < 0:
            raise ValueError("seeds: a seed is negative")
        learner = self.learner
        if self.later.init not in learner.inits:
            raise ValueError(f"later.init: learner {learner.name!r} knows {', '.join(learner.inits)}")
        if self.later.init == "pretrained" and learner.pretrained is None:
            raise ValueError("later.init: pretrained needs learner.model")
        if (self.tokenizer == "own") != (learner.pretrained is not None):
            raise ValueError("tokenizer: a pretrained model needs its own tokenizer, and only it has one")
        if self.tokenizer != "own" and self.first.words is None:
            raise ValueError("first: give words; tokens are unknown before the tokenizer is trained on that text")
        return self

    @property
    def first_init(self) -> Init:
        """How generation 0 begins."""
        return "scratch" if self.learner.pretrained is None else "pretrained"


def _explain(error: ValidationError, origin: str) -> Exception:
    """Return the first problem as one of our errors."""
    # An unknown field first: a misspelt one is why another is missing.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"] if part not in LEARNERS and part not in _UNION_TAGS]
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        return UnknownField(origin, ".".join(place[:-1]), str(first["loc"][-1]), known)
    if first["type"] == "union_tag_invalid":
        return UnknownLearner(str(first["ctx"]["tag"]), LEARNERS)
    if first["type"] == "union_tag_not_found":
        return ExperimentInvalid(origin, ".".join([*place, "name"]), f"expected one of {', '.join(LEARNERS)}")
    return ExperimentInvalid(origin, ".".join(place), first["msg"].removeprefix("Value error, "))


#: What pydantic adds to the place of an error inside a union.
_UNION_TAGS = ("TrainedTokenizer", "literal['own']")


def _fields_at(place: Iterable[str | int]) -> list[str]:
    """Return the fields of the section at a place in the file."""
    model: type[BaseModel] = Experiment
    for part in place:
        if isinstance(part, str) and part in LEARNERS:
            model = LEARNERS[part].config
        elif isinstance(part, str) and part in model.model_fields:
            candidates = [model.model_fields[part].annotation, *get_args(model.model_fields[part].annotation)]
            sections = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
            model = sections[0] if sections else model
    return list(model.model_fields)

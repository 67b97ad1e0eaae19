"""An experiment as data: what is trained on what, in which arms, for how many generations. YAML or Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from provenance.yaml_text import load_yaml
from training.arms import SHARED_ARM, Arm, Name, Section
from training.controls import with_controls
from training.errors import ExperimentInvalid, UnknownMetric
from training.explaining import explained
from training.learners.base import Decoding
from training.learners.configs import AnyLearnerConfig, Init
from training.metrics.registry import METRICS, metric_of

__all__ = ["SHARED_ARM", "Arm", "Experiment"]

PromptSourceName = Literal["bos", "human", "previous"]


def _only_one(section: BaseModel, *fields: str) -> None:
    """Raise unless exactly one of some fields is given."""
    if sum(getattr(section, field) is not None for field in fields) != 1:
        raise ValueError(f"needs exactly one of {', '.join(fields[:-1])} and {fields[-1]}")


class TrainedTokenizer(Section):
    """A tokenizer trained on generation 0's text."""

    vocab_size: int = Field(2048, ge=3)
    """Most types it may have."""


class FirstGeneration(Section):
    """Generation 0: human text only, the same model for all arms."""

    words: int | None = Field(None, gt=0)
    """Words to train on; the unit where the tokenizer is trained on this very text."""
    tokens: int | None = Field(None, gt=0)
    """Tokens to train on, where the tokenizer comes with a pretrained model."""
    documents: int | None = Field(None, gt=0)
    """Documents to train on, where the learner reads documents."""
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        _only_one(self, "words", "tokens", "documents")
        return self


class LaterGenerations(Section):
    """Every generation after the first, in every arm."""

    tokens: int | None = Field(None, gt=0)
    """Tokens to train on, human and synthetic together."""
    documents: int | None = Field(None, gt=0)
    """Documents to train on, where the learner reads documents."""
    epochs: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    init: Init = "scratch"
    """From random weights, from the arm's previous model, or from the pretrained model."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        _only_one(self, "tokens", "documents")
        return self

    @property
    def size(self) -> int:
        """Tokens, or documents, of a generation."""
        return self.tokens or self.documents or 0


class Evaluation(Section):
    """What metrics are computed on: the same number of tokens for every model."""

    tokens: int = Field(20_000, gt=0)
    """Tokens of generated text, under the arm's decoding and again at temperature 1; documents where models write
    numbers or words."""
    heldout_tokens: int | None = Field(None, gt=0)
    """Tokens of held-out text, whole documents; null takes all."""


class Experiment(Section):
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
    heldout: str | None = Field(None, min_length=1)
    """SQL condition: the human text that models are evaluated on and never trained on. Only learners that read
    documents can do without."""
    learner: AnyLearnerConfig
    tokenizer: TrainedTokenizer | Literal["own", "none"] = TrainedTokenizer()
    """Trained on generation 0's text; `own`: the pretrained model's; `none`: the learner reads documents."""
    block_length: int = Field(128, ge=2)
    """Tokens that a model sees at once."""
    batch_size: int = Field(8, ge=1)
    """Blocks of one training step."""
    first: FirstGeneration
    later: LaterGenerations
    decoding: Decoding = Decoding()
    """How text for the next generation is drawn."""
    prompt_source: PromptSourceName = "bos"
    """What samples continue: nothing, stretches of generation 0's human text, or of the text the arm was trained on."""
    prompt_tokens: int | None = Field(None, gt=0)
    """Tokens of a prompt; a block's length without it."""
    new_tokens: int | None = Field(None, gt=0)
    """Tokens that are drawn after each; a block's length without it."""
    evaluation: Evaluation = Evaluation()
    duplicates: Literal["all", "representative"] = "all"
    """Whether near-copies within the text of a generation are all used: a model's repetitions are part of collapse."""
    heldout_span: int | None = Field(13, ge=2)
    """Whatever shares so many words in a row with held-out text is never trained on; null: do not look."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    controls: bool = Field(True, strict=True)
    """Adds the arms that excess is measured against, unless they are written out: `human`, and for every arm with a
    share of human text one that has only this text."""
    generations: int = Field(ge=1)
    """Generations after generation 0."""
    seeds: tuple[int, ...] = Field((1,), min_length=1)
    metrics: tuple[str, ...] | None = None
    """Metrics that are stored; null for all."""
    follow: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Prompts that every model continues, for people to read side by side in the report; never trained on."""
    keep: Literal["all", "last", "none"] = "all"
    """Models whose files are kept: all, generation 0's and the newest of every arm, or none once it is not needed."""

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
            found = cls.model_validate(data)
        except ValidationError as error:
            raise explained(error, cls, origin) from error
        for name in found.metrics or ():
            if metric_of(name) is None:
                raise UnknownMetric(name, METRICS)
        return found

    def as_mapping(self) -> dict[str, Any]:
        """Return all settings as plain data."""
        return self.model_dump(mode="json")

    @model_validator(mode="before")
    @classmethod
    def _has_controls(cls, data: Any) -> Any:
        return with_controls(data)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_arms()
        self._check_learner()
        self._check_prompts()
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice")
        if min(self.seeds) < 0:
            raise ValueError("seeds: a seed is negative")
        return self

    def _check_arms(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms: two arms have one name ({', '.join(names)})")
        for place, arm in enumerate(self.arms):
            if arm.of is None:
                continue
            if arm.of not in names or self.arm(arm.of).share is None:
                raise ValueError(
                    f"arms: {arm.name!r} is to have the human text of {arm.of!r}, which has no share of it"
                )
            if arm.of not in names[:place]:
                raise ValueError(f"arms: {arm.name!r} has the human text of {arm.of!r}: it must stand behind that arm")

    def _check_learner(self) -> None:
        learner, reads = self.learner, self.learner.reads
        if self.later.init not in learner.inits:
            raise ValueError(f"later.init: learner {learner.name!r} knows {', '.join(learner.inits)}")
        if self.later.init == "pretrained" and learner.pretrained is None:
            raise ValueError("later.init: pretrained needs learner.model")
        if reads == "documents":
            if self.first.documents is None or self.later.documents is None:
                raise ValueError(f"learner {learner.name!r} reads documents: give first.documents and later.documents")
            if self.tokenizer != "none":
                raise ValueError(f"tokenizer: learner {learner.name!r} has none; write `tokenizer: none`")
            return
        if self.first.documents is not None or self.later.documents is not None:
            raise ValueError(
                f"learner {learner.name!r} reads tokens: give first.words or first.tokens, and later.tokens"
            )
        if self.heldout is None:
            raise ValueError(
                f"heldout: learner {learner.name!r} is evaluated on held-out text; give a condition for it"
            )
        if self.tokenizer == "none" or (self.tokenizer == "own") != (learner.pretrained is not None):
            raise ValueError("tokenizer: a pretrained model needs its own tokenizer, and only it has one")
        if self.tokenizer != "own" and self.first.words is None:
            raise ValueError("first: give words; tokens are unknown before the tokenizer is trained on that text")

    def _check_prompts(self) -> None:
        if self.prompt_source == "bos" and (self.prompt_tokens or self.new_tokens):
            raise ValueError("prompt_tokens, new_tokens: they need prompt_source human or previous")
        if self.follow and not self.learner.takes_prompts:
            raise ValueError(f"follow: learner {self.learner.name!r} continues no prompts")
        if self.prompt_source != "bos" and not self.learner.takes_prompts:
            raise ValueError(f"prompt_source: learner {self.learner.name!r} continues no prompts")
        if (self.prompt_tokens or 0) > self.block_length:
            raise ValueError(f"prompt_tokens: prompts are cut out of blocks, which have {self.block_length} tokens")
        if all(self.decoding_of(arm).beams == 1 for arm in (None, *self.arms)):
            return
        if not self.learner.searches:
            raise ValueError(f"decoding.beams: learner {self.learner.name!r} knows no beam search")
        if self.prompt_source == "bos":
            raise ValueError(
                "decoding.beams: beam search without a prompt gives one text again and again; "
                "set prompt_source to human or previous, or beams to 1"
            )

    def arm(self, name: str) -> Arm:
        """Return the arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)

    def decoding_of(self, arm: Arm | None) -> Decoding:
        """Return how an arm draws its text, None for generation 0: as the experiment says, or the arm itself."""
        if arm is None or arm.decoding is None:
            return self.decoding
        return self.decoding.model_copy(update=arm.decoding.model_dump(exclude_unset=True))

    @property
    def first_init(self) -> Init:
        """How generation 0 begins."""
        return "scratch" if self.learner.pretrained is None else "pretrained"

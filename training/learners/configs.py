"""Settings of each learner, as an experiment's `learner:` section gives them. Importing this loads no learner."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Init = Literal["scratch", "previous", "pretrained"]


class LearnerConfig(BaseModel):
    """Settings of one kind of learner.

    Attributes
    ----------
    inits : how a later generation of it may begin
    reads : what it is fitted on
    takes_prompts, searches : whether its samples continue prompts, and whether it knows beam search
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inits: ClassVar[tuple[Init, ...]] = ("scratch",)
    reads: ClassVar[Literal["blocks", "documents"]] = "blocks"
    takes_prompts: ClassVar[bool] = False
    searches: ClassVar[bool] = False

    name: str

    @property
    def pretrained(self) -> str | None:
        """The pretrained model that generation 0 begins from, if any."""
        return None


class NgramConfig(LearnerConfig):
    """Interpolated bigram model: p = bigram·p(w|v) + unigram·p(w) + the rest spread evenly over the vocabulary."""

    takes_prompts: ClassVar[bool] = True

    name: Literal["ngram"] = "ngram"
    bigram: float = Field(0.8, ge=0, lt=1)
    """Weight of the bigram frequencies."""
    unigram: float = Field(0.199, ge=0, lt=1)
    """Weight of the unigram frequencies."""
    sample_length: int = Field(2048, ge=2)
    """Tokens of one sampled chain; documents end inside it wherever the model ends them."""

    @model_validator(mode="after")
    def _leaves_a_uniform_part(self) -> NgramConfig:
        if self.bigram + self.unigram >= 1:
            raise ValueError("bigram + unigram must stay below 1: the rest is what an unseen word gets")
        return self


class TransformerConfig(LearnerConfig):
    """A Hugging Face causal language model: OPT from these sizes, or any model by name or local folder."""

    inits: ClassVar[tuple[Init, ...]] = ("scratch", "previous", "pretrained")
    takes_prompts: ClassVar[bool] = True
    searches: ClassVar[bool] = True

    name: Literal["transformer"] = "transformer"
    model: str | None = None
    """Name (`facebook/opt-125m`) or folder of a causal LM; without it an OPT of the sizes below from scratch."""
    n_layers: int = Field(2, ge=1)
    width: int = Field(128, ge=1)
    n_heads: int = Field(4, ge=1)
    feedforward_width: int = Field(512, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup_frac: float = Field(0.1, ge=0, lt=1)
    """Share of the training steps in which the learning rate rises; without it small models lose .5 nats."""
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    sample_length: int = Field(512, ge=2)
    """Tokens of one sampled sequence; texts end inside it wherever the model ends them."""
    sample_batch: int = Field(96, ge=1)
    """Sequences sampled side by side."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the weights are kept and trained in."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    """What is computed in while the weights stay as they are; fp16 needs a GPU."""
    gradient_accumulation: int = Field(1, ge=1)
    """Parts in which the blocks of a step are computed one after the other, where memory does not hold them at once."""
    max_steps: int | None = Field(None, ge=1)
    """Training stops early, after so many steps; the learning rate goes as if it went on."""
    checkpoint_steps: int | None = Field(None, ge=1)
    """Steps after which a training keeps its state, where it was given a folder for it."""
    checkpoint_seconds: float | None = Field(600, gt=0)
    """Seconds after which it does."""
    logging_steps: int = Field(10, ge=1)
    """Steps between two looks at the loss; trackers are told as often."""
    report_to: tuple[str, ...] = ()
    """Trackers that are told the loss, as transformers names them: `tensorboard`, `wandb`, …"""
    logging_dir: str | None = None
    """Folder for what trackers write, a folder for every training in it; TensorBoard needs it."""

    @property
    def pretrained(self) -> str | None:
        """The pretrained model that generation 0 begins from, if any."""
        return self.model

    @model_validator(mode="after")
    def _heads_divide_width(self) -> TransformerConfig:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} is no multiple of n_heads {self.n_heads}")
        return self

    @model_validator(mode="after")
    def _tensorboard_has_a_folder(self) -> TransformerConfig:
        if "tensorboard" in self.report_to and self.logging_dir is None:
            raise ValueError("report_to: tensorboard needs a logging_dir, a training's own folder is removed after it")
        return self


class CategoricalConfig(LearnerConfig):
    """The empirical distribution of documents of one word each."""

    reads: ClassVar[Literal["blocks", "documents"]] = "documents"

    name: Literal["categorical"] = "categorical"


class GaussianConfig(LearnerConfig):
    """A normal distribution of documents that are one number each."""

    reads: ClassVar[Literal["blocks", "documents"]] = "documents"

    name: Literal["gaussian"] = "gaussian"
    variance: Literal["mle", "unbiased"] = "mle"
    """Divide the sum of squares by the number of documents, or by one less."""
    precision: Literal["float64", "float32", "bfloat16"] = "float64"
    """What parameters and drawn numbers are rounded to."""


class RegressionConfig(LearnerConfig):
    """Linear regression of documents `y x1 … xd`."""

    reads: ClassVar[Literal["blocks", "documents"]] = "documents"

    name: Literal["regression"] = "regression"
    n_features: int = Field(ge=1)
    """Numbers x1 … xd in a document behind y."""
    noise: float = Field(gt=0)
    """Standard deviation of what is added to y when documents are drawn."""
    steps: int | None = Field(None, ge=1)
    """Steps of gradient descent from zero, which stop too early on purpose; null for least squares."""
    rate: float = Field(0.1, gt=0)
    """Step size, as a part of the mean squared error's gradient."""


#: The `learner:` section of an experiment; `name` says which.
AnyLearnerConfig = Annotated[
    NgramConfig | TransformerConfig | CategoricalConfig | GaussianConfig | RegressionConfig, Field(discriminator="name")
]

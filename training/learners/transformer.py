"""Hugging Face causal language models: a small OPT from scratch or any model by name or folder, one code path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from training.errors import ModelNotFound
from training.learners import runtime
from training.learners.base import (
    Decoding,
    FitData,
    FitResult,
    Learner,
    Progress,
    Prompts,
    Sample,
    TokenNll,
    no_progress,
)
from training.learners.configs import Init, LearnerConfig, TransformerConfig
from training.learners.tokenizers import encode, end_of_text, train_byte_bpe

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TransformerLearner(Learner):
    """A causal LM with the tokenizer it reads, saved as any Hugging Face model."""

    name: ClassVar[str] = "transformer"

    def __init__(self, config: TransformerConfig, model: Any, *, tokenizer_json: str, block_length: int) -> None:
        from tokenizers import Tokenizer

        self.config = config
        self.model = model
        self.tokenizer_json = tokenizer_json
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer_json)
        self.block_length = block_length
        ends = {model.config.bos_token_id, *_as_list(model.config.eos_token_id)} - {None}
        self.ends: tuple[int, ...] = tuple(sorted(ends))
        bos = model.config.bos_token_id
        self.begin: int = bos if bos is not None else self.ends[0]

    @classmethod
    def train_tokenizer(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Train a byte-level BPE tokenizer."""
        return train_byte_bpe(texts, vocab_size=vocab_size)

    @classmethod
    def own_tokenizer(cls, config: LearnerConfig) -> str | None:
        """Return the definition of the tokenizer that comes with `config.model`."""
        model = cast(TransformerConfig, config).model
        if model is None:
            return None
        runtime.prepare()
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise ModelNotFound(model, _first_line(error)) from error
        return cast(str, tokenizer.backend_tokenizer.to_str())

    @classmethod
    def create(
        cls, config: LearnerConfig, *, tokenizer_json: str, block_length: int, init: Init = "scratch", seed: int
    ) -> Self:
        """Make a model with random weights (of `config.model`'s shape when it names one), or load pretrained ones."""
        runtime.prepare()
        from transformers import set_seed

        config = cast(TransformerConfig, config)
        set_seed(seed)
        if config.model is None:
            model = _small_opt(config, tokenizer_json, block_length)
        else:
            model = _named_model(config.model, pretrained=init == "pretrained")
        return cls(config, model, tokenizer_json=tokenizer_json, block_length=block_length)

    def fit(
        self,
        data: FitData,
        *,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
        checkpoints: Path | None = None,
        progress: Progress = no_progress,
    ) -> FitResult:
        """Train with `transformers.Trainer`, reading the blocks in their order in every epoch."""
        from training.learners.fitting import fit_model

        blocks = data.token_blocks(self.model.config.vocab_size)
        return fit_model(
            self.model,
            blocks,
            config=self.config,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
            progress=progress,
        )

    def sample(
        self,
        n: int,
        *,
        decoding: Decoding,
        seed: int,
        prompts: Prompts | None = None,
        progress: Progress = no_progress,
    ) -> list[Sample]:
        """Draw sequences, each from the token that begins a text, and cut them where the model ends a text."""
        from training.learners.sampling import draw_sequences

        length = self.config.sample_length
        sequences = draw_sequences(
            self.model,
            -(-n // length),
            length,
            begin=self.begin,
            context=self.block_length,
            batch=self.config.sample_batch,
            decoding=decoding,
            seed=seed,
            progress=progress,
        )
        parts = [
            part for row in sequences for part in np.split(row, np.flatnonzero(np.isin(row, self.ends))) if len(part)
        ]
        texts = self.tokenizer.decode_batch([part.tolist() for part in parts])
        return [Sample(text, len(part)) for text, part in zip(texts, parts, strict=True)]

    def nll(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[TokenNll]:
        """Score every token; a long text is read in windows of a block's length, one after the other."""
        from training.learners.scoring import score

        encoded = encode(self.tokenizer, texts)
        nats = score(
            self.model, [ids for ids, _ in encoded], begin=self.begin, length=self.block_length, progress=progress
        )
        return [TokenNll(found, spans) for found, (_, spans) in zip(nats, encoded, strict=True)]

    @property
    def digest(self) -> str:
        """SHA-256 over the tokenizer and every weight by name."""
        digest = hashlib.sha256(self.tokenizer_json.encode())
        state = self.model.state_dict()
        for name in sorted(state):
            tensor = state[name].detach().cpu().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.view(-1).view(_bytes_type()).numpy().tobytes())
        return digest.hexdigest()

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the model by `save_pretrained` with its tokenizer, so that other programs load it unmodified."""
        from tokenizers import Tokenizer
        from transformers import PreTrainedTokenizerFast

        self.model.save_pretrained(directory)
        end = self.tokenizer.id_to_token(self.begin)
        saved = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=Tokenizer.from_str(self.tokenizer_json),
            bos_token=end,
            eos_token=end,
            model_max_length=self.block_length,
        )
        saved.save_pretrained(directory)
        return {
            "config": self.config.model_dump(),
            "block_length": self.block_length,
            "tokenizer": self.tokenizer_json,
        }

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""
        runtime.prepare()
        return cls(
            TransformerConfig.model_validate(card["config"]),
            _named_model(str(directory), pretrained=True),
            tokenizer_json=card["tokenizer"],
            block_length=int(card["block_length"]),
        )


def _small_opt(config: TransformerConfig, tokenizer_json: str, block_length: int) -> Any:
    """Return an OPT of the configured sizes with random weights."""
    from tokenizers import Tokenizer
    from transformers import OPTConfig, OPTForCausalLM

    tokenizer = Tokenizer.from_str(tokenizer_json)
    end = end_of_text(tokenizer)
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=config.width,
            word_embed_proj_dim=config.width,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            ffn_dim=config.feedforward_width,
            max_position_embeddings=block_length,
            dropout=config.dropout,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=None,
        )
    )


def _named_model(model: str, *, pretrained: bool) -> Any:
    """Load a causal LM by name or folder, or make one of its shape with random weights; float32 throughout."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        if pretrained:
            return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        shape = AutoConfig.from_pretrained(model)
        return AutoModelForCausalLM.from_config(shape, dtype=torch.float32)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ModelNotFound(model, _first_line(error)) from error


def _bytes_type() -> Any:
    import torch

    return torch.uint8


def _as_list(value: int | list[int] | None) -> list[int | None]:
    return list(value) if isinstance(value, list) else [value]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

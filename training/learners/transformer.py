"""Hugging Face causal language models: a small OPT from scratch or any model by name or folder, one code path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

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
from training.learners.pretrained import load_model, load_tokenizer, marks_of, positions_of, save_tokenizer
from training.learners.prompting import plan_sequences
from training.learners.tokenizers import encode, end_of_text, train_byte_bpe

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TransformerLearner(Learner):
    """A causal LM with the tokenizer it reads, saved as any Hugging Face model."""

    name: ClassVar[str] = "transformer"

    def __init__(
        self, config: TransformerConfig, model: Any, *, tokenizer_json: str, block_length: int, context: int
    ) -> None:
        from tokenizers import Tokenizer

        self.config = config
        self.model = model
        self.tokenizer_json = tokenizer_json
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer_json)
        self.block_length = block_length
        self.context = context
        self.begin, self.ends = marks_of(model.config, config.model or self.name)

    @classmethod
    def train_tokenizer(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Train a byte-level BPE tokenizer."""
        return train_byte_bpe(texts, vocab_size=vocab_size)

    @classmethod
    def own_tokenizer(cls, config: LearnerConfig) -> str | None:
        """Return the definition of the tokenizer that comes with `config.model`."""
        model = cast(TransformerConfig, config).model
        return None if model is None else load_tokenizer(model)

    @classmethod
    def create(
        cls, config: LearnerConfig, *, tokenizer_json: str, block_length: int, init: Init = "scratch", seed: int
    ) -> Self:
        """Make a model with random weights (of `config.model`'s shape when it names one), or load pretrained ones."""
        runtime.prepare()
        from transformers import set_seed

        config = cast(TransformerConfig, config)
        pretrained = init == "pretrained"
        set_seed(seed)
        if config.model is None:
            model = _small_opt(config, tokenizer_json, block_length)
        else:
            model = load_model(config.model, pretrained=pretrained, dtype=config.dtype)
        # Places beyond a block were never trained in a model from scratch.
        context = max(block_length, positions_of(model.config) or block_length) if pretrained else block_length
        return cls(config, model, tokenizer_json=tokenizer_json, block_length=block_length, context=context)

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
        from training.learners.fitting import Training, fit_model

        data.token_blocks(self.vocab_size)
        training = Training(self.config, epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, seed=seed)
        # Taking the digest of a large model is worth it only where something depends on it.
        begun_as = "" if checkpoints is None else self.digest
        return fit_model(self.model, data, training, checkpoints=checkpoints, begun_as=begun_as, progress=progress)

    def sample(
        self,
        n: int,
        *,
        decoding: Decoding,
        seed: int,
        prompts: Prompts | None = None,
        progress: Progress = no_progress,
    ) -> list[Sample]:
        """Draw sequences, from the token that begins a text or after prompts; cut them where the model ends a text.

        Notes
        -----
        A model that ends a text goes on with the next one in the same sequence. Of a prompted sequence these are
        continuations too: the model had the prompt before it.

        Raises
        ------
        PromptsUnusable : prompts that are no tokens of this model, or nothing to be drawn after them
        BeamsUnusable : beam search without prompts would give one text again and again
        """
        from training.learners.beams import search_sequences
        from training.learners.sampling import draw_sequences

        plan = plan_sequences(n, prompts, decoding, self)
        settings: dict[str, Any] = {
            "context": plan.context,
            "batch": self.config.sample_batch,
            "decoding": decoding,
            "ends": self.ends,
            "progress": progress,
        }
        if decoding.beams > 1:
            # The same prompt has the same most probable continuation.
            sequences = search_sequences(self.model, plan.starts[: plan.n_distinct], plan.length, **settings)
            sequences = sequences[np.arange(len(plan.starts)) % plan.n_distinct]
        else:
            sequences = draw_sequences(self.model, plan.starts, plan.length, seed=seed, **settings)
        parts = [
            (part, None if prompts is None else row % plan.n_distinct)
            for row, sequence in enumerate(sequences)
            for part in np.split(sequence, np.flatnonzero(np.isin(sequence, self.ends)))
            if len(part)
        ]
        texts = self.tokenizer.decode_batch([part.tolist() for part, _ in parts])
        return [Sample(text, len(part), prompt) for text, (part, prompt) in zip(texts, parts, strict=True)]

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
    def vocab_size(self) -> int:
        """Tokens that the model knows; its tokenizer may have fewer."""
        return int(self.model.config.vocab_size)

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the model by `save_pretrained` with its tokenizer, so that other programs load it unmodified."""
        self.model.save_pretrained(directory)
        save_tokenizer(directory, self.tokenizer_json, self.model.config, context=self.context)
        return {
            "config": self.config.model_dump(),
            "block_length": self.block_length,
            "context": self.context,
            "tokenizer": self.tokenizer_json,
        }

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""
        runtime.prepare()
        config = TransformerConfig.model_validate(card["config"])
        return cls(
            config,
            load_model(str(directory), pretrained=True, dtype=config.dtype),
            tokenizer_json=card["tokenizer"],
            block_length=int(card["block_length"]),
            context=int(card["context"]),
        )


def _small_opt(config: TransformerConfig, tokenizer_json: str, block_length: int) -> Any:
    """Return an OPT of the configured sizes with random weights."""
    import torch
    from tokenizers import Tokenizer
    from transformers import OPTConfig, OPTForCausalLM

    tokenizer = Tokenizer.from_str(tokenizer_json)
    end = end_of_text(tokenizer)
    model = OPTForCausalLM(
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
    return model.to(getattr(torch, config.dtype))


def _bytes_type() -> Any:
    import torch

    return torch.uint8

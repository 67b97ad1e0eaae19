"""The first heavy step of a generation: fit a model and let it write. Steps read and write files, never the store.

A step leaves a file that says what it was made from. Done again with the same inputs it is found to be done; with
others it is done anew. So a killed loop goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from provenance.export.tokens import TokenBlocks
from training.errors import SampleTooSmall
from training.files import read_json, write_json
from training.learners.base import Decoding, FitData, FitResult, Learner, Sample
from training.learners.configs import Init, LearnerConfig
from training.learners.registry import config_type, learner_type, load_learner
from training.learners.tokenizers import count_tokens
from training.metrics.words import words_in
from training.seeds import derive_seed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Told the phase, and how many of how many tokens (or texts) of it are done.
PhaseProgress = Callable[[str, int, int], None]

#: Sampling is repeated with further seeds until there is enough text, at most so often.
SAMPLE_ROUNDS = 20


@dataclass(frozen=True)
class GenerationTask:
    """One model from its blocks to its metrics. Everything in it is plain data, so that it can go to another process.

    Attributes
    ----------
    name : of the model
    learner : settings of the learner, as the experiment has them
    init, previous : how the model begins; the folder of the model before it
    blocks, model, fit, output, evaluation : where it reads its blocks, and writes itself, the account of its fit, what
        it wrote for the next generation, and its metrics
    first_model : folder of generation 0's model, whose view of the output is a metric
    heldout, lexicon : files with the texts that are evaluated, and with generation 0's words
    n_sampled : tokens of output to be made under `decoding`
    n_evaluated : tokens of output that metrics look at, under `decoding` and again at temperature 1
    n_heldout : tokens of held-out text that are scored; None for all
    """

    name: str
    learner: dict[str, Any]
    init: Init
    previous: Path | None
    block_length: int
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    decoding: dict[str, Any]
    n_sampled: int
    n_evaluated: int
    n_heldout: int | None
    blocks: Path
    model: Path
    fit: Path
    output: Path
    evaluation: Path
    first_model: Path
    heldout: Path
    lexicon: Path


def fit_and_sample(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    """Fit a model and let it write what the next generation needs; return the account of both, without the texts.

    Raises
    ------
    LossNotFinite : training diverged
    SampleTooSmall : the model writes next to nothing
    """
    learner, account = _fitted(task, progress)
    made_from = {"model": account["digest"], "decoding": task.decoding, "n_sampled": task.n_sampled}
    output = read_json(task.output)
    if output is None or output["made_from"] != made_from:
        decoding = Decoding.model_validate(task.decoding)
        drawn = draw_samples(
            task, learner or load_learner(task.model), "arm", decoding, task.n_sampled, progress=progress
        )
        output = {"made_from": made_from, **drawn}
        write_json(task.output, output)
    seconds = {**account["seconds"], "sample": output["seconds"]}
    return {**account, "sample_tokens": output["n_tokens"], "seconds": seconds}


def _fit_inputs(task: GenerationTask, blocks_digest: str) -> dict[str, Any]:
    before = None if task.previous is None else read_json(task.previous / "learner.json")
    return {
        "blocks_digest": blocks_digest,
        "learner": task.learner,
        "init": task.init,
        "previous_digest": before and before["digest"],
        "block_length": task.block_length,
        "epochs": task.epochs,
        "learning_rate": task.learning_rate,
        "batch_size": task.batch_size,
        "seed": task.seed,
    }


def _fitted(task: GenerationTask, progress: PhaseProgress) -> tuple[Learner | None, dict[str, Any]]:
    """Fit the model, unless it is there already; return it (None if it need not be loaded) and the account of it."""
    blocks = TokenBlocks.open(task.blocks)
    inputs = _fit_inputs(task, blocks.manifest["files"]["blocks.npy"])
    account = read_json(task.fit)
    if account is not None and account["made_from"] == inputs and (task.model / "learner.json").exists():
        return None, cast(dict[str, Any], account)
    learner = _begun(task, blocks.tokenizer_json)
    result = learner.fit(
        FitData(blocks.blocks),
        epochs=task.epochs,
        learning_rate=task.learning_rate,
        batch_size=task.batch_size,
        seed=derive_seed(task.seed, "fit"),
        progress=lambda done, total: progress("fit", done, total),
    )
    learner.save(task.model)
    account = {
        "made_from": inputs,
        **_account(learner, result),
    }
    write_json(task.fit, account)
    return learner, account


def _account(learner: Learner, result: FitResult) -> dict[str, Any]:
    fit = asdict(result)
    return {
        "digest": learner.digest,
        "n_parameters": learner.n_parameters,
        "n_steps": fit["n_steps"],
        "fit_tokens": fit["n_tokens"],
        "loss": fit["loss"],
        "seconds": {"fit": fit["seconds"]},
    }


def _begun(task: GenerationTask, tokenizer_json: str) -> Learner:
    """Return the learner as it is before this generation's training."""
    if task.init == "previous" and task.previous is not None:
        return load_learner(task.previous)
    name = task.learner["name"]
    config: LearnerConfig = config_type(name).model_validate(task.learner)
    return learner_type(name).create(
        config,
        tokenizer_json=tokenizer_json,
        block_length=task.block_length,
        init=task.init,
        seed=derive_seed(task.seed, "init"),
    )


def draw_samples(
    task: GenerationTask, learner: Learner, kind: str, decoding: Decoding, n_tokens: int, *, progress: PhaseProgress
) -> dict[str, Any]:
    """Draw texts until those that a training set can use hold `n_tokens` tokens, as a training set counts them.

    Notes
    -----
    The tokenizer may need fewer tokens for a text than were drawn, and some texts are unusable (empty, or with a NUL
    character): the store refuses and counts those, so all are kept here.
    """
    started = time.perf_counter()
    tokenizer = tokenizer_of(task)
    drawn: list[Sample] = []
    usable = turn = 0
    while (missing := n_tokens - usable) > 0:
        if turn == SAMPLE_ROUNDS:
            raise SampleTooSmall(task.name, n_tokens, usable, SAMPLE_ROUNDS)
        new = learner.sample(
            missing,
            decoding=decoding,
            seed=derive_seed(task.seed, "sample", kind, turn),
            progress=lambda done, total: progress("sample", done, total),
        )
        drawn += new
        usable += sum(count_tokens(tokenizer, [sample.text for sample in new if is_usable(sample.text)]))
        turn += 1
    return {
        "texts": [sample.text for sample in drawn],
        "n_tokens": sum(sample.n_tokens for sample in drawn),
        "seconds": time.perf_counter() - started,
    }


def tokenizer_of(task: GenerationTask) -> Tokenizer:
    """Return the tokenizer that a task's blocks were made with."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(task.blocks / "tokenizer.json"))


def is_usable(text: str) -> bool:
    """Return whether a text has words and can be stored."""
    return "\0" not in text and bool(words_in(text))

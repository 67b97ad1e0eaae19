"""The first heavy step of a generation: fit a model and let it write. Steps read and write files, never the store.

A step leaves a file that says what it was made from. Done again with the same inputs it is found to be done; with
others it is done anew. So a killed loop goes on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from provenance.export.documents import ExportedDocuments
from provenance.export.tokens import TokenBlocks
from training.errors import LossNotFinite, TrainingDiverged
from training.files import read_json, write_json, writing
from training.learners.base import Decoding, FitData, FitResult, Learner
from training.learners.configs import Init, LearnerConfig
from training.learners.registry import config_type, learner_type, load_learner
from training.mixes import golden_weight
from training.outputs import draw_samples
from training.prompts import PromptSource
from training.seeds import derive_seed

#: Told the phase, and how many of how many tokens (or texts) of it are done.
PhaseProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class GenerationTask:
    """One model from its training set to its metrics, as plain data, so that it can go to another process.

    Attributes
    ----------
    name : of the model
    learner : settings of the learner, as the experiment has them
    reads, unit : what it is fitted on, and what sizes count
    init, previous : how the model begins; the folder of the model before it
    seed : of this model
    decoding : of the output
    prompts : what its texts continue; None where they begin as the model's texts begin
    human_weight : how much the loss of a human token counts, where one of other tokens counts 1; `optimal` finds the
        best weight for what stands in the blocks
    n_sampled : tokens (or documents) of output to be made under `decoding`
    n_evaluated : tokens of output that metrics look at, under `decoding` and again at temperature 1
    n_heldout : tokens of held-out text that are scored; None for all
    metrics : names of those that are kept; None for all
    follow : prompts that the model continues for people to read
    exported, model, fit, checkpoints, output, evaluation : where it reads its training set (a folder of blocks, or a
        Parquet file of documents), and writes itself, the account of its fit, the states of a long training, what it
        wrote for the next generation, and its metrics
    first_model : folder of generation 0's model, whose view of the output is a metric
    heldout, lexicon : files with the texts that are evaluated, and with generation 0's words
    """

    name: str
    learner: dict[str, Any]
    reads: Literal["blocks", "documents"]
    unit: Literal["tokens", "documents"]
    init: Init
    previous: Path | None
    block_length: int
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    decoding: dict[str, Any]
    prompts: PromptSource | None
    human_weight: float | Literal["optimal"]
    n_sampled: int
    n_evaluated: int
    n_heldout: int | None
    metrics: tuple[str, ...] | None
    follow: tuple[str, ...]
    exported: Path
    model: Path
    fit: Path
    checkpoints: Path
    output: Path
    evaluation: Path
    first_model: Path
    heldout: Path | None
    lexicon: Path


def fit_and_sample(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    """Fit a model and let it write what the next generation needs; return the account of both, without the texts.

    Raises
    ------
    TrainingDiverged : the loss is no number any more
    SampleTooSmall : the model writes next to nothing
    OutputNotWritten : the disk is full
    """
    learner, account = _fitted(task, progress)
    made_from = _output_inputs(task, account["digest"])
    output = read_json(task.output)
    if output is None or output["made_from"] != made_from:
        decoding = Decoding.model_validate(task.decoding)
        drawn = draw_samples(
            task, learner or load_learner(task.model), "arm", decoding, task.n_sampled, progress=progress
        )
        output = {"made_from": made_from, **drawn}
        write_json(task.output, output)
    seconds = {**account["seconds"], "sample": output["seconds"]}
    return {**account, "sample_tokens": output["n_tokens"], "n_unusable": output["n_unusable"], "seconds": seconds}


def _output_inputs(task: GenerationTask, digest: str) -> dict[str, Any]:
    """Return what an output depends on, as it stands in its file."""
    prompts = None if task.prompts is None else {**asdict(task.prompts), "blocks": task.prompts.blocks.name}
    return {"model": digest, "decoding": task.decoding, "n_sampled": task.n_sampled, "prompts": prompts}


def _fit_inputs(task: GenerationTask, exported_digest: str) -> dict[str, Any]:
    before = None if task.previous is None else read_json(task.previous / "learner.json")
    return {
        "exported_digest": exported_digest,
        "learner": task.learner,
        "init": task.init,
        "previous_digest": before and before["digest"],
        "block_length": task.block_length,
        "epochs": task.epochs,
        "learning_rate": task.learning_rate,
        "batch_size": task.batch_size,
        "human_weight": task.human_weight,
        "seed": task.seed,
    }


def _fitted(task: GenerationTask, progress: PhaseProgress) -> tuple[Learner | None, dict[str, Any]]:
    """Fit the model, unless it is there already; return it (None if it need not be loaded) and the account of it."""
    data, tokenizer_json, digest = _read(task)
    inputs = _fit_inputs(task, digest)
    account = read_json(task.fit)
    if account is not None and account["made_from"] == inputs and (task.model / "learner.json").exists():
        return None, cast(dict[str, Any], account)
    learner = _begun(task, tokenizer_json)
    try:
        with writing(task.checkpoints):
            result = learner.fit(
                data,
                epochs=task.epochs,
                learning_rate=task.learning_rate,
                batch_size=task.batch_size,
                seed=derive_seed(task.seed, "fit"),
                checkpoints=task.checkpoints,
                progress=lambda done, total: progress("fit", done, total),
            )
    except LossNotFinite as error:
        raise TrainingDiverged(task.name, error.step, error.loss, error.checkpoint) from error
    with writing(task.model, whatever=True):
        learner.save(task.model)
    account = {"made_from": inputs, **_account(learner, result)}
    write_json(task.fit, account)
    shutil.rmtree(task.checkpoints, ignore_errors=True)
    return learner, account


def _read(task: GenerationTask) -> tuple[FitData, str, str]:
    """Return the verified training set, the tokenizer's definition (empty where there is none), and a digest of both.

    Raises
    ------
    ExportDamaged : the files are not as they were written
    """
    if task.reads == "documents":
        documents = ExportedDocuments.open(task.exported)
        texts = [text for batch in documents.batches() for text in batch.column("text").to_pylist()]
        return FitData(texts=texts), "", str(documents.manifest["files"][task.exported.name])
    blocks = TokenBlocks.open(task.exported)
    human = optimal_weight(blocks) if task.human_weight == "optimal" else task.human_weight
    weights = None if human == 1 else loss_weights(blocks, human=human)
    return FitData(blocks.blocks, weights), blocks.tokenizer_json, str(blocks.manifest["files"]["blocks.npy"])


def loss_weights(blocks: TokenBlocks, *, human: float) -> npt.NDArray[np.float32]:
    """Return how much the loss of every token counts: `human` for those of human documents, 1 for all others.

    Tokens that mark where a document begins or ends belong to none and count 1.

    Returns
    -------
    (n_blocks, block_length) float32
    """
    weights = np.ones(blocks.blocks.size, np.float32)
    stretches = blocks.documents()
    is_human = pc.equal(stretches["origin"].cast("string"), "human").to_numpy()
    begins, lengths = stretches["token_offset"].to_numpy()[is_human], stretches["n_tokens"].to_numpy()[is_human]
    # The place of every human token: where its stretch begins, and how far it stands in it.
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    weights[np.repeat(begins, lengths) + within] = human
    return weights.reshape(blocks.blocks.shape)


def optimal_weight(blocks: TokenBlocks) -> float:
    """Return the golden weight of human tokens by how many of them, and of others, stand in the blocks."""
    stretches = blocks.documents()
    n_tokens = stretches["n_tokens"].to_numpy()
    n_human = int(n_tokens[pc.equal(stretches["origin"].cast("string"), "human").to_numpy()].sum())
    n_other = int(n_tokens.sum()) - n_human
    return golden_weight(n_human, n_other) if n_human and n_other else 1.0


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

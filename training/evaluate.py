"""The second heavy step of a generation: what the model lost, on held-out text and in what it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from training.files import read_json, write_json
from training.followed import follow
from training.learners.base import Decoding, Learner, TokenNll
from training.learners.registry import load_learner
from training.learners.tokenizers import count_tokens
from training.metrics.generated import generated_metrics
from training.metrics.heldout import heldout_metrics
from training.metrics.registry import chosen
from training.metrics.resemblance import resemblance_metrics
from training.metrics.words import Lexicon
from training.outputs import cut_to, draw_samples, tokenizer_of
from training.work import GenerationTask, PhaseProgress


def evaluate(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    """Evaluate a fitted model whose output is there; return metrics, seconds and how much was looked at.

    Raises
    ------
    CheckpointDamaged : the model's files, or those of generation 0's model, are not as they were saved
    SampleTooSmall : the model writes next to nothing at temperature 1
    """
    output = read_json(task.output)
    lexicon, heldout = read_json(task.lexicon), None if task.heldout is None else read_json(task.heldout)
    made_from = {
        "output": output["made_from"],
        "n_evaluated": task.n_evaluated,
        "n_heldout": task.n_heldout,
        "heldout": heldout and heldout["digest"],
        "lexicon": lexicon["digest"],
        "metrics": None if task.metrics is None else list(task.metrics),
        "follow": list(task.follow),
    }
    found = read_json(task.evaluation)
    if found is None or found["made_from"] != made_from:
        texts = heldout["texts"] if heldout else []
        evaluated = _evaluated(task, output["texts"], texts, Lexicon(lexicon["counts"]), progress)
        found = {"made_from": made_from, **evaluated}
        write_json(task.evaluation, found)
    return {key: found[key] for key in ("metrics", "n_documents", "seconds", "n_tokens", "n_unusable")}


def _evaluated(
    task: GenerationTask, output: list[str], heldout: list[str], lexicon: Lexicon, progress: PhaseProgress
) -> dict[str, Any]:
    """Return a sample at temperature 1, metrics of it, of the output and on held-out text, and the seconds."""
    tokenizer = tokenizer_of(task)
    learner = load_learner(task.model)
    sample = draw_samples(task, learner, "t1", Decoding(), task.n_evaluated, progress=progress)
    started = time.perf_counter()
    heldout = cut_to(heldout, tokenizer, task.n_heldout)
    scores = _scores(learner, heldout, progress) if heldout else None
    metrics = {} if scores is None else heldout_metrics(heldout, scores, lexicon=lexicon)
    first = learner if task.first_model == task.model else load_learner(task.first_model)
    n_documents = {}
    for kind, texts in (("arm", output), ("t1", sample["texts"])):
        evaluated = cut_to(texts, tokenizer, task.n_evaluated)
        n_documents[kind] = len(evaluated)
        values = {**generated_metrics(evaluated, lexicon=lexicon), "documents": float(len(evaluated))}
        if tokenizer is not None:
            values["tokens"] = float(sum(count_tokens(tokenizer, evaluated)))
        seen = _scores(first, evaluated, progress)
        if seen is not None:
            values |= resemblance_metrics(seen)
        metrics |= {f"{kind}_{name}": value for name, value in values.items()}
    metrics = chosen(metrics, task.metrics)
    return {
        **sample,
        "followed": _followed(task, learner),
        "metrics": metrics,
        "n_documents": n_documents,
        "seconds": {"evaluation_sample": sample["seconds"], "evaluate": time.perf_counter() - started},
    }


def _followed(task: GenerationTask, learner: Learner) -> list[str]:
    """Return how the model continues every prompt that is followed, a block's length under the arm's decoding."""
    tokenizer = tokenizer_of(task)
    if not task.follow or tokenizer is None:
        return []
    decoding = Decoding.model_validate(task.decoding)
    return follow(learner, tokenizer, task.follow, decoding=decoding, new_tokens=task.block_length, seed=task.seed)


def _scores(learner: Learner, texts: Sequence[str], progress: PhaseProgress) -> list[TokenNll] | None:
    """Return the scores of texts; None where the learner cannot score documents of its kind."""
    try:
        return learner.nll(texts, progress=lambda done, total: progress("evaluate", done, total))
    except NotImplementedError:
        return None

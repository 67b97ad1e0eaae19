"""The second heavy step of a generation: what the model lost, on held-out text and in what it writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from training.files import read_json, write_json
from training.learners.base import Decoding
from training.learners.registry import load_learner
from training.metrics.generated import generated_metrics
from training.metrics.heldout import heldout_metrics
from training.metrics.resemblance import resemblance_metrics
from training.metrics.words import Lexicon
from training.work import GenerationTask, PhaseProgress, draw_samples, tokenizer_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def evaluate(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    """Evaluate a fitted model whose output is there; return metrics and seconds.

    Raises
    ------
    CheckpointDamaged : the model's files, or those of generation 0's model, are not as they were saved
    SampleTooSmall : the model writes next to nothing at temperature 1
    """
    made_from = {
        "output": read_json(task.output)["made_from"],
        "n_evaluated": task.n_evaluated,
        "n_heldout": task.n_heldout,
        "heldout": read_json(task.heldout)["digest"],
        "lexicon": read_json(task.lexicon)["digest"],
    }
    found = read_json(task.evaluation)
    if found is None or found["made_from"] != made_from:
        found = {"made_from": made_from, **_evaluated(task, progress)}
        write_json(task.evaluation, found)
    return {key: found[key] for key in ("metrics", "seconds", "n_tokens")}


def _evaluated(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    """Return a sample at temperature 1, metrics of it, of the output and on held-out text, and the seconds."""
    lexicon = Lexicon(read_json(task.lexicon)["counts"])
    tokenizer = tokenizer_of(task)
    learner = load_learner(task.model)
    sample = draw_samples(task, learner, "t1", Decoding(), task.n_evaluated, progress=progress)
    started = time.perf_counter()
    heldout: list[str] = read_json(task.heldout)["texts"]
    if task.n_heldout is not None:
        heldout = cut_to_tokens(heldout, tokenizer, task.n_heldout)
    scores = learner.nll(heldout, progress=lambda done, total: progress("evaluate", done, total))
    metrics = heldout_metrics(heldout, scores, lexicon=lexicon)
    first = learner if task.first_model == task.model else load_learner(task.first_model)
    for kind, texts in (("arm", read_json(task.output)["texts"]), ("t1", sample["texts"])):
        evaluated = cut_to_tokens(texts, tokenizer, task.n_evaluated)
        values = {**generated_metrics(evaluated, lexicon=lexicon), **resemblance_metrics(first.nll(evaluated))}
        metrics |= {f"{kind}_{name}": value for name, value in values.items()}
    return {
        "texts": sample["texts"],
        "n_tokens": sample["n_tokens"],
        "metrics": metrics,
        "seconds": {"evaluation_sample": sample["seconds"], "evaluate": time.perf_counter() - started},
    }


def cut_to_tokens(texts: list[str], tokenizer: Tokenizer, n_tokens: int) -> list[str]:
    """Return the first texts, the last one cut, that together hold `n_tokens` tokens; all if they hold fewer."""
    kept: list[str] = []
    missing = n_tokens
    for text in texts:
        if missing <= 0:
            break
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        kept.append(text if len(offsets) <= missing else text[: offsets[missing - 1][1]])
        missing -= len(offsets)
    return kept

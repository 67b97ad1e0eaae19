"""What a fitted model writes: drawn until there is enough that a training set can use, with the prompt of each text."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training.errors import SampleTooSmall
from training.learners.base import Decoding, Learner, Sample
from training.learners.tokenizers import count_tokens
from training.metrics.words import has_words
from training.prompts import PromptCutter
from training.seeds import derive_seed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from training.work import GenerationTask, PhaseProgress

#: Sampling is repeated with further seeds until there is enough text, at most so often.
SAMPLE_ROUNDS = 20


def draw_samples(
    task: GenerationTask, learner: Learner, kind: str, decoding: Decoding, n: int, *, progress: PhaseProgress
) -> dict[str, Any]:
    """Draw texts until those that a training set can use hold `n` tokens (or are `n` documents).

    Returns
    -------
    texts, n_tokens (all that were drawn), seconds, n_unusable; parents (ids of the documents in the prompt of each
    text) where there are prompts

    Raises
    ------
    SampleTooSmall : the model writes next to nothing
    TooFewPrompts : there are too few prompts for beam search

    Notes
    -----
    The tokenizer may need fewer tokens for a text than were drawn, and some texts are unusable (empty, only special
    tokens, or with a NUL character): the store refuses and counts those, so all are kept here.
    """
    started = time.perf_counter()
    tokenizer = tokenizer_of(task)
    cutter = None if task.prompts is None else PromptCutter(task.prompts)
    drawn: list[Sample] = []
    prompts: list[int] = []
    usable = turn = n_unusable = 0
    while (missing := n - usable) > 0:
        if turn == SAMPLE_ROUNDS:
            raise SampleTooSmall(task.name, n, usable, SAMPLE_ROUNDS)
        given = None if cutter is None else cutter.next(missing, repeat=decoding.beams == 1)
        new = learner.sample(
            missing,
            decoding=decoding,
            seed=derive_seed(task.seed, "sample", kind, turn),
            prompts=None if given is None else given[0],
            progress=lambda done, total: progress("sample", done, total),
        )
        drawn += new
        if given is not None:
            prompts += [int(given[1][sample.prompt or 0]) for sample in new]
        found = [sample.text for sample in new if is_usable(sample.text)]
        usable += _size(tokenizer, found)
        n_unusable += len(new) - len(found)
        turn += 1
    return {
        "texts": [sample.text for sample in drawn],
        "n_tokens": sum(sample.n_tokens for sample in drawn),
        "n_unusable": n_unusable,
        "seconds": time.perf_counter() - started,
        **({} if cutter is None else {"parents": _parents(cutter, prompts)}),
    }


def _size(tokenizer: Tokenizer | None, texts: Sequence[str]) -> int:
    """Return how much texts are: in tokens, or in documents where there is no tokenizer."""
    return len(texts) if tokenizer is None else sum(count_tokens(tokenizer, texts))


def _parents(cutter: PromptCutter, prompts: Sequence[int]) -> list[list[str]]:
    documents = {number: cutter.documents(number) for number in sorted(set(prompts))}
    return [documents[number] for number in prompts]


def tokenizer_of(task: GenerationTask) -> Tokenizer | None:
    """Return the tokenizer that a task's blocks were made with; None where the learner counts documents."""
    if task.unit == "documents":
        return None
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(task.exported / "tokenizer.json"))


def is_usable(text: str) -> bool:
    """Return whether a text has words and can be stored."""
    return "\0" not in text and has_words(text)


def cut_to(texts: Sequence[str], tokenizer: Tokenizer | None, n: int | None) -> list[str]:
    """Return the first texts that together hold `n` tokens, the last one cut; all if they hold fewer.

    Without a tokenizer the first `n` texts, and all where `n` is None.
    """
    if n is None or tokenizer is None:
        return list(texts[:n])
    kept: list[str] = []
    missing = n
    for text in texts:
        if missing <= 0:
            break
        offsets = tokenizer.encode(text, add_special_tokens=False).offsets
        kept.append(text if len(offsets) <= missing else text[: offsets[missing - 1][1]])
        missing -= len(offsets)
    return kept

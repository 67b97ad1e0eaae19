from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from training.followed import follow
from training.learners.base import Decoding, Sample


class Echo:
    """A learner that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def sample(self, n: int, *, decoding: Decoding, seed: int, prompts: Any) -> list[Sample]:
        self.asked.append((n, decoding, seed, prompts.tokens.tolist(), prompts.new_tokens))
        return [Sample(f"continues {prompts.tokens.shape[1]} words", n, prompt=0)]


def test_every_prompt_is_continued_once_in_its_own_length() -> None:
    tokenizer = Tokenizer(WordLevel({"some": 0, "started": 1, "before": 2, "?": 3}, unk_token="?"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    learner: Any = Echo()
    beams = Decoding(beams=5)
    prompts = ["some started before", "before"]
    found = follow(learner, tokenizer, prompts, decoding=beams, new_tokens=64, seed=3)
    assert found == ["continues 3 words", "continues 1 words"]
    assert [(n, decoding, tokens, new) for n, decoding, _, tokens, new in learner.asked] == [
        (64, beams, [[0, 1, 2]], 64),
        (64, beams, [[2]], 64),
    ]
    assert learner.asked[0][2] != learner.asked[1][2]
    again: Any = Echo()
    follow(again, tokenizer, prompts, decoding=beams, new_tokens=64, seed=3)
    assert again.asked == learner.asked

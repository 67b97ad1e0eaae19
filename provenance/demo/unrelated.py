"""Short pages about everyday things, put together from templates: text that is no copy of anything."""

from __future__ import annotations

import random
import re
from functools import cache
from importlib import resources
from typing import Any

import yaml

_SLOT = re.compile(r"\{(\w+)\}")
_SENTENCES_PER_PARAGRAPH = 5


def everyday_page(rng: random.Random, *, n_words: int) -> str:
    """Return a page of at least `n_words` words about one everyday topic, in paragraphs.

    Parameters
    ----------
    rng : the only source of chance; the same state gives the same page
    n_words : length at which the page ends with the next sentence
    """
    everyday = _everyday()
    topic = everyday["topics"][rng.choice(sorted(everyday["topics"]))]
    slots: dict[str, list[str]] = {**everyday["every_topic"], **topic["slots"]}
    sentences: list[str] = []
    length = 0
    while length < n_words:
        sentence = _SLOT.sub(lambda slot: rng.choice(slots[slot[1]]), rng.choice(topic["sentences"]))
        sentences.append(sentence[0].upper() + sentence[1:])
        length += len(sentence.split())
    starts = range(0, len(sentences), _SENTENCES_PER_PARAGRAPH)
    return "\n\n".join(" ".join(sentences[start : start + _SENTENCES_PER_PARAGRAPH]) for start in starts)


@cache
def _everyday() -> dict[str, Any]:
    """Return the words and sentences; the file is part of the package."""
    text = (resources.files("provenance.demo") / "data" / "everyday.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))

"""A small planted "crawl": pages of which we know what each is a copy of, for demonstrations and tests.

Nothing in a page but its metadata says where it came from. `metadata.kind` is one of `verbatim`, `edited`,
`truncated` and `unrelated`, `metadata.original` the id of the text that it is a copy of, and
`metadata.jaccard` the exact Jaccard similarity of the two over shingles of 5 words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
import yaml

from provenance.demo.unrelated import everyday_page

SHINGLE_TOKENS = 5
#: An edited copy is changed until it is about as similar as a number drawn between these two ...
MOST_SIMILAR = 0.95
LEAST_SIMILAR = 0.78
#: ... and never less similar than this.
FLOOR = 0.75
#: Share of the words that a truncated copy keeps.
KEPT_FRAC = (0.35, 0.9)
#: Texts with fewer words are no use as originals: one changed word would change them beyond recognition.
SHORTEST_ORIGINAL = 40

_LATIN_WORD = re.compile(r"[A-Za-z]+")
# For English the tokens of `provenance.dedup.tokens`, found a hundred times as fast.
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True)
class CrawlCounts:
    """How many pages of each kind a crawl has."""

    verbatim: int = 30
    edited: int = 90
    truncated: int = 40
    unrelated: int = 140


def planted_crawl(
    documents: Iterable[Mapping[str, Any]], *, seed: int = 1790, counts: CrawlCounts | None = None
) -> list[dict[str, Any]]:
    """Return pages that are copies of some of the documents, among pages that are not.

    Parameters
    ----------
    documents : originals with `id` and `text`, for instance `read_corpus()`; every one is copied at most once
    seed : the same documents, seed and counts give the same pages in the same order
    counts : pages of each kind; by default 300 in all
    """
    counts = counts or CrawlCounts()
    rng = random.Random(seed)
    n_copies = counts.verbatim + counts.edited + counts.truncated
    originals = rng.sample(_usable(documents), n_copies)
    kinds = ["verbatim"] * counts.verbatim + ["edited"] * counts.edited + ["truncated"] * counts.truncated
    pages = [_copy(original, kind, rng=rng) for original, kind in zip(originals, kinds, strict=True)]
    pages += [_unrelated(rng) for _ in range(counts.unrelated)]
    rng.shuffle(pages)
    return _numbered(pages, site="crawl.example")


def generated_crawl(
    generated: Sequence[Mapping[str, Any]], *, seed: int = 2026, n_pages: int = 60, n_unrelated: int = 20
) -> list[dict[str, Any]]:
    """Return pages made of a model's output, most of them lightly edited, as they come back from the web.

    Parameters
    ----------
    generated : the model's texts, with `text` and `id` (or `document_id`)
    seed : the same texts and seed give the same pages
    n_pages : copies wanted; fewer when there are fewer usable texts. Every fourth is verbatim, the rest is
    edited.
    n_unrelated : pages that no model of ours wrote
    """
    rng = random.Random(seed)
    usable = _usable(generated)
    originals = rng.sample(usable, min(n_pages, len(usable)))
    kinds = ["edited" if i % 4 else "verbatim" for i in range(len(originals))]
    pages = [_copy(original, kind, rng=rng) for original, kind in zip(originals, kinds, strict=True)]
    pages += [_unrelated(rng) for _ in range(n_unrelated)]
    rng.shuffle(pages)
    return _numbered(pages, site="later-crawl.example")


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """Write records as JSON Lines and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for record in records:
            file.write(orjson.dumps(dict(record), option=orjson.OPT_APPEND_NEWLINE))
    return path


def edit(text: str, *, similarity: float, rng: random.Random) -> str:
    """Return the text with words replaced until its similarity to the original is `similarity`, about.

    Similarity is Jaccard. No replacement is made that would take it below `FLOOR`, so a text that cannot be changed
    lightly stays as it is.
    """
    original = shingles(text)
    edited = text
    words = [word for word in _LATIN_WORD.findall(text) if word.casefold() in light_edits()]
    for word in rng.sample(words, len(words)):
        changed = _replace_word(edited, word, rng=rng)
        reached = jaccard(original, shingles(changed))
        if reached >= FLOOR:
            edited = changed
            if reached <= similarity:
                break
    return edited


@cache
def light_edits() -> dict[str, list[str]]:
    """Return what a careless editor puts in place of frequent words, by the word in lower case."""
    text = (resources.files("provenance.demo") / "data" / "light_edits.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the shingles of an English text as the near-duplicate search sees them."""
    words = _TOKEN.findall(text.casefold())
    if not words:
        return frozenset()
    width = min(SHINGLE_TOKENS, len(words))
    return frozenset(tuple(words[i : i + width]) for i in range(len(words) - width + 1))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Return the Jaccard similarity of two sets, 1 for two empty ones."""
    return len(a & b) / len(a | b) if a or b else 1.0


def _replace_word(text: str, word: str, *, rng: random.Random) -> str:
    """Return the text with one occurrence of a word replaced, in the same case."""
    matches = list(re.finditer(rf"\b{word}\b", text))
    if not matches:  # replaced already, every one
        return text
    match = rng.choice(matches)
    new = rng.choice(light_edits()[word.casefold()])
    new = new[0].upper() + new[1:] if word[0].isupper() else new
    return text[: match.start()] + new + text[match.end() :]


def _truncate(text: str, *, kept_frac: float) -> str:
    """Return the beginning of a text, cut between two words, as a page with a "read more" link shows it."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return text[: ends[max(1, round(kept_frac * len(ends))) - 1]]


def _copy(original: Mapping[str, Any], kind: str, *, rng: random.Random) -> dict[str, Any]:
    text = original["text"]
    if kind == "edited":
        text = edit(text, similarity=rng.uniform(LEAST_SIMILAR, MOST_SIMILAR), rng=rng)
    elif kind == "truncated":
        text = _truncate(text, kept_frac=rng.uniform(*KEPT_FRAC))
    similarity = jaccard(shingles(original["text"]), shingles(text))
    return _page(text, kind=kind, original=_id(original), similarity=similarity)


def _unrelated(rng: random.Random) -> dict[str, Any]:
    text = everyday_page(rng, n_words=rng.randint(120, 400))
    return _page(text, kind="unrelated", original=None, similarity=0.0)


def _page(text: str, *, kind: str, original: str | None, similarity: float) -> dict[str, Any]:
    return {"text": text, "metadata": {"kind": kind, "original": original, "jaccard": round(similarity, 4)}}


def _numbered(pages: list[dict[str, Any]], *, site: str) -> list[dict[str, Any]]:
    """Return the pages with ids and addresses that tell nothing about them."""
    names = [f"{site}/{n:04d}" for n in range(1, len(pages) + 1)]
    return [{"id": name, "uri": f"https://{name}", **page} for name, page in zip(names, pages, strict=True)]


def _usable(documents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [document for document in documents if len(document["text"].split()) >= SHORTEST_ORIGINAL]


def _id(document: Mapping[str, Any]) -> str:
    return str(document["id"] if "id" in document else document["document_id"])

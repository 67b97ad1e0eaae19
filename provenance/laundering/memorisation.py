"""How much of what a model wrote stands in what it was trained on, and where.

A sample of its texts is compared with every text of its training set and of those of the models behind it: nothing is
asked of labels, so that it shows what a model repeats whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.parameters import SAMPLED_FRAC
from provenance.errors import UnknownName
from provenance.laundering.errors import NothingToCompare
from provenance.laundering.index import members_of, pick_spans, text_batches, texts_of
from provenance.laundering.judge import LEARNT_FROM, ancestors
from provenance.laundering.overlap import overlap
from provenance.laundering.roles import MIN_WORDS, SAME_TEXT
from provenance.laundering.search import classified, joined, nominate
from provenance.store.store import Store, fetch, staged

_MODELS = "SELECT name, training_set FROM model ORDER BY name"
# By a hash of the id: the same sample every time, whatever the order in which documents came.
_SAMPLE = f"""
    SELECT DISTINCT c.content_no, c.n_words FROM document d JOIN content c USING (content_id)
    WHERE d.model = :model AND d.origin IN ('synthetic', 'mixed') AND c.n_words >= {MIN_WORDS}
    ORDER BY md5(c.content_id::VARCHAR || :seed) LIMIT :n
"""
_TRAINED_ON = f"""
    SELECT DISTINCT c.content_no, c.n_bytes FROM training_set_item i JOIN document d USING (document_id)
    JOIN content c USING (content_id)
    WHERE i.training_set IN (SELECT name FROM wanted) AND c.n_words >= {MIN_WORDS} ORDER BY c.content_no
"""
_WRITTEN = """
    SELECT c.content_no, min(d.document_id)::VARCHAR AS id
    FROM content c SEMI JOIN wanted USING (content_no) JOIN document d USING (content_id)
    WHERE d.model = :model GROUP BY c.content_no
"""
_SOURCES = """
    SELECT c.content_no, min(d.document_id)::VARCHAR AS document_id, arg_min(d.source, d.document_id) AS source,
           arg_min(d.external_id, d.document_id) AS external_id
    FROM content c SEMI JOIN wanted USING (content_no) JOIN document d USING (content_id)
    WHERE d.document_id IN (SELECT document_id FROM training_set_item SEMI JOIN sets USING (training_set))
    GROUP BY c.content_no
"""


@dataclass(frozen=True)
class Repeated:
    """One text of the model that stands in a text that it was trained on.

    Attributes
    ----------
    written : document with the model's text
    trained_on : document with the other text: id, source and the source's own id
    kind, score : as in the view `laundered`
    n_words : the model's words that stand in it, in runs of 13 and more
    """

    written: str
    trained_on: dict[str, Any]
    kind: str
    score: float
    n_words: int


@dataclass(frozen=True)
class Memorisation:
    """What a model repeats.

    Attributes
    ----------
    model : its name
    training_sets : what it, and the models behind it, were trained on
    n_sampled, n_repeated : texts of the model, and those found in a text of the training sets
    n_words, n_words_repeated : words of the sample, and those in runs of 13 and more that one such text holds
    repeated : of each text found the closest training text, the closest first
    """

    model: str
    training_sets: tuple[str, ...]
    n_sampled: int
    n_repeated: int
    n_words: int
    n_words_repeated: int
    repeated: list[Repeated] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the sample's texts that were found, 0 to 1."""
        return self.n_repeated / self.n_sampled


def measure_memorisation(
    store: Store, model: str, *, sample: int = 1000, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Memorisation:
    """Return how much of a sample of a model's texts stands in what it was trained on.

    Parameters
    ----------
    sample : number of different texts, at most
    seed : which ones
    progress : is told how many training texts of how many were compared

    Raises
    ------
    UnknownName
        If there is no such model.
    NothingToCompare
        If it was not trained here, or the store holds no text of it.
    """
    with store.read() as connection:
        sets = _training_sets(connection, model)
        rows = fetch(connection, _SAMPLE, {"model": model, "seed": str(seed), "n": sample})
        if not rows.num_rows:
            raise NothingToCompare(model, f"the store holds no text of {MIN_WORDS} words or more by it")
        written = texts_of(connection, rows["content_no"])
        with staged(connection, wanted=pa.table({"name": pa.array(sets)})):
            todo = fetch(connection, _TRAINED_ON)
        closest = _closest(connection, written, todo, progress)
        repeated = _named(connection, closest, model, sets)
    n_words = sum(one.n_words for one in repeated)
    return Memorisation(
        model, tuple(sets), written.num_rows, len(repeated), sum(rows["n_words"].to_pylist()), n_words, repeated
    )


class _Found(NamedTuple):
    n_words: int
    kind: str
    score: float
    trained_on: int


def _training_sets(connection: Connection, model: str) -> list[str]:
    """Return what a model, and the models behind it, were trained on."""
    known: dict[str, str | None] = dict(zip(*fetch(connection, _MODELS).to_pydict().values(), strict=True))
    if model not in known:
        raise UnknownName("model", model, sorted(known))
    if known[model] is None:
        raise NothingToCompare(model, "it was not trained on a training set of this store")
    learnt_from: dict[str, list[str]] = {}
    for name, before in zip(*fetch(connection, LEARNT_FROM).to_pydict().values(), strict=True):
        learnt_from.setdefault(name, []).append(before)
    return sorted({found for name in ancestors(model, learnt_from) if (found := known.get(name)) is not None})


def _closest(
    connection: Connection, written: pa.Table, todo: pa.Table, progress: Callable[[int, int], None] | None
) -> dict[int, _Found]:
    """Return for numbers of written texts the training text that holds most of their words."""
    numbers = written["content_no"].to_numpy()
    spans = pick_spans(written["text"], sampled_frac=SAMPLED_FRAC)
    members = members_of(numbers, spans)
    found: dict[int, _Found] = {}
    n_done = 0
    for rows in text_batches(connection, todo):
        own = pick_spans(rows["text"], sampled_frac=SAMPLED_FRAC)
        pairs = nominate(own, members)
        first, second = np.searchsorted(numbers, pairs.numbers), numbers.size + pairs.rows
        common = overlap(joined(written["text"], rows["text"]), first, second)
        kinds, scores, _ = classified(common)
        others = rows["content_no"].to_numpy()[pairs.rows]
        is_same = others == pairs.numbers
        kinds, scores = np.where(is_same, SAME_TEXT, kinds), np.where(is_same, 1.0, scores)
        for at in np.flatnonzero(kinds != ""):
            one = _Found(int(common.n_common[at]), str(kinds[at]), float(scores[at]), int(others[at]))
            number = int(pairs.numbers[at])
            found[number] = max(found.get(number, one), one)
        n_done += rows.num_rows
        if progress is not None:
            progress(n_done, todo.num_rows)
    return found


def _named(connection: Connection, found: dict[int, _Found], model: str, sets: Sequence[str]) -> list[Repeated]:
    numbers = pa.array(sorted({*found, *(one.trained_on for one in found.values())}), pa.uint32())
    tables = {"wanted": pa.table({"content_no": numbers}), "sets": pa.table({"training_set": pa.array(sets)})}
    with staged(connection, **tables):
        written = {row["content_no"]: row["id"] for row in fetch(connection, _WRITTEN, {"model": model}).to_pylist()}
        sources = {row.pop("content_no"): row for row in fetch(connection, _SOURCES).to_pylist()}
    rows = [
        Repeated(written[number], sources[one.trained_on], one.kind, one.score, one.n_words)
        for number, one in found.items()
    ]
    return sorted(rows, key=lambda one: (-one.n_words, one.written))

"""One text of every model, chosen by its id and not by hand, shortened."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from provenance.store import views
from provenance.store.store import Store
from training.report.data import Results

#: Characters that a sample shows.
LENGTH = 420
#: Shorter texts are shown only where a model wrote no longer one.
MIN_WORDS = 40


@dataclass(frozen=True)
class SampleText:
    """A text as shown.

    Attributes
    ----------
    n_words : length of the whole text
    """

    text: str
    n_words: int
    shortened: bool


def read_samples(store: Store, results: Results) -> dict[str, SampleText]:
    """Return a text by model name, for the models of the first seed that wrote documents.

    It is the first by document id, which is a hash, among those of 40 words or more.
    """
    seed = results.seeds[0]
    models = sorted({run.model for run in results.finished.values() if run.model and run.seed == seed})
    documents = views.documents
    short = case((documents.c.n_words < MIN_WORDS, MIN_WORDS - documents.c.n_words), else_=0)
    place = func.row_number().over(partition_by=documents.c.source, order_by=(short, documents.c.document_id))
    ranked = select(documents.c.document_id, place.label("place")).where(documents.c.source.in_(models)).subquery()
    first = select(ranked.c.document_id).where(ranked.c.place == 1)
    query = select(documents.c.source, documents.c.n_words, documents.c.text).where(documents.c.document_id.in_(first))
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {model: shortened(text, n_words) for model, n_words, text in rows}


def shortened(text: str, n_words: int, *, length: int = LENGTH) -> SampleText:
    """Return the beginning of a text as a page can show it."""
    plain = printable(text).strip()
    if len(plain) <= length:
        return SampleText(plain, n_words, shortened=False)
    cut = plain[:length]
    space = max((match.start() for match in re.finditer(r"\s", cut)), default=length)
    return SampleText(cut[: space if space > length // 2 else length].rstrip() + "\u00a0…", n_words, shortened=True)


def printable(text: str) -> str:
    """Return a text with everything that a page cannot show, or that would reorder it, made visible."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return character
    return character if character in _JOINERS else "\ufffd"


#: Format characters that many scripts and emoji need.
_JOINERS: Sequence[str] = ("\u200c", "\u200d", "\u00ad")

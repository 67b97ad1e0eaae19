"""What a description of a training set says of it: shares, sources, licences, evidence, as counted from its draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import Select, func, select

from provenance.licences import LICENCE_CLASSES
from provenance.mix.manifest import store_id
from provenance.records import GRADES
from provenance.spdx import canonical
from provenance.store import schema

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

_COPIES_LEFT_OUT = """
    WITH drawn AS (SELECT DISTINCT document_id FROM training_set_item WHERE training_set = :name)
    SELECT count(*) AS n FROM document d ANTI JOIN drawn USING (document_id)
    WHERE d.cluster_id IN (SELECT c.cluster_id FROM document c SEMI JOIN drawn USING (document_id))
"""
_LANGUAGES = """
    SELECT a.text AS language, count(*) AS n
    FROM annotation a SEMI JOIN training_set_item i ON i.training_set = :name AND i.document_id = a.document_id
    WHERE a.attribute = 'language' AND regexp_full_match(a.text, '[a-z]{2,3}(-[A-Za-z]{2,4})?')
    GROUP BY a.text ORDER BY n DESC, a.text
"""
#: What SPDX writes where nobody says anything of the licence.
NO_LICENCE = "NOASSERTION"


@dataclass(frozen=True)
class Share:
    """A part of a training set, as drawn: every draw of a document counts.

    Attributes
    ----------
    names : what the part has in common, by column
    documents, words : draws in it, and their words
    document_share, word_share : the same as shares of the whole, 0..1
    """

    names: dict[str, Any]
    documents: int
    words: int
    document_share: float
    word_share: float

    def as_mapping(self) -> dict[str, Any]:
        """Return it as plain data."""
        counts = {"documents": self.documents, "words": self.words}
        shares = {"document_share": self.document_share, "word_share": self.word_share}
        return {**self.names, **counts, **shares}


@dataclass(frozen=True)
class SetFacts:
    """Facts about a training set.

    Attributes
    ----------
    name, digest, seed, spec : of the training set
    store_id : the store that drew it
    created_at : when it was drawn (UTC)
    documents, words, n_bytes : draws, and their size
    distinct_documents : documents that were drawn at least once
    repeated : draws of a document beyond its first
    copies_left_out : documents of the store that are copies or near-copies of drawn ones, and were not drawn
    human : Share of the draws of human origin
    generations : parts by origin and generation
    grades : parts by origin and grade of evidence
    sources : parts by source, with its uri
    models : parts by model, of what is not human
    licences : parts by licence, the freest class first
    languages : codes of languages, where an annotation `language` names them
    """

    name: str
    digest: str
    seed: int
    spec: dict[str, Any]
    manifest: dict[str, Any]
    store_id: str
    created_at: datetime
    documents: int
    words: int
    n_bytes: int
    distinct_documents: int
    human: Share
    generations: list[Share]
    grades: list[Share]
    sources: list[Share]
    models: list[Share]
    licences: list[Share]
    copies_left_out: int
    languages: list[str]

    @property
    def repeated(self) -> int:
        """Draws of a document beyond its first."""
        return self.documents - self.distinct_documents

    @property
    def synthetic(self) -> list[Share]:
        """The parts that are not human, by origin and generation."""
        return [part for part in self.generations if part.names["origin"] != "human"]

    @property
    def licence_names(self) -> list[str]:
        """Every licence once, in the spelling of SPDX where it is one; `NOASSERTION` where none is stated."""
        return list(dict.fromkeys(spdx_name(part.names["licence"]) for part in self.licences))

    @property
    def strictest_class(self) -> str:
        """The most restrictive class of licence in it."""
        classes = [part.names["licence_class"] for part in self.licences]
        return max(classes, key=LICENCE_CLASSES.index, default="unknown")


def spdx_name(licence: str | None) -> str:
    """Return a licence in the spelling of SPDX, as it was stated where it is no SPDX expression."""
    return NO_LICENCE if licence is None else canonical(licence) or licence


def facts_of(training_set: TrainingSet) -> SetFacts:
    """Count what a training set consists of."""
    store, manifest = training_set.store, training_set.manifest
    stored = store.fetch(
        select(schema.training_set.c.created_at).where(schema.training_set.c.name == training_set.name)
    )
    totals = manifest["totals"]
    by_origin = _parts(training_set, "origin", "generation")
    human = [part for part in by_origin if part.names["origin"] == "human"]
    return SetFacts(
        name=training_set.name,
        digest=training_set.digest,
        seed=manifest["seed"],
        spec=manifest["spec"],
        manifest=manifest,
        store_id=store_id(store),
        created_at=stored["created_at"][0].as_py(),
        documents=totals["documents"],
        words=totals["words"],
        n_bytes=totals["bytes"],
        distinct_documents=manifest["distinct_documents"],
        human=human[0] if human else Share({"origin": "human", "generation": 0}, 0, 0, 0.0, 0.0),
        generations=by_origin,
        grades=[_graded(part) for part in _parts(training_set, "origin", "evidence_rank")],
        sources=_with_uris(training_set, _parts(training_set, "source")),
        models=[part for part in _parts(training_set, "model") if part.names["model"] is not None],
        licences=sorted(_parts(training_set, "licence", "licence_class"), key=_freest_first),
        copies_left_out=_copies_left_out(training_set),
        languages=_languages(training_set),
    )


def _parts(training_set: TrainingSet, *columns: str) -> list[Share]:
    """Return the parts of the draws that have the same values in some columns, the smallest values first."""
    item, document = schema.training_set_item, schema.document
    keys = [item.c[name] if name in item.c else document.c[name] for name in columns]
    query: Select[Any] = (
        select(*keys, func.count().label("documents"), func.sum(item.c.n_words).label("words"))
        .join_from(item, document, document.c.document_id == item.c.document_id)
        .where(item.c.training_set == training_set.name)
        .group_by(*keys)
        .order_by(*(key.nulls_last() for key in keys))
    )
    found: pa.Table = training_set.store.fetch(query)
    totals = training_set.manifest["totals"]
    n_documents, n_words = max(1, totals["documents"]), max(1, totals["words"])
    return [
        Share(
            {name: row[name] for name in columns},
            row["documents"],
            int(row["words"]),
            row["documents"] / n_documents,
            int(row["words"]) / n_words,
        )
        for row in found.to_pylist()
    ]


def _graded(part: Share) -> Share:
    names = {"origin": part.names["origin"], "evidence_grade": GRADES[part.names["evidence_rank"]]}
    return Share(names, part.documents, part.words, part.document_share, part.word_share)


def _with_uris(training_set: TrainingSet, parts: list[Share]) -> list[Share]:
    rows = training_set.store.fetch(select(schema.source.c.name, schema.source.c.uri)).to_pylist()
    uris = {row["name"]: row["uri"] for row in rows}
    return [
        Share({**one.names, "uri": uris.get(one.names["source"])}, one.documents, one.words, one.document_share,
              one.word_share)
        for one in parts
    ]  # fmt: skip


def _freest_first(part: Share) -> tuple[int, str]:
    return LICENCE_CLASSES.index(part.names["licence_class"]), part.names["licence"] or ""


def _copies_left_out(training_set: TrainingSet) -> int:
    return int(training_set.store.fetch(_COPIES_LEFT_OUT, {"name": training_set.name})["n"][0].as_py())


def _languages(training_set: TrainingSet) -> list[str]:
    found: list[str] = training_set.store.fetch(_LANGUAGES, {"name": training_set.name})["language"].to_pylist()
    return found

"""Edges: verified pairs of contents, each with the rule that made it and its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.bands import count_equal, is_wordless
from provenance.dedup.buckets import Nominations, Numbers
from provenance.dedup.containment import coverage
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.tokens import RULE_VERSION
from provenance.ids import id_values, uuid_array
from provenance.store.store import staged

Ids = npt.NDArray[np.bytes_]

NORMALISED, NEAR, CONTAINMENT = "normalised", "near", "containment"
#: What each rule means.
RULES = {
    NORMALISED: "the same but for case, Unicode composition and white space",
    NEAR: "estimated Jaccard similarity of the shingles at or above the threshold",
    CONTAINMENT: "one text stands inside the other, in shared runs of 13 tokens and more",
}

_IDS = """
    SELECT content_no, content_id::BLOB AS content_id FROM signature
    WHERE content_no IN (SELECT content_no FROM wanted) ORDER BY content_no
"""
_SIGNATURES = """
    SELECT content_no, hashvalues, normal_hash FROM signature
    WHERE content_no IN (SELECT content_no FROM wanted) ORDER BY content_no
"""
_TEXTS = """
    SELECT content_no, text FROM content WHERE content_no IN (SELECT content_no FROM wanted) ORDER BY content_no
"""
_INSERT = """
    INSERT INTO near_duplicate BY NAME
    SELECT f.* FROM found f ANTI JOIN near_duplicate n USING (content_a, content_b, rule)
"""
_AT = """
    SELECT content_a::BLOB AS a, content_b::BLOB AS b, rule FROM near_duplicate
    WHERE content_a IN (SELECT content_id FROM wanted) OR content_b IN (SELECT content_id FROM wanted)
"""
_DELETE = """
    DELETE FROM near_duplicate n USING lapsed l
    WHERE n.content_a = l.content_a AND n.content_b = l.content_b AND n.rule = l.rule
"""


@dataclass(frozen=True)
class Edges:
    """Pairs of contents.

    Attributes
    ----------
    first, second : (n,) uint32 — content numbers
    rules : (n,) rule of each
    scores : (n,) float64, 0..1
    """

    first: Numbers
    second: Numbers
    rules: npt.NDArray[np.str_]
    scores: npt.NDArray[np.float64]


class ContentIds(NamedTuple):
    """Ids of contents.

    Attributes
    ----------
    numbers : (n,) uint32, ascending
    ids : (n,) of `ID_TYPE`
    """

    numbers: Numbers
    ids: Ids

    def of(self, numbers: Numbers) -> Ids:
        """Return the ids of some of the contents."""
        found: Ids = self.ids[np.searchsorted(self.numbers, numbers)]
        return found


class EdgeIds(NamedTuple):
    """Edges by the ids at their ends.

    Attributes
    ----------
    first, second : (n,) of `ID_TYPE`; the smaller id is the first
    rules : (n,) rule of each
    """

    first: Ids
    second: Ids
    rules: npt.NDArray[np.str_]

    def take(self, rows: npt.NDArray[Any]) -> EdgeIds:
        """Return some of the edges."""
        return EdgeIds(self.first[rows], self.second[rows], self.rules[rows])

    def ends(self) -> Ids:
        """Return the ids at both ends of all edges."""
        return np.concatenate([self.first, self.second])


@dataclass(frozen=True)
class Signed:
    """Signatures of contents, in ascending order of their numbers.

    Attributes
    ----------
    numbers : (n,) uint32
    hashvalues : (n, n_perm) uint32
    normal_hashes : (n,) uint64; 0 where the store has none yet
    """

    numbers: Numbers
    hashvalues: npt.NDArray[np.uint32]
    normal_hashes: npt.NDArray[np.uint64]

    def rows(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """Return the rows of some of the contents."""
        return np.searchsorted(self.numbers, numbers)


def load_ids(connection: Connection, numbers: Numbers) -> ContentIds:
    """Return the ids of signed contents, each once."""
    with staged(connection, wanted=pa.table({"content_no": numbers})) as raw:
        rows = raw.execute(_IDS).to_arrow_table()
    return ContentIds(rows["content_no"].to_numpy(), id_values(rows["content_id"]))


def load_signed(connection: Connection, numbers: Numbers, *, n_perm: int) -> Signed:
    """Return the signatures of contents."""
    with staged(connection, wanted=pa.table({"content_no": numbers})) as raw:
        rows = raw.execute(_SIGNATURES).to_arrow_table().combine_chunks()
    values = rows["hashvalues"].combine_chunks() if rows.num_rows else pa.array([], pa.list_(pa.uint32()))
    return Signed(
        rows["content_no"].to_numpy(),
        values.flatten().to_numpy().reshape(-1, n_perm),
        rows["normal_hash"].fill_null(0).to_numpy(),
    )


def similar(pairs: Nominations, signed: Signed, parameters: DedupParameters) -> Edges:
    """Return those of the pairs that are the same in normal form or near-duplicates."""
    first, second = signed.rows(pairs.first), signed.rows(pairs.second)
    equal = count_equal(signed.hashvalues, first, second)
    normal = signed.normal_hashes
    same = (equal == parameters.n_permutations) & (normal[first] == normal[second]) & (normal[first] != 0)
    near = (equal >= parameters.min_equal) & ~same
    near &= ~is_wordless(signed.hashvalues)[first]  # such texts agree in everything and say nothing by it
    taken = same | near
    rules = np.where(same[taken], NORMALISED, NEAR)
    return Edges(pairs.first[taken], pairs.second[taken], rules, equal[taken] / parameters.n_permutations)


def contained(connection: Connection, pairs: Nominations, parameters: DedupParameters) -> Edges:
    """Return those of the pairs of which one stands inside the other."""
    assert parameters.containment is not None
    if not pairs.first.size:
        return Edges(pairs.first, pairs.second, np.zeros(0, "U1"), np.zeros(0))
    with staged(connection, wanted=pa.table({"content_no": np.union1d(pairs.first, pairs.second)})) as raw:
        rows = raw.execute(_TEXTS).to_arrow_table()
    numbers = rows["content_no"].to_numpy()
    scores = coverage(rows["text"], np.searchsorted(numbers, pairs.first), np.searchsorted(numbers, pairs.second))
    taken = scores >= parameters.containment
    return Edges(pairs.first[taken], pairs.second[taken], np.full(taken.sum(), CONTAINMENT), scores[taken])


def insert_edges(connection: Connection, edges: Edges, ids: ContentIds) -> EdgeIds:
    """Insert the edges that are not there yet, and return all."""
    a, b = ids.of(edges.first), ids.of(edges.second)
    found = EdgeIds(np.where(a < b, a, b), np.where(a < b, b, a), edges.rules)
    if found.first.size:
        version = pa.array(np.full(found.first.size, RULE_VERSION), pa.uint16())
        rows = _as_table(found).append_column("score", pa.array(edges.scores)).append_column("rule_version", version)
        with staged(connection, found=rows) as raw:
            raw.execute(_INSERT)
    return found


def edges_at(connection: Connection, ids: Ids) -> EdgeIds:
    """Return the edges of some contents."""
    with staged(connection, wanted=pa.table({"content_id": uuid_array(ids)})) as raw:
        rows = raw.execute(_AT).to_arrow_table()
    rules = np.array(rows["rule"].to_pylist(), dtype=np.str_)
    return EdgeIds(id_values(rows["a"]), id_values(rows["b"]), rules)


def delete_edges(connection: Connection, edges: EdgeIds) -> None:
    """Delete edges."""
    if edges.first.size:
        with staged(connection, lapsed=_as_table(edges)) as raw:
            raw.execute(_DELETE)


def _as_table(edges: EdgeIds) -> pa.Table:
    first, second = uuid_array(edges.first), uuid_array(edges.second)
    return pa.table({"content_a": first, "content_b": second, "rule": pa.array(edges.rules, pa.string())})

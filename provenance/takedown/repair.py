"""A training set drawn anew without what was taken down, as near to the old one as its quotas allow.

The specification is the same but for the name. What is left of the old set comes first in every stratum, then what the
seed would have drawn next; every stratum is filled up to the units that it had. Only where that misses a quota, the
amounts are allocated anew, again with what is left first. Documents that the specification no longer admits (relabelled
ones, or copies of what came since) stay out. The manifest replays like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from provenance.errors import UnknownName
from provenance.ids import ID_TYPE, id_values
from provenance.mix.allocate import Allocation, allocate, checked
from provenance.mix.candidates import Candidates
from provenance.mix.draw import I64, Taken, repeats_of
from provenance.mix.make import make_training_set
from provenance.mix.manifest import unit_sizes
from provenance.mix.manifest_form import full_spec
from provenance.mix.rounding import round_greedily, take_what_fits
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Strata, largest_document
from provenance.store.store import Store
from provenance.store.views import training_sets
from provenance.takedown.errors import NothingToRepair

_SUFFIX = re.compile(r"-repaired(-\d+)?$")
_DRAWS = """
    SELECT document_id::BLOB AS id, stratum, n_words, n_bytes, n_tokens,
           document_id IN (SELECT document_id FROM tombstone) AS is_gone
    FROM training_set_item WHERE training_set = :name ORDER BY position
"""


@dataclass(frozen=True)
class Repaired:
    """What a repair made.

    Attributes
    ----------
    of, name : the training set, and the one made in its place
    digest : of the new one
    n_before : draws of the old one
    n_left : those of them whose document was not taken down
    n_kept : those of them that are in the new one
    n_draws : draws of the new one
    """

    of: str
    name: str
    digest: str
    n_before: int
    n_left: int
    n_kept: int
    n_draws: int


def repair(store: Store, name: str, *, new_name: str | None = None) -> Repaired:
    """Draw a training set anew without what was taken down, and return how it differs.

    Parameters
    ----------
    new_name : what to call it; by default the old name and `-repaired`, with a number where that one has been hit too

    Raises
    ------
    UnknownName
        If there is no training set of that name.
    NothingToRepair
        If nothing of it was taken down.
    InfeasibleMix
        If without the erased documents no training set satisfies the specification.
    NameTaken
        If there is another training set of the new name.
    """
    known = {row["name"]: row for row in store.fetch(select(training_sets)).to_pylist()}
    if name not in known:
        raise UnknownName("training set", name, known, hint="See: provenance training-sets")
    if not known[name]["n_taken_down"]:
        raise NothingToRepair(name)
    wanted = new_name or next(one for one in _names(name) if one not in known or not known[one]["n_taken_down"])
    spec = MixSpec.from_mapping({**full_spec(json.loads(known[name]["spec"])), "name": wanted})
    before = store.fetch(_DRAWS, {"name": name})
    made = make_training_set(store, spec, prefer=_Preference(before, spec))
    after = store.fetch(_DRAWS, {"name": wanted})
    left = before.filter(pc.invert(before["is_gone"]))
    return Repaired(
        name, wanted, made.digest, before.num_rows, left.num_rows, _n_common(left["id"], after["id"]), after.num_rows
    )


def _names(name: str) -> Iterator[str]:
    stem = _SUFFIX.sub("", name)
    yield f"{stem}-repaired"
    yield from (f"{stem}-repaired-{n}" for n in count(2))


def _n_common(a: pa.ChunkedArray, b: pa.ChunkedArray) -> int:
    """Return how many draws two sets have in common."""
    counts = [dict(zip(*np.unique(id_values(ids), return_counts=True), strict=True)) for ids in (a, b)]
    return int(sum(min(n, counts[1].get(one, 0)) for one, n in counts[0].items()))


class _Preference:
    """Which documents come first: those that are left of an older training set."""

    def __init__(self, before: pa.Table, spec: MixSpec) -> None:
        self._ids = id_values(before["id"])
        self._stratum: list[str] = before["stratum"].to_pylist()
        self._units = unit_sizes(before, spec.budget.unit)
        self._spec = spec

    def __call__(self, candidates: Candidates, strata: Strata) -> Allocation | None:
        """Return an allocation near the older set, or None where the usual one has to do, or to refuse."""
        budget = self._spec.budget.amount
        if budget is None or self._spec.phases:  # everything that is left, or parts of it that shift with the phases
            return None
        drawn = self._drawn_before(candidates)
        orders = [_first(rows, drawn) for rows in strata.rows]
        preferred = replace(
            strata,
            rows=tuple(rows[order] for rows, order in zip(strata.rows, orders, strict=True)),
            sizes=tuple(sizes[order] for sizes, order in zip(strata.sizes, orders, strict=True)),
        )
        one = largest_document(strata)
        taken = self._filled(preferred, drawn, budget, one)
        if taken is None:
            answer = allocate(preferred, budget=budget)
            if not isinstance(answer, Allocation):
                return None
            taken = list(answer.taken)
        places = [np.sort(order[one.places()]) for order, one in zip(orders, taken, strict=True)]
        return checked(strata, [Taken.from_places(own, len(own)) for own in places], one)

    def _drawn_before(self, candidates: Candidates) -> I64:
        """Return for every candidate how often the older set drew it."""
        ids = np.ascontiguousarray(candidates.ids).view(ID_TYPE).reshape(-1)
        values, counts = np.unique(self._ids, return_counts=True)
        place = np.minimum(np.searchsorted(values, ids), max(0, len(values) - 1))
        drawn: I64 = np.where(values[place] == ids, counts[place], 0) if len(values) else np.zeros(len(ids), np.int64)
        self._is_left = np.isin(self._ids, ids)
        return drawn

    def _filled(self, strata: Strata, drawn: I64, budget: int, one: int) -> list[Taken] | None:
        """Return what is left, every stratum filled up to what it had, or None if that misses a quota or the budget."""
        amounts = np.zeros(len(strata))
        number = {label: k for k, label in enumerate(strata.labels)}
        for k, (rows, sizes) in enumerate(zip(strata.rows, strata.sizes, strict=True)):
            amounts[k] = sizes[repeats_of(rows) < drawn[rows]].sum()
        for label, units, is_left in zip(self._stratum, self._units.tolist(), self._is_left.tolist(), strict=True):
            if not is_left and label in number:
                amounts[number[label]] += units
        selection, met = round_greedily(strata, amounts, budget=budget)
        if not met:
            return None
        taken = take_what_fits(selection, budget=budget)
        total = sum(int(sizes[own.places()].sum()) for sizes, own in zip(strata.sizes, taken, strict=True))
        return taken if total > budget - one else None


def _first(rows: I64, drawn: I64) -> I64:
    """Return the order in which the draws of the older set come first, otherwise as they stand."""
    before: Any = repeats_of(rows) < drawn[rows]
    return np.concatenate([np.flatnonzero(before), np.flatnonzero(~before)]).astype(np.int64)

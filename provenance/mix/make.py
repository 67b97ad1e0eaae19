"""From a specification to a training set: read, allocate, draw, order, count again, write in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import insert, select

from provenance.errors import NameTaken, StoreReadOnly
from provenance.mix.allocate import Allocation, Failure, allocate
from provenance.mix.candidates import Candidates, read_candidates
from provenance.mix.digest import draws_digest
from provenance.mix.draw import I64, Taken
from provenance.mix.draws import draw, items_of
from provenance.mix.errors import ReplayMismatch, TrainingSetViolated
from provenance.mix.manifest import build_manifest
from provenance.mix.manifest_form import current_form, full_spec
from provenance.mix.refusal import explain_refusal
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Strata
from provenance.mix.verify import verify_within
from provenance.store import schema
from provenance.store.store import utc_now

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet
    from provenance.store.store import Store


@dataclass(frozen=True)
class Plan:
    """A mix that can be made, before anything is written.

    Attributes
    ----------
    candidates, allocation : what is drawn from and what is taken
    items : the ordered draws as rows of `training_set_item`
    manifest : their manifest
    """

    spec: MixSpec
    candidates: Candidates
    allocation: Allocation
    items: pa.Table
    manifest: dict[str, Any]


#: Gives an allocation that is to be preferred, or None where the usual one is as good.
Prefer = Callable[[Candidates, Strata], Allocation | None]


def plan_mix(store: Store, spec: MixSpec, *, prefer: Prefer | None = None) -> Plan:
    """Return what making the mix would draw; writes nothing but token counts that were lacking.

    Raises
    ------
    InfeasibleMix
        If no training set satisfies the specification.
    ConditionError, SpecError, UnknownName
        If it refers to something that is not there.
    QuotaNotMet
        If the draws, counted again before anything is written, miss a quota.
    """
    candidates = read_candidates(store, spec)
    strata, budget = candidates.strata(spec), spec.budget.amount
    with ThreadPoolExecutor(1) as aside:
        snapshot = aside.submit(candidates.digest, strata)
        answer: Allocation | Failure | None = prefer(candidates, strata) if prefer else None
        if answer is None:
            answer = allocate(strata, budget=budget)
        if isinstance(answer, Failure):
            raise explain_refusal(candidates, strata, answer, spec)
        draws = draw(candidates, answer, spec)
        items = items_of(store, candidates, draws, answer.strata.labels, spec)
        manifest = build_manifest(store, spec, candidates, answer, draws, items, snapshot=snapshot.result())
    return Plan(spec, candidates, answer, items, manifest)


def make_training_set(store: Store, spec: MixSpec, *, prefer: Prefer | None = None) -> TrainingSet:
    """Draw the mix, keep it under its name, verify it, and return it.

    Made again from the same store state and specification, the set is found to be there and returned as it is.

    Raises
    ------
    InfeasibleMix
        If no training set satisfies the specification; nothing is written.
    NameTaken
        If a training set of that name exists with other draws or another specification.
    QuotaNotMet, TrainingSetViolated
        If the draws, counted again, or the independent verifier find a fault; nothing is written.
    StoreReadOnly
        If the store was opened for reading.
    """
    from provenance.mix.training_set import TrainingSet

    if not store.writable:
        raise StoreReadOnly(store.path)
    plan = plan_mix(store, spec, prefer=prefer)
    if _exists(store, plan):
        return TrainingSet.open(spec.name, store)
    _write(store, plan)
    return TrainingSet.just_verified(spec.name, store)


def replay(store: Store, manifest: dict[str, Any]) -> pa.Table:
    """Return the draws of a manifest, drawn again by its allocation, without solving anything.

    Raises
    ------
    ReplayMismatch
        If the store does not give the same draws: it is not in the state that the set was drawn from.
    """
    manifest = current_form(manifest)
    spec = MixSpec.from_mapping(manifest["spec"])
    candidates = read_candidates(store, spec)
    strata = candidates.strata(spec)
    recorded = {stratum["stratum"]: stratum for stratum in manifest["strata"]}
    taken = tuple(_recorded_draw(candidates, strata, k, recorded.get(label)) for k, label in enumerate(strata.labels))
    draws = draw(candidates, Allocation(strata, taken, (), 0), spec)
    items = items_of(store, candidates, draws, strata.labels, spec)
    digest = draws_digest(items)
    if digest != manifest["digest"]:
        raise ReplayMismatch(spec.name, manifest["digest"], digest)
    return items


def _recorded_draw(candidates: Candidates, strata: Strata, k: int, recorded: dict[str, Any] | None) -> Taken:
    """Return what a manifest says was taken, as places in the whole draw order of a stratum."""
    if recorded is None:
        return Taken(0)
    skipped, added = (_places(candidates, strata.rows[k], recorded[what]) for what in ("skipped", "added"))
    taken = Taken(recorded["prefix"], skipped, added, recorded["first"])
    is_there = taken.places().max(initial=-1) < len(strata.rows[k])
    return taken if is_there else Taken(0)  # then the digest differs


def _places(candidates: Candidates, rows: I64, recorded: list[Any]) -> tuple[int, ...]:
    """Return places in the draw order; layout 1 of the manifest has ids in their place."""
    if not any(isinstance(place, str) for place in recorded):
        return tuple(recorded)
    ids = candidates.ids[rows].tobytes()
    place_of = {ids[i : i + 16]: i // 16 for i in range(0, len(ids), 16)}
    return tuple(place_of.get(UUID(name).bytes, len(rows)) for name in recorded)


def _exists(store: Store, plan: Plan) -> bool:
    """Return whether this very training set is in the store."""
    t = schema.training_set.c
    stored = store.fetch(select(t.digest, t.spec).where(t.name == plan.spec.name)).to_pylist()
    if not stored:
        return False
    if stored[0]["digest"] != plan.manifest["digest"]:
        raise NameTaken("training set", plan.spec.name, "has other draws")
    if full_spec(json.loads(stored[0]["spec"])) != plan.manifest["spec"]:
        raise NameTaken("training set", plan.spec.name, "was made from another specification")
    return True


def _write(store: Store, plan: Plan) -> None:
    manifest, unit = plan.manifest, plan.spec.budget.unit
    row = {
        "name": plan.spec.name,
        "digest": manifest["digest"],
        "created_at": utc_now(),
        "spec": manifest["spec"],
        "manifest": manifest,
        "budget_unit": unit,
        **{f"n_{name}": count for name, count in manifest["totals"].items()},
        "human_share": manifest["human"][unit]["share"],
    }
    names = pa.repeat(plan.spec.name, plan.items.num_rows)
    with store.transaction() as connection:
        connection.execute(insert(schema.training_set), row)
        store.append(connection, "training_set_item", plan.items.append_column("training_set", names))
        # The verifier, which shares no code with the sampler, has the last word: what it rejects is rolled back.
        verdict = verify_within(connection, plan.spec.name)
        if verdict.violations:
            raise TrainingSetViolated(plan.spec.name, verdict.violations)

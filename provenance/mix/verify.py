"""The verifier: recomputes every claim of a manifest from the store's rows and names every violation.

It is written apart from the sampler and shares none of its allocation code. There are two verdicts: as drawn (with the
labels that every draw records) and as of now (with today's labels: relabelled or removed documents).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, func, or_, select

from provenance.errors import UnknownName
from provenance.mix.attributes import known_attributes
from provenance.mix.digest import ITEM_COLUMNS, draws_digest, items_digest
from provenance.mix.errors import ConditionError, SpecError, Violation, share_text
from provenance.mix.spec import MixSpec, exact
from provenance.mix.verify_rows import QuotaCount, Recorded, Rows, missed, read_rows, worst_prefix
from provenance.records import GRADES
from provenance.store import schema
from provenance.store.store import fetch

if TYPE_CHECKING:
    from provenance.store.store import Store


@dataclass(frozen=True)
class Verdict:
    """What the verifier found.

    Attributes
    ----------
    name : the training set
    n_documents : draws looked at
    violations : every claim that does not hold, empty where all do
    """

    name: str
    n_documents: int
    violations: tuple[Violation, ...]

    @property
    def as_drawn(self) -> tuple[Violation, ...]:
        """Violations of what is recorded with the draws."""
        return tuple(v for v in self.violations if v.verdict == "drawn")

    @property
    def as_of_now(self) -> tuple[Violation, ...]:
        """Violations by today's labels only."""
        return tuple(v for v in self.violations if v.verdict == "now")


def verify(store: Store, name: str, *, manifest: dict[str, Any] | None = None) -> Verdict:
    """Return which claims of a training set's manifest do not hold.

    Parameters
    ----------
    manifest : a manifest kept elsewhere; by default the one in the store

    Raises
    ------
    UnknownName
        If there is no training set of that name.
    """
    with store.read() as connection:
        return verify_within(connection, name, manifest=manifest)


def verify_within(connection: Connection, name: str, *, manifest: dict[str, Any] | None = None) -> Verdict:
    """Return the verdict inside a transaction, so that a set can be verified before it is committed."""
    row = _stored_row(connection, name)
    claims: dict[str, Any] = json.loads(row["manifest"]) if manifest is None else manifest
    found: list[Violation] = []
    try:
        spec = MixSpec.from_mapping(claims["spec"])
        for violation in _all_violations(connection, name, row, claims, spec):
            found.append(violation)
    except (KeyError, TypeError, IndexError, AttributeError, SpecError) as error:
        found.append(
            Violation("drawn", "the manifest is complete and well formed", "it is", f"{type(error).__name__}: {error}")
        )
    except ConditionError as error:  # it names an attribute of another store
        found.append(Violation("drawn", "the conditions can be read here", "they can", str(error)))
    return Verdict(name, int(row["n_documents"]), tuple(found))


def _stored_row(connection: Connection, name: str) -> dict[str, Any]:
    t = schema.training_set
    rows = fetch(connection, select(t).where(t.c.name == name)).to_pylist()
    if not rows:
        known = fetch(connection, select(t.c.name))["name"].to_pylist()
        raise UnknownName("training set", name, known, hint="See: provenance training-sets")
    stored: dict[str, Any] = rows[0]
    return stored


def _all_violations(
    connection: Connection, name: str, row: dict[str, Any], claims: dict[str, Any], spec: MixSpec
) -> Iterator[Violation]:
    items = _items(connection, name)
    yield from _identity(row, claims, spec)
    yield from _store(connection, claims)
    yield from _draws(items, claims)
    yield from _sums(connection, name, row, claims, spec)
    yield from _documents(connection, name)
    attributes = known_attributes(connection)
    strata = {stratum["stratum"]: stratum["counts"] for stratum in claims["strata"]}
    drawn = read_rows(connection, name, spec, attributes, Recorded(row["created_at"], strata))
    yield from _budget(drawn, claims, spec)
    yield from _quotas(drawn, claims, spec)
    yield from _strata(items, drawn, claims)
    yield from _exclusions(connection, name, drawn, spec)
    yield from _spans(connection, name, spec)
    yield from _today(read_rows(connection, name, spec, attributes), spec)


def _differs(claim: str, expected: Any, found: Any, verdict: str = "drawn") -> Iterator[Violation]:
    if expected != found:
        yield Violation(verdict, claim, _shown(expected), _shown(found))


def _shown(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _items(connection: Connection, name: str) -> pa.Table:
    item = schema.training_set_item.c
    columns = [item.position, *(item[column] for column in ITEM_COLUMNS)]
    return fetch(connection, select(*columns).where(item.training_set == name).order_by(item.position))


def _identity(row: dict[str, Any], claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    yield from _differs("name", row["name"], claims["name"])
    yield from _differs("name in the specification", row["name"], spec.name)
    yield from _differs("digest in the store's list of training sets", claims["digest"], row["digest"])
    yield from _differs("specification in the store's list of training sets", claims["spec"], json.loads(row["spec"]))
    yield from _differs("manifest in the store", claims, json.loads(row["manifest"]))
    yield from _differs("seed", spec.seed, claims["seed"])
    yield from _differs("order", spec.order, claims["order"])


def _store(connection: Connection, claims: dict[str, Any]) -> Iterator[Violation]:
    setting = schema.setting.c
    values = fetch(connection, select(setting.value).where(setting.name == "store_id"))["value"].to_pylist()
    yield from _differs("store that it was drawn from", claims["store"]["store_id"], json.loads(values[0]))


def _draws(items: pa.Table, claims: dict[str, Any]) -> Iterator[Violation]:
    yield from _differs("number of draws", claims["totals"]["documents"], items.num_rows)
    places = items["position"].to_numpy()
    if not np.array_equal(places, np.arange(len(places))):
        yield Violation("drawn", "positions run from 0 without gaps", f"0..{len(places) - 1}", "gaps or repetitions")
    yield from _differs("digest over the ordered draws", claims["digest"], draws_digest(items))
    yield from _differs("digest over the draws' labels", claims["items_digest"], items_digest(items))
    pairs = items.group_by(["document_id", "repeat"]).aggregate([]).num_rows
    repeated = int((items["repeat"].to_numpy() > 0).sum())
    yield from _differs("documents drawn more than once", 0, max(items.num_rows - pairs, repeated))


def _sums(
    connection: Connection, name: str, row: dict[str, Any], claims: dict[str, Any], spec: MixSpec
) -> Iterator[Violation]:
    """Check totals, human shares and composition against sums that the database makes."""
    item = schema.training_set_item.c
    labels = (item.origin, item.generation, item.evidence_rank)
    sums = [func.sum(item.n_words), func.sum(item.n_bytes), func.sum(item.n_tokens)]
    query = (
        select(*labels, func.count(), *sums, func.count(item.n_tokens))
        .where(item.training_set == name)
        .group_by(*labels)
        .order_by(*(label.nulls_last() for label in labels))
    )
    found = connection.execute(query).all()
    units = ("documents", "words", "bytes", "tokens")
    composition = [
        {"origin": r[0], "generation": r[1], "evidence_grade": GRADES[r[2]]}
        | {unit: None if value is None else int(value) for unit, value in zip(units, r[3:7], strict=True)}
        for r in found
    ]
    yield from _differs("composition by origin, generation and evidence", claims["composition"], composition)
    uncounted = any(r[7] < r[3] for r in found)
    for place, unit in enumerate(units, start=3):
        total = None if unit == "tokens" and uncounted else sum(int(r[place] or 0) for r in found)
        human = sum(int(r[place] or 0) for r in found if r[0] == "human")
        yield from _differs(f"total of {unit}", claims["totals"][unit], total)
        yield from _differs(f"{unit} in the store's list of training sets", total, row[f"n_{unit}"])
        share = None if total is None else {"human": human, "total": total, "share": human / total if total else 0.0}
        yield from _differs(f"human share of {unit}", claims["human"][unit], share)
        if unit == spec.budget.unit and share is not None:
            yield from _differs("human share in the store's list of training sets", share["share"], row["human_share"])


def _documents(connection: Connection, name: str) -> Iterator[Violation]:
    """Check that every draw's size is its document's."""
    item, document = schema.training_set_item.c, schema.document.c
    joined = schema.training_set_item.outerjoin(schema.document, document.document_id == item.document_id)
    wrong = or_(item.n_words != document.n_words, item.n_bytes != document.n_bytes, item.source != document.source)
    query = select(func.count().filter(document.document_id.is_(None)), func.count().filter(wrong), func.count()).where(
        item.training_set == name
    )
    gone, differing, _ = connection.execute(query.select_from(joined)).one()
    yield from _differs("documents that are no longer in the store", 0, gone, "now")
    yield from _differs("draws whose words, bytes or source are not their document's", 0, differing)


def _budget(drawn: Rows, claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    budget, total = claims["budget"], int(drawn.sizes.sum())
    yield from _differs("unit of the budget", spec.budget.unit, budget["unit"])
    yield from _differs("budget asked for", spec.budget.amount or "all", budget["asked"])
    yield from _differs("units of the budget that are used", budget["used"], total)
    if spec.budget.amount is not None:
        left = spec.budget.amount - total
        if left < 0:
            yield Violation("drawn", "the budget", f"at most {spec.budget.amount:,}", f"{total:,}")
        elif left >= budget["one_document"]:
            yield Violation("drawn", "what is left of the budget", f"less than {budget['one_document']:,}", f"{left:,}")


def _quotas(drawn: Rows, claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    total = int(drawn.sizes.sum())
    claimed = {(c["quota"], c["group"], c["bound"]): c for c in claims["quotas"]}
    known = {quota.name for quota in spec.quotas}
    for quota, _, bound in claimed:
        if quota not in known:
            yield Violation("drawn", f"quota {quota!r} ({bound})", "a quota of the specification", "none of that name")
    for i, quota in enumerate(spec.quotas):
        counts = {count.group: count for count in drawn.counts(i)}
        for group in [g for q, g, _ in claimed if q == quota.name and g not in counts]:
            nothing = np.zeros(len(drawn.sizes), dtype=bool)
            unknown = next(iter(counts.values())).unknown_rows if counts else nothing
            counts[group] = QuotaCount(group, 0, int(drawn.sizes[unknown].sum()), nothing, unknown)
        for bound, share in (("min", quota.min), ("max", quota.max)):
            for group, count in counts.items() if share is not None else ():
                title = f"quota {quota.name!r}" + ("" if group is None else f" for {group!r}") + f" ({bound})"
                claim = claimed.get((quota.name, group, bound))
                if claim is None:
                    if not (bound == "min" and group == "unknown"):
                        yield Violation("drawn", title, "a claim in the manifest", "none")
                    continue
                yield from _quota(title, bound, share, count, claim, drawn, total, loose=bool(quota.not_used_by))


def _quota(
    title: str,
    bound: str,
    share: Any,
    count: QuotaCount,
    claim: dict[str, Any],
    drawn: Rows,
    total: int,
    *,
    loose: bool,
) -> Iterator[Violation]:
    units = count.units(bound)
    yield from _differs(f"{title}: share", share, exact(claim["share"]))
    yield from _differs(f"{title}: total", claim["total"], total)
    if loose:  # the manifest also counted near-duplicates of used documents as used: it may claim less
        if claim["units"] > units:
            yield Violation("drawn", f"{title}: units", _shown(claim["units"]), _shown(units))
        units = min(units, claim["units"])
    else:
        yield from _differs(f"{title}: units", claim["units"], units)
    if missed(share, bound, units, total):
        side = "at least" if bound == "min" else "at most"
        yield Violation("drawn", title, f"{side} {share_text(share)}", f"{units:,} of {total:,}")
    if drawn.spec.order == "interleaved":
        worst = worst_prefix(drawn.sizes, count.rows(bound), share, bound)
        if claim["prefix_slack"] is None or (
            worst > claim["prefix_slack"] if loose else worst != claim["prefix_slack"]
        ):
            yield Violation("drawn", f"{title}: worst prefix", _shown(claim["prefix_slack"]), _shown(worst))


def _strata(items: pa.Table, drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    labels = items["stratum"].to_pylist()
    found: dict[str, list[int]] = {}
    for label, units in zip(labels, drawn.sizes.tolist(), strict=True):
        entry = found.setdefault(label, [0, 0])
        entry[0] += 1
        entry[1] += units
    for stratum in claims["strata"]:
        label = stratum["stratum"]
        counted = found.pop(label, [0, 0])
        yield from _differs(f"documents of stratum {label!r}", stratum["documents"], counted[0])
        yield from _differs(f"units of stratum {label!r}", stratum["units"], counted[1])
        taken = stratum["prefix"] - len(stratum["skipped"]) + len(stratum["added"])
        yield from _differs(f"allocation of stratum {label!r}", stratum["documents"], taken)
    yield from _differs("strata that the manifest does not know", 0, len(found))


def _exclusions(connection: Connection, name: str, drawn: Rows, spec: MixSpec) -> Iterator[Violation]:
    item, document = schema.training_set_item.c, schema.document.c
    yield from _differs(
        "draws that do not pass the filter", 0, int((~drawn.mask("passes") & drawn.mask("is_there")).sum())
    )
    yield from _differs("used documents where unused ones were wanted", 0, int(drawn.spoilt().sum()))
    if spec.duplicates == "representative":
        clusters = select(func.count(item.cluster_id), func.count(item.cluster_id.distinct()))
        n, distinct = connection.execute(clusters.where(item.training_set == name)).one()
        yield from _differs("draws from a cluster drawn already", 0, n - distinct)
    if not spec.exclude.training_sets:
        return
    others = select(item.document_id).where(item.training_set.in_(spec.exclude.training_sets))
    texts = select(document.content_id).where(document.document_id.in_(others))
    own = select(document.document_id).where(document.content_id.in_(texts))
    forbidden = item.document_id.in_(own) | item.document_id.in_(others)
    if spec.exclude.clusters:
        copies = select(item.cluster_id).where(item.training_set.in_(spec.exclude.training_sets))
        forbidden |= item.cluster_id.in_(copies)
    query = select(func.count()).select_from(schema.training_set_item).where(item.training_set == name, forbidden)
    yield from _differs("draws from excluded training sets", 0, connection.execute(query).scalar_one())


def _spans(connection: Connection, name: str, spec: MixSpec) -> Iterator[Violation]:
    if spec.exclude.spans is None:
        return
    from provenance.dedup.spans import shares_span

    def texts(names: tuple[str, ...]) -> pa.Array:
        item, document, content = schema.training_set_item.c, schema.document.c, schema.content.c
        ids = select(item.document_id).where(item.training_set.in_(names))
        query = select(content.text).where(
            content.content_id.in_(select(document.content_id).where(document.document_id.in_(ids)))
        )
        column = fetch(connection, query)["text"]
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)

    shared = shares_span(texts((name,)), texts(spec.exclude.training_sets), n_tokens=spec.exclude.spans)
    yield from _differs("draws that share a span with an excluded training set", 0, int(shared.sum()))


def _today(rows: Rows, spec: MixSpec) -> Iterator[Violation]:
    """Check filter and quotas by today's labels; what was removed counts for nothing."""
    there = rows.mask("is_there")
    failing = int((~rows.mask("passes") & there).sum())
    yield from _differs("draws that do not pass the filter", 0, failing, "now")
    total = int(rows.sizes[there].sum())
    for i, quota in enumerate(spec.quotas):
        for count in rows.counts(i):
            for bound, share in (("min", quota.min), ("max", quota.max)):
                units = int(rows.sizes[count.rows(bound) & there].sum())
                if share is not None and missed(share, bound, units, total):
                    title = f"quota {quota.name!r}" + ("" if count.group is None else f" for {count.group!r}")
                    side = "at least" if bound == "min" else "at most"
                    yield Violation(
                        "now", f"{title} ({bound})", f"{side} {share_text(share)}", f"{units:,} of {total:,}"
                    )

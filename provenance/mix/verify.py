"""The verifier: recomputes every claim of a manifest from the store's rows and names every violation.

It is written apart from the sampler and shares none of its allocation code. There are two verdicts: as drawn (with the
labels that every draw records) and as of now (with today's labels: relabelled or removed documents). What cannot be
checked is said. `verify_files` does the same from exported files alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import Connection, func, select

from provenance.errors import UnknownName
from provenance.mix.attributes import known_attributes
from provenance.mix.errors import Violation, share_text
from provenance.mix.manifest_form import current_form, full_spec
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Finding, Unchecked, Verdict, differs, guarded, verdict_of
from provenance.mix.verify_claims import UNKNOWABLE, budget_claims, draw_claims, form_claims, sum_claims
from provenance.mix.verify_documents import Compared, compare_with_documents, with_uses
from provenance.mix.verify_errors import ManifestOfAnotherStore
from provenance.mix.verify_quotas import counted_claims, quota_claims
from provenance.mix.verify_read import Terms, read_items, read_rows
from provenance.mix.verify_rows import Counts, Rows, missed
from provenance.mix.verify_strata import order_claims, part_claims, phase_claims, repeat_claims, stratum_claims
from provenance.mix.verify_texts import contamination, shared_spans
from provenance.store import schema
from provenance.store.store import fetch

if TYPE_CHECKING:
    from provenance.store.store import Store

#: A claim that is no sign of tampering: the set is as it was drawn, but its texts must not be used any more.
TAKEN_DOWN = "draws of documents that were taken down"

__all__ = ["TAKEN_DOWN", "Unchecked", "Verdict", "verify", "verify_within"]


def verify(store: Store, name: str, *, manifest: dict[str, Any] | None = None) -> Verdict:
    """Return which claims of a training set's manifest do not hold.

    Parameters
    ----------
    manifest : a manifest kept elsewhere; by default the one in the store

    Raises
    ------
    UnknownName
        If there is no training set of that name.
    ManifestOfAnotherStore
        If there is none, and the manifest given is of another store.
    """
    with store.read() as connection:
        return verify_within(connection, name, manifest=manifest)


def verify_within(connection: Connection, name: str, *, manifest: dict[str, Any] | None = None) -> Verdict:
    """Return the verdict inside a transaction, so that a set can be verified before it is committed."""
    row = _stored_row(connection, name, manifest)
    claims: dict[str, Any] = json.loads(row["manifest"]) if manifest is None else manifest
    with suppress(KeyError, TypeError, AttributeError, ValueError):  # then it is no manifest of the older layout
        claims = current_form(claims)
    return verdict_of(name, int(row["n_documents"]), guarded(_findings(connection, name, row, claims)))


def _stored_row(connection: Connection, name: str, manifest: dict[str, Any] | None) -> dict[str, Any]:
    t = schema.training_set
    rows = fetch(connection, select(t).where(t.c.name == name)).to_pylist()
    if rows:
        stored: dict[str, Any] = rows[0]
        return stored
    own, foreign = _store_id(connection), ((manifest or {}).get("store") or {}).get("store_id")
    if foreign is not None and foreign != own:
        raise ManifestOfAnotherStore(name, str(foreign), own)
    known = fetch(connection, select(t.c.name))["name"].to_pylist()
    raise UnknownName("training set", name, known, hint="See: provenance training-sets")


@dataclass(frozen=True)
class _Set:
    """What is verified: where it stands, its row in the list of training sets, its claims, and what they ask for."""

    connection: Connection
    name: str
    row: dict[str, Any]
    claims: dict[str, Any]
    spec: MixSpec
    terms: Terms

    @property
    def counts(self) -> Counts:
        return {stratum["stratum"]: stratum["counts"] for stratum in self.claims["strata"]}


def _findings(connection: Connection, name: str, row: dict[str, Any], claims: dict[str, Any]) -> Iterator[Finding]:
    yield from guarded(_identity(row, claims))
    yield from guarded(_store(connection, claims))
    spec = MixSpec.from_mapping(claims["spec"])
    yield from guarded(form_claims(claims, spec))
    yield from guarded(_listed(row, claims, spec))
    own = _Set(connection, name, row, claims, spec, Terms(spec, known_attributes(connection)))
    items, drawn = read_items(connection, name, own.terms)
    today: Rows | None = None  # known already where documents matter for nothing else
    if drawn is None:
        drawn = read_rows(connection, name, own.terms, (row["created_at"], own.counts))
    else:
        today = drawn
    with ThreadPoolExecutor(1) as aside:  # the database joins while the draws are counted
        documents = aside.submit(compare_with_documents, connection, name, spec, own.terms)
        yield from of_items(items, claims)
        compared = documents.result()
    if today is not None and compared.uses:
        drawn, today = with_uses(drawn, compared.uses, own.counts)
    yield from of_draws(items, drawn, claims)
    yield from guarded(_exclusions(own, drawn))
    yield from guarded(shared_spans(connection, name, spec))
    yield from guarded(contamination(connection, name, claims, spec))
    yield from guarded(_documents(own, drawn, today, compared))
    yield from UNKNOWABLE


def of_items(items: pa.Table, claims: dict[str, Any]) -> Iterator[Finding]:
    """Check what is recorded of the draws, whatever was asked for."""
    yield from guarded(draw_claims(items, claims))
    yield from guarded(sum_claims(items, claims))


def of_draws(items: pa.Table, drawn: Rows, claims: dict[str, Any]) -> Iterator[Finding]:
    """Check what the draws themselves decide."""
    yield from guarded(part_claims(claims, drawn.spec))
    yield from guarded(budget_claims(drawn, claims))
    yield from guarded(repeat_claims(items, drawn))
    yield from guarded(phase_claims(drawn, claims))
    yield from guarded(quota_claims(drawn, claims))
    yield from guarded(counted_claims(drawn, claims))
    yield from guarded(stratum_claims(items, drawn, claims))
    yield from guarded(order_claims(items, drawn))


def _identity(row: dict[str, Any], claims: dict[str, Any]) -> Iterator[Finding]:
    yield from differs("name", row["name"], claims["name"])
    yield from differs("digest in the store's list of training sets", claims["digest"], row["digest"])
    listed = full_spec(json.loads(row["spec"]))
    yield from differs("specification in the store's list of training sets", claims["spec"], listed)
    yield from differs("manifest in the store", claims, current_form(json.loads(row["manifest"])))


def _store_id(connection: Connection) -> str:
    setting = schema.setting.c
    values = fetch(connection, select(setting.value).where(setting.name == "store_id"))["value"].to_pylist()
    return str(json.loads(values[0]))


def _store(connection: Connection, claims: dict[str, Any]) -> Iterator[Finding]:
    tokenizer, claimed = schema.tokenizer.c, claims["tokenizer"]
    yield from differs("store that it was drawn from", claims["store"]["store_id"], _store_id(connection))
    if claimed is not None:
        name = claimed["name"]
        found = fetch(connection, select(tokenizer.digest).where(tokenizer.name == name))["digest"].to_pylist()
        yield from differs(f"digest of the tokenizer {name!r}", claimed["digest"], *found or ["none"])


def _listed(row: dict[str, Any], claims: dict[str, Any], spec: MixSpec) -> Iterator[Finding]:
    """Check what the store's list of training sets says beside the manifest."""
    for unit, total in claims["totals"].items():
        yield from differs(f"{unit} in the store's list of training sets", total, row[f"n_{unit}"])
    yield from differs("unit in the store's list of training sets", spec.budget.unit, row["budget_unit"])
    share = claims["human"][spec.budget.unit]["share"]
    yield from differs("human share in the store's list of training sets", share, row["human_share"])


def _documents(own: _Set, drawn: Rows, today: Rows | None, compared: Compared) -> Iterator[Finding]:
    """Check that draws are as their documents, and what holds today.

    Parameters
    ----------
    today : how the draws stand today if all labels that filter and quotas read are as they were; None if not known
    """
    sizes = "draws whose words, bytes, tokens or source are not their document's"
    yield from differs("documents that are no longer in the store", 0, compared.gone, "now")
    yield from differs(TAKEN_DOWN, 0, compared.taken_down, "now")
    yield from differs(sizes, 0, compared.differing)
    if compared.uncounted:
        yield Unchecked(
            f"tokens of {compared.uncounted:,} draws", "the store has no counts of their texts by this tokenizer"
        )
    if compared.gone or compared.taken_down or compared.differing or compared.relabelled or today is None:
        today = read_rows(own.connection, own.name, own.terms)
    # Where nothing that is read has changed, the quotas hold today as they did then.
    yield from _failing(drawn, "now") if today is drawn else _today(today)


def _failing(drawn: Rows, verdict: str) -> Iterator[Violation]:
    failing = int((~drawn.mask("passes") & drawn.mask("is_there")).sum())
    yield from differs("draws that do not pass the filter", 0, failing, verdict)


def _exclusions(own: _Set, drawn: Rows) -> Iterator[Finding]:
    item, document = schema.training_set_item.c, schema.document.c
    failing = int((~drawn.mask("passes")).sum())
    yield from differs("draws that do not pass the filter", 0, failing)
    yield from differs("used documents where unused ones were wanted", 0, int(drawn.spoilt().sum()))
    exclude = own.spec.exclude
    if not exclude.training_sets:
        return
    others = select(item.document_id).where(item.training_set.in_(exclude.training_sets))
    texts = select(document.content_id).where(document.document_id.in_(others))
    same = select(document.document_id).where(document.content_id.in_(texts))
    forbidden = item.document_id.in_(same) | item.document_id.in_(others)
    if exclude.clusters:
        copies = select(item.cluster_id).where(item.training_set.in_(exclude.training_sets))
        forbidden |= item.cluster_id.in_(copies)
    query = select(func.count()).select_from(schema.training_set_item).where(item.training_set == own.name, forbidden)
    yield from differs("draws from excluded training sets", 0, own.connection.execute(query).scalar_one())


def _today(rows: Rows) -> Iterator[Violation]:
    """Check filter and quotas by today's labels; what was removed counts for nothing."""
    yield from _failing(rows, "now")
    there = rows.mask("is_there")
    left = Rows(rows.table.filter(pa.array(there)), rows.sizes[there], rows.spec)
    for i, (quota, base) in enumerate(zip(rows.spec.all_quotas, left.bases(), strict=True)):
        for count in base.counts(i):
            for bound, share in (("min", quota.min), ("max", quota.max)):
                units = base.units_of(count.rows(bound))
                if share is not None and missed(share, bound, units, base.units):
                    title = f"quota {quota.name!r}" + ("" if count.group is None else f" for {count.group!r}")
                    side = "at least" if bound == "min" else "at most"
                    found = f"{units:,} of {base.units:,}"
                    yield Violation("now", f"{title} ({bound})", f"{side} {share_text(share)}", found)

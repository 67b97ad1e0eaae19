"""The verifier: recomputes every claim of a manifest from the store's rows and names every violation.

It is written apart from the sampler and shares none of its allocation code. There are two verdicts: as drawn (with the
labels that every draw records) and as of now (with today's labels: relabelled or removed documents). What cannot be
checked is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import Connection, func, or_, select

from provenance.errors import UnknownName
from provenance.mix.attributes import known_attributes
from provenance.mix.digest import ITEM_COLUMNS
from provenance.mix.errors import ConditionError, SpecError, Violation, share_text
from provenance.mix.manifest_form import current_form, full_spec
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Finding, Unchecked, Verdict, differs, verdict_of
from provenance.mix.verify_claims import budget_claims, draw_claims, form_claims, sum_claims
from provenance.mix.verify_quotas import phase_claims, quota_claims, repeat_claims, stratum_claims
from provenance.mix.verify_rows import Recorded, Rows, missed, read_rows
from provenance.mix.verify_texts import contamination, shared_spans
from provenance.store import schema
from provenance.store.store import fetch

if TYPE_CHECKING:
    from provenance.store.store import Store

__all__ = ["Unchecked", "Verdict", "verify", "verify_within"]


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
    given: dict[str, Any] = json.loads(row["manifest"]) if manifest is None else manifest
    found: list[Finding] = []
    try:
        claims = current_form(given)
        spec = MixSpec.from_mapping(claims["spec"])
        for finding in _findings(connection, name, row, claims, spec):
            found.append(finding)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, ConditionError) and not isinstance(error, SpecError):  # an attribute of another store
            found.append(Violation("drawn", "the conditions can be read here", "they can", str(error)))
        else:
            reason = f"{type(error).__name__}: {error}"
            found.append(Violation("drawn", "the manifest is complete and well formed", "it is", reason))
    return verdict_of(name, int(row["n_documents"]), found)


def _stored_row(connection: Connection, name: str) -> dict[str, Any]:
    t = schema.training_set
    rows = fetch(connection, select(t).where(t.c.name == name)).to_pylist()
    if not rows:
        known = fetch(connection, select(t.c.name))["name"].to_pylist()
        raise UnknownName("training set", name, known, hint="See: provenance training-sets")
    stored: dict[str, Any] = rows[0]
    return stored


def _findings(
    connection: Connection, name: str, row: dict[str, Any], claims: dict[str, Any], spec: MixSpec
) -> Iterator[Finding]:
    items = _items(connection, name)
    yield from form_claims(claims, spec)
    yield from _identity(row, claims)
    yield from _store(connection, claims)
    yield from draw_claims(items, claims)
    yield from sum_claims(items, claims, spec)
    yield from _listed(row, claims, spec)
    yield from _documents(connection, name, spec)
    attributes = known_attributes(connection)
    strata = {stratum["stratum"]: stratum["counts"] for stratum in claims["strata"]}
    drawn = read_rows(connection, name, spec, attributes, Recorded(row["created_at"], strata))
    yield from budget_claims(drawn, claims)
    yield from repeat_claims(items, drawn, spec)
    yield from phase_claims(items, drawn, claims)
    yield from quota_claims(drawn, claims)
    yield from stratum_claims(items, drawn, claims)
    yield from _exclusions(connection, name, drawn, spec)
    yield from shared_spans(connection, name, spec)
    yield from contamination(connection, name, claims, spec)
    yield from _today(read_rows(connection, name, spec, attributes), spec)
    yield Unchecked("what was drawn from", "the snapshot and the candidates are those of the store as it was then")


def _items(connection: Connection, name: str) -> pa.Table:
    item = schema.training_set_item.c
    columns = [item.position, *(item[column] for column in ITEM_COLUMNS)]
    return fetch(connection, select(*columns).where(item.training_set == name).order_by(item.position))


def _identity(row: dict[str, Any], claims: dict[str, Any]) -> Iterator[Violation]:
    yield from differs("name", row["name"], claims["name"])
    yield from differs("digest in the store's list of training sets", claims["digest"], row["digest"])
    yield from differs(
        "specification in the store's list of training sets", claims["spec"], full_spec(json.loads(row["spec"]))
    )
    yield from differs("manifest in the store", claims, current_form(json.loads(row["manifest"])))


def _store(connection: Connection, claims: dict[str, Any]) -> Iterator[Violation]:
    setting, tokenizer = schema.setting.c, schema.tokenizer.c
    values = fetch(connection, select(setting.value).where(setting.name == "store_id"))["value"].to_pylist()
    yield from differs("store that it was drawn from", claims["store"]["store_id"], json.loads(values[0]))
    if claims["tokenizer"] is not None:
        name = claims["tokenizer"]["name"]
        digests = fetch(connection, select(tokenizer.digest).where(tokenizer.name == name))["digest"].to_pylist()
        yield from differs(f"digest of the tokenizer {name!r}", claims["tokenizer"]["digest"], *digests or ["none"])


def _listed(row: dict[str, Any], claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    """Check what the store's list of training sets says beside the manifest."""
    for unit, total in claims["totals"].items():
        yield from differs(f"{unit} in the store's list of training sets", total, row[f"n_{unit}"])
    yield from differs("unit in the store's list of training sets", spec.budget.unit, row["budget_unit"])
    share = claims["human"][spec.budget.unit]["share"]
    yield from differs("human share in the store's list of training sets", share, row["human_share"])


def _documents(connection: Connection, name: str, spec: MixSpec) -> Iterator[Violation]:
    """Check that every draw's size and source are its document's."""
    item, document, count = schema.training_set_item.c, schema.document.c, schema.token_count.c
    joined = schema.training_set_item.outerjoin(schema.document, document.document_id == item.document_id)
    wrong = or_(item.n_words != document.n_words, item.n_bytes != document.n_bytes, item.source != document.source)
    if spec.tokenizer is not None:
        counted = (count.content_id == document.content_id) & (count.tokenizer == spec.tokenizer)
        joined = joined.outerjoin(schema.token_count, counted)
        wrong = or_(wrong, item.n_tokens.is_distinct_from(count.n_tokens) & count.n_tokens.is_not(None))
    query = select(func.count().filter(document.document_id.is_(None)), func.count().filter(wrong)).where(
        item.training_set == name
    )
    gone, differing = connection.execute(query.select_from(joined)).one()
    yield from differs("documents that are no longer in the store", 0, gone, "now")
    yield from differs("draws whose words, bytes, tokens or source are not their document's", 0, differing)


def _exclusions(connection: Connection, name: str, drawn: Rows, spec: MixSpec) -> Iterator[Violation]:
    item, document = schema.training_set_item.c, schema.document.c
    failing = int((~drawn.mask("passes") & drawn.mask("is_there")).sum())
    yield from differs("draws that do not pass the filter", 0, failing)
    yield from differs("used documents where unused ones were wanted", 0, int(drawn.spoilt().sum()))
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
    yield from differs("draws from excluded training sets", 0, connection.execute(query).scalar_one())


def _today(rows: Rows, spec: MixSpec) -> Iterator[Violation]:
    """Check filter and quotas by today's labels; what was removed counts for nothing."""
    there = rows.mask("is_there")
    failing = int((~rows.mask("passes") & there).sum())
    yield from differs("draws that do not pass the filter", 0, failing, "now")
    phases = rows.phases()
    for i, quota in enumerate(spec.all_quotas):
        inside = there & phases[i]
        total = int(rows.sizes[inside].sum())
        for count in rows.counts(i):
            for bound, share in (("min", quota.min), ("max", quota.max)):
                units = int(rows.sizes[count.rows(bound) & inside].sum())
                if share is not None and missed(share, bound, units, total):
                    title = f"quota {quota.name!r}" + ("" if count.group is None else f" for {count.group!r}")
                    side = "at least" if bound == "min" else "at most"
                    found = f"{units:,} of {total:,}"
                    yield Violation("now", f"{title} ({bound})", f"{side} {share_text(share)}", found)

"""The draws of a training set beside their documents as these are today: one join, of which only oddities come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, false, func, or_, select

from provenance.mix.digest import ITEM_COLUMNS
from provenance.mix.spec import MixSpec
from provenance.mix.verify_read import Terms, left_out
from provenance.mix.verify_rows import I64, Counts, Mask, Rows
from provenance.store import schema
from provenance.store.store import fetch

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import FromClause


@dataclass(frozen=True)
class Uses:
    """Positions of the draws that the sets which a quota names had used, as drawn and as of now.

    As drawn only the same document or text counts: which documents are near-duplicates changes while the store grows.
    """

    drawn: I64
    now: I64


@dataclass(frozen=True)
class Compared:
    """What the documents of the draws say.

    Attributes
    ----------
    gone : draws whose document is no longer there, though nobody took it down
    taken_down : draws whose document was taken down
    differing : draws of another size or source than their document
    uncounted : draws whose document has no count of tokens
    relabelled : draws of which a label that the specification reads is another today
    uses : for every quota that wants unused documents
    """

    gone: int
    taken_down: int
    differing: int
    uncounted: int
    relabelled: int
    uses: dict[int, Uses]


def compare_with_documents(connection: Connection, name: str, spec: MixSpec, terms: Terms) -> Compared:
    """Return how the documents of a training set stand to what its draws recorded of them."""
    item, document = schema.training_set_item.c, schema.document.c
    wanted = {i: quota.not_used_by for i, quota in enumerate(spec.all_quotas) if quota.not_used_by}
    others = sorted(set(wanted.values()))
    joined, differing, uncounted = _joined(spec)
    taken_down = select(schema.tombstone.c.document_id)
    tests: dict[str, ColumnElement[bool]] = {
        "gone": document.document_id.is_(None) & item.document_id.not_in(taken_down),
        "taken_down": document.document_id.is_(None) & item.document_id.in_(taken_down),
        "differing": differing,
        "uncounted": uncounted,
        "relabelled": _relabelled(terms),
    }
    for k, names in enumerate(others):
        tests[f"drawn_{k}"], tests[f"now_{k}"] = _used_by(names, spec)
    columns = [func.coalesce(test, false()).label(title) for title, test in tests.items()]
    draws = select(item.position, *columns).select_from(joined).where(item.training_set == name).subquery("draws")
    odd = fetch(connection, select(draws).where(or_(*(draws.c[title] for title in tests))))
    counts = {title: int(pc.sum(odd[title]).as_py() or 0) for title in tests}
    uses = {}
    for i, names in wanted.items():
        k = others.index(names)
        uses[i] = Uses(_positions(odd, f"drawn_{k}"), _positions(odd, f"now_{k}"))
    return Compared(
        gone=counts["gone"],
        taken_down=counts["taken_down"],
        differing=counts["differing"],
        uncounted=counts["uncounted"],
        relabelled=counts["relabelled"],
        uses=uses,
    )


def _positions(odd: pa.Table, title: str) -> I64:
    return np.asarray(odd.filter(odd[title])["position"].to_numpy(), dtype=np.int64)


def _joined(spec: MixSpec) -> tuple[FromClause, ColumnElement[bool], ColumnElement[bool]]:
    """Return draws with documents and counts of tokens, and the tests of sizes and of counts."""
    item, document, count = schema.training_set_item.c, schema.document.c, schema.token_count.c
    joined: FromClause = schema.training_set_item.outerjoin(schema.document, document.document_id == item.document_id)
    wrong: ColumnElement[bool] = or_(
        item.n_words != document.n_words, item.n_bytes != document.n_bytes, item.source != document.source
    )
    if spec.tokenizer is None:
        return joined, or_(wrong, item.n_tokens.is_not(None)), false()
    counted = (count.content_id == document.content_id) & (count.tokenizer == spec.tokenizer)
    wrong = or_(wrong, item.n_tokens.is_distinct_from(count.n_tokens) & count.n_tokens.is_not(None))
    uncounted = count.n_tokens.is_(None) & document.document_id.is_not(None)
    return joined.outerjoin(schema.token_count, counted), wrong, uncounted


def _relabelled(terms: Terms) -> ColumnElement[bool]:
    item, document = schema.training_set_item.c, schema.document.c
    read = terms.columns | ({"evidence_rank"} if "evidence_grade" in terms.columns else set())
    labels = ["origin", *sorted(read & set(ITEM_COLUMNS) - {"origin", "source", "document_id"})]
    return or_(*(item[c].is_distinct_from(document[c]) for c in labels))


def _used_by(names: tuple[str, ...], spec: MixSpec) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return whether one of the named sets had used the document of a draw, as drawn and as of now."""
    item, document = schema.training_set_item.c, schema.document.c
    used = schema.training_set_item.alias("used")
    drawn = select(used.c.document_id).where(used.c.training_set.in_(names))
    if spec.duplicates == "all":
        return item.document_id.in_(drawn), item.document_id.in_(drawn)
    other = schema.document.alias("other")
    of_others = select(other.c.content_id, other.c.cluster_id).where(other.c.document_id.in_(drawn)).cte()
    texts, copies = select(of_others.c.content_id), select(of_others.c.cluster_id)
    return document.content_id.in_(texts), document.cluster_id.in_(copies)


def with_uses(drawn: Rows, uses: dict[int, Uses], counts: Counts) -> tuple[Rows, Rows]:
    """Return the draws with what was used, as drawn and as of now: the same where it makes no difference."""
    then, now = drawn.table, drawn.table
    position, differs = then["position"].to_numpy(), False
    for i, own in uses.items():
        out = left_out(drawn.table, i, drawn.spec, counts).to_numpy(zero_copy_only=False)
        used, today = np.isin(position, own.drawn) | out, np.isin(position, own.now)
        differs |= bool(((used != today) & _may_count(drawn, i)).any())
        then = then.append_column(f"used_{i}", pa.array(used))
        now = now.append_column(f"used_{i}", pa.array(today))
    as_drawn = Rows(then, drawn.sizes, drawn.spec)
    return as_drawn, Rows(now, drawn.sizes, drawn.spec) if differs else as_drawn


def _may_count(rows: Rows, i: int) -> Mask:
    """Return which draws count for quota number `i` if they are unused, or may: those of which it is not known."""
    is_group = rows.spec.all_quotas[i].where is None
    return np.ones(len(rows.sizes), dtype=bool) if is_group else rows.mask(f"stands_{i}") | rows.nulls(f"stands_{i}")

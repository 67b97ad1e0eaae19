"""Claims about an export of tokens: the map from tokens to documents, and the shares in tokens that it gives.

The map has one row for every stretch of a document's tokens, so that it also tells which documents were drawn in which
order. The shares are counted apart from the code that wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.mix.digest import draws_digest, id_bytes
from provenance.mix.errors import Violation, share_text
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Finding, Unchecked, differs, guarded, shown
from provenance.mix.verify_blocks import block_claims, tokenizer_claims
from provenance.mix.verify_export import Export
from provenance.mix.verify_exported import as_ids
from provenance.mix.verify_quotas import counted_claims
from provenance.mix.verify_rows import I64, Rows, missed, numbered
from provenance.mix.verify_strata import part_claims, phase_claims
from provenance.mix.verify_terms import ExportedTerms, in_memory

_COLUMNS: dict[str, pa.DataType] = {
    "token_offset": pa.int64(), "n_tokens": pa.int64(), "position": pa.int64(), "document_offset": pa.int64(),
    "stratum": pa.string(), "document_id": pa.string(), "source": pa.string(), "origin": pa.string(),
    "generation": pa.uint32(),
}  # fmt: skip
_LABELS = ("stratum", "document_id", "source", "origin", "generation")
_NOT_THERE = "what it is made of is not in the map"


def token_claims(export: Export, spec: MixSpec) -> Iterator[Finding]:
    """Check what the files of an export of tokens decide."""
    described: dict[str, Any] = export.described or {}
    yield from guarded(part_claims(export.claims, spec))
    yield from guarded(tokenizer_claims(export, described))
    file = export.folder / "documents.parquet"
    if not file.is_file():  # which was said
        return
    try:
        found = pq.read_table(file).select(list(_COLUMNS)).cast(pa.schema(_COLUMNS))
    except (OSError, pa.ArrowInvalid) as error:
        yield Violation("drawn", f"rows of {file.name}", "they can be read", str(error))
        return
    length = described.get("block_length", 1)
    if type(length) is not int or length < 1:
        yield Violation("drawn", "tokens in a block", "1 or more", shown(length))
        return
    yield from guarded(block_claims(export, described, found, spec))
    yield from guarded(_shares(export, described, found, spec))
    yield from guarded(_draws(export, found, spec))
    for claim in ("items_digest", "composition", "human", "totals", "budget.used"):
        yield Unchecked(claim, _NOT_THERE)
    yield Unchecked(
        "quotas", f"in {spec.budget.unit} {_NOT_THERE}; they were counted anew in tokens of what is written"
    )
    yield Unchecked("strata.units, phases.units", _NOT_THERE)
    yield Unchecked("filter, duplicates, decontaminate", "texts and labels that they read are not in the map")


def _shares(export: Export, described: dict[str, Any], found: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check the shares in tokens, by what the strata count for."""
    sizes = found["n_tokens"].to_numpy()
    written = _rows(found, sizes, export.claims, spec)
    yield from differs("tokens of documents", described["n_tokens"], written.units)
    human = int(sizes[written.is_human].sum())
    share = {"human": human, "total": written.units, "share": human / written.units if written.units else 0.0}
    yield from differs("human share of tokens", share, described["human"])
    keys = [(c["quota"], c["group"], c["bound"]) for c in described["quotas"]]
    yield from differs(
        "quotas counted in tokens", [[c["quota"], c["group"], c["bound"]] for c in export.claims["quotas"]], keys
    )
    numbers = [quota.name for quota in spec.all_quotas]
    of = {"megatron": found["position"].to_numpy()}.get(export.kind)
    group = found["token_offset"].to_numpy() // described["block_length"] if of is None else of
    for claim in described["quotas"]:
        i = numbers.index(claim["quota"])
        yield from _share(claim, i, written.bases()[i], written, group, spec)


def _share(claim: dict[str, Any], i: int, base: Rows, whole: Rows, group: I64, spec: MixSpec) -> Iterator[Finding]:
    quota, bound = spec.all_quotas[i], claim["bound"]
    title = (
        f"quota {quota.name!r}"
        + ("" if claim["group"] is None else f" for {claim['group']!r}")
        + f" ({bound}) in tokens"
    )
    counts = {count.group: count for count in base.counts(i)}
    count = counts.get(claim["group"])
    unknown = next(iter(counts.values())).unknown if counts else np.zeros(0, dtype=np.int64)
    rows = count.rows(bound) if count else unknown if bound == "max" else unknown[:0]
    units, share = base.units_of(rows), quota.min if bound == "min" else quota.max
    if share is None:
        yield Violation("drawn", title, "no such bound in the specification", "a claim")
        return
    phase = next((phase.name for phase in spec.phases if quota in phase.quotas), None)
    values = {"phase": phase, "share": share_text(share), "units": units, "total": base.units}
    for name, value in values.items():
        yield from differs(f"{title}: {name}", claim[name], value)
    if missed(share, bound, units, base.units):
        yield Violation(
            "drawn", title, f"{'at least' if bound == 'min' else 'at most'} {share}", f"{units:,} of {base.units:,}"
        )
    inside = group if base is whole else group[_inside(base, whole)]
    prefix, batch = _worst(base.sizes, rows, inside, share, bound)
    yield from differs(f"{title}: worst prefix", claim["prefix_slack"], prefix)
    yield from differs(f"{title}: worst batch", claim["batch_slack"], batch)


def _inside(base: Rows, whole: Rows) -> Any:
    labels = pa.array(base.strata[0], pa.string())
    return pc.is_in(whole.table["stratum"], labels).to_numpy(zero_copy_only=False)


def _worst(sizes: I64, rows: I64, group: I64, share: Any, bound: str) -> tuple[int, int]:
    """Return the most tokens by which a prefix, and a stretch, of blocks or of sequences misses a bound, rounded up."""
    if not len(group):
        return 0, 0
    n = int(group.max()) + 1
    total = np.bincount(group, weights=sizes, minlength=n).astype(np.int64)
    part = np.bincount(group[rows], weights=sizes[rows], minlength=n).astype(np.int64)
    p, q = share.numerator, share.denominator
    kind: Any = np.int64 if q * (int(total.sum()) + 1) < 2**62 else object
    over = np.cumsum(part.astype(kind) * q - total.astype(kind) * p)
    missing = np.concatenate([np.zeros(1, dtype=kind), over if bound == "max" else -over])
    worst = missing.max(), (missing - np.minimum.accumulate(missing)).max()
    return -(-int(worst[0]) // q), -(-int(worst[1]) // q)


def _rows(found: pa.Table, sizes: I64, claims: dict[str, Any], spec: MixSpec) -> Rows:
    """Return stretches or draws as rows that stand to every quota as their strata say."""
    counts = {stratum["stratum"]: stratum["counts"] for stratum in claims["strata"]}
    terms = ExportedTerms(spec, set())
    with in_memory() as connection:
        return Rows(terms.standing(connection, found.select(["stratum", "origin"]), counts), sizes, spec)


def _draws(export: Export, found: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check the draws that the map shows, and where it shows all of them their order and numbers."""
    order = np.lexsort((found["document_offset"].to_numpy(), found["position"].to_numpy()))
    found = found.take(pa.array(order))
    position, offset = found["position"].to_numpy(), found["document_offset"].to_numpy()
    begins = np.concatenate([[True], position[1:] != position[:-1]]) if len(position) else np.zeros(0, dtype=bool)
    ends = offset + found["n_tokens"].to_numpy()
    yield from differs(
        "stretches that do not follow each other", 0, int((offset != np.where(begins, 0, np.roll(ends, 1))).sum())
    )
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    for name in _LABELS:
        own = pc.fill_null(found[name].cast(pa.string()), "")
        yield from differs(
            f"stretches of one draw with another {name}",
            0,
            pc.sum(pc.not_equal(own, own.take(pa.array(first)))).as_py() or 0,
        )
    draws = found.filter(pa.array(begins))
    n = export.claims["totals"]["documents"]
    if draws.num_rows and int(draws["position"].to_numpy().max()) >= n:
        yield Violation("drawn", "number of draws", shown(n), "more")
    yield from guarded(_labels(export, draws, spec))
    if draws.num_rows != n:
        why = f"{n - draws.num_rows:,} draws have no token in the files"
        yield from (
            Unchecked(c, why)
            for c in ("digest", "distinct_documents", "strata.documents", "phases.position, phases.documents")
        )
        return
    yield from _all_draws(export, draws, spec)


def _labels(export: Export, draws: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check that draws count for what their strata count for, as far as the map has their labels."""
    counts = {stratum["stratum"]: stratum["counts"] for stratum in export.claims["strata"]}
    terms = ExportedTerms(spec, {"document_id", "source", "origin", "generation"})
    with in_memory() as connection:
        standing = terms.standing(connection, draws, counts)
    drawn = Rows(standing, np.ones(draws.num_rows, dtype=np.int64), spec)
    yield from differs("draws that do not pass the filter", 0, int((~drawn.mask("passes")).sum()))
    yield from counted_claims(drawn, export.claims)
    before = numbered(id_bytes(draws["document_id"]))
    yield from differs("draws beyond what `repeats` allows", 0, int((before >= drawn.caps()).sum()))
    yield from terms.unchecked


def _all_draws(export: Export, draws: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check order and numbers of draws, all of which are in the map."""
    claims = export.claims
    ids = as_ids(draws["document_id"])
    repeat = numbered(id_bytes(pa.chunked_array([ids])))
    whole = pa.table({"document_id": ids, "repeat": repeat.astype(np.uint32), "stratum": draws["stratum"]})
    yield from differs("digest over the ordered draws", claims["digest"], draws_digest(whole))
    yield from differs("documents that are drawn once or more", claims["distinct_documents"], int((repeat == 0).sum()))
    ones = np.ones(len(repeat), dtype=np.int64)
    drawn = _rows(draws, ones, claims, spec)
    yield from phase_claims(drawn, claims, with_units=spec.budget.unit == "documents")
    labels, codes = drawn.strata
    found = dict(zip(labels, np.bincount(codes, minlength=len(labels)).tolist(), strict=True))
    for stratum in claims["strata"]:
        yield from differs(
            f"documents of stratum {stratum['stratum']!r}", stratum["documents"], found.pop(stratum["stratum"], 0)
        )
    yield from differs("strata that the manifest does not know", [], sorted(found))

"""Claims about quotas, phases, repeats and strata: recomputed from the draws in their order."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.mix.errors import Violation, share_text
from provenance.mix.spec import AtMost, MixSpec
from provenance.mix.spec_fields import exact
from provenance.mix.verdict import differs, shown
from provenance.mix.verify_rows import I64, Mask, QuotaCount, Rows, coded, missed, worst_prefix


def quota_claims(drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check every bound of every quota, exactly, and how far prefixes miss it."""
    spec = drawn.spec
    phase_of = {quota.name: phase.name for phase in spec.phases for quota in phase.quotas}
    claimed = {(c["quota"], c["group"], c["bound"]): c for c in claims["quotas"]}
    yield from differs("claims about quotas, each once", len(claims["quotas"]), len(claimed))
    known = {quota.name for quota in spec.all_quotas}
    for name, _, bound in claimed:
        if name not in known:
            yield Violation("drawn", f"quota {name!r} ({bound})", "a quota of the specification", "none of that name")
    phases = drawn.phases()
    for i, quota in enumerate(spec.all_quotas):
        counts = {count.group: count for count in drawn.counts(i)}
        for group in [g for name, g, _ in claimed if name == quota.name and g not in counts]:
            counts[group] = _nothing(group, drawn, next(iter(counts.values()), None))
        for bound, share in (("min", quota.min), ("max", quota.max)):
            for group, count in counts.items():
                title = f"quota {quota.name!r}" + ("" if group is None else f" for {group!r}") + f" ({bound})"
                claim = claimed.get((quota.name, group, bound))
                if share is None:
                    if claim is not None:
                        yield Violation("drawn", title, "no such bound in the specification", "a claim")
                    continue
                if claim is None:
                    if not (bound == "min" and group == "unknown"):
                        yield Violation("drawn", title, "a claim in the manifest", "none")
                    continue
                yield from differs(f"{title}: phase", phase_of.get(quota.name), claim["phase"])
                loose = bool(quota.not_used_by)
                yield from _quota(title, bound, share, count, claim, drawn, phases[i], loose=loose)


def _nothing(group: str | None, drawn: Rows, like: QuotaCount | None) -> QuotaCount:
    """Return the count of a group of which nothing was drawn; what is unknown may be of it."""
    nothing = np.zeros(len(drawn.sizes), dtype=bool)
    unknown = nothing if like is None else like.unknown_rows
    return QuotaCount(group, nothing, unknown)


def _quota(
    title: str,
    bound: str,
    share: Fraction,
    count: QuotaCount,
    claim: dict[str, Any],
    drawn: Rows,
    inside: Mask,
    *,
    loose: bool,
) -> Iterator[Violation]:
    rows = count.rows(bound) & inside
    units, total = int(drawn.sizes[rows].sum()), int(drawn.sizes[inside].sum())
    yield from differs(f"{title}: share", share, exact(claim["share"]))
    yield from differs(f"{title}: total", claim["total"], total)
    if loose:  # the manifest also counted near-duplicates of used documents as used: it may claim less
        if claim["units"] > units:
            yield Violation("drawn", f"{title}: units", shown(claim["units"]), shown(units))
        units = min(units, claim["units"])
    else:
        yield from differs(f"{title}: units", claim["units"], units)
    if missed(share, bound, units, total):
        side = "at least" if bound == "min" else "at most"
        yield Violation("drawn", title, f"{side} {share_text(share)}", f"{units:,} of {total:,}")
    if drawn.spec.order == "shuffled":
        yield from differs(f"{title}: worst prefix of a shuffled order", None, claim["prefix_slack"])
        return
    worst = worst_prefix(drawn.sizes[inside], rows[inside], share, bound)
    if claim["prefix_slack"] is None or (worst > claim["prefix_slack"] if loose else worst != claim["prefix_slack"]):
        yield Violation("drawn", f"{title}: worst prefix", shown(claim["prefix_slack"]), shown(worst))


def phase_claims(items: pa.Table, drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check that the phases follow each other without gaps, each with its share of the budget within one document."""
    spec, position = drawn.spec, 0
    yield from differs("phases", [phase.name for phase in spec.phases], [c["phase"] for c in claims["phases"]])
    ends = np.concatenate([[0], np.cumsum(drawn.sizes)])
    places = {stratum["stratum"]: stratum["phase"] for stratum in claims["strata"]}
    for phase, claim in zip(spec.phases, claims["phases"], strict=False):
        title = f"phase {phase.name!r}"
        yield from differs(f"{title}: share", phase.share, exact(claim["share"]))
        yield from differs(f"{title}: position", position, claim["position"])
        low = min(position, items.num_rows)
        position = min(low + int(claim["documents"]), items.num_rows)
        units = int(ends[position] - ends[low])
        yield from differs(f"{title}: units", claim["units"], units)
        wanted = phase.share * (spec.budget.amount or 0)
        if abs(units - wanted) > claims["budget"]["one_document"]:
            about = f"{share_text(wanted)} within {claims['budget']['one_document']:,}"
            yield Violation("drawn", f"{title}: units", about, f"{units:,}")
        of_phase = items["stratum"].slice(low, position - low).unique().to_pylist()
        yield from differs(f"{title}: strata of others", [], sorted(s for s in of_phase if places.get(s) != phase.name))
    if spec.phases:
        yield from differs("draws in all phases", items.num_rows, position)


def repeat_claims(items: pa.Table, drawn: Rows, spec: MixSpec) -> Iterator[Violation]:
    """Check how often documents were drawn, that repetitions are numbered in their order, and copies of a cluster."""
    ids, repeat = coded(items["document_id"])[1], items["repeat"].to_numpy().astype(np.int64)
    yield from differs("repetitions numbered in the order of the draws", 0, int((repeat != _numbered(ids)).sum()))
    too_often = drawn.mask("is_there") & (_numbered(ids) >= drawn.caps())
    yield from differs("draws beyond what `repeats` allows", 0, int(too_often.sum()))
    if spec.duplicates == "all":
        return
    most = spec.duplicates.at_most if isinstance(spec.duplicates, AtMost) else 1
    first = _numbered(ids) == 0
    clusters = coded(items["cluster_id"].filter(pa.array(first)))[1]
    n_over = int((_numbered(clusters) >= most).sum())
    yield from differs(
        "draws from a cluster drawn already" if most == 1 else f"more than {most} of a cluster", 0, n_over
    )


def _numbered(codes: I64) -> I64:
    """Return for every row how many rows before it have the same code."""
    order = np.argsort(codes, kind="stable")
    place = np.arange(len(codes))
    begins = np.concatenate([[True], codes[order][1:] != codes[order][:-1]]) if len(codes) else place.astype(bool)
    numbered = np.empty_like(place)
    numbered[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return numbered


def stratum_claims(items: pa.Table, drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check documents and units of every stratum, and that its allocation gives as many."""
    table = pa.table({"stratum": items["stratum"], "units": drawn.sizes})
    grouped = table.group_by("stratum").aggregate([([], "count_all"), ("units", "sum")]).to_pylist()
    found = {row["stratum"]: (row["count_all"], row["units_sum"]) for row in grouped}
    yield from differs("strata, each once", len(claims["strata"]), len({s["stratum"] for s in claims["strata"]}))
    for stratum in claims["strata"]:
        label = stratum["stratum"]
        documents, units = found.pop(label, (0, 0))
        yield from differs(f"documents of stratum {label!r}", stratum["documents"], documents)
        yield from differs(f"units of stratum {label!r}", stratum["units"], units)
        skipped, added, prefix = stratum["skipped"], stratum["added"], stratum["prefix"]
        yield from differs(f"allocation of stratum {label!r}", stratum["documents"], prefix - len(skipped) + len(added))
        if any(isinstance(place, str) for place in (*skipped, *added)):  # layout 1 has ids
            continue
        places = [*skipped, *added]
        sound = len(set(places)) == len(places) and all(p < prefix for p in skipped) and all(p >= prefix for p in added)
        if not sound or min(places, default=0) < 0 or stratum["first"] < 0 or prefix < 0:
            yield Violation(
                "drawn", f"places in stratum {label!r}", "skipped inside the prefix, added behind it", "others"
            )
        for what, least in (("documents", documents), ("units", units)):
            if stratum[f"available_{what}"] < least:
                yield Violation("drawn", f"available {what} of stratum {label!r}", f"at least {least:,}", "fewer")
    yield from differs("strata that the manifest does not know", 0, len(found))
    n_available = sum(stratum["available_units"] for stratum in claims["strata"])
    if claims["candidates"]["units"] < int(drawn.sizes.sum()) or claims["candidates"]["units"] > n_available:
        expected = f"{int(drawn.sizes.sum()):,} to {n_available:,}"
        yield Violation("drawn", "units of all candidates", expected, shown(claims["candidates"]["units"]))
    n_distinct = int(pc.sum(pc.equal(items["repeat"], 0)).as_py() or 0)
    if claims["candidates"]["documents"] < n_distinct:
        yield Violation("drawn", "candidates", f"at least {n_distinct:,}", shown(claims["candidates"]["documents"]))

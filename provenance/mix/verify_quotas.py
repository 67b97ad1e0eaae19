"""Claims about quotas: shares of units, exactly, and how far prefixes miss them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from provenance.mix.errors import Violation, share_text
from provenance.mix.spec import Quota
from provenance.mix.verdict import differs, shown
from provenance.mix.verify_rows import I64, QuotaCount, Rows, missed, worst_prefix

_OTHER, _NONE, _UNKNOWN = -3, -2, -1  # codes of what a stratum counts for: no group of a draw, nothing, unknown


def quota_claims(drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check every bound of every quota, and how far prefixes miss it."""
    spec = drawn.spec
    phase_of = {quota.name: phase.name for phase in spec.phases for quota in phase.quotas}
    claimed = {(c["quota"], c["group"], c["bound"]): c for c in claims["quotas"]}
    yield from differs("claims about quotas, each once", len(claims["quotas"]), len(claimed))
    known = {quota.name for quota in spec.all_quotas}
    for name, _, bound in claimed:
        if name not in known or bound not in ("min", "max"):
            yield Violation("drawn", f"quota {name!r} ({bound})", "a bound of the specification", "none of that name")
    for i, (quota, base) in enumerate(zip(spec.all_quotas, drawn.bases(), strict=True)):
        counts = {count.group: count for count in base.counts(i)}
        for group in [g for name, g, _ in claimed if name == quota.name and g not in counts]:
            if (group is None) != (quota.where is not None):
                yield Violation("drawn", f"quota {quota.name!r}", "one claim, or one for every group", shown(group))
            else:
                counts[group] = _nothing(group, next(iter(counts.values()), None))
        for bound, share in (("min", quota.min), ("max", quota.max)):
            for group, count in counts.items():
                title = f"quota {quota.name!r}" + ("" if group is None else f" for {group!r}") + f" ({bound})"
                claim = claimed.get((quota.name, group, bound))
                if share is None or claim is None:
                    yield from _lacking(title, bound, share, group, claim)
                    continue
                yield from differs(f"{title}: phase", phase_of.get(quota.name), claim["phase"])
                yield from _quota(title, bound, share, count, claim, base)


def _lacking(
    title: str, bound: str, share: Fraction | None, group: str | None, claim: dict[str, Any] | None
) -> Iterator[Violation]:
    if share is None and claim is not None:
        yield Violation("drawn", title, "no such bound in the specification", "a claim")
    elif share is not None and not (bound == "min" and group == "unknown"):
        yield Violation("drawn", title, "a claim in the manifest", "none")


def _nothing(group: str | None, like: QuotaCount | None) -> QuotaCount:
    """Return the count of a group of which nothing was drawn; what is unknown may be of it."""
    nothing = np.zeros(0, dtype=np.int64)
    return QuotaCount(group, nothing, nothing if like is None else like.unknown)


def _quota(
    title: str, bound: str, share: Fraction, count: QuotaCount, claim: dict[str, Any], base: Rows
) -> Iterator[Violation]:
    rows = count.rows(bound)
    units, total = base.units_of(rows), base.units
    yield from differs(f"{title}: share", share_text(share), claim["share"])
    yield from differs(f"{title}: total", claim["total"], total)
    yield from differs(f"{title}: units", claim["units"], units)
    if missed(share, bound, units, total):
        side = "at least" if bound == "min" else "at most"
        yield Violation("drawn", title, f"{side} {share_text(share)}", f"{units:,} of {total:,}")
    slack = claim["prefix_slack"]
    if base.spec.order == "shuffled":
        yield from differs(f"{title}: worst prefix of a shuffled order", None, slack)
        return
    worst = worst_prefix(base, rows, share, bound)
    yield from differs(f"{title}: worst prefix", slack, worst)


def counted_claims(drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check that what every stratum is said to count for is what its draws count for."""
    spec, strata = drawn.spec, {s["stratum"]: s for s in claims["strata"]}
    own_phase = {quota.name: phase.name for phase in spec.phases for quota in phase.quotas}
    for label, stratum in strata.items():
        odd = sorted(q for q in stratum["counts"] if own_phase.get(q, stratum["phase"]) != stratum["phase"])
        odd += sorted(set(stratum["counts"]) - {quota.name for quota in spec.all_quotas})
        yield from differs(f"quotas that stratum {label!r} has no part in", [], odd)
    for i, (quota, base) in enumerate(zip(spec.all_quotas, drawn.bases(), strict=True)):
        labels, codes = base.strata
        stood = [strata[label]["counts"].get(quota.name, False) if label in strata else False for label in labels]
        found, groups = _standing(base, quota, i)
        recorded = np.array([_code(stands, quota, groups) for stands in stood] or [0], dtype=np.int64)[codes]
        wrong = found != recorded
        for k in np.unique(codes[wrong]):
            n_wrong = int((codes[wrong] == k).sum())
            title = f"what stratum {labels[k]!r} counts for in quota {quota.name!r}"
            yield Violation("drawn", title, shown(stood[k]), f"{n_wrong:,} draws that count otherwise")


def _standing(base: Rows, quota: Quota, i: int) -> tuple[I64, list[str]]:
    """Return for every draw the code of what it counts for, and the groups that codes from 0 on stand for."""
    out = ~base.unused(i)
    if quota.where is not None:
        holds, unknown = base.mask(f"stands_{i}"), base.nulls(f"stands_{i}")
        return np.where(out, _NONE, np.where(unknown, _UNKNOWN, np.where(holds, 0, _NONE))), []
    groups, codes = base.groups(i)
    if quota.per == "model":
        out = out | ((codes < 0) & base.is_human)
    return np.where(out, _NONE, codes), groups


def _code(stands: Any, quota: Quota, groups: list[str]) -> int:
    if stands is None:
        return _UNKNOWN
    if stands is False:
        return _NONE
    if quota.where is not None:
        return 0 if stands is True else _OTHER
    return groups.index(stands) if stands in groups else _OTHER

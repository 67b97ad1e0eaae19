"""The shares of an export in tokens: counted again from the map of what was written, and refused below quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.export.sequence import walk, worst_of
from provenance.mix.draw import I64
from provenance.mix.errors import QuotaNotMet, share_text
from provenance.mix.spec_fields import exact
from provenance.mix.strata import Constraint, Mask, PhaseShare


def token_constraints(manifest: dict[str, Any]) -> list[Constraint]:
    """Return the quotas of a training set over its strata, from its verified manifest."""
    constraints, masks = [], phase_masks(manifest)
    shares = {phase["phase"]: PhaseShare(phase["phase"], exact(phase["share"])) for phase in manifest["phases"]}
    for claim in manifest["quotas"]:
        name, group, bound, phase = claim["quota"], claim["group"], claim["bound"], claim["phase"]
        counted = [stratum["counts"].get(name, False) for stratum in manifest["strata"]]
        members = [c is not False and c == (True if group is None else group) for c in counted]
        if bound == "max":
            members = [m or c is None for m, c in zip(members, counted, strict=True)]
        mask, share = np.array(members, dtype=bool), exact(claim["share"])
        constraints.append(Constraint(name, group, bound, share, mask, shares.get(phase), masks.get(phase)))
    return constraints


def phase_masks(manifest: dict[str, Any]) -> dict[str, Mask]:
    """Return for every phase of a curriculum which strata belong to it; empty for the other orders."""
    of = [stratum["phase"] for stratum in manifest["strata"]]
    return {p["phase"]: np.array([name == p["phase"] for name in of], dtype=bool) for p in manifest["phases"]}


@dataclass(frozen=True)
class Slack:
    """How many tokens a quota is missed by at most, in blocks or in sequences one after the other.

    Attributes
    ----------
    prefix : by any prefix of them
    batch : by any stretch of them, and so by any batch
    """

    prefix: int
    batch: int


def slack_of(group: I64, n_groups: int, stratum: I64, n_tokens: I64, constraints: Sequence[Constraint]) -> list[Slack]:
    """Return for every constraint how far it is missed at most, one block (or sequence) after the other; exact.

    Parameters
    ----------
    group, stratum, n_tokens : of every stretch the block that it stands in, its stratum and its tokens
    """
    slack = []
    for constraint in constraints:
        inside = n_tokens if constraint.base is None else np.where(constraint.base[stratum], n_tokens, 0)
        sizes, counted = (
            np.bincount(group, weights=weights, minlength=n_groups).astype(np.int64)
            for weights in (inside, np.where(constraint.members[stratum], inside, 0))
        )
        worst = worst_of(walk(sizes, counted, constraint.share, constraint.bound))
        slack.append(Slack(*(-(-missed // constraint.share.denominator) for missed in worst)))
    return slack


def count_shares(
    written: pa.Table, constraints: Sequence[Constraint], names: Sequence[str], slack: Sequence[Slack]
) -> dict[str, Any]:
    """Return shares counted in tokens from the written map.

    Parameters
    ----------
    written : its columns stratum, origin, n_tokens
    names : the strata
    slack : what `slack_of` found

    Raises
    ------
    QuotaNotMet
        If a quota misses, if only by one token.
    """
    sums = written.group_by("stratum").aggregate([("n_tokens", "sum")])
    per_stratum = dict(zip(sums["stratum"].to_pylist(), sums["n_tokens_sum"].to_pylist(), strict=True))
    units = np.array([per_stratum.get(name, 0) for name in names], dtype=np.int64)
    total, quotas = int(units.sum()), []
    for constraint, worst in zip(constraints, slack, strict=True):
        if not constraint.holds(units):
            counted = constraint.counted(units)
            raise QuotaNotMet(constraint.title, constraint.bound, constraint.share, *counted, "tokens")
        quotas.append(_claim(constraint, *constraint.counted(units), worst))
    human = int(pc.sum(written.filter(pc.equal(written["origin"], "human"))["n_tokens"]).as_py() or 0)
    shares = {"human": human, "total": total, "share": human / total if total else 0.0}
    return {"n_tokens": total, "human": shares, "quotas": quotas}


def _claim(constraint: Constraint, counted: int, total: int, slack: Slack) -> dict[str, Any]:
    return {
        "phase": constraint.phase.name if constraint.phase else None,
        "quota": constraint.quota,
        "group": constraint.group,
        "bound": constraint.bound,
        "share": share_text(constraint.share),
        "units": counted,
        "total": total,
        "prefix_slack": slack.prefix,
        "batch_slack": slack.batch,
    }

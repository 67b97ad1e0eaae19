"""Claims about the order of the draws and where they come from: repeats, clusters, phases, strata, seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.mix.digest import id_bytes
from provenance.mix.draw import draw_keys
from provenance.mix.errors import Violation, share_text
from provenance.mix.spec import AtMost, MixSpec
from provenance.mix.verdict import differs, shown
from provenance.mix.verify_claims import n_distinct
from provenance.mix.verify_rows import I64, Ids, Mask, Rows, numbered


def repeat_claims(items: pa.Table, drawn: Rows) -> Iterator[Violation]:
    """Check how often documents were drawn, that repetitions are numbered in their order, and copies of a cluster."""
    spec, before = drawn.spec, numbered(id_bytes(items["document_id"]))
    repeat = items["repeat"].to_numpy().astype(np.int64)
    yield from differs("repetitions numbered in the order of the draws", 0, int((repeat != before).sum()))
    if before.any() or spec.repeats.per:
        too_often = drawn.mask("is_there") & (before >= drawn.caps())
        yield from differs("draws beyond what `repeats` allows", 0, int(too_often.sum()))
    if spec.duplicates == "all":
        return
    most = spec.duplicates.at_most if isinstance(spec.duplicates, AtMost) else 1
    n_over = int((numbered(id_bytes(items["cluster_id"])[before == 0]) >= most).sum())
    title = "draws from a cluster drawn already" if most == 1 else f"more than {most} of a cluster"
    yield from differs(title, 0, n_over)


def part_claims(claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    """Check that phases are those asked for, and that every stratum is of one of them and has a part of its own."""
    asked = [[phase.name, share_text(phase.share)] for phase in spec.phases]
    yield from differs("phases and their shares", asked, [[c["phase"], c["share"]] for c in claims["phases"]])
    known: list[str | None] = [phase.name for phase in spec.phases] or [None]
    begins: dict[str, int] = {}  # where the next phase's part of a stratum begins
    for stratum in claims["strata"]:
        label, phase = stratum["stratum"], stratum["phase"]
        if phase not in known or not (phase is None or label.startswith(f"{phase} / ")):
            yield Violation("drawn", f"phase of stratum {label!r}", "the one that it is named after", shown(phase))
        own = label.removeprefix(f"{phase} / ")
        yield from differs(f"first place of stratum {label!r}", begins.get(own, 0), stratum["first"])
        begins[own] = begins.get(own, 0) + stratum["available_documents"]


def phase_claims(drawn: Rows, claims: dict[str, Any], *, with_units: bool = True) -> Iterator[Violation]:
    """Check that the phases follow each other without gaps, each with its share of the budget within one document."""
    spec, position = drawn.spec, 0
    labels, codes = drawn.strata
    ends = np.concatenate([[0], drawn.ends])
    for phase, claim in zip(spec.phases, claims["phases"], strict=False):
        title = f"phase {phase.name!r}"
        yield from differs(f"{title}: position", position, claim["position"])
        low, own = position, np.array([*(label.startswith(f"{phase.name} / ") for label in labels), False])[codes]
        position = low + int(own.sum())
        yield from differs(f"{title}: documents", claim["documents"], position - low)
        yield from differs(f"{title}: draws of other phases", 0, int((~own[low:position]).sum()))
        if not with_units:
            continue
        units = int(ends[position] - ends[low])
        yield from differs(f"{title}: units", claim["units"], units)
        wanted, one = phase.share * (spec.budget.amount or 0), claims["budget"]["one_document"]
        if abs(units - wanted) > one:
            yield Violation("drawn", f"{title}: units", f"{share_text(wanted)} within {one:,}", f"{units:,}")
    if spec.phases:
        yield from differs("draws in all phases", len(codes), position)


def stratum_claims(items: pa.Table, drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check documents and units of every stratum, and that its allocation gives as many."""
    labels, codes = drawn.strata
    borders = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(labels)))])
    grouped = np.concatenate([[0], np.cumsum(drawn.sizes[drawn.by_stratum])])
    documents, units = np.diff(borders), np.diff(grouped[borders])
    found = {label: (int(documents[k]), int(units[k])) for k, label in enumerate(labels)}
    yield from differs("strata, each once", len(claims["strata"]), len({s["stratum"] for s in claims["strata"]}))
    for stratum in claims["strata"]:
        n, of_it = found.pop(stratum["stratum"], (0, 0))
        yield from _allocation(stratum, n, of_it)
    yield from differs("strata that the manifest does not know", [], sorted(found))
    yield from _candidates(drawn, claims, n_distinct(items))


def _allocation(stratum: dict[str, Any], n: int, units: int) -> Iterator[Violation]:
    label, prefix = stratum["stratum"], stratum["prefix"]
    yield from differs(f"documents of stratum {label!r}", stratum["documents"], n)
    yield from differs(f"units of stratum {label!r}", stratum["units"], units)
    skipped, added = stratum["skipped"], stratum["added"]
    yield from differs(f"allocation of stratum {label!r}", stratum["documents"], prefix - len(skipped) + len(added))
    places = [*skipped, *added]
    sound = all(p < prefix for p in skipped) and all(p >= prefix for p in added) and _ascends(skipped)
    numbers = all(type(p) is int and p >= 0 for p in (*places, prefix, stratum["first"]))
    if not (sound and numbers and _ascends(added)):
        yield Violation("drawn", f"places in stratum {label!r}", "skipped inside the prefix, added behind it", "others")
    needed = max([prefix, *(place + 1 for place in added)])
    if stratum["available_documents"] < needed:
        yield Violation("drawn", f"available documents of stratum {label!r}", f"at least {needed:,}", "fewer")
    if stratum["available_units"] < units:
        yield Violation("drawn", f"available units of stratum {label!r}", f"at least {units:,}", "fewer")


def _ascends(places: list[int]) -> bool:
    return all(a < b for a, b in pairwise(places))


def _candidates(drawn: Rows, claims: dict[str, Any], distinct: int) -> Iterator[Violation]:
    """Check that the candidates are those of the strata, of which every phase has a part for itself."""
    candidates, spec = claims["candidates"], drawn.spec
    n_units, n_documents = (sum(s[f"available_{what}"] for s in claims["strata"]) for what in ("units", "documents"))
    yield from differs("units of all candidates", candidates["units"], n_units)
    if spec.repeats.most == 1:
        yield from differs("all candidates", candidates["documents"], n_documents)
    elif not distinct <= candidates["documents"] <= n_documents:
        limits = f"{distinct:,} to {n_documents:,}"
        yield Violation("drawn", "all candidates", limits, shown(candidates["documents"]))


def order_claims(items: pa.Table, drawn: Rows) -> Iterator[Violation]:
    """Check that the draws stand in the order that the seed gives them: all of them, or those of every stratum."""
    ids, repeat = id_bytes(items["document_id"]), items["repeat"].to_numpy().astype(np.int64)
    spec = drawn.spec
    if spec.order == "shuffled":
        keys = np.zeros(len(ids), dtype=np.uint64)
        for n in np.unique(repeat):
            again = repeat == n
            keys[again] = draw_keys(ids[again], seed=spec.seed, purpose=f"order {n}" if n else "order")
        n_wrong = _n_descents(_in_turn(ids, repeat, keys), np.ones(max(0, len(keys) - 1), dtype=bool))
    elif spec.repeats.most > 1 or spec.phases:
        return
    else:
        strata, order = drawn.strata[1], drawn.by_stratum
        within = strata[order][1:] == strata[order][:-1]
        n_wrong = _n_descents(draw_keys(ids, seed=spec.seed)[order], within)
    yield from differs("draws that stand where the seed would not have them", 0, n_wrong)


def _in_turn(ids: Ids, repeat: I64, keys: Any) -> Any:
    """Return the keys of each document in ascending order: its repeats are counted in the order in which they stand."""
    if not repeat.any():
        return keys
    halves = np.ascontiguousarray(ids).view(np.uint64)  # (n, 2)
    placed = np.empty_like(keys)
    placed[np.lexsort((repeat, halves[:, 1], halves[:, 0]))] = keys[np.lexsort((keys, halves[:, 1], halves[:, 0]))]
    return placed


def _n_descents(keys: Any, within: Mask) -> int:
    return int(((keys[1:] < keys[:-1]) & within).sum())

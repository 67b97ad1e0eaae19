"""Errors of mixing: specifications, refusals, violated training sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from provenance.errors import ProvenanceError, nearest


class SpecError(ProvenanceError, ValueError):
    """A mix specification is wrong: an unknown field, a value out of range, fields that contradict each other."""

    def __init__(self, problems: Iterable[str], where: str = "") -> None:
        self.problems = tuple(problems)
        self.where = where
        shown = "; ".join(self.problems)
        super().__init__(f"{where or 'The mix specification'}: {shown}. Mend it and run the command again.")


class ConditionError(ProvenanceError, ValueError):
    """A condition over the documents view cannot be taken."""

    def __init__(self, condition: str, problem: str) -> None:
        self.condition = condition
        self.problem = problem
        super().__init__(
            f"The condition {condition!r} is not valid: {problem}. "
            "Expected one SQL condition over the documents view; `provenance schema` lists its columns."
        )


def unknown_word(kind: str, word: str, known: Iterable[str]) -> str:
    """Return the problem with a word that is none of the known ones, naming the nearest."""
    words = list(known)
    close = nearest(word, words)
    if close:
        return f"{word!r} is no {kind}, did you mean {close!r}?"
    return f"{word!r} is no {kind}" + (f" (known: {', '.join(words)})" if 0 < len(words) <= 25 else "")


def share_text(share: Fraction) -> str:
    """Return a share as the shortest exact text: a decimal where it has one, otherwise a fraction."""
    rest = share.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return str(share)
    digits = 0
    while (share * 10**digits).denominator != 1:
        digits += 1
    scaled = abs(int(share * 10**digits))
    whole, part = divmod(scaled, 10**digits)
    sign = "-" if share < 0 else ""
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


@dataclass(frozen=True)
class Shortfall:
    """One quota that takes part in a conflict.

    Attributes
    ----------
    quota : name, with the group for a quota that holds per value of a column
    bound : `min` or `max`
    share : the bound
    needed : units that the bound asks for: of the quota itself (min), of everything outside it (max)
    available : units that there are
    """

    quota: str
    bound: str
    share: Fraction
    needed: int
    available: int


@dataclass(frozen=True)
class Change:
    """The least change of one bound that makes a refused mix feasible while everything else stays.

    With the bound `repeats` it is how often documents may be drawn, and the share is that number.
    """

    quota: str
    bound: str
    share: Fraction
    to: Fraction


class InfeasibleMix(ProvenanceError, ValueError):
    """No training set satisfies the specification.

    Attributes
    ----------
    name : the mix
    unit, budget : what was asked for
    available : units of all candidates together
    reason : `budget` (the store has too little), `quotas` (they conflict), `whole documents` (shares could be met
        by parts of documents but by no set of whole ones), or `not found` (the search ended without a proof)
    conflict : an irreducible set of bounds that cannot hold together at this budget; where the budget itself is too
        large, the bounds that each ask for more than there is
    largest_budget : the largest budget in the same unit for which a training set was found; 0 when none was
    changes : for every quota that alone could give way, how far; the least first
    """

    def __init__(
        self,
        name: str,
        unit: str,
        budget: int,
        available: int,
        reason: str,
        conflict: Sequence[Shortfall],
        largest_budget: int,
        changes: Sequence[Change],
    ) -> None:
        self.name = name
        self.unit = unit
        self.budget = budget
        self.available = available
        self.reason = reason
        self.conflict = tuple(conflict)
        self.largest_budget = largest_budget
        self.changes = tuple(changes)
        super().__init__("; ".join(self._parts()) + ".")

    def as_mapping(self) -> dict[str, Any]:
        """Return the refusal as plain data, shares as text."""
        return {
            "name": self.name,
            "unit": self.unit,
            "budget": self.budget,
            "available": self.available,
            "reason": self.reason,
            "conflict": [asdict(s) | {"share": share_text(s.share)} for s in self.conflict],
            "largest_budget": self.largest_budget,
            "changes": [asdict(c) | {"share": share_text(c.share), "to": share_text(c.to)} for c in self.changes],
        }

    def _parts(self) -> list[str]:
        parts = [f"Mix {self.name!r} of {self.budget:,} {self.unit} cannot be made"]
        parts += [shortfall_text(s, self.unit) for s in self.conflict[:3]]
        parts += [self.finding] if self.finding else []
        parts.append(f"largest feasible budget: {self.largest_budget:,} {self.unit}")
        parts += [f"or {change_text(c)}" for c in self.changes[:1]]
        return parts

    @property
    def finding(self) -> str:
        """The reason in words, beyond the conflicting quotas."""
        if self.reason == "budget":
            return f"needed {self.budget:,} {self.unit}, available {self.available:,}"
        if self.reason == "whole documents":
            return "parts of documents could meet every quota, but no set of whole documents does"
        if self.reason == "not found":
            return "no set of whole documents was found, though none is proved to be impossible"
        if not self.largest_budget and all(s.available >= s.needed for s in self.conflict):
            return "there is enough for each of these, but together they contradict each other at any budget"
        return ""


def shortfall_text(shortfall: Shortfall, unit: str) -> str:
    """Return what one bound asks for, and what there is, in words."""
    return need_text(shortfall.quota, shortfall.bound, shortfall.share, shortfall.needed, shortfall.available, unit)


def need_text(quota: str, bound: str, share: Fraction, needed: int, available: int, unit: str) -> str:
    """Return the same of a bound that is given by its parts."""
    verb = "needs" if bound == "min" else "needs outside it"
    there = f"available {available:,}" if available else "no candidate counts for that"
    return f"quota {quota!r} ({bound} {share_text(share)}) {verb} {needed:,} {unit}, {there}"


def change_text(change: Change) -> str:
    """Return one sufficient change in words."""
    if change.bound == "repeats":
        return f"raise repeats.max from {change.share} to {change.to} and change nothing else"
    verb = "lower the minimum" if change.bound == "min" else "raise the maximum"
    return (
        f"{verb} of {change.quota!r} from {share_text(change.share)} to {share_text(change.to)} and change nothing else"
    )


#: Conflicting bounds that a report lists; a quota per value of a column may have thousands.
_SHOWN = 10


def render_refusal(error: InfeasibleMix) -> str:
    """Return the refusal as a report of several lines for a terminal."""
    lines = [f"Refused: mix {error.name!r} of {error.budget:,} {error.unit} cannot be made.", ""]
    lines += [f"  - {shortfall_text(s, error.unit)}" for s in error.conflict[:_SHOWN]]
    lines += [f"  - and {len(error.conflict) - _SHOWN} more"] if len(error.conflict) > _SHOWN else []
    lines += [f"  - {error.finding}"] if error.finding else []
    lines += ["", "What would make it feasible, one of:"]
    if error.largest_budget:
        lines.append(f"  - a budget of {error.largest_budget:,} {error.unit}")
    lines += [f"  - {change_text(c)}" for c in error.changes]
    if not error.largest_budget and not error.changes:
        lines.append("  - no other budget and no change of one quota alone: add documents, or change several quotas")
    return "\n".join(lines)


class QuotaNotMet(ProvenanceError, ValueError):
    """What was drawn, or written, misses a quota, if only by one unit; nothing was kept."""

    def __init__(self, quota: str, bound: str, share: Fraction, counted: int, total: int, unit: str) -> None:
        self.quota = quota
        self.bound = bound
        self.share = share
        self.counted = counted
        self.total = total
        self.unit = unit
        side = "at least" if bound == "min" else "at most"
        needed = -(-share.numerator * total // share.denominator)
        limit = needed if bound == "min" else share.numerator * total // share.denominator
        super().__init__(
            f"Quota {quota!r} is not met: {counted:,} of {total:,} {unit}, expected {side} {limit:,} "
            f"({share_text(share)}). Nothing was written; "
            + (
                "make the training set with a budget in tokens of this tokenizer."
                if unit == "tokens"
                else "this is a fault of the sampler, please report it with the specification."
            )
        )


@dataclass(frozen=True)
class Violation:
    """One claim of a manifest that does not hold.

    Attributes
    ----------
    verdict : `drawn` (by what is recorded with the draws) or `now` (by today's labels)
    claim : which claim
    expected : what the manifest or specification says
    found : what the store's rows say
    """

    verdict: str
    claim: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.claim}: expected {self.expected}, found {self.found} ({self.verdict})"


class TrainingSetViolated(ProvenanceError, ValueError):
    """A training set does not hold what its manifest claims."""

    def __init__(self, name: str, violations: Sequence[Violation]) -> None:
        self.name = name
        self.violations = tuple(violations)
        more = f" and {len(self.violations) - 1} more" if len(self.violations) > 1 else ""
        super().__init__(
            f"Training set {name!r} is refused: {self.violations[0]}{more}. See all: provenance verify {name}"
        )


class ReplayMismatch(ProvenanceError, RuntimeError):
    """Replaying a manifest did not give the draws that it records."""

    def __init__(self, name: str, expected: str, found: str) -> None:
        self.name = name
        self.expected = expected
        self.found = found
        super().__init__(
            f"Replaying {name!r} gave draws with digest {found}, the manifest records {expected}: the store is not "
            f"in the state that the set was drawn from. See what changed: provenance verify {name}"
        )


class OutputExists(ProvenanceError, FileExistsError):
    """An export would overwrite something."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} exists already, nothing was written. Choose another --out or remove it first.")


class ExportDamaged(ProvenanceError, ValueError):
    """Exported files are not what their manifest says."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is refused: {reason}. Export the training set again.")


class NothingToExport(ProvenanceError, ValueError):
    """A training set is too small to fill one block."""

    def __init__(self, name: str, n_tokens: int, block_length: int) -> None:
        self.name = name
        self.n_tokens = n_tokens
        self.block_length = block_length
        super().__init__(
            f"Training set {name!r} has no stratum that fills one block of {block_length} tokens "
            f"({n_tokens} tokens in all). Use a smaller block length or a larger budget."
        )


class EvaluationSetUnreadable(ProvenanceError, OSError):
    """A file that training sets must share nothing with cannot be read, so that nobody knows what is in it."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"decontaminate.against {file}: {reason}. Nothing was drawn; mend or name another file.")


class TokenizerInvalid(ProvenanceError, ValueError):
    """A tokenizer's definition cannot be loaded."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(
            f"The tokenizer {name!r} cannot be loaded: {reason}. "
            "Expected the JSON that tokenizers.Tokenizer.to_str() writes (a tokenizer.json)."
        )


class TokenizerUnavailable(ProvenanceError, LookupError):
    """A tokenizer that a mix names is neither in the store nor a file, and cannot be had from the hub."""

    def __init__(self, name: str, reason: str, known: Sequence[str] = ()) -> None:
        self.name = name
        self.reason = reason
        self.known = tuple(known)
        close = nearest(name, self.known)
        hint = f" Did you mean the stored tokenizer {close!r}?" if close else ""
        super().__init__(
            f"The tokenizer {name!r} is none of the store, no model of the store, no file or folder with a "
            f"tokenizer.json, and not to be had from the Hugging Face hub ({reason}).{hint} Without network, add one "
            "with: provenance tokenizer add NAME FILE"
        )


class WorkersNotSupported(ProvenanceError, RuntimeError):
    """A worker process of a data loader would have to read a store that another process holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            "The store can be read in one process only: use num_workers=0, or write files that workers can share with "
            f"`provenance export {name} --format parquet --out FILE`."
        )


class ExportFailed(ProvenanceError, OSError):
    """An export could not be written to its end; nothing of it was left behind."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"Writing {path} failed: {cause}. Nothing was left behind; mend the cause and run it again.")


class TokenizerNotNamed(ProvenanceError, ValueError):
    """Tokens are wanted of a training set that was not made with a tokenizer."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Training set {name!r} was made without a tokenizer: name a stored one with --tokenizer NAME "
            "(add one with: provenance tokenizer add NAME FILE)."
        )

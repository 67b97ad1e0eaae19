"""What a verifier finds: violations, and claims that it cannot check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import duckdb
from sqlalchemy.exc import DBAPIError

from provenance.mix.errors import ConditionError, SpecError, Violation

_FORM = "the manifest is complete and well formed"
_READABLE = "the conditions can be read and computed"


@dataclass(frozen=True)
class Unchecked:
    """A claim that cannot be checked here, and why."""

    claim: str
    reason: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.reason}"


Finding = Violation | Unchecked


@dataclass(frozen=True)
class Verdict:
    """What the verifier found.

    Attributes
    ----------
    name : the training set
    n_documents : draws looked at
    violations : every claim that does not hold, empty where all do
    unchecked : claims that could not be checked
    """

    name: str
    n_documents: int
    violations: tuple[Violation, ...]
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def as_drawn(self) -> tuple[Violation, ...]:
        """Violations of what is recorded with the draws."""
        return tuple(v for v in self.violations if v.verdict == "drawn")

    @property
    def as_of_now(self) -> tuple[Violation, ...]:
        """Violations by today's labels only."""
        return tuple(v for v in self.violations if v.verdict == "now")


def verdict_of(name: str, n_documents: int, found: Iterable[Finding]) -> Verdict:
    """Return findings as a verdict, each once."""
    findings = tuple(dict.fromkeys(found))
    return Verdict(
        name,
        n_documents,
        tuple(finding for finding in findings if isinstance(finding, Violation)),
        tuple(finding for finding in findings if isinstance(finding, Unchecked)),
    )


def guarded(part: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what a part of the verifier finds; a manifest that it stumbles over is a violation, never a crash."""
    try:
        yield from part
    except (DBAPIError, duckdb.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        yield Violation("drawn", _READABLE, "they can", str(cause).strip().splitlines()[0])
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        is_condition = isinstance(error, ConditionError) and not isinstance(error, SpecError)
        found = str(error) if is_condition else f"{type(error).__name__}: {error}"
        yield Violation("drawn", _READABLE if is_condition else _FORM, "they can" if is_condition else "it is", found)


def differs(claim: str, expected: Any, found: Any, verdict: str = "drawn") -> Iterator[Violation]:
    """Yield a violation unless what was found is what was expected, also in its type: true is not 1, 2.0 not 2."""
    if type(expected) is type(found) and expected == found and not isinstance(expected, dict | list):
        return
    if _written(expected) != _written(found):
        yield Violation(verdict, claim, shown(expected), shown(found))


def shown(value: Any) -> str:
    """Return a value as a short text."""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    return [value.numerator, value.denominator] if isinstance(value, Fraction) else repr(value)

"""What a verifier finds: violations, and claims that it cannot check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from provenance.mix.errors import Violation


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
    """Return findings as a verdict."""
    findings = tuple(found)
    return Verdict(
        name,
        n_documents,
        tuple(finding for finding in findings if isinstance(finding, Violation)),
        tuple(finding for finding in findings if isinstance(finding, Unchecked)),
    )


def differs(claim: str, expected: Any, found: Any, verdict: str = "drawn") -> Iterator[Violation]:
    """Yield a violation unless what was found is what was expected."""
    if expected != found:
        yield Violation(verdict, claim, shown(expected), shown(found))


def shown(value: Any) -> str:
    """Return a value as a short text."""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."

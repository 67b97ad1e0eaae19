"""Reads files with one reader as an ingest would, and checks the laws that hold for every reader."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance.errors import ProvenanceError
from provenance.ingest.inputs import Input
from provenance.ingest.readers.base import REASONS, Chunk, Reader, ReadOptions, Refused


@dataclass
class Outcome:
    """What a reader made of one input, in order.

    Attributes
    ----------
    records, places, raws : one of each a record
    refused : what was refused, parts joined, with the context of its chunk
    order : the records and refused ones by number, as they stand in the input
    error : what ended the reading
    n_bytes : sum over the blocks
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    contexts: list[bytes | None] = field(default_factory=list)
    refused: list[tuple[Refused, bytes | None]] = field(default_factory=list)
    order: list[tuple[str, bytes]] = field(default_factory=list)
    error: ProvenanceError | None = None
    n_bytes: int = 0

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """(place, reason) of every refused record."""
        return [(one.place, one.reason) for one, _ in self.refused]

    def same_as(self) -> tuple[Any, ...]:
        """Return what must not depend on how the input was cut into blocks."""
        return (self.records, self.places, self.raws, self.contexts, self.refused, self.order, str(self.error))


def read(reader: Reader, path: Path | str, **options: Any) -> Outcome:
    """Return what a reader makes of a file; blocks and chunks go through pickle, as between processes."""
    chosen = ReadOptions(**options)
    outcome = Outcome()
    try:
        for block in reader.blocks(Input(str(path)), chosen):
            outcome.n_bytes += block.n_bytes
            chunk = reader.parse(pickle.loads(pickle.dumps(block)), chosen)  # noqa: S301 - our own bytes
            _add(outcome, pickle.loads(pickle.dumps(chunk)))  # noqa: S301
    except ProvenanceError as error:
        outcome.error = error
    return outcome


def _add(outcome: Outcome, chunk: Chunk) -> None:
    assert chunk.raws is not None
    assert len(chunk.records) == len(chunk.places) == len(chunk.raws)
    numbers = [one.n_before for one in chunk.refused]
    assert numbers == sorted(numbers) and all(0 <= number <= len(chunk.records) for number in numbers)
    outcome.records += chunk.records
    outcome.places += chunk.places
    outcome.raws += chunk.raws
    outcome.contexts += [chunk.context] * len(chunk.records)
    left = list(chunk.refused)
    for i in range(len(chunk.records) + 1):
        while left and left[0].n_before == i:
            _add_refused(outcome, left.pop(0), chunk.context)
        if i < len(chunk.records):
            outcome.order.append((chunk.places[i], chunk.raws[i]))


def _add_refused(outcome: Outcome, refused: Refused, context: bytes | None) -> None:
    assert refused.reason in REASONS
    if refused.part == 0:
        kept = Refused(refused.place, refused.reason, refused.detail, refused.raw)
        outcome.refused.append((kept, context))
        outcome.order.append((refused.place, refused.raw))
        return
    before, _ = outcome.refused[-1]
    assert before.place == refused.place and outcome.order[-1][0] == refused.place
    whole = before.raw + refused.raw
    outcome.refused[-1] = (Refused(before.place, before.reason, before.detail, whole), context)
    outcome.order[-1] = (refused.place, whole)


def line_numbers(outcome: Outcome) -> list[int]:
    """Return the numbers of the lines where records stand, read and refused ones, in order."""
    return [int(place.removeprefix("line ")) for place, _ in outcome.order]


def check_rereading(reader: Reader, path: Path | str, outcome: Outcome, **options: Any) -> None:
    """Check that the kept bytes of a record make the same record again, and those of a refused one the same refusal."""
    chosen = ReadOptions(**options)
    for record, raw, context in zip(outcome.records, outcome.raws, outcome.contexts, strict=True):
        again = reader.reread(str(path), raw, context, chosen)
        assert (again.records, again.raws, again.refused) == ([record], [raw], [])
    for refused, context in outcome.refused:
        again = reader.reread(str(path), refused.raw, context, chosen)
        assert again.records == []
        assert {(one.reason, one.detail) for one in again.refused} == {(refused.reason, refused.detail)}
        assert b"".join(one.raw for one in again.refused) == refused.raw
        assert [one.part for one in again.refused] == list(range(len(again.refused)))

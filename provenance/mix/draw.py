"""The draw inside a stratum: a pure function of seed and document id.

Every document has a 64-bit key made from the seed and its id; a stratum is drawn in ascending order of the keys. So
the order inside a stratum does not depend on what else is in the store, on the order of input or on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

#: Up to so many candidates every permitted repetition is looked at, whatever the budget.
_FEW = 20_000
_MULTIPLY_1, _MULTIPLY_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def draw_keys(ids: npt.NDArray[np.uint8], *, seed: int, purpose: str = "draw") -> U64:
    """Return the key of every document.

    Parameters
    ----------
    ids : (n, 16) uint8, document ids, which are digests and so uniform already
    seed : the mix's seed
    purpose : different purposes give independent keys

    Notes
    -----
    Two rounds of the finaliser of splitmix64, keyed by SHA-256 of seed and purpose: 64-bit integer arithmetic modulo
    2^64 only, hence equal on every machine.

    References
    ----------
    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014, figure 16 (mix64variant13).
    """
    halves = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)  # (n, 2)
    digest = sha256(f"provenance {purpose} 1 {seed}".encode()).digest()
    key_1, key_2 = (np.uint64(int.from_bytes(digest[i : i + 8], "big")) for i in (0, 8))
    return _mix(_mix(halves[:, 0] ^ key_1) + (halves[:, 1] ^ key_2))


def draw_order(ids: npt.NDArray[np.uint8], keys: U64) -> I64:
    """Return the rows in the order of their keys; documents with equal keys stand in the order of their ids."""
    order = np.argsort(keys)
    sorted_keys = keys[order]
    if not (sorted_keys[1:] == sorted_keys[:-1]).any():
        return order.astype(np.int64)
    halves = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    return np.lexsort((halves[:, 1], halves[:, 0], keys)).astype(np.int64)


def repeated(rows: I64, sizes: I64, caps: I64, *, budget: int | None, few: int = 0) -> I64:
    """Return the rows of a stratum in draw order, as often as each may be drawn: all once, then all again, and so on.

    Parameters
    ----------
    rows, sizes, caps : (m,) the rows, their units, and how often each may be drawn
    budget : among many rows no more rounds than so many units need; None for all rounds
    few : number of all candidates
    """
    rounds, units = [], 0
    for n in range(int(caps.max(initial=0))):
        if n and few > _FEW and budget is not None and units >= budget:
            break
        again = caps > n
        rounds.append(rows[again])
        units += int(sizes[again].sum())
    return np.concatenate(rounds) if rounds else rows[:0]


def repeats_of(rows: I64) -> I64:
    """Return for every draw how often its row was drawn before it."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(rows) else np.zeros(0, dtype=bool)
    place = np.arange(len(rows))
    repeats = np.empty(len(rows), dtype=np.int64)
    repeats[order] = place - np.maximum.accumulate(np.where(first, place, 0)) if len(rows) else repeats
    return repeats


def _mix(z: U64) -> U64:
    z = (z ^ (z >> np.uint64(30))) * _MULTIPLY_1
    z = (z ^ (z >> np.uint64(27))) * _MULTIPLY_2
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Taken:
    """What is drawn from one stratum, as places in its draw order.

    Attributes
    ----------
    prefix : so many documents from the start
    skipped : places within the prefix that are left out
    added : places behind the prefix that are drawn as well
    first : the place from which the others are counted
    """

    prefix: int
    skipped: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    first: int = 0

    def places(self) -> I64:
        """Return the places drawn, ascending."""
        first = np.arange(self.prefix, dtype=np.int64)
        if self.skipped:
            first = np.delete(first, list(self.skipped))
        return np.concatenate([first, np.array(sorted(self.added), dtype=np.int64)]) + self.first

    @classmethod
    def from_places(cls, places: I64, prefix: int) -> Taken:
        """Return the given set of places, described as differences from a prefix."""
        drawn = set(places.tolist())
        skipped = tuple(i for i in range(prefix) if i not in drawn)
        return cls(prefix, skipped, tuple(sorted(i for i in drawn if i >= prefix)))

    def __len__(self) -> int:
        return self.prefix - len(self.skipped) + len(self.added)

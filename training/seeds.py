"""Seeds of single steps, derived from the seed of an experiment."""

from __future__ import annotations

from hashlib import sha256


def derive_seed(seed: int, *labels: str | int) -> int:
    """Return a seed for the step that the labels name: equal for equal labels, otherwise unrelated; below 2^31."""
    text = "\0".join(["recurse", str(seed), *map(str, labels)])
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1

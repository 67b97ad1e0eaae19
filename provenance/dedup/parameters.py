"""Parameters of the near-duplicate search; a store is made with one set and keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from provenance.errors import InvalidParameters

#: Part of all spans that is kept of models' texts, for the sake of copies in which words were replaced.
SAMPLED_FRAC = 0.1


@dataclass(frozen=True, kw_only=True)
class DedupParameters:
    """How near-duplicates are found.

    Two texts are compared when all rows of one of their bands agree, which for a Jaccard similarity s happens with
    probability 1 - (1 - s^rows_per_band)^n_bands; they count as near-duplicates when the share of equal hash values
    reaches the threshold. The default of 14 bands of 8 rows is FineWeb's.

    Attributes
    ----------
    n_bands : number of bands, 1 to 255
    rows_per_band : hash values in a band, 1 to 64
    shingle_tokens : tokens in a shingle, 1 to 16
    threshold : smallest estimated Jaccard similarity of near-duplicates, above 0, at most 1
    seed : seed of datasketch's permutations
    containment : smallest share of a text's tokens, 0..1, that must stand in another text in shared runs of 13 and more
        for it to count as a part of that text; None leaves containment out, and no spans are kept

    References
    ----------
    Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2 (banding).
    Penedo et al., The FineWeb Datasets, arXiv 2406.17557, section 3.4.
    """

    n_bands: int = 14
    rows_per_band: int = 8
    shingle_tokens: int = 5
    threshold: float = 0.7
    seed: int = 1
    containment: float | None = None

    def __post_init__(self) -> None:
        """Raise `InvalidParameters` for values out of range."""
        for name, value, low, high in (
            ("n_bands", self.n_bands, 1, 255),
            ("rows_per_band", self.rows_per_band, 1, 64),
            ("shingle_tokens", self.shingle_tokens, 1, 16),
            ("seed", self.seed, 0, 2**32 - 1),
        ):
            if not low <= value <= high:
                raise InvalidParameters(f"{name} is {value}, expected {low} to {high}")
        if not 0 < self.threshold <= 1:
            raise InvalidParameters(f"threshold is {self.threshold}, expected above 0 and at most 1")
        if self.containment is not None and not 0 < self.containment <= 1:
            raise InvalidParameters(f"containment is {self.containment}, expected above 0 and at most 1")

    @property
    def n_permutations(self) -> int:
        """Length of a signature."""
        return self.n_bands * self.rows_per_band

    @property
    def sampled_frac(self) -> float:
        """Part of all spans that is kept beside the picked ones.

        None of them where the index serves containment, whose rule goes by the share of picked spans.
        """
        return SAMPLED_FRAC if self.containment is None else 0

    @property
    def min_equal(self) -> int:
        """Number of equal hash values from which on two texts are near-duplicates."""
        # The guard keeps a threshold such as 0.7 from asking for one more value than 0.7 * n because of rounding.
        return max(1, ceil(self.threshold * self.n_permutations - 1e-9))

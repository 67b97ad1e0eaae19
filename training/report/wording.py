"""Numbers as people read them: true minus signs, units apart, no decimals beyond what is known."""

from __future__ import annotations

from training.profile.statistics import Excess
from training.report.intervals import Estimate

MINUS = "−"
#: Stands where a number is not known.
NONE = "–"
#: Spaces that keep a number and what belongs to it on one line.
SPACE, NARROW = "\u00a0", "\u202f"


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """Return a number with so many decimals, thousands apart; a dash for None."""
    if value is None:
        return NONE
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if not any(character in "123456789" for character in text):  # no "-0.00"
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def estimated(value: Estimate | None, digits: int, *, signed: bool = False) -> str:
    """Return a mean, with its interval where there is one: `5.12 ± 0.03`."""
    if value is None:
        return NONE
    text = number(value.mean, digits, signed=signed)
    return text if value.half_width is None else f"{text}{SPACE}±{SPACE}{number(value.half_width, digits)}"


def percent(share: float | None) -> str:
    """Return a share as whole per cent; what is not quite nothing or everything never reads as 0 or 100."""
    if share is None:
        return NONE
    whole = round(100 * share)
    if whole == 0 and share > 0:
        return f"<1{NARROW}%"
    if whole == 100 and share < 1:
        return f">99{NARROW}%"
    return f"{number(whole, 0)}{NARROW}%"


def unbreakable(text: str) -> str:
    """Return a text that stays on one line."""
    return text.replace(" ", SPACE)


def typed(text: str) -> str:
    """Return a text with the spaces that a keyboard has, so that it can be searched and compared."""
    return text.replace(SPACE, " ").replace(NARROW, " ")


def compact(count: float) -> str:
    """Return a count in at most four characters: 950, 40k, 1.3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * size:
            scaled = count / size
            return f"{scaled:.1f}".removesuffix(".0") + letter if scaled < 9.95 else f"{scaled:.0f}{letter}"
    return f"{count:.0f}"


def listed(words: list[str]) -> str:
    """Return words as an enumeration: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def as_estimate(difference: Excess) -> Estimate:
    """Return a difference as numbers are printed: mean and half of its interval."""
    return Estimate(difference.mean, difference.half_width, difference.n)


def probability(p: float) -> str:
    """Return a probability with two digits that mean something; never as nothing at all."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"

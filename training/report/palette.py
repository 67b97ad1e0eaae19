"""Colours, each for a light and a dark page: one per arm, neutral for human text, one ramp for generations.

The arms' colours stay apart under the common kinds of colour blindness, and every arm has a marker of its own besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.report.composition import Part
from training.report.data import Arm


@dataclass(frozen=True)
class Colour:
    """A colour as the page names it: a variable with one value for light pages and one for dark ones."""

    variable: str
    light: str
    dark: str

    @property
    def css(self) -> str:
        """How a style refers to it."""
        return f"var(--{self.variable})"


@dataclass(frozen=True)
class ArmStyle:
    """How the lines of an arm look.

    Attributes
    ----------
    marker : name of the marker in matplotlib
    outline : the same as a path for keys
    """

    colour: Colour
    marker: str
    outline: str
    dashed: bool


INK = Colour("ink", "#1c1d21", "#ececf0")
FAINT = Colour("faint", "#5d6069", "#a3a7b3")
GRID = Colour("grid", "#dfe1e6", "#363943")
SURFACE = Colour("surface", "#ffffff", "#17181c")
HUMAN = Colour("human", "#8a8f9b", "#8b909d")
UNKNOWN = Colour("unknown", "#d9c27a", "#8f7a33")
_CONTROL = Colour("arm-control", "#4a4d57", "#c3c7d1")

#: For light and dark pages. Found by search: every two are at least .08 apart in Oklab, also as people without red or
#: green cones see them, and have a contrast of 3 or more with the page.
_ARMS = (
    ("#a02400", "#e9821d"),  # red, orange
    ("#337df9", "#5b8bf5"),  # blue
    ("#447b64", "#76ad8e"),  # green
    ("#be811e", "#f1e024"),  # ochre, yellow
    ("#b480b2", "#996987"),  # mauve
    ("#433597", "#9aaaec"),  # indigo
    ("#a8591d", "#b66402"),  # brown
)
#: Marker of matplotlib and its outline in a key of 28 × 10 units.
_MARKERS = (
    ("o", "M10.8 5a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0Z"),
    ("s", "M11 2H17V8H11Z"),
    ("D", "M14 1.2L17.8 5L14 8.8L10.2 5Z"),
    ("^", "M14 1.4L17.6 8.2H10.4Z"),
    ("v", "M14 8.6L17.6 1.8H10.4Z"),
    ("P", "M12.8 1.4H15.2V3.8H17.6V6.2H15.2V8.6H12.8V6.2H10.4V3.8H12.8Z"),
    ("<", "M10.4 5L17.2 1.4V8.6Z"),
)
_CONTROL_MARKER = _MARKERS[0]
#: Arms with a usual name look the same in every report.
_USUAL = {"replace": 0, "quota": 1}

#: Ends of the ramp of generations, first to last.
_RAMP = (("#c9b3e6", "#4b1d86"), ("#e3d3fb", "#7a45c8"))
#: The same for lines, which must stand out from the page most at the end.
_LINES = (_RAMP[0], ("#63518c", "#e3d3fb"))


def arm_styles(arms: Sequence[Arm]) -> dict[str, ArmStyle]:
    """Return one fixed colour and marker per arm; the control is neutral and dashed."""
    styles: dict[str, ArmStyle] = {}
    free = [at for at in range(len(_MARKERS)) if at not in {_USUAL.get(arm.name) for arm in arms}]
    for arm in arms:
        if arm.is_control:
            styles[arm.name] = ArmStyle(_CONTROL, *_CONTROL_MARKER, dashed=True)
            continue
        at = _USUAL[arm.name] if arm.name in _USUAL else (free.pop(0) if free else len(styles))
        light, dark = _ARMS[at % len(_ARMS)]
        styles[arm.name] = ArmStyle(Colour(f"arm-{at}", light, dark), *_MARKERS[at % len(_MARKERS)], dashed=False)
    return styles


def part_colours(parts: Sequence[Part]) -> dict[Part, Colour]:
    """Return a colour per kind of text: human neutral, synthetic darker with every generation."""
    synthetic = [part for part in parts if part.origin == "synthetic" and part.generation >= 0]
    colours: dict[Part, Colour] = {}
    for part in parts:
        if part.origin == "human":
            colours[part] = HUMAN
        elif part in synthetic:
            at = synthetic.index(part) / max(1, len(synthetic) - 1)
            (light_from, light_to), (dark_from, dark_to) = _RAMP
            name = f"generation-{part.generation}"
            colours[part] = Colour(name, _between(light_from, light_to, at), _between(dark_from, dark_to, at))
        else:
            colours[part] = UNKNOWN
    return colours


def _between(first: str, second: str, at: float) -> str:
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * at):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def generation_colours(generations: Sequence[int]) -> dict[int, Colour]:
    """Return a colour for the line of each generation, ever further from the page."""
    return _ramp("text", generations, _LINES)


def _ramp(name: str, places: Sequence[int], ends: tuple[tuple[str, str], tuple[str, str]]) -> dict[int, Colour]:
    colours = {}
    for at, place in enumerate(places):
        part = at / max(1, len(places) - 1)
        light, dark = (_between(first, last, part) for first, last in ends)
        colours[place] = Colour(f"{name}-{place}", light, dark)
    return colours


def distance_colours(places: Sequence[int]) -> dict[int, Colour]:
    """Return a colour per number of models between people and a text: human neutral, then ever darker."""
    models = _ramp("distance", [place for place in places if place > 0], _RAMP)
    return {place: HUMAN if place == 0 else models.get(place, UNKNOWN) for place in places}


def curve_colours(n: int) -> list[Colour]:
    """Return colours of so many curves."""
    return [Colour(f"curve-{at}", *_ARMS[(at + 1) % len(_ARMS)]) for at in range(n)]

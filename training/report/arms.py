"""What an experiment's settings say of its arms, as the store keeps them with every run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from training.report.wording import SPACE, unbreakable


def arm_settings(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what the experiment says of every arm, by name: a list of records with names, or records by name."""
    arms = config.get("arms")
    if isinstance(arms, Mapping):
        return {str(name): said if isinstance(said, Mapping) else {} for name, said in arms.items()}
    if isinstance(arms, Sequence) and not isinstance(arms, str):
        named = [arm if isinstance(arm, Mapping) else {"name": arm} for arm in arms]
        return {str(arm.get("name", arm.get("regime", ""))): arm for arm in named}
    return {}


def parse_json(value: Any) -> dict[str, Any]:
    """Return a JSON column as a mapping; empty where it holds none."""
    parsed = json.loads(value) if isinstance(value, str) else value
    return parsed if isinstance(parsed, dict) else {}


def own_decoding(config: Mapping[str, Any], arm: Mapping[str, Any]) -> str | None:
    """Return how an arm draws its text, such as `T = 0.8, top-k = 40`; None if the experiment does not say."""
    general, own = config.get("decoding"), arm.get("decoding")
    said = {**(general if isinstance(general, Mapping) else {}), **(own if isinstance(own, Mapping) else {})}
    labels = {"temperature": "T", "top_k": "top-k", "top_p": "top-p", "beams": "beams", "repetition_penalty": "penalty"}
    usual = {"beams": 1, "repetition_penalty": 1}
    shown = {name: value for name in labels if isinstance(value := said.get(name), int | float)}
    parts = [f"{labels[name]} = {value:g}" for name, value in shown.items() if value != usual.get(name)]
    return unbreakable(", ".join(parts)).replace(f",{SPACE}", ", ") or None


def share_of(said: Any) -> float | None:
    """Return a share as experiments keep it, the text of a fraction such as `1/4`."""
    return None if said is None else float(Fraction(str(said)))


def is_plain(said: Mapping[str, Any]) -> bool:
    """Return whether an arm weighs and filters nothing, so that only its regime and share set it apart."""
    weight = said.get("human_loss_weight")
    return weight in (None, 1, 1.0) and not any(said.get(field) for field in ("filter", "unknown"))

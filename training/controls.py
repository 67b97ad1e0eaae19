"""The controls that every experiment has: without them nobody can say what collapse is, and what the human text does.

The human control trains on as much text as the other arms, all of it human: it improves from generation to generation
itself, and excess is measured against it. An arm of the human text alone that a quota arm has tells whether the
synthetic part helps or hurts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_HUMAN = "human"


def with_controls(data: Any) -> Any:
    """Return the mapping of an experiment with the controls that it does not write out, unless it wants none.

    What is no experiment comes back as it is: the checks that follow say what is wrong with it.
    """
    if not isinstance(data, Mapping) or data.get("controls", True) is not True:
        return data
    arms = [_plain(arm) for arm in data["arms"]] if isinstance(data.get("arms"), list | tuple) else []
    if not all(isinstance(arm, Mapping) for arm in arms):
        return data
    return {**data, "arms": [*data["arms"], *_missing(arms)]} if arms else data


def _plain(arm: Any) -> Any:
    return arm.model_dump() if hasattr(arm, "model_dump") else arm


def _missing(arms: list[Any]) -> Iterator[dict[str, Any]]:
    if not any(arm.get("regime") == _HUMAN for arm in arms):
        yield {"name": _HUMAN, "regime": _HUMAN}
    known = {arm.get("of") for arm in arms}
    for arm in arms:
        if arm.get("share") is not None and arm.get("name") not in known:
            yield {"name": f"human-only-{arm.get('name')}", "regime": "human_only", "of": arm.get("name")}

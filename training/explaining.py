"""What is wrong with an experiment, in words of its file: the place, what was expected, the nearest known name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import get_args

from pydantic import BaseModel, ValidationError

from provenance.errors import nearest
from training.errors import ExperimentInvalid, UnknownField, UnknownLearner
from training.learners.registry import LEARNERS

#: What pydantic says in words of Python, by its type of error or by field.
_EXPECTED = {
    "tuple_type": "expected a list",
    "model_type": "expected a mapping of fields to values",
    "model_attributes_type": "expected a mapping of fields to values",
    "tokenizer": "expected {vocab_size: n}, or one of the words own and none",
}

#: How the reason of what concerns several fields begins.
_PLACE = re.compile(r"([a-z_]+(?:\.[a-z_]+)*(?:, [a-z_.]+)*): ")

#: What pydantic adds to the place of an error inside a union.
_UNION_TAGS = ("TrainedTokenizer", "literal['own','none']", "float", "literal['optimal']")


def explained(error: ValidationError, model: type[BaseModel], origin: str) -> Exception:
    """Return the first problem as one of our errors."""
    # An unknown field first: a misspelt one is why another is missing.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"] if part not in LEARNERS and part not in _UNION_TAGS]
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        return UnknownField(origin, ".".join(place[:-1]), str(first["loc"][-1]), known)
    if first["type"] == "union_tag_invalid":
        return UnknownLearner(str(first["ctx"]["tag"]), LEARNERS)
    if first["type"] == "union_tag_not_found":
        return ExperimentInvalid(origin, ".".join([*place, "name"]), f"expected one of {', '.join(LEARNERS)}")
    reason = first["msg"].removeprefix("Value error, ")
    named = None if place else _PLACE.match(reason)  # what concerns several fields names them itself
    if named is not None:
        return ExperimentInvalid(origin, named[1], reason[named.end() :])
    if first["type"] == "literal_error":
        close = nearest(str(first["input"]), re.findall(r"'([^']+)'", first["ctx"]["expected"]))
        reason += f", the nearest known one is {close!r}" if close else ""
    reason = _EXPECTED.get(place[-1] if place else "", _EXPECTED.get(first["type"], reason))
    return ExperimentInvalid(origin, ".".join(place), reason)


def _fields_at(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """Return the fields of the section at a place in the file."""
    for part in place:
        if isinstance(part, str) and part in LEARNERS:
            model = LEARNERS[part].config
        elif isinstance(part, str) and part in model.model_fields:
            candidates = [model.model_fields[part].annotation, *get_args(model.model_fields[part].annotation)]
            sections = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)]
            model = sections[0] if sections else model
    return list(model.model_fields)

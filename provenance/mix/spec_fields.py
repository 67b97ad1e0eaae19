"""What the fields of a mix specification are made of: exact numbers, names, columns, and errors in words."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from provenance.errors import nearest
from provenance.mix.errors import SpecError, share_text, unknown_word

#: Columns of the documents view whose values can be capped one by one, or weighted.
GROUP_COLUMNS = (
    "source", "origin", "generation", "model", "licence", "licence_class", "author", "title", "uri",
    "evidence_grade", "evidence_rank", "cluster_id", "content_id",
)  # fmt: skip
#: What stands before the name of an attribute whose values can be capped or weighted like those of a column.
ATTRIBUTE_PREFIX = "attributes."
_ATTRIBUTE = re.compile(r"attributes\.[a-z_][a-z0-9_]{0,62}", re.ASCII)


_NUMBER = re.compile(
    r"[-+]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[-+]?\d{1,3})?|[-+]?\d{1,20}/[1-9]\d{0,19}", re.IGNORECASE
)


def exact(value: Any) -> Fraction:
    """Return a number as the fraction that its decimal text says, so that 0.07 is 7/100.

    Raises
    ------
    ValueError
        If it is no finite number.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no number")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{value!r} is no number")
    return Fraction(text)


def _share(value: Any) -> Fraction:
    share = exact(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{value} is outside 0..1")
    return share


def _weight(value: Any) -> Fraction:
    weight = exact(value)
    if weight < 0:
        raise ValueError(f"{value} is negative")
    return weight


_NUMBER_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
Share = Annotated[
    Fraction, BeforeValidator(_share), PlainSerializer(share_text, return_type=str), WithJsonSchema(_NUMBER_SCHEMA)
]
Weight = Annotated[
    Fraction, BeforeValidator(_weight), PlainSerializer(share_text, return_type=str), WithJsonSchema(_NUMBER_SCHEMA)
]
Name = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]


def require_group(column: str, what: str) -> None:
    """Raise unless quotas and weights can be set for the values of this; which attributes there are the store knows."""
    if column not in GROUP_COLUMNS and not _ATTRIBUTE.fullmatch(column):
        problem = unknown_word(what, column, GROUP_COLUMNS)
        raise ValueError(f"{problem} (an attribute is named {ATTRIBUTE_PREFIX}NAME)")


class Strict(BaseModel):
    """A record without unknown fields whose errors are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SpecError(_problems(error, type(self))) from error


def _problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return pydantic's findings as short sentences that name the field, and for an unknown one the nearest."""
    problems = []
    for finding in error.errors(include_url=False):
        place = ".".join(str(part) for part in finding["loc"])
        cause = finding.get("ctx", {}).get("error")
        if isinstance(cause, SpecError):  # of a record inside this one
            problems += [f"{place}: {problem}" for problem in cause.problems]
        elif finding["type"] == "extra_forbidden":
            known = list(model.model_fields)
            close = nearest(place, known)
            hint = f", did you mean {close!r}?" if close else f" (known: {', '.join(known)})"
            problems.append(f"unknown field {place!r}{hint}")
        elif finding["type"] == "missing":
            problems.append(f"the field {place!r} is missing")
        else:
            message = finding["msg"].removeprefix("Value error, ")
            if finding["type"] == "string_pattern_mismatch":
                message = f"{finding['input']!r} is no name: letters, digits and . _ - only, at most 200 of them"
            problems.append(f"{place}: {message}" if place else message)
    return problems

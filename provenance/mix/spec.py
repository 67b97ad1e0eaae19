"""The mix specification: what a training set is asked to be, from YAML or Python.

Examples
--------
>>> human = {"name": "human", "where": "origin = 'human'", "min": 0.6}
>>> MixSpec(name="gen1", budget={"words": 1000}, quotas=[human]).quotas[0].min
Fraction(3, 5)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from provenance.errors import nearest
from provenance.mix.errors import SpecError, share_text, unknown_word
from provenance.yaml_text import load_yaml

Unit = Literal["words", "tokens", "documents", "bytes"]
UNITS: tuple[str, ...] = ("words", "tokens", "documents", "bytes")

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


def _require_group(column: str, what: str) -> None:
    """Raise unless quotas and weights can be set for the values of this; which attributes there are the store knows."""
    if column not in GROUP_COLUMNS and not _ATTRIBUTE.fullmatch(column):
        problem = unknown_word(what, column, GROUP_COLUMNS)
        raise ValueError(f"{problem} (an attribute is named {ATTRIBUTE_PREFIX}NAME)")


class _Strict(BaseModel):
    """A record without unknown fields whose errors are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SpecError(_problems(error, type(self))) from error


class Quota(_Strict):
    """A hard bound on a share of the budget.

    Either `where` (the documents that satisfy a condition) or `per` (every value of a column for itself). A document
    for which the condition is NULL is unknown: it does not count towards a minimum, and it counts towards a maximum.
    With `per`, a document without a value counts towards every value's maximum and nobody's minimum, except that human
    documents have no model, so a quota per model does not concern them.

    `not_used_by` names training sets. What they used does not count for this quota; and a document that would count
    but for that is not drawn at all, unless it counts towards the minimum of another quota. So a mix whose only human
    quota is fresh draws no used human document, while a mix with a general human quota beside it may draw them for
    that one. With `duplicates: representative` a near-copy of a used text is used too; with `duplicates: all` every
    occurrence stands for itself.
    """

    name: Annotated[StrictStr, Field(min_length=1, max_length=200)]
    """What reports call it."""
    where: StrictStr | None = None
    """SQL condition over the documents view and attributes."""
    per: StrictStr | None = None
    """Column of the documents view, or `attributes.NAME`; the bounds hold for every value of it."""
    min: Share | None = None
    """Smallest share, 0..1, of the budget's unit."""
    max: Share | None = None
    """Largest share, 0..1, of the budget's unit."""
    not_used_by: tuple[Name, ...] = ()
    """Training sets whose documents do not count."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.where is None) == (self.per is None):
            raise ValueError(f"quota {self.name!r} needs exactly one of where and per")
        if self.min is None and self.max is None:
            raise ValueError(f"quota {self.name!r} has neither min nor max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"quota {self.name!r} has min {share_text(self.min)} above max {share_text(self.max)}")
        return self

    @field_validator("per")
    @classmethod
    def _is_column(cls, value: str | None) -> str | None:
        if value is not None:
            _require_group(value, "column that a quota can be set per")
        return value


class Exclude(_Strict):
    """What must not be drawn."""

    training_sets: tuple[Name, ...] = ()
    """Training sets none of whose texts may be drawn, such as the held-out one."""
    clusters: StrictBool = True
    """Whether near-duplicates of their documents are excluded too."""
    spans: Annotated[StrictInt, Field(ge=2, le=1000)] | None = None
    """Exclude whatever shares a run of so many tokens with their documents; null: do not look."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.spans is not None and not self.training_sets:
            raise ValueError("exclude.spans needs exclude.training_sets to compare with")
        return self


class Budget(_Strict):
    """How much: so many units, or everything that passes."""

    unit: Unit
    """What budget and quotas are counted in."""
    amount: Annotated[StrictInt, Field(gt=0)] | None = None
    """Units, null for everything that passes."""


class MixSpec(_Strict):
    """A mix: budget, filter, quotas, weights, exclusions, seed.

    Raises
    ------
    SpecError
        On construction, if a field is unknown or a value does not fit.
    """

    name: Name
    """Name of the training set that is made."""
    budget: Budget
    """`{words: n}` (or tokens, documents, bytes), `{words: all}`, or `all`, which counts in tokens where a tokenizer
    is named and otherwise in words."""
    tokenizer: StrictStr | None = None
    """Name of a stored tokenizer; needed for a budget in tokens."""
    where: StrictStr | None = None
    """SQL condition over the documents view and attributes; null takes every document."""
    duplicates: Literal["representative", "all"] = "representative"
    """One document of a near-duplicate cluster, or every document."""
    quotas: tuple[Quota, ...] = ()
    """Hard bounds."""
    weights: dict[str, dict[str, Weight]] = Field(default_factory=dict)
    """Soft target shares: one column or `attributes.NAME`, value to weight; a value that is not named has weight 0.
    Without weights the targets are proportional to what is available."""
    exclude: Exclude = Field(default_factory=Exclude)
    """What must not be drawn."""
    order: Literal["interleaved", "shuffled"] = "interleaved"
    """`interleaved`: every prefix keeps the quotas; `shuffled`: a random permutation."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    """The draw is a pure function of it."""

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a specification from a YAML file.

        Raises
        ------
        SpecError
            If the file cannot be read, is no YAML mapping, or is no valid specification.
        """
        try:
            data = load_yaml(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError([f"it cannot be read ({error})"], str(path)) from error
        except yaml.YAMLError as error:
            raise SpecError([f"it is no YAML ({' '.join(str(error).split())})"], str(path)) from error
        return cls.from_mapping(data, where=str(path))

    @classmethod
    def from_mapping(cls, data: Any, *, where: str = "") -> Self:
        """Return the specification that a mapping (of a YAML file, of a manifest) says; `where` names it in errors."""
        if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
            raise SpecError(["it is no mapping of field names to values"], where)
        try:
            return cls(**data)
        except SpecError as error:
            raise SpecError(error.problems, where) from error

    def as_mapping(self) -> dict[str, Any]:
        """Return the specification as plain data, complete with defaults, from which it can be read again."""
        return self.model_dump(mode="json") | {"budget": {self.budget.unit: self.budget.amount or "all"}}

    @model_validator(mode="before")
    @classmethod
    def _budget_forms(cls, data: Any) -> Any:
        if isinstance(data, dict) and "budget" in data and not isinstance(data["budget"], Budget):
            return data | {"budget": _budget(data["budget"], tokens=data.get("tokenizer") is not None)}
        return data

    @field_validator("weights", mode="before")
    @classmethod
    def _weights_form(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("weights is a mapping of one column to a mapping of values to weights")
        checked = {}
        for column, weights in value.items():
            _require_group(str(column), "column that weights can be set for")
            if not isinstance(weights, Mapping) or not weights:
                raise ValueError(f"weights.{column} is a mapping of values to weights")
            if any(isinstance(key, bool) or not isinstance(key, str | int) for key in weights):
                raise ValueError(f"the values in weights.{column} are words or whole numbers; quote them")
            checked[column] = {str(key): weight for key, weight in weights.items()}
        return checked

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [quota.name for quota in self.quotas]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two quotas are called {twice[0]!r}")
        if self.budget.unit == "tokens" and self.tokenizer is None:
            raise ValueError("a budget in tokens needs a tokenizer")
        if len(self.weights) > 1:
            raise ValueError("weights can be set for one column only")
        if self.weights and not any(next(iter(self.weights.values())).values()):
            raise ValueError("all weights are 0")
        others = {name for quota in self.quotas for name in quota.not_used_by} | set(self.exclude.training_sets)
        if self.name in others:
            raise ValueError(f"the mix {self.name!r} refers to itself")
        return self


def _budget(value: Any, *, tokens: bool) -> Any:
    if value == "all":
        return {"unit": "tokens" if tokens else "words", "amount": None}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("budget is {words: n} (or tokens, documents, bytes), or the word all")
    [(unit, amount)] = value.items()
    if unit not in UNITS:
        raise ValueError(unknown_word("unit of a budget", str(unit), UNITS))
    if amount == "all":
        return {"unit": unit, "amount": None}
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise ValueError(f"the budget {amount!r} is no whole number")
    if amount <= 0:
        raise ValueError(f"the budget is {amount}, it must be 1 or more")
    return {"unit": unit, "amount": amount}


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

"""The mix specification: what a training set is asked to be, from YAML or Python.

Examples
--------
>>> human = {"name": "human", "where": "origin = 'human'", "min": 0.6}
>>> MixSpec(name="gen1", budget={"words": 1000}, quotas=[human]).quotas[0].min
Fraction(3, 5)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from provenance.mix.errors import SpecError, share_text, unknown_word
from provenance.mix.spec_fields import Name, Share, Strict, Weight, require_group
from provenance.yaml_text import load_yaml

Unit = Literal["words", "tokens", "documents", "bytes"]
UNITS: tuple[str, ...] = ("words", "tokens", "documents", "bytes")


class Quota(Strict):
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
            require_group(value, "column that a quota can be set per")
        return value


class Exclude(Strict):
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


class AtMost(Strict):
    """So many documents of every near-duplicate cluster."""

    at_most: Annotated[StrictInt, Field(ge=1)]
    """The documents that come first in the order in which representatives are chosen, of those that pass the filter."""


class Weights(Strict):
    """Soft target shares; written as one mapping: columns, and `temperature` beside them.

    Notes
    -----
    A value's target share is its weight to the power 1/temperature, divided by the sum over all values: 1 leaves the
    weights as they are, more evens them out, less sharpens them.

    References
    ----------
    Raffel et al.: Exploring the Limits of Transfer Learning, JMLR 21, 2020, section 3.5.2 (temperature-scaled mixing).
    """

    columns: dict[str, dict[str, Weight] | Literal["available"]] = Field(default_factory=dict)
    """Column or `attributes.NAME` -> value -> weight (a value that is not named has weight 0); or the word `available`:
    every value weighs as much as there is of it."""
    temperature: Annotated[Weight, Field(gt=0)] = Fraction(1)
    """Larger than 0."""

    def __bool__(self) -> bool:
        return bool(self.columns)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for column, weights in self.columns.items():
            if weights != "available" and not any(dict(weights).values()):
                raise ValueError(f"all weights of {column} are 0")
        if not self.columns and self.temperature != 1:
            raise ValueError("a temperature needs a column to weigh, such as source: available")
        return self


class Repeats(Strict):
    """How often a document may be drawn."""

    max: Annotated[StrictInt, Field(ge=1, le=1000)] = 1
    """Most times for every document that `per` does not name."""
    per: dict[str, dict[str, Annotated[StrictInt, Field(ge=1, le=1000)]]] = Field(default_factory=dict)
    """Column or `attributes.NAME` -> value -> most times for its documents; where several columns name a document, the
    least of them."""

    @property
    def most(self) -> int:
        """The most times that any document may be drawn."""
        return max([self.max, *(times for values in self.per.values() for times in values.values())])

    @field_validator("per", mode="before")
    @classmethod
    def _has_columns(cls, value: Any) -> Any:
        return _by_column(value, "repeats.per", "repeats")


class Decontaminate(Strict):
    """Files, such as evaluation sets, with which no drawn document may share a run of tokens."""

    against: Annotated[tuple[Annotated[StrictStr, Field(min_length=1)], ...], Field(min_length=1)]
    """Files, folders, patterns or addresses, in any format that `ingest` reads; every text in a record counts."""
    tokens: Annotated[StrictInt, Field(ge=2, le=1000)] = 13
    """Length of a run."""


class Phase(Strict):
    """One part of a curriculum."""

    name: Name
    """What reports call it."""
    share: Share
    """Share of the budget, more than 0; those of all phases sum to 1."""
    quotas: tuple[Quota, ...] = ()
    """Hard bounds on shares of this phase, beside those of the whole."""


class Curriculum(Strict):
    """Phases that follow each other; within each the draws are interleaved."""

    curriculum: Annotated[tuple[Phase, ...], Field(min_length=1)]
    """The phases in their order."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _refuse_twins([phase.name for phase in self.curriculum], "phases")
        for phase in self.curriculum:
            if not phase.share:
                raise ValueError(f"the phase {phase.name!r} has share 0")
        total = sum(phase.share for phase in self.curriculum)
        if total != 1:
            raise ValueError(f"the shares of the phases sum to {share_text(Fraction(total))}, not to 1")
        return self


class Budget(Strict):
    """How much: so many units, or everything that passes."""

    unit: Unit
    """What budget and quotas are counted in."""
    amount: Annotated[StrictInt, Field(gt=0)] | None = None
    """Units, null for everything that passes."""


class MixSpec(Strict):
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
    """What counts tokens, needed for a budget in tokens: a tokenizer or a model of the store, a file or folder with a
    `tokenizer.json`, or a name on the Hugging Face hub."""
    where: StrictStr | None = None
    """SQL condition over the documents view and attributes; null takes every document."""
    duplicates: Literal["representative", "all"] | AtMost = "representative"
    """One document of a near-duplicate cluster, every document, or `{at_most: k}` of a cluster."""
    quotas: tuple[Quota, ...] = ()
    """Hard bounds."""
    weights: Weights = Field(default_factory=Weights)
    """Soft target shares. Without weights the targets are proportional to what is available."""
    repeats: Repeats = Field(default_factory=Repeats)
    """How often a document may be drawn; once by default."""
    exclude: Exclude = Field(default_factory=Exclude)
    """What must not be drawn."""
    decontaminate: Decontaminate | None = None
    """Files with which no drawn document may share a run of tokens."""
    order: Literal["interleaved", "shuffled"] | Curriculum = "interleaved"
    """`interleaved`: every prefix keeps the quotas; `shuffled`: a random permutation; or `{curriculum: [phases]}`."""
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

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of a curriculum; none for the other orders."""
        return self.order.curriculum if isinstance(self.order, Curriculum) else ()

    @property
    def all_quotas(self) -> tuple[Quota, ...]:
        """The quotas of the whole and of every phase."""
        return (*self.quotas, *(quota for phase in self.phases for quota in phase.quotas))

    def as_mapping(self) -> dict[str, Any]:
        """Return the specification as plain data, complete with defaults, from which it can be read again."""
        data = self.model_dump(mode="json")
        weights = data["weights"]["columns"] | {"temperature": data["weights"]["temperature"]}
        return data | {"budget": {self.budget.unit: self.budget.amount or "all"}, "weights": weights}

    @model_validator(mode="before")
    @classmethod
    def _budget_forms(cls, data: Any) -> Any:
        if isinstance(data, dict) and "budget" in data and not isinstance(data["budget"], Budget):
            return data | {"budget": _budget(data["budget"], tokens=data.get("tokenizer") is not None)}
        return data

    @field_validator("duplicates", mode="before")
    @classmethod
    def _duplicates_form(cls, value: Any) -> Any:
        return _word_or_record(value, ("representative", "all"), AtMost, "{at_most: k}")

    @field_validator("order", mode="before")
    @classmethod
    def _order_form(cls, value: Any) -> Any:
        return _word_or_record(value, ("interleaved", "shuffled"), Curriculum, "{curriculum: [phases]}")

    @field_validator("weights", mode="before")
    @classmethod
    def _weights_form(cls, value: Any) -> Any:
        if isinstance(value, Weights):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("weights is a mapping of columns to mappings of values to weights")
        columns = {key: weights for key, weights in value.items() if key != "temperature"}
        given = {"temperature": value["temperature"]} if "temperature" in value else {}
        return {"columns": _by_column(columns, "weights", "weights", word="available"), **given}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _refuse_twins([quota.name for quota in self.all_quotas], "quotas")
        if self.budget.unit == "tokens" and self.tokenizer is None:
            raise ValueError("a budget in tokens needs a tokenizer")
        if self.budget.amount is None and self.repeats.most > 1:
            raise ValueError("a budget of all takes every document once: repeats need a budget with a number")
        if self.budget.amount is None and self.phases:
            raise ValueError("the phases of a curriculum are shares of the budget: it needs a number")
        others = {name for quota in self.all_quotas for name in quota.not_used_by} | set(self.exclude.training_sets)
        if self.name in others:
            raise ValueError(f"the mix {self.name!r} refers to itself")
        return self


def _word_or_record(value: Any, words: tuple[str, ...], record: type[Strict], form: str) -> Any:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return record(**value)
    if isinstance(value, record) or value in words:
        return value
    raise ValueError(f"{value!r} is none of {', '.join(words)}, {form}")


def _refuse_twins(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two {what} are called {twice[0]!r}")


def _by_column(value: Any, place: str, what: str, *, word: str | None = None) -> dict[str, Any]:
    """Return a mapping of columns to mappings of values, the values as text; `word` may stand for a mapping."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} is a mapping of columns to mappings of values to numbers")
    checked: dict[str, Any] = {}
    for column, numbers in value.items():
        require_group(str(column), f"column that {what} can be set for")
        if word is not None and numbers == word:
            checked[column] = word
            continue
        if not isinstance(numbers, Mapping) or not numbers:
            or_word = f", or the word {word}" if word else ""
            raise ValueError(f"{place}.{column} is a mapping of values to {what}{or_word}")
        if any(isinstance(key, bool) or not isinstance(key, str | int) for key in numbers):
            raise ValueError(f"the values in {place}.{column} are words or whole numbers; quote them")
        checked[column] = {str(key): number for key, number in numbers.items()}
    return checked


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

"""What it takes to repeat an experiment: its settings, and the digest of everything it made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from sqlalchemy import select

from provenance.store import schema, views
from provenance.store.migrate import store_revision
from provenance.store.store import Store
from training.report.arms import parse_json
from training.report.data import Results
from training.report.wording import number


@dataclass(frozen=True)
class Artefact:
    """A training set, tokenizer or model, with what proves that another one is the same."""

    kind: str
    name: str
    digest: str
    detail: str


@dataclass(frozen=True)
class Repeatability:
    """What the last part of the page shows.

    Attributes
    ----------
    settings : every setting by its path, such as `decoding.temperature`
    config_yaml : the same as an experiment file
    versions : of the code and the store
    """

    settings: tuple[tuple[str, str], ...]
    config_yaml: str
    versions: tuple[tuple[str, str], ...]
    artefacts: tuple[Artefact, ...]


def read_repeatability(store: Store, results: Results) -> Repeatability:
    """Read what it takes to repeat an experiment."""
    models = _models(store, results)
    return Repeatability(
        settings=tuple(flat_settings(results.config)),
        config_yaml=yaml.safe_dump(dict(results.config), sort_keys=False, allow_unicode=True, width=100),
        versions=tuple(_versions(store, results, models)),
        artefacts=(
            *_training_sets(store, results),
            *_tokenizers(store, results),
            *(_model_artefact(model) for model in models),
        ),
    )


def flat_settings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting by its path, such as `decoding.temperature`, with its value as people read it."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat_settings(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for at, inner in enumerate(value):
            named = inner.get("name", at) if isinstance(inner, Mapping) else at
            rest = {key: said for key, said in inner.items() if key != "name"} if isinstance(inner, Mapping) else inner
            yield from flat_settings(rest, f"{path}[{named}]")
    else:
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not set"}[value]
    if isinstance(value, list):
        return ", ".join(_plain(inner) for inner in value) or "none"
    return str(value) if value != {} else "none"


def _models(store: Store, results: Results) -> list[dict[str, Any]]:
    model = schema.model
    names = [run.model for run in results.finished.values() if run.model]
    query = select(
        model.c.name, model.c.digest, model.c.learner, model.c.training_set, model.c.parameters, model.c.code_version
    )
    found: list[dict[str, Any]] = store.fetch(query.where(model.c.name.in_(names)).order_by(model.c.name)).to_pylist()
    return found


def _model_artefact(model: Mapping[str, Any]) -> Artefact:
    parts = [str(model["learner"])] if model["learner"] else []
    n_parameters = parse_json(model["parameters"]).get("n_parameters")
    if isinstance(n_parameters, int):
        parts.append(f"{number(n_parameters, 0)} parameters")
    return Artefact("model", model["name"], model["digest"] or "", ", ".join(parts))


def _training_sets(store: Store, results: Results) -> list[Artefact]:
    sets = views.training_sets
    names = {run.training_set for run in results.finished.values() if run.training_set}
    names.add(f"{results.experiment}.heldout")
    query = select(sets.c.name, sets.c.digest, sets.c.budget_unit, sets.c.n_documents, sets.c.n_words, sets.c.n_tokens)
    rows = store.fetch(query.where(sets.c.name.in_(sorted(names))).order_by(sets.c.name)).to_pylist()
    return [Artefact("training set", row["name"], row["digest"], _size(row)) for row in rows]


def _tokenizers(store: Store, results: Results) -> list[Artefact]:
    """Return the tokenizers that the training sets are counted in."""
    tokenizer = schema.tokenizer
    names = [f"{results.experiment}.s{seed}" for seed in results.seeds]
    query = select(tokenizer.c.name, tokenizer.c.digest, tokenizer.c.vocab_size)
    rows = store.fetch(query.where(tokenizer.c.name.in_(names)).order_by(tokenizer.c.name)).to_pylist()
    return [Artefact("tokenizer", row["name"], row["digest"], f"{number(row['vocab_size'], 0)} types") for row in rows]


def _size(row: Mapping[str, Any]) -> str:
    unit = "tokens" if row["n_tokens"] is not None else "words"
    return f"{number(row['n_documents'], 0)} documents, {number(row[f'n_{unit}'], 0)} {unit}"


def _versions(store: Store, results: Results, models: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    code = sorted({model["code_version"] for model in models if model["code_version"]})
    yield "corpus-provenance", ", ".join(code) or "not recorded"
    with store.read() as connection:
        setting = schema.setting
        yield "store", str(connection.execute(select(setting.c.value).where(setting.c.name == "store_id")).scalar_one())
        yield "schema revision", store_revision(connection, store.path)
    finished = [run.finished_at for run in results.finished.values() if run.finished_at]
    if finished:
        yield "last generation finished", f"{max(finished):%Y-%m-%d %H:%M} UTC"

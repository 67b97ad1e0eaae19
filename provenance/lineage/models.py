"""Models: the generators of synthetic text, ours and others'."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select

from provenance import __version__
from provenance.errors import NameTaken, UnknownName
from provenance.lineage.generations import settle_model
from provenance.store import schema
from provenance.store.store import Store, utc_now


@dataclass(frozen=True)
class Model:
    """A model that was fitted on one of our training sets.

    Attributes
    ----------
    name : unique name; documents that it writes carry it
    digest : SHA-256 of its weights
    learner : kind of learner that made it
    training_set : name of the training set that it was fitted on
    parameters : settings of the fit
    path : where its files are, if they are kept
    """

    name: str
    digest: str
    learner: str
    training_set: str
    parameters: dict[str, Any] = field(default_factory=dict)
    path: str | None = None


def register_model(store: Store, model: Model) -> bool:
    """Enter a fitted model with its generation and ancestry; return False if exactly this one is there already.

    Raises
    ------
    NameTaken
        If a model of that name has another digest.
    UnknownName
        If the training set is not in the store.
    """
    with store.transaction() as connection:
        stored = connection.execute(select(schema.model.c.digest).where(schema.model.c.name == model.name)).first()
        if stored is not None:
            if stored.digest != model.digest:
                raise NameTaken("model", model.name, f"has digest {stored.digest}, not {model.digest}")
            return False
        sets = connection.execute(select(schema.training_set.c.name)).scalars().all()
        if model.training_set not in sets:
            raise UnknownName("training set", model.training_set, sets)
        row = {
            "name": model.name,
            "digest": model.digest,
            "learner": model.learner,
            "training_set": model.training_set,
            "parameters": json.loads(json.dumps(model.parameters, default=str)),
            "path": model.path,
            "code_version": __version__,
            "created_at": utc_now(),
        }
        connection.execute(insert(schema.model), [row])
        settle_model(connection, model.name)
    return True


def ensure_models(connection: Connection, names: Iterable[str | None]) -> None:
    """Enter every named model that the store does not know yet by its name alone, as one that is not ours."""
    wanted = {name for name in names if name is not None}
    if not wanted:
        return
    known = set(connection.execute(select(schema.model.c.name).where(schema.model.c.name.in_(wanted))).scalars())
    rows = [{"name": name, "created_at": utc_now()} for name in sorted(wanted - known)]
    if rows:
        connection.execute(insert(schema.model), rows)

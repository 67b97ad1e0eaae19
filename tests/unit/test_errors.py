"""Errors: one tree, facts as attributes, one clear sentence, and they survive a process boundary."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
from datetime import datetime
from pathlib import Path

import pytest

from provenance import errors
from provenance.errors import ProvenanceError

EXAMPLES: tuple[ProvenanceError, ...] = (
    errors.StoreNotFound(Path("s.duckdb")),
    errors.StoreExists(Path("s.duckdb")),
    errors.NotAStore(Path("s.duckdb"), "it is a directory"),
    errors.StoreRevisionMismatch(Path("s.duckdb"), "0001", "0002", newer=False),
    errors.StoreBusy(Path("s.duckdb"), "process 7 (python)", 10.0),
    errors.StoreReadOnly(Path("s.duckdb")),
    errors.StoreNotMade(Path("s.duckdb"), "no space"),
    errors.StoreDamaged(Path("s.duckdb"), "bad block"),
    errors.StoreWriteFailed(Path("s.duckdb"), "no space"),
    errors.QueryRefused("2 statements"),
    errors.QueryFailed("no such column"),
    errors.UnknownSource("boks", ["books"]),
    errors.SourceExists("books", "licence", "MIT", None),
    errors.UnknownOrigin("humann"),
    errors.ContradictoryClaim("Origin 'human' with generation 3"),
    errors.InvalidLicence("MITT", "'MITT' is no licence of the SPDX list. Did you mean 'MIT'?"),
    errors.MappingError("'txt' is nothing that can be mapped.", Path("mapping.yaml")),
    errors.FieldMissing("a.parquet", "text", ["body"]),
    errors.UnreadableFile("a.jsonl", "it vanished"),
    errors.TooManyQuarantined(11, 1000, 0.01, {"missing field": 11}),
    errors.NothingToRead("empty-folder"),
    errors.MissingExtra("fastwarc", "warc"),
    errors.BackupFailed(Path("copy.duckdb"), "no space"),
    errors.CompactFailed(Path("s.duckdb"), "no space"),
    errors.UnknownFormat("a.xyz", ["JSON Lines", "Parquet"]),
    errors.UnknownName("training set", "pretrian", ["pretrain"], hint="See: provenance training-sets"),
    errors.AmbiguousId("document", "abcdef00", ["abcdef00-1", "abcdef00-2"]),
    errors.WasTakenDown("document", "abcdef00", datetime(2026, 1, 2)),  # noqa: DTZ001 — as the store keeps times
    errors.NameTaken("model", "m", "has digest 1, not 2"),
    errors.InvalidParameters("n_bands is 0, expected 1 to 255"),
)


def test_there_is_an_example_of_every_error() -> None:
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ProvenanceError)}
    assert kinds - {ProvenanceError} == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_error(error: ProvenanceError) -> None:
    kind = type(error)
    assert any(getattr(builtins, base.__name__, None) is base and base is not Exception for base in kind.__mro__[2:-3])
    message = str(error)
    assert "\n" not in message
    assert message == message.strip()
    facts = [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "hint")]
    for name in facts:
        assert name in error.__dict__, f"{name} is no attribute"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 (made one line before)
        assert type(twin) is kind
        assert str(twin) == message
        assert twin.__dict__ == error.__dict__


def test_hints() -> None:
    assert "Did you mean 'books'" in str(errors.UnknownSource("boks", ["books", "crawl"]))
    assert "Did you mean" not in str(errors.UnknownSource("zzz", ["books"]))
    assert "migrate" in str(errors.StoreRevisionMismatch(Path("s"), "0001", "0002", newer=False))
    assert "upgrade corpus-provenance" in str(errors.StoreRevisionMismatch(Path("s"), "0003", "0002", newer=True))

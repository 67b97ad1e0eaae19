from __future__ import annotations

import csv
import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from provenance.store.store import Store
from training.errors import OutputNotWritten, UnknownExperiment
from training.metrics_export import export_metrics
from training.tensorboard import crc32c, masked_crc32c, write_events

VALUES = {
    "heldout_ce": {"replace": [5.0, 5.5], "human": [5.0, 4.9]},
    "arm_gen0_nll_bin_7": {"replace": [0.25, 0.5]},
    "own_invention": {"replace": [1.0, 2.0]},
}
ARMS = [{"name": "replace/all", "regime": "replace"}, {"name": "human", "regime": "human"}]


@pytest.fixture
def measured(store: Store, fake: Callable[..., Any]) -> Store:
    values = {name: {"replace/all": by["replace"], **by} for name, by in VALUES.items()}
    change: Any = lambda m, arm, seed, g, v: v + seed  # noqa: E731
    fake(arms=ARMS, seeds=(1, 2), generations=1, values=values, change=change).fill(store)
    return store


EXPECTED = {
    (arm, seed, generation, name): (by.get(arm.removesuffix("/all")) or by["replace"])[generation] + seed
    for name, by in VALUES.items()
    for seed in (1, 2)
    for arm, generation in (("shared", 0), ("replace/all", 1), ("human", 1))
}


def test_csv_has_every_value_once(measured: Store, tmp_path: Path) -> None:
    out = tmp_path / "new" / "m.csv"
    assert export_metrics(measured, "demo", out, format="csv") == len(EXPECTED)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["experiment", "arm", "seed", "generation", "metric", "value", "unit", "moves"]
    found = {(r["arm"], int(r["seed"]), int(r["generation"]), r["metric"]): float(r["value"]) for r in rows}
    assert found == EXPECTED and len(rows) == len(EXPECTED)
    units = {row["metric"]: (row["unit"], row["moves"]) for row in rows}
    assert units["heldout_ce"] == ("nats per token", "middle")
    assert units["own_invention"] == ("", "")
    assert [path.name for path in out.parent.iterdir()] == ["m.csv"]


def test_parquet_keeps_the_types(measured: Store, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    export_metrics(measured, "demo", out, format="parquet")
    rows = pq.read_table(out).to_pylist()
    assert {(r["arm"], r["seed"], r["generation"], r["metric"]): r["value"] for r in rows} == EXPECTED


def test_unfinished_runs_are_left_out(store: Store, fake: Any, tmp_path: Path) -> None:
    fake(generations=2, finished=lambda arm, seed, generation: generation < 2).fill(store)
    export_metrics(store, "demo", tmp_path / "m.parquet", format="parquet")
    assert set(pq.read_table(tmp_path / "m.parquet").column("generation").to_pylist()) == {0, 1}


def test_tensorboard_gets_a_run_for_every_arm_and_seed(measured: Store, tmp_path: Path) -> None:
    export_metrics(measured, "demo", tmp_path / "tb", format="tensorboard")
    assert sorted(path.name for path in (tmp_path / "tb").iterdir()) == [
        "human.s1", "human.s2", "replace_all.s1", "replace_all.s2",
    ]  # fmt: skip
    scalars = read_events(next((tmp_path / "tb" / "replace_all.s2").iterdir()))
    assert [(step, tag, value) for step, tag, value, _ in scalars] == [
        (0, "middle/heldout_ce", 7.0),
        (0, "other/own_invention", 3.0),
        (1, "middle/heldout_ce", 7.5),
        (1, "other/own_invention", 4.0),
    ]


def test_what_cannot_be_written_is_a_clear_error(measured: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritten, match="cannot be written"):
        export_metrics(measured, "demo", tmp_path / "file" / "m.csv", format="csv")
    with pytest.raises(UnknownExperiment, match="Did you mean 'demo'"):
        export_metrics(measured, "dmo", tmp_path / "m.csv", format="csv")


# ---------------------------------------------------------------- event files, read by a reader of their format


def read_events(path: Path) -> list[tuple[int, str, float, float]]:
    """Return step, tag, value and time of every scalar; check the sums of every record."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked_crc32c(data[at : at + 8])
        event = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked_crc32c(event)
        fields = message(event)
        if 3 in fields:
            assert (at, fields[3]) == (0, b"brain.Event:2")
        else:
            value = message(message(fields[5])[1])
            step = fields.get(2, 0)
            found.append((step, value[1].decode(), struct.unpack("<f", value[2])[0], struct.unpack("<d", fields[1])[0]))
        at += length + 16
    return found


def message(data: bytes) -> dict[int, Any]:
    """Return the fields of a protocol buffer message by number."""
    at, fields = 0, {}
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            fields[number], at = varint(data, at)
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size, at = varint(data, at)
        fields[number], at = data[at : at + size], at + size
    return fields


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def test_check_sums_are_those_of_the_standard() -> None:
    # RFC 3720, appendix B.4.
    assert crc32c(b"\x00" * 32) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


def test_events_hold_what_was_given(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    naive = datetime(2026, 3, 1, 12)  # noqa: DTZ001
    given = [(300, "a/b", -1.5, at), (0, "ü", 0.1, naive), (1, "a/b", math.pi, at)]
    path = write_events(tmp_path / "run", given)
    found = read_events(path)
    assert [(step, tag) for step, tag, *_ in found] == [(0, "ü"), (1, "a/b"), (300, "a/b")]
    assert [value for _, _, value, _ in found] == pytest.approx([0.1, math.pi, -1.5])
    assert {when for *_, when in found} == {at.timestamp()}
    assert write_events(tmp_path / "run", given[:1]) == path
    assert len(read_events(path)) == 1

"""The licence class that counts is the most restrictive one stated for a document or a copy of it."""

from __future__ import annotations

from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.licences import LICENCE_CLASSES
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import ingest, prose, provenance, rows, violations

#: A licence of each class, from the freest to the most restrictive; the last says nothing that anybody understands.
LICENCES = {
    "public-domain": "CC0-1.0",
    "permissive": "MIT",
    "share-alike": "CC-BY-SA-4.0",
    "non-commercial": "CC-BY-NC-4.0",
    "proprietary": "LicenseRef-all-rights-reserved",
    "unknown": "as agreed on the phone",
}
WORDS = prose(2, n_words=400).split()


def copy(shift: int) -> str:
    """Return a text of 300 words; two are near-duplicates when their shifts differ by 30, and not by 60."""
    return " ".join(WORDS[shift : shift + 300])


def found(store: Store) -> dict[str, str]:
    """Return external id -> licence class that counts, after looking for violations of any kind."""
    assert violations(store) == []
    query = "SELECT external_id, licence_class FROM document ORDER BY external_id"
    return {row["external_id"]: row["licence_class"] for row in rows(store, query)}


def record(name: str, text: str, kind: str | None) -> dict[str, Any]:
    return {"id": name, "text": text, **({} if kind is None else {"licence": LICENCES[kind]})}


def test_there_is_a_licence_of_every_class(store: Store) -> None:
    assert tuple(LICENCES) == LICENCE_CLASSES
    ingest(store, [record(kind, prose(i), kind) for i, kind in enumerate(LICENCES)])
    assert found(store) == {kind: kind for kind in LICENCES}


@pytest.mark.parametrize("near", [False, True], ids=["the same text", "near-duplicates"])
def test_the_most_restrictive_of_two(store: Store, near: bool) -> None:
    """All pairs of classes; what nobody understands stays unknown, and leaves the copy as it is."""
    known = LICENCE_CLASSES[:-1]
    records = []
    expected = {}
    for i, (one, other) in enumerate(product(LICENCE_CLASSES, repeat=2)):
        text = prose(i, n_words=80)
        records += [record(f"{i} one", text, one), record(f"{i} other", text + " more" * near, other)]
        stated = [kind for kind in (one, other) if kind != "unknown"]
        worst = max(stated, key=known.index) if stated else "unknown"
        expected |= {f"{i} one": worst if one in known else "unknown"}
        expected |= {f"{i} other": worst if other in known else "unknown"}
    ingest(store, records)
    assert found(store) == expected
    query = "SELECT external_id, licence, stated_licence_class AS kind FROM document"
    for row in rows(store, query):
        assert LICENCES[row["kind"]] == row["licence"], "what the document itself says is kept"


def test_the_view_shows_what_counts(store: Store) -> None:
    ingest(store, [record("a", prose(1), "permissive"), record("b", prose(1), "non-commercial")])
    shown = rows(store, "SELECT licence, licence_class FROM documents ORDER BY external_id")
    assert [row["licence_class"] for row in shown] == ["non-commercial"] * 2
    assert [row["licence"] for row in shown] == ["MIT", "CC-BY-NC-4.0"]


def test_a_copy_from_another_source_counts_too(store: Store) -> None:
    ingest(store, [record("a", prose(1), "permissive")])
    ingest(store, [record("b", prose(1), "proprietary")], source="elsewhere", origin="unknown")
    assert found(store) == {"a": "proprietary", "b": "proprietary"}


def test_members_come_one_after_the_other(store: Store) -> None:
    """Neither silence nor a freer licence undoes what a member has stated."""
    steps = [
        ("a", 0, "permissive", "permissive"),
        ("b", 30, None, "permissive"),
        ("c", 0, "public-domain", "permissive"),
        ("d", 30, "share-alike", "share-alike"),
        ("e", 15, "unknown", "share-alike"),
        ("f", 15, "proprietary", "proprietary"),
        ("g", 0, "non-commercial", "proprietary"),
    ]
    silent = set()
    for name, shift, kind, expected in steps:
        ingest(store, [record(name, copy(shift), kind)])
        silent |= {name} if kind in (None, "unknown") else set()
        known = {one: "unknown" if one in silent else expected for one, *_ in steps if one <= name}
        assert found(store) == known
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 1}]


@pytest.mark.parametrize("bridge", ["public-domain", "unknown", "proprietary"])
def test_two_clusters_become_one(store: Store, bridge: str) -> None:
    pair = [record("a", copy(0), "permissive"), record("b", copy(0) + " more", None)]
    other = [record("c", copy(60), "non-commercial"), record("d", copy(60) + " more", "public-domain")]
    ingest(store, [*pair, *other])
    assert found(store) == {"a": "permissive", "b": "unknown", "c": "non-commercial", "d": "non-commercial"}
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 2}]
    ingest(store, [record("e", copy(30), bridge)])
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 1}]
    worst = "proprietary" if bridge == "proprietary" else "non-commercial"
    assert found(store) == {
        "a": worst,
        "b": "unknown",
        "c": worst,
        "d": worst,
        "e": bridge if bridge == "unknown" else worst,
    }


def test_the_order_of_arrival_is_irrelevant(make_store: Maker) -> None:
    records = [
        record("a", copy(0), "permissive"),
        record("b", copy(30), "unknown"),
        record("c", copy(60), "share-alike"),
        record("d", copy(90), "public-domain"),
    ]
    for order in list(permutations(records))[::5]:
        with make_store() as store:
            for one in order:
                ingest(store, [one])
            kinds = found(store)
            assert kinds == {"a": "share-alike", "b": "unknown", "c": "share-alike", "d": "share-alike"}


_members = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, *LICENCES])), min_size=1, max_size=25)


@settings(max_examples=settings().max_examples // 4)
@given(members=_members, cuts=st.sets(st.integers(0, 25), max_size=3))
def test_against_the_definition(make_store: Maker, members: list[tuple[int, str | None]], cuts: set[int]) -> None:
    """Groups of exact and near copies with any licences, in any batches."""
    texts = [prose(seed, n_words=80) for seed in range(5)]
    records = [
        record(str(i), texts[group] + (" edited" if i % 3 == 0 else ""), kind)
        for i, (group, kind) in enumerate(members)
    ]
    expected = {}
    for i, (group, kind) in enumerate(members):
        stated = [other for place, other in members if place == group and other not in (None, "unknown")]
        expected[str(i)] = "unknown" if kind in (None, "unknown") else max(stated, key=LICENCE_CLASSES.index)
    with make_store("any.duckdb") as store:
        edges = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
        for low, high in pairwise(edges):
            ingest(store, records[low:high])
        assert found(store) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "SET licence_class = 'permissive' WHERE external_id = 'a'",
        "SET licence_class = 'proprietary' WHERE external_id = 'b'",
        "SET licence_class = 'non-commercial' WHERE external_id = 'c'",
        "SET stated_licence_class = 'share-alike' WHERE external_id = 'b'",
    ],
)
def test_check_catches_a_wrong_one(make_store: Maker, tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "s.duckdb"
    with make_store(path.name) as store:
        ingest(store, [record("a", prose(1), "permissive"), record("b", prose(1), "non-commercial")])
        ingest(store, [record("c", prose(1), None)])
        assert provenance_check(store) == []
        with store.transaction() as connection:
            connection.exec_driver_sql(f"UPDATE document {wrong}")
        assert provenance_check(store) == ["the licence class is the most restrictive one stated in its cluster"]
    answer = provenance("--store", path, "check")
    assert answer.code == 1
    assert "document: the licence class is the most restrictive one" in answer.out


def provenance_check(store: Store) -> list[str]:
    """Return what is violated, but who represents the cluster, which follows from the licence."""
    checks = [one.partition(": ")[2].rpartition(": ")[0] for one in violations(store)]
    return [one for one in checks if "representative" not in one]

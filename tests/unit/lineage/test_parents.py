"""Parents that would close a circle, and lineages too deep to walk by recursion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ids import ID_TYPE, as_uuid, content_digest, document_digest
from provenance.lineage.errors import LineageCycle
from provenance.lineage.graph import lineage
from provenance.lineage.parents import find_circle
from provenance.store.store import Store
from tests.factories import count, dump, ingest, violations

N_DEEP = 10_000


def id_of(i: int) -> str:
    """Return the id that the document `i` of the source `books` has."""
    return str(as_uuid(document_digest("books", f"d{i}", content_digest(text_of(i).encode()))))


def text_of(i: int) -> str:
    return f"text number {i}"


def record(i: int, *parents: int) -> dict[str, object]:
    return {"id": f"d{i}", "text": text_of(i), "parent": [id_of(one) for one in parents]}


def ids(numbers: Sequence[int]) -> np.ndarray:
    return np.array([one.to_bytes(16) for one in numbers], ID_TYPE)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14))
def test_a_circle_is_found_exactly_where_one_is(pairs: list[tuple[int, int]]) -> None:
    later, earlier = ids([a for a, _ in pairs]), ids([b for _, b in pairs])
    found = [int.from_bytes(one) for one in find_circle(later, earlier)]
    left = set(pairs)
    while sources := {a for a, _ in left} - {b for _, b in left}:  # by taking away who has no descendants
        left = {(a, b) for a, b in left if a not in sources}
    assert bool(found) == bool(left)
    if found:
        assert found[0] == found[-1]
        assert len(set(found)) == len(found) - 1
        assert {(a, b) for a, b in pairwise(found)} <= set(pairs)


@pytest.mark.parametrize("at_once", [True, False])
def test_parents_in_a_circle_are_refused_and_shown(store: Store, at_once: bool) -> None:
    ingest(store, [record(9)])
    records = [record(1, 2), record(2, 3), record(3, 9)]
    closing = record(3, 1)
    if at_once:
        before = dump(store, without=["ingest"])
        batches = [[*records[:2], closing]]
    else:
        ingest(store, records, name="open")
        before = dump(store, without=["ingest"])
        batches = [[closing]]
    with pytest.raises(LineageCycle) as raised:
        for batch in batches:
            ingest(store, batch, name="closed")
    circle = raised.value.steps
    assert circle[0] == circle[-1]
    assert set(circle) == {f"document {id_of(i)}" for i in (1, 2, 3)}
    assert "was not stored" in str(raised.value)
    assert dump(store, without=["ingest"]) == before
    assert violations(store) == []


def test_nothing_is_its_own_parent(store: Store) -> None:
    with pytest.raises(LineageCycle, match=id_of(1)):
        ingest(store, [record(1, 1)])
    assert count(store, "document") == 0


def test_ten_thousand_deep(store: Store) -> None:
    """Half in one ingest, half in the next; then the whole is walked, both ways, and a circle through it is refused."""
    chain = [record(i, i - 1) if i else record(0) for i in range(N_DEEP)]
    start = perf_counter()
    ingest(store, chain[: N_DEEP // 2])
    ingest(store, chain[N_DEEP // 2 :], name="second")
    assert count(store, "parent") == N_DEEP - 1
    with pytest.raises(LineageCycle, match="more"):
        ingest(store, [record(0, N_DEEP - 1)], name="closing")
    taken = perf_counter() - start
    assert taken < 20, "some seconds: each step does not read the whole"
    found = lineage(store, id_of(N_DEEP - 1), directions=["up"])
    assert (found.is_cut, len(found.nodes)) == (True, 200 + 1)
    deep = lineage(store, id_of(300), directions=["up"], limit=1000)
    assert (deep.is_cut, len(deep.nodes)) == (False, 301)

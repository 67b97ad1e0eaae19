from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from provenance.mix.digest import draws_digest, id_bytes, items_digest, mapping_digest
from provenance.mix.draw import Taken, draw_keys, draw_order
from provenance.mix.rounding import nearby_share

IDS = np.arange(64, dtype=np.uint8).reshape(4, 16)
KEYS = [18283359358118734906, 1761294002857797364, 16585080743509123646, 7056932071436962428]


def test_keys_are_the_same_on_every_machine():
    assert draw_keys(IDS, seed=7).tolist() == KEYS
    assert draw_keys(IDS, seed=8).tolist() != KEYS
    assert draw_keys(IDS, seed=7, purpose="order").tolist() != KEYS


def test_keys_are_uniform_and_do_not_depend_on_the_others():
    ids = np.random.default_rng(0).integers(0, 256, (20_000, 16), dtype=np.uint8)
    keys = draw_keys(ids, seed=1)
    assert draw_keys(ids[100:101], seed=1)[0] == keys[100]
    counts = np.bincount((keys >> np.uint64(60)).astype(int), minlength=16)
    assert abs(counts - 1250).max() < 6 * 1250**0.5


def test_equal_keys_are_ordered_by_id():
    same = np.zeros(4, dtype=np.uint64)
    assert draw_order(IDS[::-1].copy(), same).tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(("places", "prefix"), [([0, 1, 2], 3), ([0, 2, 5], 3), ([], 2), ([4], 0)])
def test_taken_places_survive(places, prefix):
    taken = Taken.from_places(np.array(places, dtype=np.int64), prefix)
    assert taken.places().tolist() == places
    assert len(taken) == len(places)


def test_ids_as_bytes():
    text = ["00000000-0000-0000-0000-0000000000ff", "01234567-89ab-cdef-0123-456789abcdef"]
    assert id_bytes(pa.chunked_array([text]))[1].tobytes().hex() == "0123456789abcdef" * 2
    assert id_bytes(pa.chunked_array([text[:1], text[1:]]))[0, -1] == 255
    assert id_bytes(pa.chunked_array([pa.array(text).slice(1)])).tobytes().hex() == "0123456789abcdef" * 2
    assert id_bytes(pa.chunked_array([], pa.string())).shape == (0, 16)


def table(**columns):
    base = {
        "document_id": ["01234567-89ab-cdef-0123-456789abcdef"] * 2,
        "repeat": pa.array([0, 0], pa.uint32()),
        "model": [None, "m"],
        **{key: [1, 2] for key in ("n_words", "n_bytes", "generation", "evidence_rank")},
        "n_tokens": pa.array([None, 3], pa.uint32()),
        **{key: ["a", "bc"] for key in ("origin", "source", "licence_class", "cluster_id", "stratum")},
    }
    return pa.table(base | columns)


def test_digests_do_not_depend_on_chunks_but_on_values():
    one = table()
    halves = pa.concat_tables([one.slice(0, 1), one.slice(1, 1)])
    assert items_digest(one) == items_digest(halves)
    assert draws_digest(one) == draws_digest(halves)
    assert items_digest(one) != items_digest(table(model=["", "m"]))
    assert items_digest(one) != items_digest(table(origin=["ab", "c"]))
    assert items_digest(one) != items_digest(table(n_tokens=pa.array([0, 3], pa.uint32())))
    assert mapping_digest({"a": 1, "b": 2}) == mapping_digest({"b": 2, "a": 1})


def test_nearby_shares_are_brute_forced():
    from fractions import Fraction

    for largest in range(1, 12):
        known = sorted({Fraction(a, b) for b in range(1, largest + 1) for a in range(b + 1)})
        for share in (Fraction(n, 97) for n in range(98)):
            assert nearby_share(share, largest, up=True) == min(f for f in known if f >= share)
            assert nearby_share(share, largest, up=False) == max(f for f in known if f <= share)

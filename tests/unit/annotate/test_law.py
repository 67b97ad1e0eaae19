"""Whatever the formats, splits and orders of the files, the store says what a dictionary would."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.annotations.annotate import annotate
from provenance.store.check import check_store
from provenance.store.store import Store
from tests.unit.annotate.conftest import values, write
from tests.unit.mix.corpus import add_documents, document

N_DOCUMENTS = 9
#: Texts that look like something else: in CSV somebody has to say that they are texts.
DECEPTIVE = ("1", "true", " 5 ", "-0.5e3", "NaN")
KINDS = {"quality": "number", "topic": "text", "poem": "boolean", "n": "number", "label": "text"}

finite = st.floats(allow_nan=False, allow_infinity=False)
of_kind = {
    "number": finite | st.integers(-(2**53), 2**53),
    "text": st.sampled_from(["ab", "x,y", 'say "no"', "two\nlines", "Ωmega", "true story", "null", *DECEPTIVE]),
    "boolean": st.booleans(),
}
record = st.fixed_dictionaries({}, optional={name: st.none() | of_kind[kind] for name, kind in KINDS.items()})


@st.composite
def commands(draw):
    """One command: document -> values, and how the records are spread over files."""
    wanted = draw(st.dictionaries(st.integers(0, N_DOCUMENTS - 1), record, min_size=1))
    order = draw(st.permutations(sorted(wanted)))
    repeated = draw(st.lists(st.sampled_from(order), max_size=2))
    formats = draw(st.lists(st.sampled_from(["jsonl", "csv", "parquet"]), min_size=1, max_size=3))
    places = draw(st.lists(st.integers(0, len(formats) - 1), min_size=12, max_size=12))
    return wanted, [*order, *repeated], formats, places


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("law")
    with Store.create(folder / "s.duckdb") as store:
        add_documents(store, [document(str(i)) for i in range(N_DOCUMENTS)])
        rows = store.fetch("SELECT external_id, document_id::VARCHAR AS d FROM document").to_pylist()
        yield store, {int(row["external_id"]): row["d"] for row in rows}, folder


@settings(max_examples=max(12, settings.default.max_examples // 2))
@given(st.lists(commands(), min_size=1, max_size=3), st.sampled_from(["document_id", "external_id"]))
def test_annotations_are_a_dictionary(filled, given_commands, key):
    store, ids, folder = filled
    with store.transaction() as connection:
        for table in ("annotation", "attribute"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    model: dict = {}
    for wanted, order, formats, places in given_commands:
        files = []
        for n, suffix in enumerate(formats):
            mine = [i for i, place in zip(order, places, strict=False) if place == n]
            records = [{key: ids[i] if key == "document_id" else str(i), **wanted[i]} for i in mine]
            if records:
                files.append(write(folder / f"{n}.{suffix}", records))
        deceptive = any(value in DECEPTIVE for one in wanted.values() for value in one.values())
        kinds = {name: KINDS[name] for name in ("topic", "label") if any(one.get(name) for one in wanted.values())}
        report = annotate(store, files, key=key, kinds=kinds if deceptive else None)
        said = {(ids[i], a): v for i, one in wanted.items() for a, v in one.items() if v is not None}
        expected = Counter(
            (a, "same" if model.get((d, a)) == v else "changed" if (d, a) in model else "new")
            for (d, a), v in said.items()
        )
        found = {
            (one.name, how): getattr(one, f"n_{how}") for one in report.attributes for how in ("new", "changed", "same")
        }
        assert {k: n for k, n in found.items() if n} == dict(expected)
        assert {one.name: one.kind for one in report.attributes} == {a: KINDS[a] for _, a in said}
        model |= said
        assert values(store) == model
    wide = store.fetch("SELECT * FROM attributes").to_pylist()
    assert {
        (str(row["document_id"]), a): v for row in wide for a, v in row.items() if a != "document_id" and v is not None
    } == model
    broken = [one.check for one in check_store(store) if one.n_violations and "annotation" in one.check]
    assert broken == []

"""Tampering of every kind, with the store and with exported files: the verifier finds it and names it."""

from __future__ import annotations

import copy
import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from provenance.export.draws import export_manifest
from provenance.export.files import file_sha256, manifest_path
from provenance.export.jsonl import export_jsonl
from provenance.export.parquet import export_parquet
from provenance.export.tokens import export_tokens
from provenance.ids import document_digest
from provenance.mix.digest import draws_digest, items_digest, mapping_digest
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify import verify, verify_within
from provenance.mix.verify_files import verify_files
from provenance.store import schema
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, byte_tokenizer, standard_rows

HUMAN = {"name": "human", "where": "origin = 'human'", "min": "0.4"}
SOURCE = {"name": "source", "per": "source", "max": "0.6"}
FRESH = {"name": "fresh", "where": "origin = 'human'", "min": "0.2", "not_used_by": ["gen0"]}
FAR = {"name": "far", "where": "generation >= 3", "max": "0.3"}
PHASES = [
    {"name": "early", "share": "0.4", "quotas": [{"name": "early human", "where": "origin = 'human'", "min": "0.5"}]},
    {"name": "late", "share": "0.6", "quotas": [{"name": "late models", "per": "model", "max": "0.5"}]},
]


def specs(against: Path) -> list[MixSpec]:
    """Two sets that together have everything that a manifest can hold."""
    more = {"exclude": {"training_sets": ["heldout"]}, "where": "n_words >= 32 AND title IS NULL", "seed": 5}
    return [
        MixSpec(
            name="m", budget={"words": 14_000}, quotas=[HUMAN, SOURCE, FRESH], duplicates={"at_most": 2},
            repeats={"max": 3, "per": {"source": {"outputs": 1}}},
            weights={"source": {"books-0": 5, "books-1": 5, "outputs": 1, "crawl": 1}, "temperature": 2},
            decontaminate={"against": [str(against)], "tokens": 8}, **more,
        ),
        MixSpec(
            name="c", budget={"tokens": 30_000}, tokenizer="bytes", quotas=[HUMAN, FAR],
            order={"curriculum": PHASES}, **more,
        ),
        MixSpec(name="s", budget={"documents": 60}, quotas=[{**HUMAN, "min": "0.1"}], order="shuffled", seed=3),
    ]  # fmt: skip


def rows_of_store() -> list[dict[str, Any]]:
    rows = standard_rows()
    for i, row in enumerate(rows[:60]):  # 20 clusters of three
        row["cluster_id"], row["is_representative"] = rows[i - i % 3]["content_id"], i % 3 == 0
    for row in rows:
        row["document_id"] = document_digest(row["source"], row["external_id"], row["content_id"])
    return rows


@dataclass(frozen=True)
class Made:
    """A store with training sets, and their exports; what no test changes."""

    store: Store
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutations")
    rows = rows_of_store()
    against = folder / "eval.jsonl"
    against.write_text("".join(json.dumps({"question": row["text"]}) + "\n" for row in rows[190:200]))
    with Store.create(folder / "store.duckdb") as store:
        add_documents(store, rows)
        add_tokenizer(store, "bytes", byte_tokenizer())
        make_training_set(store, MixSpec(name="heldout", budget={"documents": 10}, where="origin = 'human'"))
        make_training_set(store, MixSpec(name="gen0", budget={"words": 2000}, where="origin = 'human'", seed=1))
        for spec in specs(against):
            training_set = make_training_set(store, spec)
            export_parquet(training_set, folder / f"{spec.name}.parquet")
            export_jsonl(training_set, folder / f"{spec.name}.jsonl.gz")
            export_manifest(training_set, folder / f"{spec.name}.draws")
            export_tokens(training_set, folder / f"{spec.name}.tokens", tokenizer="bytes", block_length=64)
        yield Made(store, folder)


SETS = ("m", "c", "s")
KINDS = ("parquet", "jsonl.gz", "draws", "tokens")


class RollBack(Exception):
    pass


@contextmanager
def tampered(store, *statements):
    """Change the store inside the block; outside it is as it was."""
    try:
        with store.transaction() as connection:
            for statement, parameters in statements:
                connection.execute(text(statement) if isinstance(statement, str) else statement, parameters)
            yield connection
            raise RollBack
    except RollBack:
        pass


def verdict_after(store, name, *statements):
    with tampered(store, *statements) as connection:
        verdict = verify_within(connection, name)
    return verdict


@pytest.mark.parametrize("name", SETS)
def test_what_nobody_touched_holds(made, name):
    assert verify(made.store, name).violations == ()
    for kind in KINDS:
        assert verify_files(made.folder / f"{name}.{kind}").violations == (), kind


# ---------------------------------------------------------------- every leaf of the manifest


def leaves(value, path=()):
    """Yield the paths of all values that hold no others."""
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def at(value, path):
    for key in path:
        value = value[key]
    return value


def changed(value, path, to):
    value = copy.deepcopy(value)
    at(value, path[:-1])[path[-1]] = to
    return value


def dotted(path):
    return ".".join(key for key in path if isinstance(key, str))


def written(value):
    return json.dumps(value, sort_keys=True)


def is_named(path, claims, unchecked):
    """Whether a claim that was not checked is said to be so, by the name of its field."""
    names = [name for one in unchecked for name in one.claim.split(", ")]
    if path[0] == "strata" and len(path) > 1 and claims["strata"][path[1]]["documents"] == 0:
        names += ["strata"] * ("strata of which nothing was drawn" in names)
    return any(f"{dotted(path)}.".startswith(f"{name}.") for name in names)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(["human", "synthetic", "0.5", "1/3", "words", "documents", "early", "outputs", "bytes"]),
    st.lists(st.integers(-1, 3), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@st.composite
def mutations(draw, claims):
    """A manifest with one leaf changed: shapes are as likely as each other, however many leaves have them."""
    shapes: dict[str, list[tuple[Any, ...]]] = {}
    for path in leaves(claims):
        shapes.setdefault(dotted(path), []).append(path)
    path = draw(st.sampled_from(shapes[draw(st.sampled_from(sorted(shapes)))]))
    old = at(claims, path)
    near = st.nothing() if isinstance(old, bool) or not isinstance(old, int) else st.sampled_from([old + 1, old - 1])
    to = draw(near | VALUES)
    assume(written(to) != written(old))
    note(f"{path}: {old!r} -> {to!r}")
    return path, changed(claims, path, to)


def manifest_of(made, name):
    return TrainingSet.just_verified(name, made.store).manifest


@settings(max_examples=3 * settings.default.max_examples)
@given(st.data())
def test_any_change_of_a_manifest_in_the_store(made, data):
    name = data.draw(st.sampled_from(SETS))
    claims = manifest_of(made, name)
    path, to = data.draw(mutations(claims))
    row = schema.training_set
    verdict = verdict_after(made.store, name, (update(row).where(row.c.name == name).values(manifest=to), {}))
    assert verdict.violations or is_named(path, claims, verdict.unchecked)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.data())
def test_any_change_of_a_manifest_beside_files(made, tmp_path, data):
    name, kind = data.draw(st.sampled_from(SETS)), data.draw(st.sampled_from(KINDS))
    with copied(made, tmp_path, f"{name}.{kind}") as (path, where):
        described = json.loads(where.read_text())
        leaf, to = data.draw(mutations(described))
        where.write_text(json.dumps(to)) if leaf == ("digest",) else signed(where, to)
        verdict = verify_files_or_refusal(path)
    inner = leaf[1:] if leaf[0] == "training_set" else leaf
    unchecked = verdict.unchecked if leaf[0] == "training_set" or kind == "draws" else of_export(verdict)
    assert verdict.violations or is_named(inner, described.get("training_set", described), unchecked)


def of_export(verdict):
    """What is not checked of the export's own manifest, by the name of its field."""
    ours = " of the export"
    return [
        type(one)(one.claim.removesuffix(ours), one.reason) for one in verdict.unchecked if one.claim.endswith(ours)
    ]


@contextmanager
def copied(made, folder, name):
    """Yield a copy of an export, and the place of its manifest."""
    source = made.folder / name
    target = Path(shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name))
    where = target / "manifest.json" if source.is_dir() else manifest_path(target)
    if not source.is_dir():
        shutil.copy(manifest_path(source), where)
    try:
        yield target, where
    finally:
        shutil.rmtree(target) if source.is_dir() else target.unlink()
        where.unlink(missing_ok=True)


def signed(where, described):
    """Write an export's manifest with the digest that fits, as somebody who knows how would."""
    if isinstance(described, dict) and "training_set" in described and isinstance(described.get("digest"), str):
        inner = {key: value for key, value in described.items() if key != "digest"}
        described = {**inner, "digest": mapping_digest(inner)}
    where.write_text(json.dumps(described))


def verify_files_or_refusal(path):
    """The verdict; that a manifest cannot be taken for one at all is the clearest violation."""
    from provenance.mix.errors import Violation
    from provenance.mix.verdict import Verdict
    from provenance.mix.verify_errors import ManifestUnreadable

    try:
        return verify_files(path)
    except ManifestUnreadable as error:
        return Verdict("", 0, (Violation("drawn", "manifest", "readable", str(error)),))


# ---------------------------------------------------------------- draws


def put(table, row, **values):
    """Return a table with other values in one row."""
    for name, value in values.items():
        column = table[name].to_pylist()
        column[row] = value
        table = table.set_column(table.column_names.index(name), name, pa.array(column, table.schema.field(name).type))
    return table


def renumbered(table):
    place = table.column_names.index("position")
    return table.set_column(place, "position", pa.array(range(table.num_rows), pa.int64()))


def without(table, row):
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def swapped(draw, table, other):
    return put(table, draw(st.integers(0, table.num_rows - 1)), document_id=other)


def one_more_repeat(draw, table, other):
    again = put(table.slice(draw(st.integers(0, table.num_rows - 1)), 1), 0, position=table.num_rows, repeat=7)
    return pa.concat_tables([table, again])


def renumbered_repeat(draw, table, other):
    row = draw(st.integers(0, table.num_rows - 1))
    return put(table, row, repeat=table["repeat"][row].as_py() + 1)


def relabelled(draw, table, other):
    row = draw(st.sampled_from([i for i, origin in enumerate(table["origin"].to_pylist()) if origin != "human"]))
    return put(table, row, origin="human")


def missing(draw, table, other):
    return without(table, draw(st.integers(0, table.num_rows - 1)))


def missing_and_renumbered(draw, table, other):
    return renumbered(missing(draw, table, other))


def extra(draw, table, other):
    row = table.slice(draw(st.integers(0, table.num_rows - 1)), 1)
    return pa.concat_tables([table, put(row, 0, position=table.num_rows, repeat=0, document_id=other)])


def reordered(draw, table, other):
    first, second = draw(st.lists(st.integers(0, table.num_rows - 1), min_size=2, max_size=2, unique=True))
    assume(table["document_id"][first] != table["document_id"][second])
    order = list(range(table.num_rows))
    order[first], order[second] = second, first
    return renumbered(table.take(pa.array(order)))


def other_stratum(draw, table, other):
    row = draw(st.integers(0, table.num_rows - 1))
    strata = sorted({*table["stratum"].to_pylist()} - {table["stratum"][row].as_py()})
    return put(table, row, stratum=draw(st.sampled_from(strata)))


def other_size(draw, table, other):
    row = draw(st.integers(0, table.num_rows - 1))
    return put(table, row, n_words=table["n_words"][row].as_py() + 1)


#: Tampering -> whether it is also found where the digests in the manifest are made to fit it. Draws in another order,
#: or of a document like the one drawn, are as good a training set: it is the digest that says which it is.
TAMPERINGS = {
    swapped: False, reordered: False, one_more_repeat: True, renumbered_repeat: True, relabelled: True, missing: True,
    missing_and_renumbered: True, extra: True, other_stratum: True, other_size: True,
}  # fmt: skip


def another_document(store):
    return store.fetch(
        "SELECT document_id FROM document WHERE source = 'outputs' AND document_id NOT IN "
        "(SELECT document_id FROM training_set_item) ORDER BY 1 LIMIT 1"
    )["document_id"][0].as_py()


def fitted(claims, table):
    """Return a manifest whose digests are those of other draws."""
    return {**claims, "digest": draws_digest(table), "items_digest": items_digest(table)}


@settings(max_examples=max(10, settings.default.max_examples // 4))
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
@given(data=st.data())
def test_tampering_with_draws_in_the_store(made, tamper, data):
    name = data.draw(st.sampled_from(["m", "c"]))
    item = schema.training_set_item
    query = "SELECT * FROM training_set_item WHERE training_set = :n ORDER BY position"
    table = tamper(data.draw, made.store.fetch(query, {"n": name}), another_document(made.store))
    row = schema.training_set
    statements = [(item.delete().where(item.c.training_set == name), {})]
    if TAMPERINGS[tamper] and data.draw(st.booleans()):
        claims = fitted(manifest_of(made, name), table)
        values = {"manifest": claims, "digest": claims["digest"]}
        statements.append((update(row).where(row.c.name == name).values(**values), {}))
    with tampered(made.store, *statements) as connection:
        made.store.append(connection, "training_set_item", table)
        verdict = verify_within(connection, name)
    assert verdict.as_drawn


@settings(max_examples=max(8, settings.default.max_examples // 5))
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
@given(data=st.data())
def test_tampering_with_draws_in_files(made, tmp_path, tamper, data):
    name, kind = data.draw(st.sampled_from(["m", "c"])), data.draw(st.sampled_from(["parquet", "draws"]))
    with copied(made, tmp_path, f"{name}.{kind}") as (path, where):
        file = path / "draws.parquet" if kind == "draws" else path
        table = tamper(data.draw, pq.read_table(file), another_document(made.store))
        pq.write_table(table, file)
        assert kind == "draws" or "file " in str(verify_files(path).violations[0])
        described = json.loads(where.read_text())
        if kind == "parquet":
            described["files"] = {path.name: file_sha256(path)}
        if TAMPERINGS[tamper] and data.draw(st.booleans()):
            inner = described.get("training_set", described)
            inner |= fitted(inner, table)
        signed(where, described)
        verdict = verify_files(path)
    assert verdict.violations
    assert not any("file " in violation.claim for violation in verdict.violations)


@pytest.mark.parametrize("kind", ["parquet", "jsonl.gz"])
def test_a_changed_text(made, tmp_path, kind):
    with copied(made, tmp_path, f"m.{kind}") as (path, where):
        if kind == "parquet":
            table = pq.read_table(path)
            pq.write_table(put(table, 4, text=table["text"][4].as_py().replace("a", "e")), path)
        else:
            import gzip

            lines = gzip.decompress(path.read_bytes()).splitlines()
            lines[4] = lines[4].replace(b'"text":"', b'"text":"x')
            path.write_bytes(gzip.compress(b"\n".join(lines)))
        described = json.loads(where.read_text())
        described["files"] = {path.name: file_sha256(path)}
        signed(where, described)
        found = [violation.claim for violation in verify_files(path).violations]
    assert "draws whose document id is not that of their text" in found


# ---------------------------------------------------------------- what was asked for, and today's labels


def consistent(made, name, edit):
    """The statement that changes specification and manifest together, wherever the store keeps them."""
    claims = copy.deepcopy(manifest_of(made, name))
    edit(claims)
    row = schema.training_set
    values = {"manifest": claims, "spec": claims["spec"]}
    return update(row).where(row.c.name == name).values(**values), {}


@given(st.integers(1, 5))
def test_a_changed_share(made, more):
    def edit(claims):
        [quota] = [q for q in claims["quotas"] if q["quota"] == "human"]
        quota["share"] = claims["spec"]["quotas"][0]["min"] = str(1 - more / 100)

    found = verdict_after(made.store, "m", consistent(made, "m", edit)).as_drawn
    assert "quota 'human' (min)" in [violation.claim for violation in found]


@given(st.sampled_from(["m", "c", "s"]), st.integers(-3, 3).filter(bool))
def test_a_changed_budget(made, name, times):
    def edit(claims):
        [unit] = claims["spec"]["budget"]
        asked = max(1, claims["budget"]["asked"] + times * claims["budget"]["one_document"])
        claims["spec"]["budget"][unit] = claims["budget"]["asked"] = asked

    found = [violation.claim for violation in verdict_after(made.store, name, consistent(made, name, edit)).as_drawn]
    assert "the budget" in found or "what is left of the budget" in found


@given(st.integers(-20, 20).filter(bool))
def test_a_changed_border_of_phases(made, by):
    def edit(claims):
        early, late = claims["phases"]
        early["documents"] += by
        late["documents"] -= by
        late["position"] += by

    found = verdict_after(made.store, "c", consistent(made, "c", edit)).as_drawn
    assert any("phase 'late'" in violation.claim for violation in found)


def test_fewer_repeats_allowed(made):
    def edit(claims):
        claims["spec"]["repeats"]["max"] = 1

    drawn = made.store.fetch("SELECT max(repeat) AS n FROM training_set_item WHERE training_set = 'm'")["n"][0].as_py()
    found = verdict_after(made.store, "m", consistent(made, "m", edit)).as_drawn
    assert ("draws beyond what `repeats` allows" in [v.claim for v in found]) == (drawn > 0)
    assert drawn > 0


OWN = "document_id IN (SELECT document_id FROM training_set_item WHERE training_set = :n)"


@pytest.mark.parametrize("name", SETS)
def test_relabelled_documents_violate_only_today(made, name):
    relabel = f"UPDATE document SET origin = 'unknown', generation = NULL WHERE {OWN}"
    verdict = verdict_after(made.store, name, (relabel, {"n": name}))
    assert verdict.as_drawn == ()
    assert any("quota 'human'" in violation.claim for violation in verdict.as_of_now)


@pytest.mark.parametrize("name", SETS)
def test_a_document_that_was_taken_down(made, name):
    first = "document_id = (SELECT document_id FROM training_set_item WHERE training_set = :n AND position = 0)"
    verdict = verdict_after(made.store, name, (f"DELETE FROM document WHERE {first}", {"n": name}))
    assert verdict.as_drawn == ()
    assert verdict.as_of_now[0].claim == "documents that are no longer in the store"


def test_a_changed_count_of_tokens(made):
    [violation] = verdict_after(made.store, "c", ("UPDATE token_count SET n_tokens = n_tokens + 1", {})).violations
    assert violation.claim == "draws whose words, bytes, tokens or source are not their document's"
    verdict = verdict_after(made.store, "c", ("DELETE FROM token_count", {}))
    assert verdict.violations == ()
    assert any(one.claim.startswith("tokens of ") for one in verdict.unchecked)


def test_an_evaluation_file_that_is_no_longer_there_leaves_the_claim_unchecked(made):
    file = made.folder / "eval.jsonl"
    kept = file.read_text()
    try:
        for change in (file.unlink, lambda: file.write_text(kept + '{"question": "more"}\n')):
            change()
            verdict = verify(made.store, "m")
            assert verdict.violations == ()
            assert "decontaminate" in [one.claim for one in verdict.unchecked]
    finally:
        file.write_text(kept)


def test_a_text_that_an_evaluation_file_holds(made):
    """A drawn document whose text is replaced by one of the file's."""
    held = json.loads((made.folder / "eval.jsonl").read_text().splitlines()[0])["question"]
    query = (
        "UPDATE content SET text = :text WHERE content_id = (SELECT content_id FROM document JOIN training_set_item "
        "USING (document_id) WHERE training_set = 'm' AND position = 0)"
    )
    found = verdict_after(made.store, "m", (query, {"text": held})).violations
    assert [v.claim for v in found] == ["draws that share a run with a file to decontaminate against"]

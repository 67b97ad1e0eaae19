"""Croissant: mlcroissant validates the description and loads the records, and they are those of the store."""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter

import pytest

from provenance.errors import MissingExtra
from provenance.export import croissant
from provenance.export.croissant import export_croissant
from provenance.export.errors import NotValid
from provenance.export.files import file_sha256
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.store.store import Store
from tests.factories import provenance, violations
from tests.unit.export.published import draw, drawn, fill

PROV = "http://www.w3.org/ns/prov#"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with Store.create(tmp_path_factory.mktemp("croissant") / "store.duckdb") as store:
        yield draw(fill(store))


@pytest.fixture
def folder(made, tmp_path):
    export_croissant(made, tmp_path / "out", creator="Nobody & Sons")
    return tmp_path / "out"


def load(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rdflib
        import mlcroissant

        dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
        return dataset, list(dataset.records("records"))


def test_the_tool_of_the_field_loads_every_record_as_it_stands_in_the_store(made, folder):
    dataset, records = load(folder)
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    stored = drawn(made)
    assert len(records) == len(stored) == len(made)
    assert max(row["repeat"] for row in stored) > 0
    assert any(row["parents"] for row in stored)
    texts = ("text", "document_id", "content_id", "source", "external_id", "uri", "author", "title", "licence",
             "licence_class", "origin", "model", "stratum", "cluster_id")  # fmt: skip
    for record, row in zip(records, stored, strict=True):
        found = {name.removeprefix("records/"): value for name, value in record.items()}
        for name in texts:
            assert (found[name] and found[name].decode()) == (row[name] and str(row[name])), name
        for name in ("position", "generation", "evidence_rank", "repeat", "n_words", "n_bytes"):
            assert found[name] == row[name], name
        assert (found["authored_at"] and found["authored_at"].to_pydatetime()) == row["authored_at"]
        assert [one.decode() for one in found["parents"]] == (row["parents"] or [])


def test_the_description_says_what_the_draws_are(made, folder):
    said = json.loads((folder / "croissant.json").read_text("utf-8"))
    stored = drawn(made)
    words = Counter()
    documents = Counter()
    for row in stored:
        words[row["origin"], row["generation"]] += row["n_words"]
        documents[row["origin"], row["generation"]] += 1
    parts = said["provenance:composition"]["generations"]
    assert {(p["origin"], p["generation"]): p["words"] for p in parts} == words
    assert {(p["origin"], p["generation"]): p["documents"] for p in parts} == documents
    total = sum(words.values())
    for part in parts:
        assert part["word_share"] == pytest.approx(part["words"] / total)
        assert part["document_share"] == pytest.approx(part["documents"] / len(stored))
    assert said["provenance:humanShareOfWords"] == pytest.approx(words["human", 0] / total)
    assert said["provenance:humanShareOfDocuments"] == pytest.approx(documents["human", 0] / len(stored))
    assert said["provenance:digest"] == made.digest
    assert (said["provenance:seed"], said["provenance:spec"]) == (0, made.manifest["spec"])
    assert said["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert said["creator"]["name"] == "Nobody & Sons"
    assert said["provenance:strictestLicenceClass"] == "unknown"
    assert set(said["license"]) == {
        "https://spdx.org/licenses/CC-BY-4.0.html", "https://spdx.org/licenses/CC0-1.0.html", "MIT OR Apache-2.0",
        "LicenseRef-Ours", "our own words", "NOASSERTION",
    }  # fmt: skip
    for file in said["distribution"]:
        path = folder / file["contentUrl"]
        assert file["sha256"] == file_sha256(path)
        assert file["contentSize"] == f"{path.stat().st_size} B"


def test_the_terms_of_prov_are_those_of_prov_at_dataset_and_record(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import rdflib

        graph = rdflib.Graph().parse(folder / "croissant.json", format="json-ld")
    properties = {
        str(name): str(value)
        for field, value in graph.subject_objects(rdflib.URIRef("http://mlcommons.org/croissant/equivalentProperty"))
        for name in graph.objects(field, rdflib.URIRef("https://schema.org/name"))
    }
    dataset = next(graph.subjects(rdflib.RDF.type, rdflib.URIRef("https://schema.org/Dataset")))
    assert len(list(graph.objects(dataset, rdflib.URIRef(PROV + "wasDerivedFrom")))) == 2
    activity = next(graph.objects(dataset, rdflib.URIRef(PROV + "wasGeneratedBy")))
    assert (activity, rdflib.RDF.type, rdflib.URIRef(PROV + "Activity")) in graph
    # mlcroissant takes these as text; the context says what their prefix means
    context = json.loads((folder / "croissant.json").read_text("utf-8"))["@context"]
    assert context["prov"] == PROV
    assert {properties[name] for name in ("parents", "model", "author", "source")} == {
        "prov:wasDerivedFrom", "prov:wasGeneratedBy", "prov:wasAttributedTo", "prov:hadPrimarySource",
    }  # fmt: skip


def test_the_records_prove_themselves_and_are_the_same_every_time(made, folder, tmp_path):
    export_croissant(made, tmp_path / "again", creator="Nobody & Sons")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert violations(made.store) == []
    answer = provenance("verify", folder / "records.parquet")
    assert answer.code == 0, answer.err + answer.out


def test_a_failure_leaves_what_was_there(made, folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputExists):
        export_croissant(made, folder)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(ExportFailed, match="No space left"):
        patch.setattr(croissant, "write_json", full)
        export_croissant(made, folder, overwrite=True)
    with monkeypatch.context() as patch, pytest.raises(NotValid, match=r"MAJOR\.MINOR\.PATCH"):
        patch.setattr(croissant, "describe", lambda *a, **k: {**json.loads(before["croissant.json"]), "version": "x"})
        export_croissant(made, folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir() if "out" in path.name] == ["out"]


def test_without_the_extra_the_command_to_install_it_is_said(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corpus-provenance\[export\]'"):
        export_croissant(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()

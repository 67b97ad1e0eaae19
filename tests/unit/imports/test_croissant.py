"""Croissant files of others: what becomes of the source and its documents, and one clear line for each that is bad."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pyarrow.csv as pacsv
import pytest

from provenance.errors import MissingExtra, ProvenanceError, UnknownSource, UnreadableFile
from provenance.export.errors import NotValid
from provenance.export.files import file_sha256
from provenance.imports.errors import ChoiceNeeded, DigestMismatch, NotADescription, NotReadable
from provenance.imports.load import describe, import_described
from provenance.records import Claim
from tests.factories import pa, provenance, rows, write_lines, write_parquet
from tests.unit.imports.described_files import (
    VERSION_1_0,
    VERSION_1_1,
    described,
    field,
    fields,
    records,
    write,
)


def one_set(name="posts", **more):
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields(), **more}


def columns(n=5):
    return {name: [record[name] for record in records(n)] for name in records(1)[0]}


@pytest.mark.parametrize("version", [VERSION_1_0, VERSION_1_1])
def test_the_description_becomes_the_source_and_the_columns_what_they_mean(store, tmp_path, version):
    path = write(tmp_path, described(tmp_path, conformsTo=version))
    report = import_described(store, describe(str(path)), source="posts", claim=Claim.make("human"))
    assert report.counts.n_inserted == 5
    [source] = rows(store, "FROM source")
    assert (source["licence"], source["uri"], source["origin"]) == ("CC-BY-4.0", "https://posts.example/", "human")
    assert source["note"] == "Croissant: Posts, version 1.2.0; by Ann, Forum Ltd; cite as: @misc{posts}"
    found = rows(store, "SELECT * FROM documents ORDER BY external_id")
    for row, record in zip(found, records(), strict=True):
        assert (row["external_id"], row["text"], row["author"]) == (record["key"], record["body"], record["who"])
        assert (row["licence"], row["uri"]) == ("cc-by-4.0", record["page"])
        assert row["authored_at"] == datetime(2011, 2, 3, tzinfo=UTC).replace(tzinfo=None)
        assert row["metadata"] == f'{{"rating":{record["rating"]}}}'


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "gz"])
def test_formats(store, tmp_path, kind):
    data = described(tmp_path)
    path = tmp_path / f"d.{kind}" if kind != "gz" else tmp_path / "d.jsonl.gz"
    named = {"csv": "text/csv", "tsv": "text/tab-separated-values", "parquet": "application/x-parquet",
             "gz": "application/jsonlines"}[kind]  # fmt: skip
    if kind == "parquet":
        write_parquet(path, columns())
    elif kind == "gz":
        write_lines(path, records())
    else:
        options = pacsv.WriteOptions(delimiter="," if kind == "csv" else "\t")
        pacsv.write_csv(pa.table(columns()), path, options)
    data["distribution"][0] |= {"contentUrl": path.name, "encodingFormat": named, "sha256": file_sha256(path)}
    found = describe(str(write(tmp_path, data)))
    assert import_described(store, found, source="p", claim=Claim.make("human")).counts.n_inserted == 5


def test_a_set_of_files(store, tmp_path):
    data = described(tmp_path)
    (tmp_path / "parts").mkdir()
    for i in range(3):
        write_lines(tmp_path / "parts" / f"{i}.jsonl", [{**record, "key": f"{i}"} for record in records(i + 1)[i:]])
    data["distribution"] = [
        {"@type": "cr:FileObject", "@id": "repo", "name": "repo", "contentUrl": "https://git.example/x",
         "encodingFormat": "git+https", "sha256": "none"},
        {"@type": "cr:FileSet", "@id": "data", "name": "data", "containedIn": {"@id": "repo"},
         "encodingFormat": "application/jsonlines", "includes": "parts/*.jsonl", "excludes": "parts/0.jsonl"},
    ]  # fmt: skip
    for one in data["recordSet"][0]["field"]:
        one["source"] = {"fileSet": {"@id": "data"}, "extract": one["source"]["extract"]}
    found = describe(str(write(tmp_path, data)))
    assert [name[-7:] for name in found.inputs] == ["1.jsonl", "2.jsonl"]
    assert import_described(store, found, source="p", claim=Claim.make("human")).counts.n_inserted == 2
    for path in (tmp_path / "parts").iterdir():
        path.unlink()
    with pytest.raises(NotReadable, match=r"no file that matches parts/\*\.jsonl beside the description"):
        describe(str(write(tmp_path, data)))


def test_a_description_behind_an_address_places_its_files_beside_itself(store, tmp_path):
    path = write(tmp_path, described(tmp_path))
    found = describe(path.as_uri())
    assert found.inputs == ((tmp_path / "posts.jsonl").as_uri(),)
    assert import_described(store, found, source="p", claim=Claim.make("human")).counts.n_inserted == 5


def test_which_record_set_and_which_field(tmp_path):
    other = field("title", "who") | {"@id": "posts/title"}
    path = str(write(tmp_path, described(tmp_path, recordSet=[one_set(field=[other, field("body", "body")])])))
    with pytest.raises(ChoiceNeeded, match=r"2 fields of posts hold text\. Name one with --text-field: who, body"):
        describe(path)
    assert describe(path, text_field="body").mapping.text == "body"
    assert describe(path, text_field="posts/title").mapping.text == "who"
    with pytest.raises(ChoiceNeeded, match="no record set has a field 'nope'"):
        describe(path, text_field="nope")
    twin = {**one_set("twins"), "field": [one | {"@id": one["@id"].replace("posts", "twins")} for one in fields()]}
    path = str(write(tmp_path, described(tmp_path, recordSet=[one_set(), twin])))
    with pytest.raises(ChoiceNeeded, match=r"2 record sets hold text\. Name one with --record-set: posts, twins"):
        describe(path)
    assert describe(path, record_set="twins").mapping.text == "body"
    with pytest.raises(ChoiceNeeded, match="there is no record set 'nope'"):
        describe(path, record_set="nope")


def test_a_description_as_the_hub_makes_it(store, tmp_path):
    """A split that is cut out of the path, an enumeration of splits, and one column of text without that name."""
    data = described(tmp_path)
    source = {"fileObject": {"@id": "data"}, "extract": {"fileProperty": "fullpath"}, "transform": {"regex": "(p).*"}}
    split = {"@type": "cr:Field", "@id": "posts/split", "dataType": "sc:Text", "source": source,
             "references": {"field": {"@id": "splits/name"}}}  # fmt: skip
    name = {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}
    data["recordSet"] = [
        {"@type": "cr:RecordSet", "@id": "splits", "name": "splits", "dataType": "cr:Split",
         "key": {"@id": "splits/name"}, "field": [name], "data": [{"splits/name": "p"}]},
        one_set(field=[split, field("content", "body"), field("rating", "rating", dataType="sc:Integer")]),
    ]  # fmt: skip
    found = describe(str(write(tmp_path, data)))
    assert (found.mapping.text, found.left_out) == ("body", ("posts/split",))
    assert import_described(store, found, source="p", claim=Claim.make("human")).counts.n_inserted == 5


def test_fields_that_are_no_columns_of_the_file_are_named(tmp_path):
    changed = field("year", "day")
    changed["source"]["transform"] = {"regex": "(....).*"}
    path = write(tmp_path, described(tmp_path, recordSet=[one_set(field=[*fields(), changed])]))
    assert describe(str(path)).left_out == ("posts/year",)


def text_by(**changes):
    made = field("text", "body")
    made["source"] |= changes
    return [made]


BAD = {
    "not JSON": (lambda d: "{", NotADescription, "it is no JSON"),
    "a list": (lambda d: [1], NotADescription, "no Croissant file"),
    "other JSON-LD": (lambda d: {"@type": "Person", "@context": {}}, NotADescription, "no Croissant file"),
    "no context": (lambda d: described(d, **{"@context": "https://schema.org/"}), NotADescription, "@context"),
    "invalid": (lambda d: described(d, license={"a": 1}, distribution=[{"@type": "cr:FileObject", "@id": "data"}]),
                NotValid, "mlcroissant says"),
    "no records": (lambda d: described(d, recordSet=[]), NotADescription, "it describes no record sets"),
    "no text": (lambda d: described(d, recordSet=[one_set(field=[field("n", "rating", dataType="sc:Integer")])]),
                ChoiceNeeded, "no record set holds text. Name one with --text-field: rating"),
    "transformed": (lambda d: described(d, recordSet=[one_set(field=text_by(transform={"regex": "(.)"}))]),
                    NotReadable, "is made by a transform"),
    "whole files": (lambda d: described(d, recordSet=[one_set(field=text_by(extract={"fileProperty": "content"}))]),
                    NotReadable, "is no column of a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_descriptions(tmp_path, case):
    make, kind, words = BAD[case]
    path = write(tmp_path, make(tmp_path))
    with pytest.raises(kind) as caught:
        describe(str(path))
    assert words in str(caught.value)
    assert isinstance(caught.value, ProvenanceError)
    assert "\n" not in str(caught.value)


def placed(**changes):
    def make(folder):
        data = described(folder)
        data["distribution"][0] |= changes
        return data

    return make


ARCHIVE = {"@type": "cr:FileObject", "@id": "zip", "name": "zip", "contentUrl": "a.zip", "sha256": "0" * 64,
           "encodingFormat": "application/zip"}  # fmt: skip
BAD_FILES = {
    "another file": (placed(sha256="0" * 64), DigestMismatch, "is not the file that was described: sha256"),
    "missing": (placed(contentUrl="gone.jsonl"), UnreadableFile, "No such file"),
    "above": (placed(contentUrl="../posts.jsonl"), NotReadable, "outside of the folder"),
    "absolute": (placed(contentUrl="/etc/passwd"), NotReadable, "outside of the folder"),
    "an image": (placed(encodingFormat="image/png"), NotReadable, "is image/png; readable are csv, jsonl, parquet"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, case):
    make, kind, words = BAD_FILES[case]
    path = write(tmp_path, make(tmp_path))
    with pytest.raises(kind) as caught:
        describe(str(path))
    assert words in str(caught.value)


def test_md5_is_checked_where_there_is_no_better_digest(tmp_path):
    data = placed(md5="0" * 32)(tmp_path)
    del data["distribution"][0]["sha256"]
    with pytest.raises(DigestMismatch, match="md5"):
        describe(str(write(tmp_path, data)))


def test_archives_are_not_opened(tmp_path):
    data = placed(containedIn={"@id": "zip"})(tmp_path)
    data["distribution"].append(ARCHIVE)
    with pytest.raises(NotReadable, match="lies in zip; unpack it"):
        describe(str(write(tmp_path, data)))


def test_a_file_behind_an_address_needs_the_network_and_the_extra(tmp_path, monkeypatch):
    path = str(write(tmp_path, placed(contentUrl="http://127.0.0.1:9/posts.jsonl")(tmp_path)))
    with pytest.raises(UnreadableFile) as caught:
        describe(path)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corpus-provenance\[remote\]'"):
        describe(path)


def test_without_the_extra_the_command_to_install_it_is_said(tmp_path, monkeypatch):
    path = str(write(tmp_path, described(tmp_path)))
    monkeypatch.setitem(sys.modules, "mlcroissant", None)
    with pytest.raises(MissingExtra, match=r"pip install 'corpus-provenance\[export\]'"):
        describe(path)


def test_somebody_must_say_where_the_records_come_from(store, tmp_path):
    found = describe(str(write(tmp_path, described(tmp_path))))
    with pytest.raises(UnknownSource, match="--origin"):
        import_described(store, found, source="posts")
    assert rows(store, "FROM source") == []


def test_the_command(store, tmp_path):
    store.close()
    command = ("--store", store.path, "import", write(tmp_path, described(tmp_path)), "--source", "posts")
    refused = provenance(*command)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    shown = provenance(*command, "--origin", "human", "--dry-run")
    assert shown.code == 0
    for words in ("CC-BY-4.0", "https://posts.example/", "by Ann, Forum Ltd", "Nothing was written", "Author 0"):
        assert words in shown.out
    assert provenance("--store", store.path, "stats", "--json").code == 0
    done = provenance(*command, "--origin", "human", "--licence", "CC0-1.0", "--json")
    assert done.code == 0, done.err
    assert '"n_inserted": 5' in done.out
    answer = provenance("--store", store.path, "sql", "SELECT licence FROM source", "--format", "csv")
    assert answer.out.split() == ["licence", "CC0-1.0"]

"""Dataset cards of others: header, configurations and splits, and one clear line for each that is bad."""

from __future__ import annotations

import pytest
import yaml

from provenance.errors import FieldMissing
from provenance.imports.described import licence_of
from provenance.imports.errors import ChoiceNeeded, NotADescription, NotReadable
from provenance.imports.load import describe, import_described
from provenance.records import Claim
from tests.factories import provenance, rows
from tests.unit.imports.described_files import CARD, described, write, write_card

HUMAN = Claim.make("human")


def test_the_card_becomes_the_source(store, tmp_path):
    write_card(tmp_path)
    report = import_described(store, describe(str(tmp_path), config="new"), source="posts", claim=HUMAN)
    assert report.counts.n_inserted == 6
    [source] = rows(store, "FROM source")
    assert (source["licence"], source["uri"]) == ("Apache-2.0", tmp_path.as_uri())
    assert source["note"] == "dataset card: Posts: all; by Ann, Bob; cite as: @misc{posts, title = {Posts}, }"
    found = rows(store, "SELECT external_id, uri, licence, metadata->>'split' AS split FROM documents")
    assert sorted(row["external_id"] for row in found if row["split"] == "test") == ["c20", "c21"]
    assert all(row["licence"] == "Apache-2.0" and row["uri"].startswith("https://c.example/") for row in found)


@pytest.mark.parametrize(("config", "split", "n"), [("old", None, 3), ("new", "train", 4), ("new", "test", 2)])
def test_configurations_and_splits(store, tmp_path, config, split, n):
    path = write_card(tmp_path)
    found = describe(str(path), config=config, split=split)
    assert import_described(store, found, source="posts", claim=HUMAN).counts.n_inserted == n


def test_a_card_without_configurations(store, tmp_path):
    write_card(tmp_path, "---\nlicense: [mit, cc-by-4.0]\n---\n# Nothing more\n")
    for name in ("test.jsonl", "new/a.jsonl"):
        (tmp_path / name).unlink()
    found = describe(str(tmp_path))
    assert (found.title, found.licence) == ("Nothing more", "MIT AND CC-BY-4.0")
    assert import_described(store, found, source="posts", claim=HUMAN).counts.n_inserted == 3


BAD = {
    "no header": ("# Posts\n", "no dataset card"),
    "an open header": ("---\nlicense: mit\n# Posts\n", "no dataset card"),
    "no YAML": ("---\na: [\n---\n", "is no YAML"),
    "a key twice": ("---\nlicense: mit\nlicense: gpl\n---\n", "stands twice"),
    "a list": ("---\n- a\n---\n", "no mapping"),
    "odd configs": ("---\nconfigs: all\n---\n", "no list of configurations"),
    "no text at all": (b"---\nx: \xff\n---\n", "no UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_cards(tmp_path, case):
    text, words = BAD[case]
    path = tmp_path / "README.md"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(NotADescription) as caught:
        describe(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("files", ["/etc/passwd", "../*.jsonl", [{"split": "train", "path": ["a.jsonl", "../x"]}]])
def test_a_card_does_not_choose_what_is_read_outside_of_its_folder(tmp_path, files):
    header = {"configs": [{"config_name": "a", "data_files": files}]}
    with pytest.raises(NotReadable, match="outside of the folder"):
        describe(str(write_card(tmp_path, f"---\n{yaml.safe_dump(header)}---\n")))


def test_choices(tmp_path):
    path = write_card(tmp_path)
    with pytest.raises(ChoiceNeeded, match=r"2 configurations\. Name one with --config: old, new"):
        describe(str(path))
    with pytest.raises(ChoiceNeeded, match="there is no configuration 'nope'"):
        describe(str(path), config="nope")
    with pytest.raises(NotADescription, match="cannot be read"):
        describe(str(tmp_path / "none" / "README.md"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotADescription, match="holds no description"):
        describe(str(tmp_path / "empty"))
    write(tmp_path, described(tmp_path))
    with pytest.raises(ChoiceNeeded, match="two descriptions"):
        describe(str(tmp_path))


def test_a_text_field_that_is_not_there(store, tmp_path):
    path = write_card(tmp_path)
    with pytest.raises(FieldMissing, match="no field 'body'"):
        import_described(store, describe(str(path), config="old", text_field="body"), source="posts", claim=HUMAN)
    store.close()
    answer = provenance("--store", store.path, "import", path, "--source", "p2", "--origin", "human", "--config", "x")
    assert (answer.code, answer.err.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("words", "licence"),
    [
        ([], None),
        (["unknown"], None),
        (["mit", "unknown"], None),
        (["mit", "MIT"], "MIT"),
        (["MIT OR Apache-2.0", "cc-by-4.0"], "(MIT OR Apache-2.0) AND CC-BY-4.0"),
        (["openrail", "mit"], "openrail; mit"),
        (["https://spdx.org/licenses/ODC-By-1.0.html"], "ODC-By-1.0"),
    ],
)
def test_licences(words, licence):
    assert licence_of(words) == licence


def test_the_words_of_the_header_are_read_as_they_are_meant(tmp_path):
    card = CARD.replace("license: apache-2.0", "license: other\nlicense_name: Our Terms")
    assert describe(str(write_card(tmp_path, card)), config="new").licence == "Our Terms"

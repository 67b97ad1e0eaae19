"""Which field means what: from a file, from options, and what is refused."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.errors import MappingError
from provenance.ingest.mapping import FieldMapping, load_mapping

THINGS = [one.name for one in fields(FieldMapping)]
COLUMN_OF = {"id": "external_id", "date": "authored_at", "collected": "collected_at"}

#: Without control characters and line ends, which PyYAML does not write as it reads them.
_names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20).filter(
    lambda name: name != "id"
)


def written(path: Path, text: str) -> Path:
    file = path / "mapping.yaml"
    file.write_text(text, "utf-8")
    return file


@given(st.dictionaries(st.sampled_from(THINGS), _names))
def test_a_file_says_the_same_as_arguments(tmp_path_factory: pytest.TempPathFactory, given_: dict[str, str]) -> None:
    assume(len({**{"text": "text"}, **given_}.values()) == len({*{**{"text": "text"}, **given_}.values()}))
    file = written(tmp_path_factory.mktemp("mapping"), yaml.safe_dump(given_, allow_unicode=True))
    loaded = load_mapping(file)
    assert loaded == FieldMapping(**given_)
    named = loaded.named()
    for thing, field in given_.items():
        assert named[field] == COLUMN_OF.get(thing, thing)
    assert set(given_.values()) <= set(loaded.required())
    assert {"text": "text", **given_}["text"] in loaded.required()
    # every column that is recognised at all comes from somewhere still, unless its usual field serves another purpose
    columns = loaded.columns()
    assert {column for field, column in FieldMapping().columns().items() if field not in columns} <= set(named.values())
    assert named.items() <= columns.items()


def test_an_option_wins_over_the_file(tmp_path: Path) -> None:
    loaded = load_mapping(written(tmp_path, "text: body\nauthor: writer\n"))
    merged = replace(loaded, author="by", title="headline")
    assert merged == FieldMapping(text="body", author="by", title="headline")
    assert merged.required() == ("body", "by", "headline")


def test_an_empty_file_and_null_name_nothing(tmp_path: Path) -> None:
    assert load_mapping(written(tmp_path, "# nothing yet\n")) == FieldMapping()
    assert load_mapping(written(tmp_path, "author:\nid: ~\ntext: body\n")) == FieldMapping(text="body")


def test_the_usual_name_of_the_id_gives_way() -> None:
    mapping = FieldMapping(uri="id")
    assert mapping.named() == {"text": "text", "id": "uri"}
    assert mapping.required() == ("text", "id")
    assert FieldMapping().required() == ("text",)
    assert FieldMapping(id="key").required() == ("text", "key")


def test_a_named_field_comes_before_the_recognised_ones() -> None:
    columns = FieldMapping(text="author", licence="rights").columns()
    assert columns["author"] == "text"
    assert columns["rights"] == "licence"
    assert "licence" not in columns and "license" not in columns
    assert columns["url"] == "uri"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("txt: body", "'txt' is nothing that can be mapped. Did you mean 'text'?"),
        ("licens: rights", "Did you mean 'licence'?"),
        ("zzz: body", "Expected some of: text, id, uri, author"),
        ("7: body", "7 is nothing"),
        ("text: 7", "text is 7, expected the name of a field"),
        ("text: ''", "text is '', expected"),
        ("text: [a, b]", "text is ['a', 'b'], expected"),
        ("date: 2020-01-01", "expected the name of a field"),
        ("- text", "expected a mapping with some of: text, id"),
        ("text", "it holds only 'text'"),
        ("text: [", "it is no YAML"),
        ("text: a\ntext: b", "'text' stands twice"),
        ("text: !!python/object/apply:os.system [ls]", "it is no YAML"),
        ("[" * 5000, "it is no YAML"),
        ("text: body\ntitle: body", "text and title are both to come from field 'body'"),
        ("title: text", "text and title are both to come from field 'text'"),
        ("id: id\nuri: id", "id and uri are both to come from field 'id'"),
        ("a: &a [*a]", "'a' is nothing that can be mapped"),
    ],
)
def test_refused(tmp_path: Path, text: str, part: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(MappingError) as caught:
        load_mapping(file)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.file == file


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"missing\.yaml: it cannot be read \(No such file"):
        load_mapping(tmp_path / "missing.yaml")
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"text: \xff\xfe")
    with pytest.raises(MappingError, match="not UTF-8"):
        load_mapping(os.fspath(binary))


def test_two_purposes_are_refused_in_options_too() -> None:
    with pytest.raises(MappingError, match="Mapping: author and title are both to come from field 'by'"):
        replace(FieldMapping(author="by"), title="by")

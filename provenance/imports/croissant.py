"""Croissant files, 1.0 and 1.1: which record set holds texts, and in which files it lies.

The package mlcroissant reads the description; the records are read by this program's own readers, column by column, so
that everything holds for them that holds for every ingest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provenance.export.croissant_library import read_croissant
from provenance.export.naming import LAYOUT
from provenance.imports.described import Described, licence_of
from provenance.imports.errors import ChoiceNeeded, NotADescription, NotReadable
from provenance.imports.places import beside, check_digest, local_copy, matching
from provenance.ingest.locate import failure
from provenance.ingest.mapping import FieldMapping

#: Format that a file says it has -> the reader.
_READERS = {
    "application/x-parquet": "parquet", "application/vnd.apache.parquet": "parquet", "application/parquet": "parquet",
    "application/jsonlines": "jsonl", "application/x-ndjson": "jsonl", "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl", "text/csv": "csv", "text/tab-separated-values": "csv",
}  # fmt: skip
#: Property of schema.org or PROV -> what it is in `FieldMapping`.
_MEANINGS = {
    "identifier": "id", "author": "author", "headline": "title", "license": "licence", "url": "uri",
    "datePublished": "date", "dateCreated": "date", "wasAttributedTo": "author", "generatedAtTime": "date",
    "atLocation": "uri",
}  # fmt: skip
_TEXT = "https://schema.org/Text"


def describe_croissant(name: str, *, record_set: str | None = None, text_field: str | None = None) -> Described:
    """Return what a Croissant file describes; its files are there and are those that it describes.

    Parameters
    ----------
    name : path or address
    record_set : the one to read, where several hold texts
    text_field : the field, or the column, that holds the text

    Raises
    ------
    MissingExtra
        If mlcroissant is not installed, or fsspec, where something lies behind an address.
    NotADescription, NotValid
        If it is no JSON, no Croissant, or mlcroissant finds an error in it.
    ChoiceNeeded
        If several record sets or fields could be meant, or none.
    NotReadable
        If the records lie in archives or repositories, or are made by transforms.
    DigestMismatch, UnreadableFile
        If a file is another one, or is not there.
    """
    with local_copy(name) as path:
        _require_croissant(name, path)
        metadata = read_croissant(path)
    chosen, text = _text_of(name, metadata, record_set, text_field)
    node = _node(name, metadata, text)
    inputs = _inputs(name, metadata, node)
    is_own = LAYOUT in metadata.conforms_to
    mapping, left_out = _mapping(chosen, text)
    return Described(
        file=name,
        kind="Croissant",
        title=_words(metadata.name) or Path(name).name,
        version=metadata.version,
        creators=tuple(_words(one.name) for one in metadata.creators if one.name),
        citation=metadata.cite_as,
        uri=metadata.url,
        licence=None if is_own else licence_of(_licences(metadata)),
        inputs=tuple(inputs),
        format_name=_reader(name, node),
        mapping=mapping,
        says_origin=is_own,
        left_out=left_out,
    )


def _require_croissant(name: str, path: Path) -> None:
    """Raise `NotADescription` where a file is no Croissant at all, on which the library fails with a puzzle."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise NotADescription(name, f"it cannot be read ({failure(error)})") from error
    except (ValueError, RecursionError) as error:
        raise NotADescription(name, f"it is no JSON ({' '.join(str(error).split())[:150]})") from error
    kinds = data.get("@type") if isinstance(data, dict) else None
    named = kinds if isinstance(kinds, list) else [kinds]
    if not any(str(kind).rpartition("/")[2].rpartition(":")[2] == "Dataset" for kind in named):
        raise NotADescription(name, "it is JSON but no Croissant file: expected an object with @type sc:Dataset")
    if not isinstance(data.get("@context"), dict):
        raise NotADescription(name, "it is no Croissant file: expected @context with the terms of Croissant")


def _text_of(name: str, metadata: Any, record_set: str | None, text_field: str | None) -> tuple[Any, Any]:
    """Return the record set and the field that hold the texts."""
    sets = {one.uuid: one for one in metadata.record_sets}
    if record_set is not None:
        found = [one for key, one in sets.items() if record_set in (key, _words(one.name))]
        if not found:
            raise ChoiceNeeded(name, f"there is no record set {record_set!r}", "--record-set", sets)
    else:
        found = list(sets.values())
    texts = {one.uuid: fields for one in found if (fields := _texts(one, text_field))}
    if not texts:
        columns = [_column(field) or field.uuid for one in found for field in one.fields]
        wanted = "holds text" if text_field is None else f"has a field {text_field!r}"
        if not sets:
            raise NotADescription(name, "it describes no record sets, so nothing says what a record is")
        raise ChoiceNeeded(name, f"no record set {wanted}", "--text-field", dict.fromkeys(columns))
    if len(texts) > 1:
        raise ChoiceNeeded(name, f"{len(texts)} record sets hold text", "--record-set", texts)
    [(key, fields)] = texts.items()
    if len(fields) > 1:
        columns = [_column(field) or field.uuid for field in fields]
        raise ChoiceNeeded(name, f"{len(fields)} fields of {key} hold text", "--text-field", columns)
    return sets[key], fields[0]


def _texts(record_set: Any, text_field: str | None) -> list[Any]:
    """Return the fields of a record set that may be the text: the named one, one called text, or all that hold text."""
    fields = [field for field in record_set.fields if field.source]
    if text_field is not None:
        return [field for field in fields if text_field in _names(field)][:1]
    called = [field for field in fields if "text" in _names(field)]
    typed = [field for field in fields if _TEXT in map(str, field.data_types or [])]
    # A split, for instance, is text that is cut out of the name of the file.
    return called[:1] or [field for field in typed if _column(field) and not field.source.transforms] or typed


def _names(field: Any) -> set[str]:
    return {field.uuid, field.uuid.rpartition("/")[2], _words(field.name), _column(field) or field.uuid}


def _column(field: Any) -> str | None:
    """Return the column that a field is read from, None where it is no column."""
    extract = field.source.extract if field.source else None
    if extract is None:
        return None
    if extract.json_path is not None:
        return str(extract.json_path).removeprefix("$.")
    return None if extract.column is None else str(extract.column)


def _node(name: str, metadata: Any, text: Any) -> Any:
    """Return the file or set of files that holds the text."""
    column = _column(text)
    if column is None or text.source.transforms:
        how = "is made by a transform" if column is not None else "is no column of a file"
        raise NotReadable(name, f"the text {text.uuid}", f"{how}; only columns are imported as they stand")
    nodes = {one.uuid: one for one in metadata.distribution}
    node = nodes.get(text.source.file_object or text.source.file_set or text.source.distribution)
    if node is None:
        raise NotReadable(name, f"the text {text.uuid}", "comes from no file of the description")
    return node


def _inputs(name: str, metadata: Any, node: Any) -> list[str]:
    """Return the files that hold the records, checked against their digests."""
    if hasattr(node, "includes"):
        # The context of the specification lacks `excludes`, so that most files mean it with the wrong name.
        excluded = node.excludes or node.extra_properties.get("excludes") or []
        excluded = [excluded] if isinstance(excluded, str) else list(excluded)
        return matching(name, list(node.includes or []), excluded, f"the file set {node.uuid}")
    part = f"the file {node.uuid}"
    if node.contained_in:
        where = ", ".join(str(one) for one in node.contained_in)
        raise NotReadable(name, part, f"lies in {where}; unpack it and ingest the file itself")
    place = beside(name, node.content_url, part)
    check_digest(place, sha256=node.sha256, md5=node.md5)
    return [place]


def _reader(name: str, node: Any) -> str:
    formats = node.encoding_formats or []
    known = next((_READERS[one] for one in formats if one in _READERS), None)
    if known is None:
        readable = ", ".join(sorted({*_READERS.values()}))
        said = ", ".join(formats) or "no format"
        raise NotReadable(name, f"the file {node.uuid}", f"is {said}; readable are {readable}")
    return known


def _mapping(record_set: Any, text: Any) -> tuple[FieldMapping, tuple[str, ...]]:
    """Return which column means what, and the fields that are not columns of the text's file."""
    meanings: dict[str, str] = {"text": str(_column(text))}
    left_out = []
    for field in record_set.fields:
        column = _column(field)
        if column is None or field.source.transforms or not _same_place(field, text):
            left_out.append(field.uuid)
            continue
        for property_ in field.equivalentProperty or []:
            meaning = _MEANINGS.get(str(property_).rpartition("/")[2].rpartition(":")[2].rpartition("#")[2])
            if meaning is not None and column not in meanings.values():
                meanings.setdefault(meaning, column)
    return FieldMapping(**meanings), tuple(left_out)


def _same_place(field: Any, other: Any) -> bool:
    def place(one: Any) -> tuple[Any, ...]:
        return one.source.file_object, one.source.file_set, one.source.distribution

    return place(field) == place(other)


def _licences(metadata: Any) -> list[str]:
    stated = metadata.license or []
    return [one if isinstance(one, str) else _words(one.url or one.name) for one in stated]


def _words(text: Any) -> str:
    """Return a text that may be given in several languages."""
    if isinstance(text, dict):
        text = text.get("en") or next(iter(text.values()), "")
    return "" if text is None else str(text)

"""Croissant files and dataset cards as other people write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provenance.export.croissant_terms import CONTEXT
from provenance.export.files import file_sha256
from tests.factories import prose, write_lines

VERSION_1_0 = "http://mlcommons.org/croissant/1.0"
VERSION_1_1 = "http://mlcommons.org/croissant/1.1"


def context(version: str) -> dict[str, Any]:
    """Return the context of a version, as its specification prescribes it."""
    common = {name: value for name, value in CONTEXT.items() if not name.startswith(("prov", "provenance"))}
    if version == VERSION_1_0:
        for name in ("arrayShape", "containedIn", "description", "isArray", "name"):
            del common[name]
    return common


def records(n: int = 5) -> list[dict[str, Any]]:
    """Return records with columns of names that nobody would guess."""
    return [
        {"key": f"k{i}", "body": prose(i), "who": f"Author {i}", "terms": "cc-by-4.0", "page": f"https://a.example/{i}",
         "day": "2011-02-03", "rating": i}
        for i in range(n)
    ]  # fmt: skip


def field(name: str, column: str, *, file: str = "data", **more: Any) -> dict[str, Any]:
    """Return a field that is a column of a file."""
    source = {"fileObject": {"@id": file}, "extract": {"column": column}}
    described = {"@type": "cr:Field", "@id": f"posts/{name}", "name": name, "dataType": "sc:Text", "source": source}
    return {**described, **more}


def fields() -> list[dict[str, Any]]:
    """Return the fields of `records`."""
    return [
        field("id", "key", equivalentProperty="sc:identifier"),
        field("text", "body"),
        field("by", "who", equivalentProperty="sc:author"),
        field("licence", "terms", equivalentProperty="https://schema.org/license"),
        field("url", "page", equivalentProperty="sc:url"),
        field("written", "day", equivalentProperty="sc:datePublished", dataType="sc:Date"),
        field("rating", "rating", dataType="sc:Integer"),
    ]


def described(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the description of `posts.jsonl` in a folder, which is written."""
    data = write_lines(folder / "posts.jsonl", records())
    version = changes.pop("conformsTo", VERSION_1_1)
    return {
        "@context": context(version),
        "@type": "sc:Dataset",
        "name": "Posts",
        "description": "Posts of a forum.",
        "conformsTo": version,
        "license": ["https://creativecommons.org/licenses/by/4.0/"],
        "url": "https://posts.example/",
        "version": "1.2.0",
        "datePublished": "2020-01-01",
        "citeAs": "@misc{posts}",
        "creator": [{"@type": "sc:Person", "name": "Ann"}, {"@type": "sc:Organization", "name": "Forum Ltd"}],
        "distribution": [
            {"@type": "cr:FileObject", "@id": "data", "name": "data", "contentUrl": "posts.jsonl",
             "encodingFormat": "application/jsonlines", "sha256": file_sha256(data)}
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "posts", "name": "posts", "field": fields()}],
        **changes,
    }  # fmt: skip


def write(folder: Path, data: Any, name: str = "croissant.json") -> Path:
    """Write a description."""
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


CARD = """---
license: apache-2.0
pretty_name: "Posts: all"
creators: [Ann, Bob]
configs:
- config_name: old
  data_files: old.jsonl
- config_name: new
  data_files:
  - split: train
    path: new/*.jsonl
  - split: test
    path: test.jsonl
---
# Posts

```bibtex
@misc{posts,
  title = {Posts},
}
```
"""


def write_card(folder: Path, text: str = CARD) -> Path:
    """Write a card with its data: 3 records in `old`, 4 and 2 in `new`."""
    (folder / "new").mkdir()
    parts = {"old.jsonl": range(3), "new/a.jsonl": range(10, 14), "test.jsonl": range(20, 22)}
    for name, numbers in parts.items():
        write_lines(
            folder / name, [{"id": f"c{i}", "text": prose(i), "url": f"https://c.example/{i}"} for i in numbers]
        )
    path = folder / "README.md"
    path.write_text(text, "utf-8")
    return path

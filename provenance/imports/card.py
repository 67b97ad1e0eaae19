"""Dataset cards of the Hugging Face hub: a folder with `README.md`, whose YAML header says where the data lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from provenance.export.naming import LAYOUT
from provenance.imports.described import Described, licence_of
from provenance.imports.errors import ChoiceNeeded, NotADescription
from provenance.imports.places import beside
from provenance.ingest.inputs import DATASET
from provenance.ingest.locate import failure
from provenance.ingest.mapping import FieldMapping
from provenance.yaml_text import load_yaml

CARD = "README.md"
_HEADER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_CITATION = re.compile(r"^@\w+\s*\{.*?^\}", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)


def describe_card(
    path: Path, *, config: str | None = None, split: str | None = None, text_field: str | None = None
) -> Described:
    """Return what a dataset card describes; the data are read by the library `datasets` from the card's folder.

    Parameters
    ----------
    path : the card
    config, split : what to read, where there are several configurations; all splits by default
    text_field : the column that holds the text

    Raises
    ------
    NotADescription
        If it has no header in YAML.
    ChoiceNeeded
        If it has several configurations and none is named, or not the one that is named.
    NotReadable
        If its data lie outside of its folder.
    """
    text = _text(path)
    header, body = _parts(path, text)
    names = _configs(path, header)
    for place in _places(header):
        beside(str(path), place, f"the data of the card, {place},")
    if config is None and len(names) > 1:
        raise ChoiceNeeded(str(path), f"it has {len(names)} configurations", "--config", names)
    if config is not None and names and config not in names:
        raise ChoiceNeeded(str(path), f"there is no configuration {config!r}", "--config", names)
    is_own = _is_own(header)
    mapping = {"text": text_field or FieldMapping.text, **({"id": "document_id"} if is_own else {})}
    heading, citation = _HEADING.search(body), _CITATION.search(body)
    folder = path.resolve().parent
    asked = "&".join(f"{key}={quote(value)}" for key, value in (("config", config), ("split", split)) if value)
    info = header.get("dataset_info")
    return Described(
        file=str(path),
        kind="dataset card",
        title=str(header.get("pretty_name") or (heading and heading[1].strip()) or folder.name),
        version=str(info["version"]) if isinstance(info, dict) and info.get("version") else None,
        creators=_listed(header.get("creators") or header.get("author") or header.get("authors")),
        citation=citation[0] if citation else None,
        uri=folder.as_uri(),
        licence=None if is_own else licence_of(_licences(header)),
        inputs=(f"{DATASET}{folder}" + (f"?{asked}" if asked else ""),),
        mapping=FieldMapping(**mapping),
        says_origin=is_own,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotADescription(str(path), f"it cannot be read ({failure(error)})") from error
    except UnicodeDecodeError as error:
        raise NotADescription(str(path), "it is no UTF-8 text") from error


def _parts(path: Path, text: str) -> tuple[dict[str, Any], str]:
    found = _HEADER.match(text)
    if found is None:
        raise NotADescription(str(path), "it is no dataset card: expected a header in YAML between lines of ---")
    try:
        header = load_yaml(found[1])
    except (yaml.YAMLError, RecursionError) as error:
        raise NotADescription(str(path), f"its header is no YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(header, dict):
        raise NotADescription(str(path), "its header is no mapping of names to values")
    return header, text[found.end() :]


def _configs(path: Path, header: dict[str, Any]) -> list[str]:
    configs = header.get("configs") or []
    if not isinstance(configs, list) or not all(isinstance(one, dict) for one in configs):
        raise NotADescription(str(path), "configs in its header is no list of configurations")
    return [str(one.get("config_name", "default")) for one in configs]


def _places(value: Any) -> Iterator[str]:
    """Yield the paths and patterns of data files that configurations name, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _places(one)
    elif isinstance(value, dict):
        for key in ("configs", "data_files", "data_dir", "path"):
            yield from _places(value.get(key))


def _is_own(header: dict[str, Any]) -> bool:
    own = header.get("provenance")
    return isinstance(own, dict) and own.get("layout") == LAYOUT


def _licences(header: dict[str, Any]) -> list[str]:
    stated = _listed(header.get("license") or header.get("licence"))
    named = header.get("license_name")
    return [str(named) if one == "other" and named else one for one in stated]


def _listed(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(one) for one in value) if isinstance(value, list) else (str(value),)

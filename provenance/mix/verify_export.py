"""What an export is for the verifier: a manifest, what it describes, and the files that it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from provenance.mix.digest import mapping_digest
from provenance.mix.errors import Violation
from provenance.mix.verdict import Finding, Unchecked, differs
from provenance.mix.verify_errors import ManifestUnreadable, NothingToVerify

_BESIDE, _INSIDE = ".manifest.json", "manifest.json"
#: The file of an export without texts.
DRAWS = "draws.parquet"
#: Kinds of exports whose files hold rows with texts, and those that hold tokens with a map to documents.
ROWS, TOKENS = ("jsonl", "parquet"), ("tokens", "nanogpt", "olmo", "megatron")
_FORMAT = 1
_FIELDS = {"format", "kind", "code_version", "training_set", "files", "digest"}
_TOKEN_FIELDS = {
    "tokenizer", "marks", "block_length", "n_blocks", "n_sequences", "dtype", "read_with", "phases", "n_cut",
    "n_tokens", "human", "quotas",
}  # fmt: skip


@dataclass(frozen=True)
class Export:
    """What is on the disk.

    Attributes
    ----------
    path : the exported file, or the folder
    manifest_path : where its manifest stands
    kind : its format; `manifest` for a folder with draws but no texts
    described : the manifest of the export; None where there is only that of the training set
    claims : the manifest of the training set
    """

    path: Path
    manifest_path: Path
    kind: str
    described: dict[str, Any] | None
    claims: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.manifest_path.parent

    @property
    def rows_path(self) -> Path:
        """The file with a row for every draw."""
        return self.path / DRAWS if self.kind == "manifest" else self.path


def is_export(path: Path) -> bool:
    """Return whether there is something at this path that names itself an export."""
    if path.is_dir():
        return (path / _INSIDE).is_file()
    return path.is_file() and (path.name.endswith(_BESIDE) or path.with_name(path.name + _BESIDE).is_file())


def find_export(path: Path) -> Export:
    """Return the export of which this is the file, the folder, or the manifest beside the file.

    Raises
    ------
    NothingToVerify
        If there is nothing, or nothing with a manifest.
    ManifestUnreadable
        If the manifest is no JSON, or none of ours.
    """
    if path.name.endswith(_BESIDE) and not path.is_dir():
        path = path.with_name(path.name.removesuffix(_BESIDE))
    manifest_path = path / _INSIDE if path.is_dir() else path.with_name(path.name + _BESIDE)
    if not manifest_path.is_file():
        missing = f"there is no {manifest_path.name} " + ("in it" if path.is_dir() else "beside it")
        raise NothingToVerify(str(path), missing if path.exists() else "there is no such file")
    data = read_manifest(manifest_path)
    if not path.is_dir() or "training_set" in data:
        claims, kind = data.get("training_set"), str(data.get("kind"))
        if not isinstance(claims, dict) or not isinstance(claims.get("name"), str):
            raise ManifestUnreadable(manifest_path, "it says nothing of a training set")
        if kind not in (TOKENS if path.is_dir() else ROWS):
            raise ManifestUnreadable(
                manifest_path, f"it is of a {'folder' if path.is_dir() else 'file'} of kind {kind!r}"
            )
        return Export(path, manifest_path, kind, data, claims)
    if not isinstance(data.get("name"), str) or "spec" not in data:
        raise ManifestUnreadable(manifest_path, "it is no manifest of a training set")
    return Export(path, manifest_path, "manifest", None, data)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a file of JSON says.

    Raises
    ------
    ManifestUnreadable
        If it cannot be read, or is no JSON object.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ManifestUnreadable(path, str(error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise ManifestUnreadable(path, f"it is no JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(data, dict):
        raise ManifestUnreadable(path, "it is no JSON object")
    return data


def file_claims(export: Export) -> Iterator[Finding]:
    """Check the export's own manifest, and that its files are there as they were written."""
    described = export.described
    if described is None:
        if not export.rows_path.is_file():
            yield from differs(f"file {DRAWS}", "it is there", "missing")
        return
    yield from differs("layout of the export's manifest", _FORMAT, described["format"])
    known = _FIELDS | (_TOKEN_FIELDS if export.kind in TOKENS else {"n_documents"})
    yield from differs("fields of the export's manifest that are missing", [], sorted(_FIELDS - set(described)))
    for name in sorted(set(described) - known):
        yield Unchecked(f"{name} of the export", "no field that this verifier knows")
    own = {key: value for key, value in described.items() if key != "digest"}
    yield from differs("digest of the export's manifest", described["digest"], mapping_digest(own))
    yield Unchecked("code_version of the export", "the program that wrote it is not there to be asked")
    yield from differs("code_version of the export is a text", "str", type(described["code_version"]).__name__)
    needed = [export.path.name] if export.kind in ROWS else ["documents.parquet", "tokenizer.json"]
    yield from differs("files that the manifest must name", [], [n for n in needed if n not in described["files"]])
    for name, digest in described["files"].items():
        file = export.folder / name
        if Path(name).name != name:
            yield Violation("drawn", f"file {name}", "a name in the folder of the manifest", "a path")
        elif not file.is_file():
            yield from differs(f"file {name}", "it is there", "missing")
        else:
            with file.open("rb") as data:
                yield from differs(f"file {name}", digest, file_digest(data, "sha256").hexdigest())

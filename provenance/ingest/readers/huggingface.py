"""Datasets of the Hugging Face library `datasets`, from the hub or a local folder, streamed in batches of rows."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from provenance.errors import MissingExtra, ProvenanceError, UnreadableFile, did_you_mean
from provenance.ingest.inputs import DATASET, Input, failure
from provenance.ingest.readers.arrow_rows import check_columns, chunk_of_rows, holds_json, parsed_json
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, chunk_of_json

#: Rows may be whole books, and a batch is in memory as a whole.
_ROWS = 512
#: The field that says which split a record is from.
_SPLIT = "split"


class HuggingFaceReader:
    """Reads datasets; every row is a record.

    A dataset is named `datasets:NAME?config=…&split=…&revision=…`. NAME is that of a dataset on the hub, a local folder
    of data files, or a local folder that `save_to_disk` made; a folder is read without the network.

    Notes
    -----
    - Without `split`, all splits are read, in the dataset's own order. Every record gets a field `split` (so it is in
      the metadata), unless it has one already, or the dataset is a single table without a split; its place is
      `train row 17`, or `row 17` in a single table.
    - A class label stays the number that is stored. Images, audio and the like are not decoded and not stored: such
      a column keeps its path and gains the size and SHA-256 of its bytes.
    - The library hands rows over in pieces (10 MB of JSON Lines, up to 512 rows): of the piece in which a failure lies,
      no row is read.
    - The stamp of a finished input is the commit on the hub, or the library's fingerprint of a local dataset.
    """

    name = "datasets"
    formats = ("Hugging Face datasets (datasets:NAME?config=…&split=…&revision=…, or a folder made by save_to_disk)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the input is named as a dataset."""
        return name.startswith(DATASET)

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield batches of rows, split by split.

        Raises
        ------
        UnreadableFile
            If there is no such dataset, config, split or parameter, the network fails, or its files are damaged.
        FieldMissing
            If a split has no text field; where the columns are known beforehand, before anything is read.
        MissingExtra
            If the library is not installed.
        """
        wanted = _wanted(file.name)
        with _reported(file.name, "it cannot be opened"):
            splits, file.stamp = _opened(wanted)
        for table in splits.values():
            if table.features is not None:
                check_columns(file.name, list(table.features), options)
        for split, table in splits.items():
            yield from _blocks_of_split(file.name, split, table, options)

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the rows of a batch."""
        split, first_row, packed = block.payload
        batch = _unpacked(packed)
        chunk = chunk_of_rows(block.file, batch, [_place(split, first_row + i) for i in range(batch.num_rows)])
        for column in batch.schema:
            if holds_json(column.type):
                for record in chunk.records:
                    record[column.name] = parsed_json(record[column.name], column.type)
        return chunk

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return a row that is kept as JSON."""
        return chunk_of_json(file, raw)


# ---------------------------------------------------------------- names


@dataclass(frozen=True)
class _Wanted:
    """What the name of an input asks for.

    Attributes
    ----------
    file : name of the input
    name : name on the hub, or path of a folder
    is_folder : whether it is a folder
    """

    file: str
    name: str
    is_folder: bool
    config: str | None = None
    split: str | None = None
    revision: str | None = None


_PARAMETERS = ("config", "split", "revision")


def _wanted(file: str) -> _Wanted:
    whole = file.removeprefix(DATASET)
    # A folder may have a question mark in its name.
    name, _, query = (whole, "", "") if os.path.isdir(whole) else whole.partition("?")
    given: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        key, _, value = pair.partition("=")
        if key not in _PARAMETERS:
            close = did_you_mean(key, _PARAMETERS)
            raise UnreadableFile(file, f"{key!r} is no parameter.{close} Expected some of: {', '.join(_PARAMETERS)}")
        if key in given or not value:
            raise UnreadableFile(file, f"{key} {'stands twice' if key in given else 'has no value'}, expected one")
        given[key] = unquote(value)
    is_folder = os.path.isdir(name)
    if not name:
        raise UnreadableFile(file, f"it has no name, expected {DATASET}NAME")
    if os.path.exists(name) and not is_folder:
        raise UnreadableFile(file, f"{name} is a file, expected a folder or a name on the hub; read it by its path")
    if not is_folder and name.startswith(("/", ".", "~")):  # the hub has no such names: do not ask it
        raise UnreadableFile(file, f"there is no folder {name}")
    if is_folder and "revision" in given:
        raise UnreadableFile(file, "a local folder has no revisions; leave out revision")
    return _Wanted(file, name, is_folder, **given)


def _place(split: str | None, row: int) -> str:
    return f"row {row + 1}" if split is None else f"{split} row {row + 1}"


# ---------------------------------------------------------------- the library


def _library() -> Any:
    """Return the library, silent: it draws progress bars and logs on standard error."""
    try:
        import datasets
        import huggingface_hub.utils as hub
    except ImportError as error:
        raise MissingExtra("datasets", "hf") from error
    for part in (datasets, hub):
        part.disable_progress_bars()
        part.logging.set_verbosity(part.logging.CRITICAL)
    return datasets


@contextmanager
def _reported(file: str, what: str) -> Iterator[None]:
    """Turn any failure of the library into `UnreadableFile`, and keep its warnings to itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ProvenanceError:
        raise
    except Exception as error:  # the library and the file systems below it raise what they like
        raise UnreadableFile(file, f"{what} ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    if type(error).__name__ == "DatasetGenerationError" and error.__cause__ is not None:  # says nothing itself
        error = error.__cause__
    if isinstance(error, FileNotFoundError) and str(error):  # says here which dataset is not there
        return str(error).strip().splitlines()[0][:300]
    if isinstance(error, ValueError):  # names the configs there are, on more than one line
        return " ".join(str(error).partition("Example of usage")[0].split())[:300]
    return failure(error) if isinstance(error, Exception) else type(error).__name__


def _opened(wanted: _Wanted) -> tuple[dict[str | None, Any], str | None]:
    """Return the splits by name, None for a single table without one, and what tells this version from others."""
    library = _library()
    stamp: str | None
    if wanted.is_folder and _is_saved(wanted.name):
        if wanted.config is not None:
            raise UnreadableFile(wanted.file, "a folder that save_to_disk made has no configs; leave out config")
        found = library.load_from_disk(os.path.abspath(wanted.name), keep_in_memory=False)
        tables = dict(found) if isinstance(found, library.DatasetDict) else {_split_name(found): found}
        prints = [str(table._fingerprint) for table in tables.values()]
        stamp = prints[0] if len(prints) == 1 else sha256(" ".join(prints).encode()).hexdigest()
    else:
        # An absolute path never stands for a name on the hub.
        path = os.path.abspath(wanted.name) if wanted.is_folder else wanted.name
        if path in library.packaged_modules._PACKAGED_DATASETS_MODULES:  # would read every file of the working folder
            raise UnreadableFile(wanted.file, f"{path} is a format, no dataset; give the files by their paths")
        builder = library.load_dataset_builder(path, name=wanted.config, revision=wanted.revision)
        tables = {name: table.decode(False) if table.features else table
                  for name, table in builder.as_streaming_dataset().items()}  # fmt: skip
        stamp = builder.hash
    if wanted.split is not None:
        if wanted.split not in tables:
            known = [name for name in tables if name is not None]
            hint = f"Expected one of: {', '.join(known)}" if known else "It is a single table: leave out split"
            raise UnreadableFile(wanted.file, f"there is no split {wanted.split!r}. {hint}")
        tables = {wanted.split: tables[wanted.split]}
    return tables, stamp


def _is_saved(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("dataset_dict.json", "state.json"))


def _split_name(table: Any) -> str | None:
    return None if table.split is None else str(table.split)


# ---------------------------------------------------------------- rows


def _blocks_of_split(file: str, split: str | None, table: Any, options: ReadOptions) -> Iterator[Block]:
    row = 0
    failed = "reading failed" if split is None else f"reading split {split} failed"
    with _reported(file, failed):
        tables = iter(table.with_format("arrow").iter(batch_size=_ROWS))
    while True:
        with _reported(file, f"{failed} after row {row}"):
            rows = next(tables, None)
            if rows is None:
                return
            if row == 0:  # the columns were not known before
                check_columns(file, rows.schema.names, options)
            batches = [_batch(one, split) for one in rows.to_batches()]
        for batch in batches:
            yield Block(file, (split, row, _packed(batch)), batch.nbytes, 0, batch.num_rows)
            row += batch.num_rows


def _batch(rows: pa.RecordBatch, split: str | None) -> pa.RecordBatch:
    """Return rows of plain types, without media, with their split."""
    columns = {name: _plain(column) for name, column in zip(rows.schema.names, rows.columns, strict=True)}
    if split is not None and _SPLIT not in columns and not _has_own_split(rows.schema):
        columns[_SPLIT] = pa.repeat(split, rows.num_rows)
    return pa.RecordBatch.from_pydict(columns)


def _packed(batch: pa.RecordBatch) -> bytes:
    """Return a batch as bytes: rows that are a view of a larger table would take all of it along when pickled."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_next_batch()


def _has_own_split(schema: pa.Schema) -> bool:
    """Return whether there is nested metadata with a split, which a field of the record would push aside."""
    if "metadata" not in schema.names:
        return False
    kind = schema.field("metadata").type
    return bool(pa.types.is_struct(kind) and kind.get_field_index(_SPLIT) >= 0)


def _plain(column: pa.Array) -> pa.Array:
    if isinstance(column.type, pa.ExtensionType):  # arrays of a fixed shape: lists of lists
        column = column.storage
    if _is_media(column.type):
        return pa.array([_described(value) for value in column.to_pylist()], _DESCRIBED)
    return column


_DESCRIBED = pa.struct({"path": pa.string(), "size_bytes": pa.int64(), "sha256": pa.string()})


def _is_media(kind: pa.DataType) -> bool:
    """Return whether this is how the library stores an image, audio, or another file in a column."""
    return pa.types.is_struct(kind) and {one.name for one in kind} == {"bytes", "path"}


def _described(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is None or value["bytes"] is None:
        return value and {"path": value["path"]}
    return {"path": value["path"], "size_bytes": len(value["bytes"]), "sha256": sha256(value["bytes"]).hexdigest()}

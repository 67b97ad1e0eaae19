"""Tokenizers kept in the store, and how many tokens every content has by each of them.

A tokenizer is the JSON of the `tokenizers` library, stored under a name and never changed. Counts are made once per
tokenizer and content, without special tokens, and kept.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np
import pyarrow as pa
from sqlalchemy import Select, bindparam, except_, insert, select

from provenance.errors import MissingExtra, NameTaken, UnknownName
from provenance.mix.errors import TokenizerInvalid, TokenizerUnavailable
from provenance.store import schema
from provenance.store.store import registered, utc_now

if TYPE_CHECKING:
    from provenance.store.store import Store

_BATCH = 4096
#: How long the hub may take to answer, in seconds.
_HUB_S = 5.0


@dataclass(frozen=True)
class StoredTokenizer:
    """A tokenizer of the store.

    Attributes
    ----------
    name : what specifications call it
    digest : SHA-256 of the definition
    definition : JSON of the `tokenizers` library
    vocab_size : number of token ids, added tokens included
    """

    name: str
    digest: str
    definition: str
    vocab_size: int

    def load(self) -> Any:
        """Return the `tokenizers.Tokenizer`, neither truncating nor padding."""
        return _load(self.name, self.definition)


def add_tokenizer(store: Store, name: str, definition: str) -> StoredTokenizer:
    """Keep a tokenizer under a name and return it; the same again changes nothing.

    Parameters
    ----------
    definition : JSON as written by `tokenizers.Tokenizer.to_str()`, or the content of a `tokenizer.json`

    Raises
    ------
    NameTaken
        If another tokenizer has that name.
    TokenizerInvalid
        If the definition cannot be loaded.
    """
    digest = sha256(definition.encode()).hexdigest()
    known = {tokenizer.name: tokenizer for tokenizer in _stored(store, name)}
    if name in known:
        if known[name].digest != digest:
            raise NameTaken("tokenizer", name, "is another one")
        return known[name]
    vocab_size = _load(name, definition).get_vocab_size(with_added_tokens=True)
    added = StoredTokenizer(name, digest, definition, vocab_size)
    row = {"name": name, "digest": digest, "definition": definition, "vocab_size": vocab_size, "created_at": utc_now()}
    with store.transaction() as connection:
        connection.execute(insert(schema.tokenizer), row)
    return added


def get_tokenizer(store: Store, name: str) -> StoredTokenizer:
    """Return a tokenizer of the store.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    for tokenizer in _stored(store, name):
        return tokenizer
    known = store.fetch(select(schema.tokenizer.c.name))["name"].to_pylist()
    raise UnknownName("tokenizer", name, known, hint="Store one with provenance.mix.tokens.add_tokenizer.")


def resolve_tokenizer(store: Store, name: str) -> str:
    """Return the name under which a tokenizer is stored, and store it first where it is named from outside.

    Parameters
    ----------
    name : a tokenizer of the store, else a model of the store, else a file or folder, else a name on the Hugging Face
        hub

    Raises
    ------
    TokenizerUnavailable
        If it is none of these, or cannot be loaded, for instance because the hub cannot be reached.
    NameTaken
        If a file or folder of that name holds another tokenizer than when it was stored.
    """
    stored = _stored(store, name)
    if stored and not Path(name).exists():
        return name
    model = schema.model.c
    paths = store.fetch(select(model.path).where(model.name == name, model.path.is_not(None)))["path"].to_pylist()
    folder = Path(paths[0]) if paths else Path(name)
    known = store.fetch(select(schema.tokenizer.c.name))["name"].to_pylist()
    return add_tokenizer(store, name, _definition(name, folder, known)).name


def _definition(name: str, place: Path, known: list[str]) -> str:
    """Return the JSON of a tokenizer in a file or folder, or of one on the hub."""
    file = place / "tokenizer.json" if place.is_dir() else place
    try:
        if file.is_file():
            return file.read_text("utf-8")
        from transformers import AutoTokenizer

        # Without this look first, the library tries for half a minute to reach what cannot be reached.
        is_local = place.is_dir() or not _hub_answers()
        loaded = AutoTokenizer.from_pretrained(str(place) if place.is_dir() else name, local_files_only=is_local)
        return str(loaded.backend_tokenizer.to_str())
    except ImportError as error:
        raise MissingExtra("transformers", "train") from error
    except Exception as error:  # libraries and the network raise what they like
        reason = "it cannot be reached" if isinstance(error, OSError) else str(error).splitlines()[0].rstrip(".")
        raise TokenizerUnavailable(name, reason, known) from error


def _hub_answers() -> bool:
    """Return whether the Hugging Face hub can be reached; through a proxy nobody knows before it is tried."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    if getproxies().get(address.scheme):
        return True
    try:
        port = address.port or {"http": 80}.get(address.scheme, 443)
        socket.create_connection((address.hostname or "", port), timeout=_HUB_S).close()
    except OSError:
        return False
    return True


def count_tokens(store: Store, tokenizer: str, contents: Select[Any]) -> int:
    """Count the tokens of the contents that have no count by this tokenizer yet, and return how many those were.

    Parameters
    ----------
    contents : selects content ids, in a column of that name
    """
    stored = get_tokenizer(store, tokenizer)
    counted = select(schema.token_count.c.content_id).where(schema.token_count.c.tokenizer == bindparam("tokenizer"))
    missing = store.fetch(except_(contents, counted), {"tokenizer": tokenizer})
    if not missing.num_rows:
        return 0
    counts = _count(store, stored, missing)
    with store.transaction() as connection:
        return store.append(connection, "token_count", counts)


def _count(store: Store, tokenizer: StoredTokenizer, missing: pa.Table) -> pa.Table:
    loaded, ids, counts = tokenizer.load(), [], []
    wanted = missing.rename_columns(["content_id"])
    with store.read() as connection, registered(connection, wanted=wanted) as raw:
        reader = raw.execute(
            "SELECT c.content_id, c.text FROM content c WHERE c.content_id IN (SELECT content_id::UUID FROM wanted)"
        ).to_arrow_reader(_BATCH)
        for batch in reader:
            ids.append(batch.column(0).cast(pa.string()))
            counts.append(_lengths(loaded, batch.column(1).to_pylist()))
    n_tokens = np.concatenate(counts) if counts else np.zeros(0, np.uint32)
    return pa.table(
        {
            "tokenizer": pa.repeat(tokenizer.name, len(n_tokens)),
            "content_id": pa.chunked_array(ids, pa.string()),
            "n_tokens": n_tokens,
        }
    )


def _lengths(tokenizer: Any, texts: Iterable[str]) -> Any:
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(one) for one in encoded], dtype=np.uint32)


def _load(name: str, definition: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("tokenizers", "train") from error
    try:
        tokenizer = Tokenizer.from_str(definition)
    except Exception as error:  # the library raises plain Exception
        raise TokenizerInvalid(name, str(error).splitlines()[0]) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _stored(store: Store, name: str) -> list[StoredTokenizer]:
    t = schema.tokenizer.c
    rows = store.fetch(select(t.name, t.digest, t.definition, t.vocab_size).where(t.name == name)).to_pylist()
    return [StoredTokenizer(**row) for row in rows]

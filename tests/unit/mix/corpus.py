"""Documents written into a store directly, so that these tests need no ingest."""

from __future__ import annotations

import uuid
from hashlib import sha256

import pyarrow as pa

from provenance.ids import uuid_array
from provenance.store.store import Store

WORDS = "people union states congress treaty commerce public great government peace nation year law citizens".split()


def make_text(key: str, n_words: int) -> str:
    digest = sha256(key.encode()).digest() * (n_words // 32 + 1)
    return " ".join(WORDS[b % len(WORDS)] + str(b) for b in digest[:n_words])


def document(key, n_words=50, *, source="books", origin="human", generation=0, text=None, cluster=None, **more):
    text = make_text(key, n_words) if text is None else text
    content = sha256(text.encode()).digest()[:16]
    return {
        "document_id": sha256(f"{source}/{key}".encode()).digest()[:16],
        "content_id": content,
        "source": source,
        "external_id": key,
        "licence_class": "public-domain",
        "n_bytes": len(text.encode()),
        "n_words": len(text.split()),
        "origin": origin,
        "generation": generation,
        "model": None,
        "evidence_rank": 1,
        "cluster_id": content if cluster is None else sha256(cluster.encode()).digest()[:16],
        "is_representative": True,
        "ingest_id": b"\0" * 16,
        "text": text,
        **more,
    }


def add_documents(store: Store, rows: list[dict]) -> None:
    ids = ("document_id", "content_id", "cluster_id", "ingest_id")
    known = set(store.fetch("SELECT content_id FROM content")["content_id"].to_pylist())
    contents = {row["content_id"]: row for row in rows if str(uuid.UUID(bytes=row["content_id"])) not in known}
    columns = {name: [row.get(name) for row in rows] for name in rows[0] if name != "text"}
    table = pa.table({n: uuid_array(v) if n in ids else pa.array(v) for n, v in columns.items()})
    human = pa.array([1.0 if row.get("origin") == "human" else None for row in rows], pa.float64())
    table = table.append_column("human_ancestry", human)
    values = list(contents.values())
    content = pa.table(
        {
            "content_id": uuid_array([row["content_id"] for row in values]),
            "content_no": pa.array(range(len(known), len(known) + len(values)), pa.uint32()),
            "n_bytes": pa.array([row["n_bytes"] for row in values], pa.int64()),
            "n_words": pa.array([row["n_words"] for row in values], pa.uint32()),
            "text": pa.array([row["text"] for row in values], pa.string()),
        }
    )
    with store.transaction() as connection:
        store.append(connection, "document", table)
        store.append(connection, "content", content)


def standard_rows() -> list[dict]:
    """200 human documents of 40 to 60 words, 300 of two models, 50 of unknown origin."""
    rows = [document(f"h{i}", 40 + i % 21, source=f"books-{i % 2}") for i in range(200)]
    for i in range(300):
        labels = {"origin": "synthetic", "generation": 1 + i % 3, "model": f"model-{i % 2}"}
        rows.append(document(f"s{i}", 30 + i % 41, source="outputs", **labels))
    rows += [document(f"u{i}", 45, source="crawl", origin="unknown", generation=None) for i in range(50)]
    return rows


def byte_tokenizer(*, template: bool = False) -> str:
    """A byte-level tokenizer without merges: a token per byte, and an end-of-text token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    if template:
        number = tokenizer.token_to_id("<|endoftext|>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", number)]
        )
    return tokenizer.to_str()

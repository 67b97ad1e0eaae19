"""Laws of the reader of chat logs: damage costs the line it touches, nothing is lost, blocks change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers.base import ReadOptions
from provenance.ingest.readers.chat import ChatReader
from provenance.ingest.readers.streams import compression_of
from tests.conftest import Maker
from tests.factories import ingest_paths, violations
from tests.reading import Outcome, read

READER = ChatReader()
_TEXT = st.sampled_from(["", " ", "Who built it?", "A mason.", "Ça va\n\nbien", "a\0b", "国家"])
_ODD = st.none() | st.booleans() | st.integers(-3, 3) | _TEXT | st.lists(st.integers(0, 2), max_size=2)
_CONTENT = (
    _TEXT | _ODD | st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"]), "text": _TEXT}))
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": _CONTENT}, optional={"tool_calls": _ODD}
)
_CHOICE = st.fixed_dictionaries({}, optional={"message": _MESSAGE | _ODD, "text": _TEXT | _ODD, "finish_reason": _ODD})
_FLAT = st.fixed_dictionaries(
    {},
    optional={
        "id": _ODD,
        "custom_id": _TEXT,
        "model": st.sampled_from(["m", "", None, 3]),
        "created": st.sampled_from([0, 1_700_000_000, -1e300, "2020", True]),
        "messages": st.lists(_MESSAGE, max_size=3) | _ODD,
        "prompt": _CONTENT,
        "completion": _TEXT | _ODD,
        "choices": st.lists(_CHOICE, max_size=3) | _ODD,
        "temperature": _ODD,
        "error": _ODD,
    },
)
_LINE = _FLAT | st.fixed_dictionaries(
    {},
    optional={"request": _FLAT | _ODD, "response": _FLAT | st.fixed_dictionaries({"body": _FLAT}) | _ODD, "id": _ODD},
)
#: Lines, of which the first does not make a compressed file of the rest.
_FILE = st.lists(_LINE.map(lambda line: json.dumps(line).encode()) | st.binary(max_size=20), max_size=5).filter(
    lambda lines: compression_of(b"\n".join(lines)) is None
)


def in_order(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.records, outcome.places, outcome.raws, outcome.refused, outcome.order


@given(lines=_FILE)
def test_blocks_change_nothing_and_lines_make_their_records_again(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "a.chat.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read(READER, path)
    assert found.error is None
    for chunk_bytes in (1, 9, 200):
        assert in_order(read(READER, path, chunk_bytes=chunk_bytes)) == in_order(found)
    for raw in dict.fromkeys(found.raws):
        again = READER.reread(str(path), raw, None, ReadOptions())
        of_line = [record for record, own in zip(found.records, found.raws, strict=True) if own == raw]
        n_times = len(of_line) // len(again.records)
        assert of_line == again.records * n_times


@given(lines=_FILE, place=st.integers(0, 400), inserted=st.binary(max_size=3), n_cut=st.integers(0, 5))
def test_damage(tmp_path: Path, lines: list[bytes], place: int, inserted: bytes, n_cut: int) -> None:
    whole = b'{"id": 1, "prompt": "a", "completion": "b", "model": "m"}'
    middle = b"\n".join(lines)
    middle = middle[:place] + inserted + middle[place + n_cut :]
    path = tmp_path / "a.chat.jsonl"
    path.write_bytes(whole + b"\n" + middle + b"\n" + whole)
    found = read(READER, path)
    assert [record["id"] for record in (*found.records[:2], *found.records[-2:])] == ["1#prompt", "1"] * 2


@given(lines=_FILE)
def test_nothing_is_lost(make_store: Maker, tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "a.chat.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read(READER, path)
    with make_store("logs.duckdb") as store:
        counts = ingest_paths(store, path, origin="unknown", options=IngestOptions(max_quarantined=1)).counts
        assert counts.n_read == len(found.records) + len(found.refused)
        assert counts.n_read == counts.n_inserted + counts.n_present + counts.n_quarantined
        assert violations(store) == []

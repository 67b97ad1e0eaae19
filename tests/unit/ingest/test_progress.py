"""Progress: plain lines where nobody watches, a live line on a terminal, and the share of the input that is done."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from provenance.ingest import tasks
from provenance.ingest.pipeline import IngestOptions, ingest_files
from provenance.ingest.progress import LineProgress, LiveProgress, NoProgress, describe
from provenance.ingest.write import Counts
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import prose_records, write_lines, write_parquet

COUNTS = Counts(n_read=12_345, n_inserted=12_000, n_present=340, n_quarantined=5, n_bytes=2_500_000)


def test_a_line_says_how_much_of_what() -> None:
    line = describe(COUNTS, 2.0, 0.5)
    for words in ("50%", "12,345", "12,000", "5 quarantined", "2.5 MB", "1.2 MB/s"):
        assert words in line
    assert "quarantined" not in describe(Counts(), 0.0, None)


def test_lines_come_now_and_then() -> None:
    stream = io.StringIO()
    often, seldom = LineProgress(stream, every_s=0), LineProgress(stream, every_s=1000)
    seldom.update(COUNTS, 0.1)
    assert stream.getvalue() == ""
    often.update(COUNTS, 0.1)
    often.update(COUNTS, None)
    assert stream.getvalue().count("\n") == 2


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    with LiveProgress(stream) as live:
        live.update(COUNTS, 0.1)
    NoProgress().update(COUNTS, None)
    assert "12,345" in stream.getvalue()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_the_share_grows_to_one(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    records = prose_records(600, n_words=20)
    first, second = tmp_path / name, write_lines(tmp_path / "b.jsonl", records[300:])
    if name.endswith("parquet"):
        write_parquet(first, {"text": [record["text"] for record in records[:300]]})
    else:
        write_lines(first, records[:300])
    shares: list[float] = []

    class Watching:
        def update(self, counts: Counts, fraction: float | None) -> None:
            assert fraction is not None
            shares.append(fraction)

    options = IngestOptions(chunk_bytes=10_000)
    ingest_files(store, [first, second], source="s", claim=Claim.make("human"), options=options, progress=Watching())
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] == 1.0

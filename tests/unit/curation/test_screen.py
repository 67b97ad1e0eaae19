from __future__ import annotations

import io
import time
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from provenance.curation.screen import claims_list, difference, neighbours_table, part_of, visible


def _printed(shown: Any, *, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, markup=False, emoji=False).print(shown)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    for text in ("naïve 日本語。", "سلام می\u200cخواهم", "👩\u200d👧", "co\u00adoperate", "[bold]x[/] :smile:", "שלום"):
        assert visible(text) == text
    assert visible("10\u00a0000\u3000円\u202f!") == "10 000 円 !"
    assert visible("a\tb\nc", keep="\n\t") == "a\tb\nc"


def test_what_would_steer_the_terminal_or_hide_is_seen() -> None:
    assert visible("\x1b[2J\x9b1m\x07\r\u202ea\u2066b\u200b\ufeff\ud800") == "�[2J�1m���a�b���"


@given(st.text(max_size=80), st.integers(1, 12), st.integers(1, 4))
def test_parts_of_a_text_are_the_whole_text(text: str, characters: int, lines: int) -> None:
    at, parts = 0, []
    while at < len(text):
        parts.append(part_of(text, at, most_characters=characters, most_lines=lines))
        assert 0 < len(parts[-1]) <= characters
        assert len(parts[-1].removesuffix("\n").split("\n")) <= lines
        at += len(parts[-1])
    assert "".join(parts) == text


def test_claims_are_whole_at_any_width() -> None:
    claim = {
        "origin": "synthetic", "grade": "detector", "subject_kind": "document", "author": "detector words@12",
        "stated_at": datetime.fromisoformat("2026-03-14"), "model": "gpt-" + "very-" * 9 + "long", "generation": 2,
        "confidence": 0.875, "method": "detector", "note": "score 3.25, threshold [/bold] 1.5",
    }  # fmt: skip
    plain = {
        **claim,
        "model": None,
        "generation": None,
        "confidence": None,
        "note": None,
        "method": "declared at ingest",
    }
    for width in (60, 80, 200):
        lines = _printed(claims_list([claim, plain]), width=width)
        assert max(map(len, lines)) <= width
        whole = "".join(" ".join(lines).split())
        for part in ("2026-03-14", claim["model"], "generation2", "88%sure", "score3.25,threshold[/bold]1.5"):
            assert part in whole, (width, part)
        assert lines[-1].strip() == "declared at ingest"
    neighbour = {"document_id": "0123456789", "source": "s" * 50, "origin": "unknown", "model": None, "kind": "near",
                 "score": 0.5}  # fmt: skip
    lines = _printed(neighbours_table([neighbour]), width=80)
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("s" * 5) >= 2
    assert "…" not in "".join(lines)


def test_differences_are_marked_and_long_ones_end_with_their_number() -> None:
    assert difference("a b \x1b[c", "a x \x1b[c").plain == "a [-b-] {+x+} �[c "
    first = [f"w{i}" for i in range(3000)]
    second = [f"x{i}" if i % 30 == 0 else one for i, one in enumerate(first)]
    shown = difference(" ".join(first), " ".join(second)).plain
    assert "[-w0-] {+x0+} w1" in shown
    n_changes = shown.count("[-") + shown.count("{+")
    assert shown.endswith(f"[… and {200 - n_changes} more changes …]")
    assert len(shown.split()) < 400
    start = time.perf_counter()
    difference("la ri " * 100_000, "ri la " * 100_000)
    assert time.perf_counter() - start < 10

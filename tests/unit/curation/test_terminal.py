from __future__ import annotations

import signal
import termios
from pathlib import Path

from provenance.store.store import Store
from tests.factories import held, ingest, provenance, rows
from tests.unit.curation.judging_desk import PROMPT, at_desk, fill


def _state(path: Path) -> dict[str, tuple[str, int]]:
    with Store.open(path) as store:
        found = rows(store, "SELECT external_id, origin, evidence_rank FROM documents")
        return {row["external_id"]: (row["origin"], row["evidence_rank"]) for row in found}


def test_a_person_judges_takes_back_and_skips(store: Store) -> None:
    fill(store)
    ingest(
        store, [{"id": "evil", "text": "\x1b[2Jgone \u202eback\x07 " + "word " * 900}], source="crawl", origin="unknown"
    )
    path = store.path
    store.close()
    with at_desk(path, "--judge", "anna", wait_s=0.3) as desk:
        shown = desk.until(PROMPT)
        assert "1 of 4" in shown
        assert "\N{REPLACEMENT CHARACTER}[2Jgone \N{REPLACEMENT CHARACTER}back\N{REPLACEMENT CHARACTER}" in shown
        desk.press("t")
        assert "end of the text" in desk.until(PROMPT)
        desk.press("\x1b[A")  # an arrow is no answer
        desk.until(PROMPT)
        desk.press("n")
        assert "2 of 4" in desk.until(PROMPT)
        assert provenance("--store", path, "stats").code == 0  # the store is free while a person reads
        with held(path):
            desk.press("h")
            shown = desk.until("[r]etry [q]uit ")
            assert "3 of 4" in shown  # nobody waits for the next document while the judgement is written
            assert "is held by" in shown
        desk.press("r")
        assert "of 4" not in desk.until(PROMPT)  # it is shown once
        desk.press("s")
        desk.until(PROMPT)
        desk.press("u")
        assert "3 of 4" in desk.until(PROMPT)
        desk.press("c")
        assert "4 of 4" in desk.until(PROMPT)
        desk.press("x")
        desk.until("That was the last one. [u]ndo [q]uit ")
        assert desk.leave() == 0
        assert "1 human, 1 cannot tell, 1 mixed; 1 skipped, 1 taken back" in desk.until("taken back")
    assert _state(path) == {
        "evil": ("unknown", 0), "u300": ("human", 5), "u200": ("unknown", 0), "u100": ("mixed", 5),
        "h": ("human", 1), "s": ("synthetic", 1),
    }  # fmt: skip
    with Store.open(path) as again:
        made = rows(
            again, "SELECT origin, author, is_retracted, retracts FROM claims WHERE rank = 5 ORDER BY stated_at"
        )
    assert [(one["origin"], one["is_retracted"]) for one in made] == [
        ("human", False), ("synthetic", True), ("unknown", False), ("unknown", False), ("mixed", False),
    ]  # fmt: skip
    assert {one["author"] for one in made} == {"anna"}
    assert [one["retracts"] is not None for one in made] == [False, False, True, False, False]


def test_what_somebody_else_judged_is_said_and_not_judged_again(store: Store) -> None:
    fill(store)
    path = store.path
    store.close()
    with at_desk(path, "--judge", "anna") as anna, at_desk(path, "--judge", "bert") as bert:
        for one in (anna, bert):
            assert "1 of 3" in one.until(PROMPT)  # both look at the same document
        bert.press("s")
        bert.until(PROMPT)
        bert.press("s")
        bert.until(PROMPT)
        anna.press("h")
        shown = anna.until(PROMPT)
        assert shown.count("was judged synthetic by bert") == 2, shown  # that one, and the next before it was shown
        assert "3 of 3" in shown
        assert (anna.leave(), bert.leave()) == (0, 0)
    assert _state(path)["u300"] == _state(path)["u200"] == ("synthetic", 5)
    with Store.open(path) as again:
        assert [row["author"] for row in rows(again, "SELECT author FROM claims WHERE rank = 5")] == ["bert", "bert"]


def test_after_control_z_keys_are_read_as_before(store: Store) -> None:
    fill(store)
    path = store.path
    store.close()
    with at_desk(path) as desk:
        shells = termios.tcgetattr(desk.terminal)
        desk.until(PROMPT)
        desk.process.send_signal(signal.SIGSTOP)
        termios.tcsetattr(desk.terminal, termios.TCSANOW, shells)  # as the shell does that takes the terminal back
        desk.process.send_signal(signal.SIGCONT)
        desk.until(PROMPT)
        desk.press("n")
        assert "2 of 3" in desk.until(PROMPT)
        assert desk.leave() == 0


def test_control_c_ends_it_with_what_was_judged(store: Store) -> None:
    fill(store)
    path = store.path
    store.close()
    with at_desk(path, "--judge", "anna") as desk:
        shells = termios.tcgetattr(desk.terminal)
        desk.until(PROMPT)
        desk.press("h")
        desk.until(PROMPT)
        desk.process.send_signal(signal.SIGINT)
        # The prompt's own line may still be on its way: the account stands on a line after it.
        assert "\r\nanna judged: 1 human; 0 skipped, 0 taken back" in desk.until("taken back")
        assert desk.process.wait(30) == 130
        assert termios.tcgetattr(desk.terminal) == shells


def test_without_a_terminal_files_are_named(store: Store) -> None:
    fill(store)
    store.close()
    answer = provenance("--store", store.path, "curate")
    assert (answer.code, answer.out) == (1, "")
    assert "needs a terminal" in answer.err
    assert "--export FILE" in answer.err

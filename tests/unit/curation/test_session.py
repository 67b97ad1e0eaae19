from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from provenance.curation.judging import Judgement, judge_document, take_back
from provenance.curation.queue import Queued, find_queue
from provenance.curation.session import QUIT, SKIP, UNDO, Session, Tally
from provenance.curation.view import Viewed
from provenance.errors import StoreBusy
from provenance.evidence.statements import Statement, state
from provenance.ingest.removal import remove
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.unit.curation.judging_desk import fill

#: What a person answers, and what others do to the store just before.
Answer = str | tuple[Callable[[Store], object], str]


class _Desk:
    """Somebody who gives answers that are known beforehand, and notes what is shown."""

    def __init__(self, store: Store, answers: list[Answer]) -> None:
        self.store, self.answers, self.seen = store, iter(answers), []  # type: ignore[var-annotated]

    def show(self, queued: Queued, viewed: Viewed, *, place: int, n: int) -> None:
        assert queued.document_id == viewed.document["document_id"]
        self.seen.append(f"{place} of {n}")

    def ask(self) -> str:
        answer = next(self.answers)
        if isinstance(answer, tuple):
            answer[0](self.store)
            return answer[1]
        return answer

    def ask_at_end(self) -> str:
        self.seen.append("end")
        return next(self.answers, QUIT)  # type: ignore[arg-type]

    def try_again(self, problem: str) -> bool:
        self.seen.append("busy")
        return next(self.answers) == "again"

    def tell(self, message: str) -> None:
        self.seen.append(message)


class _Open:
    """The one open store, which is busy a number of times."""

    def __init__(self, store: Store, *, n_busy: int = 0) -> None:
        self._store, self._left, self.n_opened = store, n_busy, 0

    def __call__(self, writable: bool) -> Store:
        self.n_opened += 1
        if writable and self._left:
            self._left -= 1
            raise StoreBusy(self._store.path, "process 1", 0)
        return self._store


@pytest.fixture
def filled(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    fill(store)
    close = store.close
    monkeypatch.setattr(store, "close", lambda: None)
    yield store
    assert violations(store) == []
    close()


def _run(store: Store, *answers: Answer, n_busy: int = 0) -> tuple[list[str], Tally]:
    desk = _Desk(store, list(answers))
    opened = _Open(store, n_busy=n_busy)
    tally = Session(opened, desk, find_queue(store), judge="anna").run()
    return desk.seen, tally


def _document(store: Store, name: str) -> str:
    [row] = rows(store, f"SELECT document_id::VARCHAR AS id FROM documents WHERE external_id = '{name}'")
    return str(row["id"])


def _claim(name: str, origin: str) -> Callable[[Store], object]:
    return lambda store: state(
        store, [Statement(kind="document", subject=_document(store, name), origin=origin, author="eve")]
    )


def _judge(name: str, origin: str) -> Callable[[Store], object]:
    return lambda store: judge_document(store, Judgement(_document(store, name), origin, "bert"))


def _origins(store: Store) -> dict[str, str]:
    found = rows(store, "SELECT external_id, origin FROM documents WHERE source = 'crawl' AND origin <> 'unknown'")
    return {row["external_id"]: row["origin"] for row in found}


def test_every_answer_opens_the_store_once(filled: Store) -> None:
    desk, opened = _Desk(filled, ["human", SKIP, "mixed", QUIT]), _Open(filled)
    tally = Session(opened, desk, find_queue(filled), judge="anna").run()
    assert desk.seen == ["1 of 3", "2 of 3", "3 of 3", "end"]
    assert (tally.judged, tally.n_skipped, opened.n_opened) == ({"human": 1, "mixed": 1}, 1, 4)
    assert _origins(filled) == {"u300": "human", "u100": "mixed"}


def test_a_document_that_changed_since_it_was_looked_up_is_shown_anew(filled: Store) -> None:
    seen, _ = _run(filled, (_claim("u200", "human"), "human"), QUIT)
    assert seen == ["1 of 3", "2 of 3", "2 of 3"]
    seen, _ = _run(filled, (_claim("u100", "human"), QUIT))
    assert seen == ["1 of 1"]


def test_what_was_judged_or_went_meanwhile_is_said_once(filled: Store) -> None:
    removed = _document(filled, "u100")

    def meddle(store: Store) -> None:
        _judge("u200", "mixed")(store)
        remove(store, [removed])

    seen, tally = _run(filled, (meddle, "human"), QUIT)
    assert seen[:2] == ["1 of 3", "2 of 3"]
    assert "was judged mixed by bert" in seen[2]
    assert f"{removed} is no longer in the store" in seen[3]
    assert seen[4:] == ["end"]
    assert tally.n_missed == 2
    assert _origins(filled) == {"u300": "human", "u200": "mixed"}


def test_undo_goes_back_through_the_session_and_no_further(filled: Store) -> None:
    seen, tally = _run(filled, "human", "synthetic", "mixed", UNDO, UNDO, UNDO, UNDO, "synthetic", QUIT)
    assert seen[:4] == ["1 of 3", "2 of 3", "3 of 3", "end"]
    assert seen[4:8] == ["3 of 3", "2 of 3", "1 of 3", "There is nothing to undo in this session."]
    assert seen[8:] == ["2 of 3"]
    assert tally.n_undone == 3
    assert {word: n for word, n in tally.judged.items() if n} == {"synthetic": 1}
    assert _origins(filled) == {"u300": "synthetic"}


def test_what_somebody_else_took_back_is_not_taken_back_again(filled: Store) -> None:
    def take(store: Store) -> None:
        [row] = rows(store, "SELECT claim_id, document_id::VARCHAR AS id FROM claims WHERE rank = 5")
        take_back(store, Judgement(row["id"], "human", "bert"), UUID(row["claim_id"]))

    seen, tally = _run(filled, "human", (take, UNDO), UNDO, QUIT)
    assert "was taken back already" in seen[2]
    assert "nothing to undo" in seen[4]
    assert len(seen) == 5
    assert tally.n_undone == 0


def test_an_answer_waits_for_the_store_and_is_written_once(filled: Store) -> None:
    seen, tally = _run(filled, "human", "again", "again", QUIT, n_busy=2)
    assert seen == ["1 of 3", "2 of 3", "busy", "busy"]
    assert tally.judged == {"human": 1}
    with pytest.raises(StoreBusy):
        _run(filled, "human", "no", n_busy=1)
    assert _origins(filled) == {"u300": "human"}

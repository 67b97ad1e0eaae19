"""Judging one document after the other; the store is held only while something is read or written.

Others work while a person reads: so before a document is shown, and again when its judgement is stated, it is looked
at whether somebody else was quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from uuid import UUID

from provenance.curation.errors import DocumentGone, JudgedMeanwhile, NothingToUndo
from provenance.curation.judging import WORDS, Judgement, judge_document, take_back
from provenance.curation.queue import Queued
from provenance.curation.view import Viewed, view_document
from provenance.errors import ProvenanceError, StoreBusy
from provenance.store.store import Store

T = TypeVar("T")
UNDO, SKIP, QUIT = "undo", "skip", "quit"
#: Opens the store, for writing or only for reading.
Opener = Callable[[bool], Store]


class Desk(Protocol):
    """Where a person sees documents and answers."""

    def show(self, queued: Queued, viewed: Viewed, *, place: int, n: int) -> None:
        """Show a document."""

    def ask(self) -> str:
        """Return one of the words of `WORDS`, `undo`, `skip` or `quit`."""

    def ask_at_end(self) -> str:
        """Return `undo` or `quit` after the last document."""

    def try_again(self, problem: str) -> bool:
        """Say what stands in the way and return whether it should be tried again."""

    def tell(self, message: str) -> None:
        """Say something."""


@dataclass
class Tally:
    """What a session did: judgements that stand by their word, and documents passed over."""

    judged: dict[str, int] = field(default_factory=dict)
    n_skipped: int = 0
    n_undone: int = 0
    n_missed: int = 0


class Session:
    """One person's work through a queue.

    Parameters
    ----------
    open_store : opens the store; it is closed again at once
    judge : who judges
    """

    def __init__(self, open_store: Opener, desk: Desk, queue: list[Queued], *, judge: str) -> None:
        self._open, self._desk, self._queue, self._judge = open_store, desk, queue, judge
        self._done: list[tuple[int, str, Judgement, UUID]] = []
        self.tally = Tally()

    def run(self) -> Tally:
        """Go through the queue until it ends or the person quits.

        Raises
        ------
        StoreBusy
            If somebody held the store for too long and the person would not wait again.
        """
        place = 0
        while True:
            if place < len(self._queue):
                answer = self._ask_about(place)
            elif self._done:
                answer = self._desk.ask_at_end()
            else:
                answer = QUIT
            if answer == QUIT:
                return self.tally
            if answer == UNDO:
                place = self._undo(place)
                continue
            if answer == SKIP:
                self.tally.n_skipped += 1
            elif answer in WORDS:
                self._state(place, answer)
            place += 1

    def _ask_about(self, place: int) -> str | None:
        """Show a document and return the answer; None when there is nothing to ask any more."""
        queued = self._queue[place]
        try:
            viewed = self._use(False, lambda store: view_document(store, queued.document_id))
        except (JudgedMeanwhile, DocumentGone) as error:
            self._miss(error)
            return None
        self._desk.show(queued, viewed, place=place + 1, n=len(self._queue))
        return self._desk.ask()

    def _state(self, place: int, word: str) -> None:
        judgement = Judgement(self._queue[place].document_id, WORDS[word], self._judge)
        try:
            claim_id = self._use(True, lambda store: judge_document(store, judgement))
        except (JudgedMeanwhile, DocumentGone) as error:
            self._miss(error)
            return
        self._done.append((place, word, judgement, claim_id))
        self.tally.judged[word] = self.tally.judged.get(word, 0) + 1

    def _undo(self, place: int) -> int:
        """Take the last judgement back; return the place of its document, or `place` where there is none."""
        if not self._done:
            self._desk.tell("There is nothing to undo in this session.")
            return place
        back, word, judgement, claim_id = self._done[-1]
        try:
            self._use(True, lambda store: take_back(store, judgement, claim_id))
        except NothingToUndo as error:
            self._desk.tell(str(error))
            return place
        finally:
            self._done.pop()
        self.tally.judged[word] -= 1
        self.tally.n_undone += 1
        return back

    def _use(self, writable: bool, work: Callable[[Store], T]) -> T:
        """Open the store for one thing to do, as often as the person will wait for it."""
        while True:
            try:
                with self._open(writable) as store:
                    return work(store)
            except StoreBusy as error:
                if not self._desk.try_again(str(error)):
                    raise

    def _miss(self, error: ProvenanceError) -> None:
        self.tally.n_missed += 1
        self._desk.tell(f"{error} It is skipped.")

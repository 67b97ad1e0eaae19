"""Judging one document after the other; the store is held only while something is read or written.

Others work while a person reads: so before a document is shown, and again when its judgement is stated, it is looked
at whether somebody else was quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class _Done:
    """A judgement of this session."""

    place: int
    word: str
    judgement: Judgement
    claim_id: UUID


@dataclass(frozen=True)
class _Step:
    """What one opening of the store gave.

    Attributes
    ----------
    place, viewed : the next document to ask about; None at the end of the queue
    ahead : the one after it, to be shown at once when that is answered
    problems : what was in the way, in words
    """

    place: int
    viewed: Viewed | None
    ahead: Viewed | None
    problems: list[str]


class Session:
    """One person's work through a queue.

    Parameters
    ----------
    open_store : opens the store; it is closed again at once
    judge : who judges

    Notes
    -----
    The store is opened once for every answer. The next document is shown before that, as it was when the last answer
    was written, so that nobody waits: it is looked at again before anything is asked about it, and shown anew if it is
    another by then.
    """

    def __init__(self, open_store: Opener, desk: Desk, queue: list[Queued], *, judge: str) -> None:
        self._open, self._desk, self._queue, self._judge = open_store, desk, queue, judge
        self._done: list[_Done] = []
        self.tally = Tally()

    def run(self) -> Tally:
        """Go through the queue until it ends or the person quits.

        Raises
        ------
        StoreBusy
            If somebody held the store for too long and the person would not wait again.
        """
        step = self._look(0)
        self._show(step)
        while (answer := self._ask(step)) != QUIT:
            before, step = step, self._after(step, answer)
            for problem in step.problems:
                self._desk.tell(problem)
            if not _is_on_screen(step, before, answer):
                self._show(step)
        return self.tally

    def _show(self, step: _Step) -> None:
        if step.viewed is not None:
            self._show_at(step.place, step.viewed)

    def _show_at(self, place: int, viewed: Viewed) -> None:
        self._desk.show(self._queue[place], viewed, place=place + 1, n=len(self._queue))

    def _ask(self, step: _Step) -> str:
        if step.viewed is not None:
            return self._desk.ask()
        return self._desk.ask_at_end() if self._done else QUIT

    def _after(self, step: _Step, answer: str) -> _Step:
        """Do what was answered and return what comes next."""
        if answer == UNDO:
            return self._undo(step)
        if step.ahead is not None:
            self._show_at(step.place + 1, step.ahead)
        if answer == SKIP:
            self.tally.n_skipped += 1
            return self._look(step.place + 1)
        return self._state(step.place, answer)

    def _look(self, place: int) -> _Step:
        return self._use(False, lambda store: self._next(store, place))

    def _next(self, store: Store, place: int, problems: Sequence[str] = ()) -> _Step:
        """Return the first document from `place` on that nobody has judged."""
        told = list(problems)
        for at in range(place, len(self._queue)):
            try:
                viewed = view_document(store, self._queue[at].document_id)
            except (JudgedMeanwhile, DocumentGone) as error:
                told.append(self._missed(error))
                continue
            return _Step(at, viewed, self._ahead(store, at + 1), told)
        return _Step(len(self._queue), None, None, told)

    def _ahead(self, store: Store, place: int) -> Viewed | None:
        """Return a document, or None where there is none to judge: what is in the way is said when its turn comes."""
        if place >= len(self._queue):
            return None
        try:
            return view_document(store, self._queue[place].document_id)
        except (JudgedMeanwhile, DocumentGone):
            return None

    def _state(self, place: int, word: str) -> _Step:
        judgement = Judgement(self._queue[place].document_id, WORDS[word], self._judge)

        def work(store: Store) -> _Step:
            try:
                claim_id = judge_document(store, judgement)
            except (JudgedMeanwhile, DocumentGone) as error:
                return self._next(store, place + 1, [self._missed(error)])
            self._done.append(_Done(place, word, judgement, claim_id))
            self.tally.judged[word] = self.tally.judged.get(word, 0) + 1
            return self._next(store, place + 1)

        return self._use(True, work)

    def _undo(self, step: _Step) -> _Step:
        """Take the last judgement back and return to its document, or stay where there is none."""
        if not self._done:
            return replace(step, problems=["There is nothing to undo in this session."])
        last = self._done[-1]

        def work(store: Store) -> _Step:
            try:
                take_back(store, last.judgement, last.claim_id)
            except NothingToUndo as error:
                self._done.pop()
                return self._next(store, step.place, [str(error)])
            self._done.pop()
            self.tally.judged[last.word] -= 1
            self.tally.n_undone += 1
            return self._next(store, last.place)

        return self._use(True, work)

    def _use(self, writable: bool, work: Callable[[Store], T]) -> T:
        """Open the store for one thing to do, as often as the person will wait for it."""
        while True:
            try:
                with self._open(writable) as store:
                    return work(store)
            except StoreBusy as error:
                if not self._desk.try_again(str(error)):
                    raise

    def _missed(self, error: ProvenanceError) -> str:
        self.tally.n_missed += 1
        return f"{error} It is skipped."


def _is_on_screen(step: _Step, before: _Step, answer: str) -> bool:
    """Return whether what a step gave was shown last, and as it is."""
    if answer == UNDO:
        return step.viewed is before.viewed
    return step.place == before.place + 1 and step.viewed == before.ahead

"""A terminal as the desk at which a person judges: rich output, single keys."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from select import select
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from provenance.curation.errors import NotATerminal
from provenance.curation.queue import Queued
from provenance.curation.screen import (
    COMPARED_WORDS,
    claims_list,
    difference,
    facts,
    neighbours_table,
    other_texts,
    part_of,
    visible,
)
from provenance.curation.session import QUIT, SKIP, UNDO
from provenance.curation.view import Viewed

#: Characters and lines of the text that are shown first, and with every key press for more.
_FIRST = {"most_characters": 1_500, "most_lines": 25}
_MORE = {"most_characters": 4_000, "most_lines": 100}
_MORE_KEY, _DIFF_KEY = "t", "d"
_KEYS = {"h": "human", "s": "synthetic", "x": "mixed", "c": "cannot tell", "n": SKIP, "u": UNDO, "q": QUIT}
_HELP = "[h]uman [s]ynthetic mi[x]ed [c]annot tell · [n]ext [u]ndo [t]ext [d]iff [q]uit "
_END = "That was the last one. [u]ndo [q]uit "
_AGAIN = "Your answer is not lost. [r]etry [q]uit "


def require_terminal() -> None:
    """Raise `NotATerminal` unless a person can see and answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotATerminal


class Terminal:
    """A `Desk` on standard input and output."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        self._text = ""
        self._n_shown = 0
        self._others: Iterator[Mapping[str, Any]] = iter(())

    def show(self, queued: Queued, viewed: Viewed, *, place: int, n: int) -> None:
        """Show a document: what it is, why it is asked about, its text, its claims, what it resembles."""
        self._text, self._n_shown = viewed.document["text"].replace("\r\n", "\n"), 0
        self._console.rule(Text(f"{place:,} of {n:,}"))
        self._console.print(facts(queued, viewed.document))
        self._print_text(_FIRST)
        self._console.print(claims_list(viewed.claims))
        if viewed.neighbours:
            self._console.print(neighbours_table(viewed.neighbours))
        self._others = other_texts(viewed.document["text"], viewed.neighbours)
        self._print_next_diff(quietly=True)

    def ask(self) -> str:
        """Return the answer to a key; keys that only show more are dealt with here."""
        while True:
            key = self._key(_HELP)
            if key == _MORE_KEY:
                self._print_more()
            elif key == _DIFF_KEY:
                self._print_next_diff()
            elif key in _KEYS:
                return _KEYS[key]

    def ask_at_end(self) -> str:
        """Return `undo` or `quit`."""
        while True:
            answer = _KEYS.get(self._key(_END))
            if answer in (UNDO, QUIT):
                return answer

    def try_again(self, problem: str) -> bool:
        """Say what stands in the way and return whether it should be tried again."""
        self.tell(problem)
        while True:
            key = self._key(_AGAIN)
            if key in ("r", "q"):
                return key == "r"

    def tell(self, message: str) -> None:
        """Print a message."""
        self._console.print(Text(visible(message), style="yellow"))

    def _key(self, prompt: str) -> str:
        """Return a key that is pressed after the prompt appeared; what was typed before was not meant for it."""
        descriptor = sys.stdin.fileno()

        def ask() -> None:
            tty.setcbreak(descriptor, termios.TCSAFLUSH)
            self._console.print(Text(prompt, style="bold"), end="")
            self._console.file.flush()

        before = termios.tcgetattr(descriptor)
        try:
            _wait_for_input(descriptor, ask)
            pressed = os.read(descriptor, 32).decode("utf-8", "replace")
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            self._console.print()  # whatever comes next, be it the end by Control-C, begins a line
        # Nothing at all: the terminal was closed. More than a character: an arrow key, or pasted text; neither answers.
        key = pressed.lower() if len(pressed) == 1 else "q" if not pressed else ""
        key = "q" if key == "\x04" else key
        if key in _KEYS:
            self._console.print(Text(f"→ {_KEYS[key]}", style="bold"))
        return key

    def _print_text(self, most: Mapping[str, int]) -> None:
        part = part_of(self._text, self._n_shown, **most)
        self._n_shown += len(part)
        left = len(self._text) - self._n_shown
        subtitle = f"{left:,} more characters: t" if left else "end of the text"
        shown = Text(visible(part.removesuffix("\n"), keep="\n\t"))
        self._console.print(Panel(shown, subtitle=subtitle, box=box.HORIZONTALS))

    def _print_more(self) -> None:
        if self._n_shown < len(self._text):
            self._print_text(_MORE)
        else:
            self.tell("That was the whole text.")

    def _print_next_diff(self, *, quietly: bool = False) -> None:
        following = next(self._others, None)
        if following is not None:
            title = f"from this text to {following['document_id'][:8]} ({visible(following['source'])})"
            if max(len(text.split()) for text in (self._text, following["text"])) > COMPARED_WORDS:
                title += f", their first {COMPARED_WORDS:,} words"
            shown = difference(self._text, following["text"])
            self._console.print(Panel(shown, title=Text(title), box=box.HORIZONTALS))
        elif not quietly:
            self.tell("There is no other neighbour with another text.")


def _wait_for_input(descriptor: int, ask: Callable[[], None]) -> None:
    """Ask and return when there is something to read; ask anew after Control-Z and `fg`, for which a shell comes in."""
    waking, woken = os.pipe()  # a signal may meet another thread than this one, which would sleep on
    for end in (waking, woken):
        os.set_blocking(end, False)
    fd_before = signal.set_wakeup_fd(woken)
    handler_before = signal.signal(signal.SIGCONT, lambda *_: ask())
    try:
        ask()
        while descriptor not in select([descriptor, waking], [], [])[0]:
            os.read(waking, 4096)
    finally:
        signal.signal(signal.SIGCONT, handler_before)
        signal.set_wakeup_fd(fd_before)
        os.close(waking)
        os.close(woken)

"""A terminal as the desk at which a person judges: rich output, single keys."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from provenance.curation.errors import NotATerminal
from provenance.curation.queue import Queued
from provenance.curation.session import QUIT, SKIP, UNDO
from provenance.curation.view import Viewed
from provenance.dedup.worddiff import Piece, shortened, word_diff

#: Characters of the text that are shown first, and with every key press for more.
_FIRST, _MORE = 1_500, 4_000
_MORE_KEY, _DIFF_KEY = "t", "d"
_KEYS = {"h": "human", "s": "synthetic", "x": "mixed", "c": "cannot tell", "n": SKIP, "u": UNDO, "q": QUIT}
_HELP = "[h]uman [s]ynthetic mi[x]ed [c]annot tell · [n]ext [u]ndo [t]ext [d]iff [q]uit "
_END = "That was the last one. [u]ndo [q]uit "
_AGAIN = "Your answer is not lost. [r]etry [q]uit "
_STYLES = {"same": "", "removed": "red strike", "added": "bold green"}


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
        self._diffs: Iterator[dict[str, Any]] = iter(())

    def show(self, queued: Queued, viewed: Viewed, *, place: int, n: int) -> None:
        """Show a document: what it is, why it is asked about, its text, its claims, what it resembles."""
        document = viewed.document
        self._text, self._n_shown = document["text"], 0
        self._console.rule(Text(f"{place:,} of {n:,}"))
        self._console.print(_facts(queued, document))
        self._print_text(_FIRST)
        self._console.print(_claims(viewed.claims))
        if viewed.neighbours:
            self._console.print(_neighbours(viewed.neighbours))
        self._diffs = iter([one for one in viewed.neighbours if one["text"] != self._text])
        self._print_next_diff(quietly=True)

    def ask(self) -> str:
        """Return the answer to a key; keys that only show more are dealt with here."""
        while True:
            key = self._key(_HELP)
            if key == _MORE_KEY:
                self._print_text(_MORE)
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
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor, termios.TCSAFLUSH)
            self._console.print(Text(prompt, style="bold"), end="")
            self._console.file.flush()
            pressed = os.read(descriptor, 32).decode("utf-8", "replace")
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        # Nothing at all: the terminal was closed. More than a character: an arrow key, or pasted text; neither answers.
        key = pressed.lower() if len(pressed) == 1 else "q" if not pressed else ""
        key = "q" if key == "\x04" else key
        self._console.print(Text(_KEYS.get(key, "")))
        return key

    def _print_text(self, n: int) -> None:
        part = self._text[self._n_shown : self._n_shown + n]
        self._n_shown += len(part)
        left = len(self._text) - self._n_shown
        subtitle = f"{left:,} more characters: t" if left else "end of the text"
        self._console.print(Panel(Text(visible(part, keep="\n\t")), subtitle=subtitle, box=box.HORIZONTALS))

    def _print_next_diff(self, *, quietly: bool = False) -> None:
        following = next(self._diffs, None)
        if following is not None:
            self._print_diff(following)
        elif not quietly:
            self.tell("There is no other neighbour with another text.")

    def _print_diff(self, neighbour: dict[str, Any]) -> None:
        line = Text()
        for piece in shortened(word_diff(self._text, neighbour["text"])):
            line.append(_marked(piece) + " ", style=_STYLES[piece.kind])
        title = Text(f"from this text to {neighbour['document_id'][:8]} ({visible(neighbour['source'])})")
        self._console.print(Panel(line, title=title, box=box.HORIZONTALS))


def visible(text: str, *, keep: str = "") -> str:
    """Return a text without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)


def _marked(piece: Piece) -> str:
    words = visible(" ".join(piece.words))
    return {"same": words, "removed": f"[-{words}-]", "added": f"{{+{words}+}}"}[piece.kind]


def _facts(queued: Queued, document: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    now = document["origin"] if document["conflict"] is None else f"in conflict ({document['conflict']})"
    rows = {
        "document": f"{document['document_id']}  {document['source']}  {document['external_id'] or ''}",
        "asked because": f"{queued.reason}  (score {queued.score:.2f})",
        "counts as": f"{now}, evidence {document['evidence_grade']}",
        "title": document["title"], "author": document["author"], "written": document["authored_at"],
        "found": document["uri"], "licence": document["licence"], "words": f"{document['n_words']:,}",
    }  # fmt: skip
    for name, value in rows.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), Text(visible(str(value))))
    return table


def _claims(claims: list[dict[str, Any]]) -> Table:
    table = Table("says", "grade", "model", "about the", "on what ground", "who", "when", "sure", box=box.SIMPLE_HEAD,
                  title="Claims", title_justify="left")  # fmt: skip
    for one in claims:
        sure = "" if one["confidence"] is None else f"{one['confidence']:.0%}"
        cells = (one["origin"], one["grade"], one["model"] or "", one["subject_kind"], one["method"],
                 one["author"] or "", f"{one['stated_at']:%Y-%m-%d}", sure)  # fmt: skip
        table.add_row(*(Text(visible(str(cell))) for cell in cells))
    return table


def _neighbours(neighbours: list[dict[str, Any]]) -> Table:
    table = Table("document", "source", "origin", "model", "likeness", "score", box=box.SIMPLE_HEAD,
                  title="Nearest neighbours", title_justify="left")  # fmt: skip
    for one in neighbours:
        cells = (one["document_id"][:8], one["source"], one["origin"], one["model"] or "", one["kind"],
                 f"{one['score']:.2f}")  # fmt: skip
        table.add_row(*(Text(visible(str(cell))) for cell in cells))
    return table

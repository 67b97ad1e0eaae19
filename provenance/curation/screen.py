"""What stands on the screen about a document: facts, claims, neighbours, differences, and text that cannot steer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from provenance.curation.queue import Queued
from provenance.dedup.worddiff import Piece, shortened, word_diff
from provenance.visible import JOINERS
from provenance.visible import visible as plainly_visible

#: Words of two texts that are compared, so that nobody waits for it, and words of the outcome that are shown at once.
COMPARED_WORDS, _DIFF_WORDS = 4_000, 250
#: Joiners and soft hyphens print as nothing, and belong to ordinary text.
_ORDINARY = JOINERS + "\u00ad"
_STYLES = {"same": "", "removed": "red strike", "added": "bold green"}


def visible(text: str, *, keep: str = "") -> str:
    """Return a text without what a terminal would obey or hide, as people write it."""
    return plainly_visible(text, keep=_ORDINARY + keep)


def part_of(text: str, start: int, *, most_characters: int, most_lines: int) -> str:
    """Return as much of a text from a place on as has no more characters and lines."""
    part = text[start : start + most_characters]
    lines = part.split("\n")
    return part if len(lines) <= most_lines else "\n".join(lines[:most_lines]) + "\n"


def facts(queued: Queued, document: Mapping[str, Any]) -> Table:
    """Return what a document is and why it is asked about."""
    table = Table.grid(padding=(0, 2))
    now = document["origin"] if document["conflict"] is None else f"in conflict ({document['conflict']})"
    rows = {
        "document": f"{document['document_id']}  {document['source']}  {document['external_id'] or ''}",
        "asked because": f"{queued.reason}  (score {queued.score:.2f})",
        "counts as": f"{now}, evidence {document['evidence_grade']}",
        "title": document["title"], "author": document["author"], "written": document["authored_at"],
        "found": document["uri"], "licence": document["licence"], "words": f"{document['n_words']:,}",
    }  # fmt: skip
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), Text(visible(str(value))))
    return table


def claims_list(claims: Sequence[Mapping[str, Any]]) -> Table:
    """Return the claims that hold for a document, each with its particulars; no table, which few would fit."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify = "Claims", "left"
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in claims:
        model = None if one["model"] is None else f"model {one['model']}"
        generation = None if not one["generation"] else f"generation {one['generation']}"
        sure = None if one["confidence"] is None else f"{one['confidence']:.0%} sure"
        parts = (one["grade"], f"about the {one['subject_kind']}", one["author"], f"{one['stated_at']:%Y-%m-%d}", model,
                 generation, sure)  # fmt: skip
        said = Text(visible(" · ".join(part for part in parts if part)))
        method = None if one["method"] == one["grade"] else one["method"]
        ground = ": ".join(part for part in (method, one["note"]) if part)
        if ground:
            said.append("\n" + visible(ground), style="dim")
        table.add_row(Text(f"  {one['origin']}"), said)
    return table


def neighbours_table(neighbours: Sequence[Mapping[str, Any]]) -> Table:
    """Return what a document resembles."""
    table = _table("Nearest neighbours")
    for name in ("document", "origin"):
        table.add_column(name, no_wrap=True)
    for name in ("source", "model", "likeness"):
        table.add_column(name, overflow="fold")
    table.add_column("score", no_wrap=True)
    for one in neighbours:
        _add(table, one["document_id"][:8], one["origin"], one["source"], one["model"], one["kind"],
             f"{one['score']:.2f}")  # fmt: skip
    return table


def difference(first: str, second: str) -> Text:
    """Return what leads from one text to another, word by word, the first changes of it."""
    line = Text()
    n_words, n_left = 0, 0
    for piece in shortened(word_diff(first, second, most_words=COMPARED_WORDS)):
        if n_words >= _DIFF_WORDS:
            n_left += piece.kind != "same"
            continue
        n_words += len(piece.words)
        line.append(_marked(piece) + " ", style=_STYLES[piece.kind])
    if n_left:
        line.append(f"[… and {n_left:,} more changes …]", style="dim")
    return line


def other_texts(text: str, neighbours: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Return the neighbours that have another text."""
    return iter([one for one in neighbours if one["text"] != text])


def _marked(piece: Piece) -> str:
    words = visible(" ".join(piece.words))
    return {"same": words, "removed": f"[-{words}-]", "added": f"{{+{words}+}}"}[piece.kind]


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)


def _add(table: Table, *cells: str | None) -> None:
    table.add_row(*(Text(visible(cell or "")) for cell in cells))

"""Names and notes as people give them: text that can be stored, and names that can be read."""

from __future__ import annotations

from provenance.evidence.errors import InvalidStatement

#: Under these names this program makes claims: under the first with its version what is declared at ingest, under the
#: second what dates say.
PROGRAM, BY_DATE = "corpus-provenance", "date"

#: A name may have so many characters.
MAX_NAME = 200


def require_text(what: str, value: str | None) -> None:
    """Make sure that a value can be stored as text.

    Raises
    ------
    InvalidStatement
        If it holds a lone surrogate (bytes that are no UTF-8, or half of a pair in JSON) or a NUL character.
    """
    if value is None:
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidStatement(f"The {what} {value!r} is no valid Unicode text.") from error
    if "\0" in value:
        raise InvalidStatement(f"The {what} {value!r} holds a NUL character.")


def require_name(what: str, value: str, expected: str) -> str:
    """Return a name without space around it.

    Raises
    ------
    InvalidStatement
        If it is empty, too long, or holds what cannot be printed.
    """
    require_text(what, value)
    name = value.strip()
    if not name or not name.isprintable() or len(name) > MAX_NAME:
        shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
        raise InvalidStatement(f"{shown!r} is no {what}: expected {expected}, up to {MAX_NAME} characters.")
    return name


def require_author(value: str) -> str:
    """Return the name of whoever claims something or takes it back.

    Raises
    ------
    InvalidStatement
        As `require_name`, and if it is a name under which this program itself makes claims.
    """
    author = require_name("author", value, "the name of a person or tool")
    if author == BY_DATE or author.startswith(f"{PROGRAM} "):
        raise InvalidStatement(f"{author!r} is how this program signs its own claims: expected another author.")
    return author

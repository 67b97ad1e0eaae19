"""SPDX licence expressions: reading them, and saying what is wrong with one.

Expressions are read by the library `license-expression`, which also knows the identifiers of the SPDX list and what
kind of licence each one is (the categories of ScanCode's licence database).
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from provenance.errors import InvalidLicence, ProvenanceError
from provenance.licence_words import in_spdx, plain

_OWN = re.compile(r"(DocumentRef-[a-z0-9.-]+:)?LicenseRef-[a-z0-9.-]+", re.IGNORECASE)
_OWN_ADDITION = re.compile(r"(DocumentRef-[a-z0-9.-]+:)?AdditionRef-[a-z0-9.-]+", re.IGNORECASE)
_PREFIXES = ("DocumentRef-", "LicenseRef-", "AdditionRef-")
#: No expression is longer; a text in the place of a licence is not worth parsing, nor keeping in the cache.
MOST_CHARACTERS = 1000


class Identifier(NamedTuple):
    """An identifier that the library knows."""

    key: str
    category: str
    is_exception: bool


class _Invalid(Exception):
    """Raised inside this module: the text is no SPDX expression, for this reason."""


class NotParsed(ProvenanceError, ValueError):
    """The text is not put together like an expression; the message is the library's."""


def canonical(licence: str) -> str | None:
    """Return an SPDX expression in the spelling of SPDX, None if it is none.

    Examples
    --------
    >>> canonical("apache-2.0 with llvm-exception")
    'Apache-2.0 WITH LLVM-exception'
    >>> canonical("CC BY 4.0") is None
    True
    """
    try:
        return _rendered(licence)
    except _Invalid:
        return None


def problem(licence: str) -> str | None:
    """Return why a text is no SPDX expression, in one sentence that names the nearest one, or None if it is one.

    Examples
    --------
    >>> problem("CC-BY-4")
    "'CC-BY-4' is no licence of the SPDX list. Did you mean 'CC-BY-4.0'?"
    """
    try:
        _rendered(licence)
    except _Invalid as error:
        return str(error)
    return None


def valid_licence(licence: str) -> str:
    """Return an SPDX expression in the spelling of SPDX.

    Raises
    ------
    InvalidLicence
        If it is no SPDX expression.
    """
    try:
        return _rendered(licence)
    except _Invalid as error:
        raise InvalidLicence(licence, str(error)) from error


def is_own(identifier: str) -> bool:
    """Return whether this names a licence that is on no list: `LicenseRef-…`, also of another document."""
    return identifier.lower().startswith(("licenseref-", "documentref-"))


def find(identifier: str) -> Identifier | None:
    """Return what the library knows of an identifier; `A+` (this version or a later one) is A."""
    known = identifiers()
    small = identifier.lower()
    return known.get(small) or (known.get(small[:-1]) if small.endswith("+") else None)


@lru_cache(maxsize=1)
def identifiers() -> dict[str, Identifier]:
    """Return identifier in small letters -> what the library knows, with former spellings."""
    from license_expression import get_license_index

    found: dict[str, Identifier] = {}
    for one in get_license_index():
        key = one.get("spdx_license_key")
        if key:
            # SPDX once listed some licences together with an exception, as licences: GPL-2.0-with-GCC-exception.
            known = Identifier(key, one["category"], one["is_exception"] and "-with-" not in key)
            for name in (key, *one["other_spdx_license_keys"]):
                found[name.lower()] = known
    return found


@lru_cache(maxsize=1)
def _licensing() -> Any:
    from license_expression import Licensing

    return Licensing()


def parse(licence: str) -> Any:
    """Return the syntax tree of an expression whose identifiers are taken as they stand.

    Raises
    ------
    NotParsed
        If it is not put together like an expression.
    """
    from license_expression import ExpressionError, ParseError

    try:
        parsed = _licensing().parse(licence, simple=True)
    except (ExpressionError, ParseError) as error:
        raise NotParsed(str(error).splitlines()[0]) from error
    except IndexError as error:  # what the library makes of "()"
        raise NotParsed("Brackets without a licence") from error
    if parsed is None:
        raise NotParsed("It is empty")
    return parsed


@lru_cache(maxsize=1024)
def _rendered(licence: str) -> str:
    """Return the expression with every identifier as SPDX spells it; raise `_Invalid` where one is none."""
    if len(licence) > MOST_CHARACTERS:
        raise _Invalid(f"A text of {len(licence):,} characters is no SPDX expression.")
    try:
        parsed = parse(licence)
    except NotParsed as error:
        raise _Invalid(_why_not(licence, str(error))) from error
    for symbol in parsed.get_literals():
        if hasattr(symbol, "exception_symbol"):
            symbol.license_symbol.key = _licence_key(symbol.license_symbol.key)
            symbol.exception_symbol.key = _exception_key(symbol.exception_symbol.key)
        else:
            symbol.key = _licence_key(symbol.key)
    return str(parsed.render("{symbol.key}"))


def _licence_key(identifier: str) -> str:
    known = find(identifier)
    if known is None:
        if _OWN.fullmatch(identifier):
            return _with_spdx_prefixes(identifier)
        if is_own(identifier):
            raise _Invalid(f"{identifier!r} holds more than letters, digits, '-' and '.' behind 'LicenseRef-'.")
        raise _Invalid(f"{identifier!r} is no licence of the SPDX list.{_nearest(identifier)}")
    if known.is_exception:
        raise _Invalid(f"{known.key!r} is an exception, which stands behind WITH only: LICENCE WITH {known.key}.")
    is_later = identifier.endswith("+") and identifier.lower() not in identifiers()
    return known.key + "+" * is_later


def _exception_key(identifier: str) -> str:
    known = identifiers().get(identifier.lower())
    if known is not None and known.is_exception:
        return known.key
    if known is None and _OWN_ADDITION.fullmatch(identifier):
        return _with_spdx_prefixes(identifier)
    nearest = _nearest(identifier, is_exception=True)
    raise _Invalid(f"{identifier!r} behind WITH is no exception of the SPDX list.{nearest}")


def _with_spdx_prefixes(identifier: str) -> str:
    for prefix in _PREFIXES:
        identifier = re.sub(rf"(?<![a-z0-9.-]){prefix}", prefix, identifier, count=1, flags=re.IGNORECASE)
    return identifier


def _why_not(licence: str, said: str) -> str:
    """Return why the library could not read an expression."""
    meant = _meant(licence)
    if meant is not None:
        return f"{licence!r} is no SPDX expression. Did you mean {meant!r}?"
    return f"{licence!r} is no SPDX expression: {said[:1].lower()}{said[1:].rstrip('.')}."


def _meant(words: str) -> str | None:
    """Return the identifier that somebody means with other words, None where that is unclear or there is none."""
    spoken = in_spdx(words) or plain(words)
    known = identifiers()
    if spoken.lower() in known:
        return known[spoken.lower()].key
    version = re.compile(re.escape(spoken.lower()) + r"-[\d.]+")
    versions = sorted(key.key for small, key in known.items() if spoken and version.fullmatch(small))
    return versions[-1] if versions else None


def _nearest(word: str, *, is_exception: bool = False) -> str:
    """Return a sentence that names the nearest identifier, with a space before it, or nothing."""
    meant = None if is_exception else _meant(word)
    if meant is None:
        same_kind = ((small, one) for small, one in identifiers().items() if one.is_exception is is_exception)
        names = {small: one.key for small, one in same_kind if not is_own(one.key)}
        meant = next((names[small] for small in get_close_matches(word.lower(), names, n=1, cutoff=0.7)), None)
    return f" Did you mean {meant!r}?" if meant else ""

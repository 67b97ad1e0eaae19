"""Errors of annotating. Whatever is raised, nothing was written."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.errors import ProvenanceError, did_you_mean


class AnnotationRefused(ProvenanceError, ValueError):
    """A record of a file with scores or labels cannot be taken."""

    def __init__(self, file: str, place: str, reason: str) -> None:
        self.file = file
        self.place = place
        self.reason = reason
        super().__init__(f"{file}, {place}: {reason}. Nothing was written.")


class AnnotationsUnreadable(ProvenanceError, OSError):
    """A file with scores or labels is missing, damaged, or ends before its time."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason}. Nothing was written; mend the file and run the same command again.")


class NoSuchField(ProvenanceError, LookupError):
    """A field that holds the keys, or was named to be taken, is not there."""

    def __init__(self, field: str, where: str, fields: Iterable[str], option: str) -> None:
        self.field = field
        self.where = where
        self.fields = tuple(fields)
        self.option = option
        known = f" There are: {', '.join(self.fields[:20])}." if self.fields else ""
        super().__init__(
            f"{where} field {field!r}.{did_you_mean(field, self.fields)}{known} "
            f"Name the right one with {option}; nothing was written."
        )


class InvalidAttribute(ProvenanceError, ValueError):
    """What was to be an attribute cannot be one: its name or its kind."""

    def __init__(self, attribute: str, reason: str) -> None:
        self.attribute = attribute
        self.reason = reason
        super().__init__(f"The attribute {attribute!r}: {reason}")


class InvalidDescription(ProvenanceError, ValueError):
    """What was said of an attribute is no short line."""

    def __init__(self, what: str, text: str, n_limit: int) -> None:
        self.what = what
        self.text = text
        self.n_limit = n_limit
        shown = text if len(text) <= 40 else text[:37] + "..."
        super().__init__(f"The {what} {shown!r} cannot be taken: expected one line of 1 to {n_limit:,} characters.")


class AttributeNameTaken(ProvenanceError, ValueError):
    """An attribute was to be named like a column of the documents view."""

    def __init__(self, attribute: str, field: str, suggestion: str) -> None:
        self.attribute = attribute
        self.field = field
        self.suggestion = suggestion
        super().__init__(
            f"{attribute!r} is a column of the documents view, so no attribute can have that name. Take only the "
            f"fields you mean with --fields, or name it otherwise with --rename {field}={suggestion}"
        )


class AttributeDiffers(ProvenanceError, ValueError):
    """An attribute of that name exists with another kind or from another tool."""

    def __init__(self, attribute: str, what: str, stored: str, given: str) -> None:
        self.attribute = attribute
        self.what = what
        self.stored = stored
        self.given = given
        super().__init__(
            f"The attribute {attribute!r} has {what} {stored!r} since it was first used, not {given!r}. "
            f"Give the new one another name with --rename FIELD={attribute}_2"
        )


class UnknownKeys(ProvenanceError, LookupError):
    """Keys in the files stand for no document of the store."""

    def __init__(self, n_keys: int, examples: Iterable[str], key: str, source: str | None) -> None:
        self.n_keys = n_keys
        self.examples = tuple(examples)
        self.key = key
        self.source = source
        where = "" if source is None else f" of source {source!r}"
        super().__init__(
            f"{n_keys:,} keys stand for no {key} of a document{where} (for example {', '.join(self.examples)}); "
            "nothing was written. Name another kind of key with --key, or leave them out with --ignore-missing."
        )


class AmbiguousKeys(ProvenanceError, ValueError):
    """External ids that occur in more than one source, and no source was named."""

    def __init__(self, n_keys: int, examples: Iterable[str], sources: Iterable[str]) -> None:
        self.n_keys = n_keys
        self.examples = tuple(examples)
        self.sources = tuple(sources)
        super().__init__(
            f"{n_keys:,} external ids occur in more than one source (for example {', '.join(self.examples)} in "
            f"{' and '.join(map(repr, self.sources))}); nothing was written. Name the one that is meant with --source."
        )


class ConflictingValues(ProvenanceError, ValueError):
    """The same key comes with two values."""

    def __init__(self, attribute: str, key: str, first: str, second: str) -> None:
        self.attribute = attribute
        self.key = key
        self.first = first
        self.second = second
        super().__init__(
            f"The key {key!r} has two values of {attribute!r}: {first} and {second}. "
            "Nothing was written; leave one value a document."
        )


class TooManyAttributes(ProvenanceError, ValueError):
    """The files would make more new attributes than anybody means to."""

    def __init__(self, n_limit: int, examples: Iterable[str]) -> None:
        self.n_limit = n_limit
        self.examples = tuple(examples)
        super().__init__(
            f"The files have more than {n_limit} fields that would become attributes "
            f"({', '.join(self.examples)}, ...). Name those to take with --fields; nothing was written."
        )

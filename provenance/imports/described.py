"""A dataset as its description tells it: what becomes of a source, and what its records are read with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from provenance.ingest.mapping import FieldMapping
from provenance.licence_words import in_spdx
from provenance.spdx import canonical

#: Texts of descriptions are kept up to so many characters in the note of a source.
_NOTE_CHARACTERS = 2_000


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a description says.

    Attributes
    ----------
    file : the description
    kind : `Croissant`, or `dataset card`
    title, version, creators, citation : what it says of the dataset
    uri : where the dataset is described or lies
    licence : an SPDX expression where its words mean one, else the words; None where every record has its own
    inputs : what the ingest reads
    format_name : the format of all inputs; None where it shows
    mapping : which field of a record means what
    says_origin : whether every record says itself where it comes from, as in exports of this program
    left_out : fields that the description has and the import does not read
    """

    file: str
    kind: str
    title: str
    inputs: tuple[str, ...]
    mapping: FieldMapping
    version: str | None = None
    creators: tuple[str, ...] = ()
    citation: str | None = None
    uri: str | None = None
    licence: str | None = None
    format_name: str | None = None
    says_origin: bool = False
    left_out: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "note": self.note}

    @property
    def note(self) -> str:
        """What the source's note says."""
        parts = [f"{self.kind}: {self.title}" + (f", version {self.version}" if self.version else "")]
        if self.creators:
            parts.append(f"by {', '.join(self.creators)}")
        if self.citation:
            parts.append(f"cite as: {' '.join(self.citation.split())}")
        return "; ".join(parts)[:_NOTE_CHARACTERS]


def licence_of(words: Iterable[str]) -> str | None:
    """Return what several licences come to: all of them hold; the words themselves where SPDX has none of these.

    Examples
    --------
    >>> licence_of(["https://spdx.org/licenses/MIT.html", "cc-by-4.0"])
    'MIT AND CC-BY-4.0'
    >>> licence_of(["our terms"])
    'our terms'
    """
    stated = list(dict.fromkeys(one.strip() for one in words if one.strip()))
    if not stated or any(one.lower() in ("unknown", "noassertion") for one in stated):
        return None
    found = [canonical(one) or canonical(in_spdx(one) or "") for one in stated]
    known = [one for one in found if one is not None]
    if len(known) < len(stated):
        return "; ".join(stated)
    several = len(known) > 1
    return " AND ".join(f"({one})" if several and " " in one else one for one in dict.fromkeys(known))

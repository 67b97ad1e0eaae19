"""From a description to documents: the source as the description says, then an ingest like every other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from provenance.errors import UnknownSource
from provenance.imports.card import CARD, describe_card
from provenance.imports.croissant import describe_croissant
from provenance.imports.described import Described
from provenance.imports.errors import ChoiceNeeded, NotADescription
from provenance.ingest.locate import is_remote
from provenance.ingest.pipeline import IngestOptions, IngestReport, ingest_files
from provenance.ingest.preview import Preview, preview
from provenance.ingest.progress import Progress
from provenance.ingest.sources import Source, add_source_in, find_source
from provenance.records import Claim
from provenance.store.store import Store

CROISSANT = "croissant.json"


def describe(
    name: str,
    *,
    record_set: str | None = None,
    config: str | None = None,
    split: str | None = None,
    text_field: str | None = None,
) -> Described:
    """Return what a Croissant file, a dataset card, or a folder with one of them describes.

    Raises
    ------
    NotADescription
        If it is none of these.
    ChoiceNeeded
        If a folder has both, or a description leaves a choice.
    """
    path = Path(name)
    if not is_remote(name) and path.is_dir():
        there = [one for one in (CROISSANT, CARD) if (path / one).is_file()]
        if not there:
            raise NotADescription(name, f"the folder holds no description: expected {CROISSANT} or {CARD} in it")
        if len(there) > 1:
            raise ChoiceNeeded(
                name, "the folder holds two descriptions", "its path", [str(path / one) for one in there]
            )
        path = path / there[0]
        name = str(path)
    if path.suffix.lower() in (".md", ".markdown"):
        if is_remote(name):
            raise NotADescription(name, "a dataset card is imported from a folder on this machine, with its data")
        return describe_card(path, config=config, split=split, text_field=text_field)
    return describe_croissant(name, record_set=record_set, text_field=text_field)


def import_described(
    store: Store,
    described: Described,
    *,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    options: IngestOptions | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> IngestReport:
    """Make the source that a description describes, and read its records into the store.

    Parameters
    ----------
    claim : origin of the records; needed for a new source, unless every record says it itself
    licence : SPDX expression, instead of what the description says

    Raises
    ------
    UnknownSource
        If the source is new and nothing says where its documents come from.
    SourceExists
        If the source is there and is another one.
    FieldMissing, UnreadableFile, TooManyQuarantined, StoreWriteFailed
        As `ingest_files`.
    """
    with store.transaction() as connection:
        known = find_source(connection, source)
        add_source_in(connection, _source(described, known, source, claim, licence))
    return ingest_files(
        store, described.inputs, source=source, options=_options(described, options), jobs=jobs, progress=progress
    )


def preview_described(
    store: Store,
    described: Described,
    *,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    options: IngestOptions | None = None,
) -> Preview:
    """Return what `import_described` would do with the same arguments; the store is only read."""
    with store.read() as connection:
        known = find_source(connection, source)
    made = _source(described, known, source, claim, licence)
    return preview(
        store,
        described.inputs,
        source=source,
        claim=made.claim,
        licence=made.licence,
        options=_options(described, options),
    )


def _source(described: Described, known: Source | None, name: str, claim: Claim | None, licence: str | None) -> Source:
    if claim is None:
        if known is not None:
            claim = known.claim
        elif described.says_origin:
            claim = Claim.make("unknown")
        else:
            raise UnknownSource(name, [])
    return Source(name, claim, licence or described.licence, described.uri, described.note)


def _options(described: Described, options: IngestOptions | None) -> IngestOptions:
    return replace(options or IngestOptions(), mapping=described.mapping, format_name=described.format_name)

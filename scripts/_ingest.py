"""What the scripts that ingest one corpus share: arguments, the store, the source, the report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import provenance.cli.app  # noqa: F401 (the commands are loaded from there, in the order in which they need each other)
from provenance.cli.ingesting import summarise
from provenance.errors import ProvenanceError
from provenance.ingest.pipeline import IngestOptions, ingest_files
from provenance.ingest.sources import Source, add_source
from provenance.ingest.workers import database_threads
from provenance.records import Claim
from provenance.store.store import Store


def run(
    description: str,
    *,
    source: str,
    claim: Claim,
    licence: str | None,
    format_name: str | None,
    argv: Sequence[str] | None,
    uri: str | None = None,
    note: str | None = None,
    max_quarantined: float = IngestOptions.max_quarantined,
    takes_model: bool = False,
) -> int:
    """Read the files that the arguments name into a store and return the exit status.

    Parameters
    ----------
    description : what the script does, for `--help`
    source : name of the source where the arguments do not say otherwise
    claim, licence, uri, note : what is known of every document of the source
    format_name : the format of all files; None finds it for each
    argv : arguments of the command line; None for those of the process
    max_quarantined : share of refused records above which the ingest stops, where the arguments do not say otherwise
    takes_model : whether there is an option that names the model whose output the texts are
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders, patterns, or addresses")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(os.environ.get("PROVENANCE_STORE", "provenance.duckdb")),
        help="the store's file, made when it is missing (default: %(default)s)",
    )
    parser.add_argument("--source", default=source, help="name of the source (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes that read and sign (default: one a core)"
    )
    parser.add_argument(
        "--max-quarantined",
        type=float,
        default=max_quarantined,
        metavar="SHARE",
        help="stop when more of the records so far would be refused, 0 to 1 (default: %(default)s)",
    )
    if takes_model:
        parser.add_argument("--model", help="the model that wrote the texts, where they do not say so themselves")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error("--jobs is at least 1")
    if not 0 <= arguments.max_quarantined <= 1:
        parser.error("--max-quarantined is a share from 0 to 1")
    if takes_model and arguments.model:
        claim = Claim.make("synthetic", model=arguments.model)
    options = IngestOptions(format_name=format_name, max_quarantined=arguments.max_quarantined)
    try:
        with _opened(arguments.store, jobs=arguments.jobs) as store:
            add_source(store, Source(arguments.source, claim, licence, uri, note))
            report = ingest_files(store, arguments.files, source=arguments.source, options=options, jobs=arguments.jobs)
    except ProvenanceError as error:
        print(error, file=sys.stderr)
        return 1
    summarise(report)
    return 0


def _opened(path: Path, *, jobs: int) -> Store:
    if not path.exists():
        Store.create(path).close()
    return Store.open(path, writable=True, threads=database_threads(path, jobs=jobs))

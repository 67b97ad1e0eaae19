"""Claims about the text of draws: no run of tokens shared with held-out sets or evaluation files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, select

from provenance.dedup.spans import KnownRuns
from provenance.mix.decontaminate import read_against
from provenance.mix.errors import EvaluationSetUnreadable
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Finding, Unchecked, differs
from provenance.store import schema
from provenance.store.store import arrow_batches, fetch

_ROWS = 20_000  # texts that are compared at a time
_CLEAN = "draws that share a run with a file to decontaminate against"


def shared_spans(connection: Connection, name: str, spec: MixSpec) -> Iterator[Finding]:
    """Check that no draw shares a run of tokens with an excluded training set."""
    if spec.exclude.spans is None:
        return
    against = fetch(connection, _texts(spec.exclude.training_sets))["text"]
    known = KnownRuns(_one_array(against), n_tokens=spec.exclude.spans)
    yield from differs("draws that share a span with an excluded training set", 0, _n_shared(connection, name, known))


def contamination(connection: Connection, name: str, claims: dict[str, Any], spec: MixSpec) -> Iterator[Finding]:
    """Check that no draw shares a run of tokens with the files of `decontaminate`."""
    known, unchecked = known_runs(claims, spec)
    yield from unchecked
    if known is not None:
        yield from differs(_CLEAN, 0, _n_shared(connection, name, known))


def known_runs(claims: dict[str, Any], spec: MixSpec) -> tuple[KnownRuns | None, list[Finding]]:
    """Return the runs of the files, or None where they are not at hand as they were."""
    if spec.decontaminate is None:
        return None, []
    claimed = claims["decontaminate"]["files"]
    try:
        against = read_against(spec.decontaminate)
    except EvaluationSetUnreadable as error:
        return None, [Unchecked("decontaminate", f"{error.file}: {error.reason}")]
    digests = {file["file"]: file["sha256"] for file in against.files}
    others = [str(file["file"]) for file in claimed if digests.get(file["file"]) != file["sha256"]]
    if others or len(digests) != len(claimed):
        which = ", ".join(others) or "the files"
        return None, [Unchecked("decontaminate", f"{which}: not what was compared with then")]
    wrong: list[Finding] = list(differs("files to decontaminate against", claimed, against.files))
    return against.runs(), wrong  # the same files: at most their numbers of texts were changed


def _n_shared(connection: Connection, name: str, known: KnownRuns) -> int:
    batches = arrow_batches(connection, _texts((name,)), size=_ROWS)
    return sum(int(known.shared_by(batch.column("text")).sum()) for batch in batches)


def _texts(names: tuple[str, ...]) -> Any:
    item, document, content = schema.training_set_item.c, schema.document.c, schema.content.c
    ids = select(item.document_id).where(item.training_set.in_(names))
    own = select(document.content_id).where(document.document_id.in_(ids))
    return select(content.text).where(content.content_id.in_(own))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)

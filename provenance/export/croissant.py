"""Export as Croissant 1.1: the records as Parquet, and a description that machines and search engines read.

What PROV calls things stands at every record: a record is a `prov:Entity`, and its columns are marked as
`prov:wasDerivedFrom`, `prov:wasGeneratedBy`, `prov:wasAttributedTo` and `prov:hadPrimarySource` (section
"RecordSet Typing" of the specification).

References
----------
Croissant Format Specification 1.1, MLCommons, 2026.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance import __version__
from provenance.export.croissant_library import read_croissant
from provenance.export.croissant_terms import COLUMNS, CONTEXT, CROISSANT, Column
from provenance.export.errors import NotValid
from provenance.export.facts import SetFacts, facts_of
from provenance.export.files import ExportReport, file_sha256, manifest_path, new_folder, write_json
from provenance.export.labelled import write_labelled
from provenance.export.naming import LAYOUT, urn
from provenance.export.wording import description_of, spdx_address

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

DESCRIPTION, RECORDS = "croissant.json", "records.parquet"


def export_croissant(
    training_set: TrainingSet, out_dir: str | os.PathLike[str], *, creator: str | None = None, overwrite: bool = False
) -> ExportReport:
    """Write the draws of a training set as Parquet, with its manifest and a description in Croissant 1.1.

    Parameters
    ----------
    creator : who publishes it; this program where nobody is named

    Raises
    ------
    MissingExtra
        If mlcroissant, which validates the description before it gets its name, is not installed.
    OutputExists
        If there is something already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    NotValid
        If mlcroissant finds something wrong, for instance with the name of the set.
    """
    target = Path(out_dir)
    with new_folder(target, overwrite=overwrite) as draft:
        write_labelled(training_set, draft / RECORDS)
        write_json(draft / DESCRIPTION, describe(facts_of(training_set), draft, creator=creator))
        _validate(draft / DESCRIPTION)
    size, digest = (target / RECORDS).stat().st_size, file_sha256(target / RECORDS)
    return ExportReport(target, target / DESCRIPTION, len(training_set), size, digest)


def describe(facts: SetFacts, folder: Path, *, creator: str | None = None) -> dict[str, Any]:
    """Return the description of a training set whose files lie in a folder."""
    when = facts.created_at.isoformat(timespec="seconds")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": description_of(facts),
        "conformsTo": [CROISSANT, LAYOUT],
        "license": [spdx_address(name) for name in facts.licence_names],
        "url": urn(facts.store_id, "training_set", facts.name),
        "version": f"1.0.0+{facts.digest[:12]}",
        "datePublished": when,
        "dateCreated": when,
        "creator": {"@type": "sc:Organization", "name": creator or f"corpus-provenance {__version__}"},
        "citeAs": f"{facts.name}, training set {facts.digest}, drawn by corpus-provenance {__version__}",
        "keywords": ["training set", "provenance", "human share", "synthetic text"],
        "isLiveDataset": False,
        **_provenance(facts),
        "distribution": [_file(folder / RECORDS, "application/x-parquet", "The draws, in order."),
                         _file(manifest_path(folder / RECORDS), "application/json", "What was asked for and drawn.")],
        "recordSet": [_record_set()],
    }  # fmt: skip


def _provenance(facts: SetFacts) -> dict[str, Any]:
    sources = [urn(facts.store_id, "source", part.names["source"]) for part in facts.sources]
    return {
        "provenance:digest": facts.digest,
        "provenance:seed": facts.seed,
        "provenance:spec": facts.spec,
        "provenance:storeId": facts.store_id,
        "provenance:humanShareOfWords": facts.human.word_share,
        "provenance:humanShareOfDocuments": facts.human.document_share,
        "provenance:strictestLicenceClass": facts.strictest_class,
        "provenance:composition": {
            "generations": [part.as_mapping() for part in facts.generations],
            "evidence": [part.as_mapping() for part in facts.grades],
            "sources": [part.as_mapping() for part in facts.sources],
            "models": [part.as_mapping() for part in facts.models],
            "licences": [part.as_mapping() for part in facts.licences],
        },
        "prov:wasDerivedFrom": [{"@id": source, "@type": "prov:Entity"} for source in sources],
        "prov:wasGeneratedBy": {
            "@id": urn(facts.store_id, "mix", facts.name),
            "@type": "prov:Activity",
            "prov:label": "mix",
            "prov:endedAtTime": facts.created_at.isoformat(timespec="seconds"),
        },
    }


def _file(path: Path, kind: str, meaning: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": meaning,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": kind,
        "sha256": file_sha256(path),
    }


def _record_set() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "records",
        "name": "records",
        "description": "One record a draw, in the order of the training set.",
        "dataType": "prov:Entity",
        "key": {"@id": "records/position"},
        "field": [_field(name, column) for name, column in COLUMNS.items()],
    }


def _field(name: str, column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"records/{name}",
        "name": name,
        "description": column.meaning,
        "dataType": column.kind,
        "source": {"fileObject": {"@id": RECORDS}, "extract": {"column": name}},
    }
    if column.property is not None:
        field["equivalentProperty"] = column.property
    if column.is_list:
        field |= {"repeated": True, "isArray": True, "arrayShape": "-1"}
    return field


def _validate(path: Path) -> None:
    """Raise `NotValid` where the field's own tool finds an error or something to warn of."""
    issues = read_croissant(path).ctx.issues
    if issues.errors or issues.warnings:
        raise NotValid(path.name, "mlcroissant", sorted(issues.errors | issues.warnings))

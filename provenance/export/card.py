"""Export as a folder for the Hugging Face hub: a dataset card, plots, and the data as `datasets` loads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from provenance.export.card_plots import composition_plot, sources_plot
from provenance.export.card_text import card_text
from provenance.export.facts import NO_LICENCE, SetFacts, facts_of
from provenance.export.files import ExportReport, new_folder, settle
from provenance.export.labelled import write_labelled
from provenance.export.naming import LAYOUT

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

CARD, DATA = "README.md", "data/train-00000-of-00001.parquet"

#: Licences that the hub knows, of those that SPDX knows; every other one is `other` there.
_HUB_LICENCES = frozenset(
    ("afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear",
     "bsl-1.0", "c-uda-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0",
     "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
     "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0",
     "cdla-sharing-1.0", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl-2.0",
     "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl", "mulanpsl-2.0", "ncsa",
     "odbl", "odc-by", "ofl-1.1", "osl-3.0", "pddl", "postgresql", "unlicense", "wtfpl", "zlib")
)  # fmt: skip
#: SPDX identifier -> what the hub calls it, where that is not the same in small letters.
_CALLED = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
_TYPES = {pa.string(): "string", pa.int64(): "int64", pa.uint32(): "uint32", pa.uint8(): "uint8"}


def export_card(
    training_set: TrainingSet, out_dir: str | os.PathLike[str], *, creator: str | None = None, overwrite: bool = False
) -> ExportReport:
    """Write a folder that can be pushed to the hub as it is; `datasets.load_dataset(FOLDER)` gives the draws.

    Parameters
    ----------
    creator : who publishes it; nobody is named without it

    Raises
    ------
    OutputExists
        If there is something already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    """
    target = Path(out_dir)
    with new_folder(target, overwrite=overwrite) as draft:
        (draft / "plots").mkdir()
        (draft / DATA).parent.mkdir()
        written = write_labelled(training_set, draft / DATA)
        facts = facts_of(training_set)
        header = yaml.safe_dump(_header(facts, draft / DATA), sort_keys=False, allow_unicode=True, width=100)
        text = card_text(facts, file=DATA, sha256=written.sha256, creator=creator)
        _write(draft / CARD, f"---\n{header}---\n\n{text}")
        _write(draft / "plots" / "composition.svg", composition_plot(facts))
        _write(draft / "plots" / "sources.svg", sources_plot(facts))
    return ExportReport(target, target / CARD, len(training_set), written.size_bytes, written.sha256)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        settle(file)


def _header(facts: SetFacts, data: Path) -> dict[str, Any]:
    """Return the metadata of the card, as the hub reads them."""
    origins = {part.names["origin"] for part in facts.generations}
    return {
        "pretty_name": facts.name,
        **_licence(facts),
        **({"language": facts.languages} if facts.languages else {}),
        "size_categories": [size_category(facts.documents)],
        "task_categories": ["text-generation"],
        "language_creators": ["found"] * bool(origins - {"synthetic"})
        + ["machine-generated"] * bool(origins & {"synthetic", "mixed"}),
        "tags": ["provenance"] + ["synthetic"] * bool(origins & {"synthetic", "mixed"}),
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
        "dataset_info": _info(facts, data),
        "provenance": {"layout": LAYOUT, "digest": facts.digest, "seed": facts.seed},
    }


def _licence(facts: SetFacts) -> dict[str, Any]:
    named = [_hub_licence(name) for name in facts.licence_names]
    licences = list(dict.fromkeys(named))
    found: dict[str, Any] = {"license": licences[0] if len(licences) == 1 else licences}
    if "other" in licences:
        found["license_name"] = ", ".join(name for name in facts.licence_names if _hub_licence(name) == "other")
    return found


def _hub_licence(licence: str) -> str:
    if licence == NO_LICENCE:
        return "unknown"
    name = licence.lower().removesuffix("-only")  # SPDX's newer name of the very same licence
    called = _CALLED.get(name, name)
    return called if called in _HUB_LICENCES else "other"


def size_category(n_documents: int) -> str:
    """Return the category of size that the hub knows.

    Examples
    --------
    >>> size_category(999), size_category(1000)
    ('n<1K', '1K<n<10K')
    """
    return next((name for limit, name in _SIZES if n_documents < limit), "n>1B")


def _info(facts: SetFacts, data: Path) -> dict[str, Any]:
    size = data.stat().st_size
    return {
        "features": [_feature(column) for column in pq.read_schema(data)],
        "splits": [{"name": "train", "num_bytes": facts.n_bytes, "num_examples": facts.documents}],
        "download_size": size,
        "dataset_size": facts.n_bytes,
    }


def _feature(column: pa.Field) -> dict[str, Any]:
    if pa.types.is_list(column.type):
        return {"name": column.name, "list": _TYPES[column.type.value_type]}
    return {"name": column.name, "dtype": _TYPES.get(column.type, str(column.type))}

"""Corpus provenance and mixing database: who wrote every document, and training sets whose human share is proved."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from provenance.store.store import Store

__all__ = ["ProvenanceError", "Store", "__version__"]

try:
    __version__ = version("corpus-provenance")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> Any:
    # `Store` pulls in SQLAlchemy and DuckDB: loaded when first asked for, so that `provenance --help` stays quick.
    if name == "Store":
        from provenance.store.store import Store

        return Store
    raise AttributeError(f"module 'provenance' has no attribute {name!r}")

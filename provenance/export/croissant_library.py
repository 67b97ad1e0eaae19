"""The package mlcroissant, which reads and validates descriptions in Croissant."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provenance.errors import MissingExtra
from provenance.export.errors import NotValid


def read_croissant(path: Path) -> Any:
    """Return the metadata that a description holds, as mlcroissant reads them.

    Raises
    ------
    MissingExtra
        If mlcroissant is not installed.
    NotValid
        If it cannot read the description, or finds an error in it.
    """
    library = _library()
    with _quiet():
        try:
            return library.Dataset(jsonld=path).metadata
        except library.ValidationError as error:
            raise NotValid(path.name, "mlcroissant", str(error).splitlines()) from error
        except Exception as error:  # on what is no Croissant it fails in many ways
            raise NotValid(path.name, "mlcroissant", [f"{type(error).__name__}: {error}"]) from error


def _library() -> Any:
    try:
        with _quiet():
            import mlcroissant
    except ImportError as error:
        raise MissingExtra("mlcroissant", "export") from error
    return mlcroissant


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings and log lines of the library and of rdflib below it to themselves."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)

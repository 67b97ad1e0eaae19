"""The command line `recurse`: run experiments and show them. Data on standard output, messages on standard error.

Exit status 0 means done, 1 refused or failed (one line says why), 2 wrong usage. Commands load what they need when
they run, so that `recurse --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from provenance.errors import ProvenanceError
from training.cli.shipped import shipped_experiments


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the one place where an error of ours becomes a line and an exit status."""
    from training.cli.app import app

    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="recurse")
    except ProvenanceError as error:
        print(f"recurse: {error}", file=sys.stderr)
        raise SystemExit(1) from error


__all__ = ["main", "shipped_experiments"]

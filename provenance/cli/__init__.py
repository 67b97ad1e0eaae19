"""The command line `provenance`: data on standard output, messages on standard error.

Exit status 0 means done, 1 refused or failed (one line says why), 2 wrong usage. Commands load what they need when
they run, so that `provenance --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from provenance.errors import ProvenanceError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the one place where an error of ours becomes a line and an exit status."""
    from provenance.cli.app import app

    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="provenance")
    except ProvenanceError as error:
        print(f"provenance: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except RuntimeError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        # Control-C while the database works; elsewhere typer says it.
        print("provenance: interrupted; the transaction was rolled back", file=sys.stderr)
        raise SystemExit(130) from None


__all__ = ["main"]

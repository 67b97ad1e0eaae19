"""Read plain texts of Project Gutenberg into a store: every book is a document, without header and licence.

A book that the project marks as copyrighted keeps a licence of its own instead of the public domain.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _ingest

from provenance.records import Claim


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files and print what became of the books."""
    return _ingest.run(
        str(__doc__),
        source="gutenberg",
        claim=Claim.make("human"),
        licence="LicenseRef-PublicDomain-US",
        format_name="gutenberg",
        argv=argv,
        uri="https://www.gutenberg.org",
        note="Books in the public domain of the USA, transcribed by volunteers of Project Gutenberg",
    )


if __name__ == "__main__":
    sys.exit(main())

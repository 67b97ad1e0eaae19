"""Read WARC or WET files, such as those of Common Crawl, into a store: every page with text is a document.

Nobody vouches for who or what wrote a page of the web: the origin is unknown, and no licence is stated. Answers that
hold no page (redirections, errors, images) go into quarantine like all that has no text; as a crawl is full of them,
the ingest does not stop at their number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _ingest

from provenance.records import Claim


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files and print what became of the pages."""
    return _ingest.run(
        str(__doc__),
        source="common-crawl",
        claim=Claim.make("unknown"),
        licence=None,
        format_name="warc",
        argv=argv,
        uri="https://commoncrawl.org",
        note="Pages of the web, as a crawler found them",
        max_quarantined=1.0,
    )


if __name__ == "__main__":
    sys.exit(main())

"""Read WikiText-2 or WikiText-103 into a store: every article of Wikipedia is a document.

Files of any name are taken, plain or compressed: wiki.train.tokens, wiki.train.raw, train.txt.gz.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _ingest

from provenance.records import Claim

NOTE = "Articles of Wikipedia chosen in 2016 by Merity, Xiong, Bradbury and Socher (Pointer Sentinel Mixture Models)"


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files and print what became of their articles."""
    return _ingest.run(
        str(__doc__),
        source="wikitext",
        claim=Claim.make("human"),
        licence="CC-BY-SA-3.0",
        format_name="wikitext",
        argv=argv,
        uri="https://arxiv.org/abs/1609.07843",
        note=NOTE,
    )


if __name__ == "__main__":
    sys.exit(main())

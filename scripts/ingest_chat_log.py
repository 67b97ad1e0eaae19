"""Read logs of exchanges with language models into a store: every prompt and every answer is a document.

The logs are JSON Lines in the shapes of the OpenAI interface, of any name, plain or compressed. Answers are synthetic,
by the model that the log names, and have their prompt as parent; who wrote the prompts is unknown. Say --model NAME for
logs that do not name the model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _ingest

from provenance.records import Claim


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files and print what became of their exchanges."""
    return _ingest.run(
        str(__doc__),
        source="chat-logs",
        claim=Claim.make("unknown"),
        licence=None,
        format_name="chat",
        argv=argv,
        takes_model=True,
    )


if __name__ == "__main__":
    sys.exit(main())

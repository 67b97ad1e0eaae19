"""Who is compared with whom, as conditions on rows of `document`, and what the table `laundering` calls it."""

from __future__ import annotations

#: Known to be a model's. A detector's word takes its own document out of the human quota, and no other.
IS_OUTPUT = "(origin = 'synthetic' AND evidence_rank <> 2)"
#: Claimed to be people's, or nobody's. Text that is admitted to be mixed is neither this nor an output.
IS_CANDIDATE = "(origin IN ('human', 'unknown'))"

#: Texts of fewer words are compared with nothing: two people may well write the same twelve.
MIN_WORDS = 13

SAME_TEXT, NEAR_DUPLICATE, CONTAINMENT, SHARED_SPAN = "same text", "near-duplicate", "containment", "shared span"
#: The closest first.
KINDS = (SAME_TEXT, NEAR_DUPLICATE, CONTAINMENT, SHARED_SPAN)

CONFLICT, MEMORISATION = "conflict", "memorisation"
VERDICTS = (CONFLICT, MEMORISATION)

#: Rows of `laundering` of originals that were taken down: all that is left to say that others quote them.
OF_LOST_ORIGINALS = "document_id IN (SELECT document_id FROM tombstone)"

#: Setting that says that texts became known as models' and were not compared with everything since.
PENDING = "laundering_pending"

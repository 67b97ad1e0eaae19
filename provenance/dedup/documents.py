"""What clusters mean for documents: which one stands for its cluster, and which licence counts.

Decided by provenance, never by chance or order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from provenance.ids import uuid_array
from provenance.licences import LICENCE_CLASSES

_CLASSES = "[" + ", ".join(f"'{name}'" for name in LICENCE_CLASSES) + "]"

#: Best evidence, lowest generation, freest licence, earliest date, longest text, then document id.
REPRESENTATIVE_ORDER = f"""
    evidence_rank DESC, generation ASC NULLS LAST, list_position({_CLASSES}, stated_licence_class) ASC NULLS LAST,
    authored_at ASC NULLS LAST, n_words DESC, document_id ASC
"""

#: The licence class that counts: the most restrictive one that is stated for the document or a copy of it. A document
#: for which nobody states a licence stays `unknown`, and its silence makes no licence of a copy worse.
EFFECTIVE_LICENCE_CLASS = f"""
    CASE WHEN stated_licence_class = 'unknown' THEN 'unknown' ELSE {_CLASSES}[
        max(list_position({_CLASSES}, stated_licence_class)) FILTER (stated_licence_class <> 'unknown')
        OVER (PARTITION BY cluster_id)
    ] END
"""

#: Gives the documents of the contents in the table `moved` their new cluster.
MOVE_DOCUMENTS = """
    UPDATE document SET cluster_id = m.cluster_id FROM moved m
    WHERE document.content_id = m.content_id AND document.cluster_id <> m.cluster_id
"""

#: Sets `is_representative` and `licence_class` in every cluster listed in the table `affected`, touching only rows that
#: change.
SETTLE_CLUSTERS = f"""
    UPDATE document SET is_representative = c.chosen, licence_class = c.effective
    FROM (
        SELECT document_id, is_representative AS was, licence_class AS had, {EFFECTIVE_LICENCE_CLASS} AS effective,
               row_number() OVER (PARTITION BY cluster_id ORDER BY {REPRESENTATIVE_ORDER}) = 1 AS chosen
        FROM document WHERE cluster_id IN (SELECT cluster_id FROM affected)
    ) c
    WHERE document.document_id = c.document_id AND (c.chosen <> c.was OR c.effective <> c.had)
"""


def moved(clusters: Mapping[bytes, bytes]) -> pa.Table:
    """Return content id -> cluster id as the table that `MOVE_DOCUMENTS` reads."""
    return pa.table({"content_id": uuid_array(list(clusters)), "cluster_id": uuid_array(list(clusters.values()))})

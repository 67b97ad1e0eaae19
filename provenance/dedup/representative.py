"""Which document of a cluster stands for it: chosen by provenance, never by chance or order of arrival."""

from __future__ import annotations

from provenance.licences import LICENCE_CLASSES

_LICENCE_ORDER = ", ".join(f"'{name}'" for name in LICENCE_CLASSES)

#: Best evidence, lowest generation, freest licence, earliest date, longest text, then document id.
REPRESENTATIVE_ORDER = f"""
    evidence_rank DESC, generation ASC NULLS LAST, list_position([{_LICENCE_ORDER}], licence_class) ASC NULLS LAST,
    authored_at ASC NULLS LAST, n_words DESC, document_id ASC
"""

#: Sets `is_representative` in every cluster listed in the table `affected`, touching only rows that change.
CHOOSE_REPRESENTATIVES = f"""
    UPDATE document SET is_representative = c.chosen
    FROM (
        SELECT document_id, is_representative AS now,
               row_number() OVER (PARTITION BY cluster_id ORDER BY {REPRESENTATIVE_ORDER}) = 1 AS chosen
        FROM document WHERE cluster_id IN (SELECT cluster_id FROM affected)
    ) c
    WHERE document.document_id = c.document_id AND c.chosen <> c.now
"""

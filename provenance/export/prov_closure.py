"""Everything that stands behind a training set: its documents, what they were made from, the models that wrote them.

Those models' training sets stand behind it too, with all that stands behind these, and so on.
"""

from __future__ import annotations

from typing import Any

_TABLES = (
    "CREATE OR REPLACE TEMP TABLE reached_set (name VARCHAR)",
    "CREATE OR REPLACE TEMP TABLE reached_model (name VARCHAR)",
    "CREATE OR REPLACE TEMP TABLE reached_document (document_id UUID)",
)
_DRAWN = """
    INSERT INTO reached_document
    SELECT DISTINCT i.document_id FROM training_set_item i SEMI JOIN reached_set s ON s.name = i.training_set
    ANTI JOIN reached_document USING (document_id)
"""
_PARENTS = """
    INSERT INTO reached_document
    WITH RECURSIVE up AS (
        SELECT document_id FROM reached_document
        UNION SELECT p.parent_id FROM parent p JOIN up USING (document_id)
    )
    SELECT document_id FROM up ANTI JOIN reached_document USING (document_id)
"""
_MODELS = """
    INSERT INTO reached_model
    SELECT DISTINCT d.model FROM document d SEMI JOIN reached_document USING (document_id)
    WHERE d.model IS NOT NULL AND d.model NOT IN (SELECT name FROM reached_model)
"""
_SETS = """
    INSERT INTO reached_set
    SELECT DISTINCT m.training_set FROM model m SEMI JOIN reached_model r ON r.name = m.name
    WHERE m.training_set IS NOT NULL AND m.training_set NOT IN (SELECT name FROM reached_set)
"""
_FITTED = """
    INSERT INTO reached_model
    SELECT m.name FROM model m WHERE m.training_set = $name AND m.name NOT IN (SELECT name FROM reached_model)
"""


def reach(raw: Any, training_set: str) -> None:
    """Fill the temporary tables `reached_set`, `reached_model` and `reached_document`.

    Parameters
    ----------
    raw : DuckDB's connection
    training_set : where to begin; the models that were fitted on it are reached too, but not what they wrote

    Notes
    -----
    As many rounds as models stand behind each other, whatever the number of documents.
    """
    for statement in _TABLES:
        raw.execute(statement)
    raw.execute("INSERT INTO reached_set VALUES ($name)", {"name": training_set})
    n_sets = 0
    while n_sets < (n_sets := _count_sets(raw)):
        for statement in (_DRAWN, _PARENTS, _MODELS, _SETS):
            raw.execute(statement)
    raw.execute(_FITTED, {"name": training_set})


def _count_sets(raw: Any) -> int:
    (n,) = raw.execute("SELECT count(*) FROM reached_set").fetchone()
    return int(n)

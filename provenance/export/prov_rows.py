"""What PROV says of the things that `prov_closure.reach` found: one query for every kind of statement.

The column `id` names what the statement is about; relations have none. Every other column is an attribute of PROV-JSON,
left out where it is NULL. What stands behind `@` in the name of a column is the type of its values.
"""

from __future__ import annotations

from typing import NamedTuple


class Statements(NamedTuple):
    """Statements of one kind.

    Attributes
    ----------
    kind : as PROV-JSON calls them
    query : whose rows they are
    """

    kind: str
    query: str


_DOCUMENTS = """
    SELECT 'document:' || r.document_id AS id,
           'provenance:' || coalesce(d.origin, 'removed') AS "prov:type@prov:QUALIFIED_NAME",
           d.title AS "prov:label", d.uri AS "prov:location", d.generation AS "provenance:generation",
           g.grade AS "provenance:evidence", d.licence AS "provenance:licence", d.n_words AS "provenance:words",
           d.content_id::VARCHAR AS "provenance:content",
           strftime(d.authored_at, '%Y-%m-%dT%H:%M:%S') AS "provenance:authoredAt@xsd:dateTime"
    FROM reached_document r LEFT JOIN document d USING (document_id) LEFT JOIN reached_grade g USING (evidence_rank)
    ORDER BY r.document_id
"""
_SETS = """
    SELECT 'training_set:' || url_encode(s.name) AS id, 'prov:Collection' AS "prov:type@prov:QUALIFIED_NAME",
           s.name AS "prov:label", s.digest AS "provenance:digest", s.n_documents AS "provenance:draws",
           s.n_words AS "provenance:words", s.human_share AS "provenance:humanShare"
    FROM training_set s SEMI JOIN reached_set r ON r.name = s.name ORDER BY s.name
"""
_MODELS = """
    SELECT 'model:' || url_encode(m.name) AS id, 'provenance:model' AS "prov:type@prov:QUALIFIED_NAME",
           m.name AS "prov:label", m.digest AS "provenance:digest", m.learner AS "provenance:learner",
           m.revision AS "provenance:revision", m.generation AS "provenance:generation"
    FROM model m SEMI JOIN reached_model r ON r.name = m.name ORDER BY m.name
"""
_CLAIMS = """
    SELECT 'claim:' || c.evidence_id AS id, 'provenance:claim' AS "prov:type@prov:QUALIFIED_NAME",
           c.origin AS "provenance:origin", c.generation AS "provenance:generation",
           'model:' || url_encode(c.model) AS "provenance:model@prov:QUALIFIED_NAME",
           c.method AS "provenance:method", g.grade AS "provenance:evidence", c.confidence AS "provenance:confidence",
           c.note AS "prov:label", c.support_uri AS "prov:location",
           'claim:' || c.retracts AS "provenance:retracts@prov:QUALIFIED_NAME",
           strftime(c.stated_at, '%Y-%m-%dT%H:%M:%S.%f') AS "provenance:statedAt@xsd:dateTime"
    FROM reached_claim c JOIN reached_grade g ON g.evidence_rank = c.rank ORDER BY c.evidence_id
"""
_ATTESTATIONS = """
    SELECT DISTINCT ON (id) 'statement:' || url_encode(a.statement_digest) AS id,
           'provenance:statement' AS "prov:type@prov:QUALIFIED_NAME", a.terms AS "prov:label",
           a.is_verified AS "provenance:signatureVerified", a.signed_on::VARCHAR AS "provenance:signedOn",
           a.expires_on::VARCHAR AS "provenance:expiresOn"
    FROM attestation a SEMI JOIN reached_claim c USING (evidence_id) ORDER BY id, a.signed_on
"""
_INGESTS = """
    SELECT 'ingest:' || i.ingest_id AS id, 'provenance:ingest' AS "prov:type@prov:QUALIFIED_NAME",
           strftime(i.started_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:startTime",
           strftime(i.finished_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:endTime"
    FROM ingest i SEMI JOIN reached_ingest USING (ingest_id) ORDER BY i.ingest_id
"""
_MIXES = """
    SELECT 'mix:' || url_encode(s.name) AS id, 'provenance:mix' AS "prov:type@prov:QUALIFIED_NAME",
           strftime(s.created_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:endTime"
    FROM training_set s SEMI JOIN reached_set r ON r.name = s.name ORDER BY s.name
"""
_FITS = """
    SELECT 'fit:' || url_encode(m.name) AS id, 'provenance:fit' AS "prov:type@prov:QUALIFIED_NAME",
           strftime(m.created_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:endTime"
    FROM model m SEMI JOIN reached_model r ON r.name = m.name WHERE m.training_set IS NOT NULL ORDER BY m.name
"""
_GENERATIONS = """
    SELECT 'generate:' || url_encode(name) AS id, 'provenance:generate' AS "prov:type@prov:QUALIFIED_NAME"
    FROM reached_model ORDER BY name
"""
_SOURCES = """
    SELECT 'source:' || url_encode(d.source) AS id, 'provenance:source' AS "prov:type@prov:QUALIFIED_NAME",
           d.source AS "prov:label", s.uri AS "prov:location", s.licence AS "provenance:licence"
    FROM (SELECT DISTINCT source FROM reached_place) d LEFT JOIN source s ON s.name = d.source ORDER BY d.source
"""
_AGENTS = """
    SELECT 'agent:' || url_encode(name) AS id, name AS "prov:label",
           CASE WHEN starts_with(name, 'corpus-provenance ') THEN 'prov:SoftwareAgent' ELSE 'prov:Person' END
               AS "prov:type@prov:QUALIFIED_NAME"
    FROM (
        SELECT author AS name FROM reached_place UNION SELECT author FROM reached_claim
        UNION SELECT signer FROM attestation SEMI JOIN reached_claim USING (evidence_id)
        UNION SELECT 'corpus-provenance ' || code_version FROM ingest SEMI JOIN reached_ingest USING (ingest_id)
        UNION SELECT 'corpus-provenance ' || m.code_version FROM model m SEMI JOIN reached_model r ON r.name = m.name
        UNION SELECT 'corpus-provenance ' || (manifest->>'code_version')
              FROM training_set s SEMI JOIN reached_set r ON r.name = s.name
    ) WHERE name IS NOT NULL ORDER BY name
"""

_WRITTEN = """
    SELECT 'document:' || p.document_id AS "prov:entity", 'generate:' || url_encode(p.model) AS "prov:activity"
    FROM reached_place p WHERE p.model IS NOT NULL ORDER BY p.document_id
"""
_MIXED = """
    SELECT 'training_set:' || url_encode(s.name) AS "prov:entity", 'mix:' || url_encode(s.name) AS "prov:activity",
           strftime(s.created_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:time"
    FROM training_set s SEMI JOIN reached_set r ON r.name = s.name ORDER BY s.name
"""
_FITTED = """
    SELECT 'model:' || url_encode(m.name) AS "prov:entity", 'fit:' || url_encode(m.name) AS "prov:activity",
           strftime(m.created_at, '%Y-%m-%dT%H:%M:%S.%f') AS "prov:time"
    FROM model m SEMI JOIN reached_model r ON r.name = m.name WHERE m.training_set IS NOT NULL ORDER BY m.name
"""
_FIT_USED = """
    SELECT 'fit:' || url_encode(m.name) AS "prov:activity",
           'training_set:' || url_encode(m.training_set) AS "prov:entity"
    FROM model m SEMI JOIN reached_model r ON r.name = m.name WHERE m.training_set IS NOT NULL ORDER BY m.name
"""
_GENERATION_USED = """
    SELECT 'generate:' || url_encode(name) AS "prov:activity", 'model:' || url_encode(name) AS "prov:entity"
    FROM reached_model ORDER BY name
"""
_INGEST_USED = """
    SELECT 'ingest:' || p.ingest_id AS "prov:activity", 'document:' || p.document_id AS "prov:entity"
    FROM reached_place p SEMI JOIN ingest USING (ingest_id) ORDER BY p.document_id
"""
_MEMBERS = """
    SELECT DISTINCT 'training_set:' || url_encode(i.training_set) AS "prov:collection",
           'document:' || i.document_id AS "prov:entity"
    FROM training_set_item i SEMI JOIN reached_set r ON r.name = i.training_set ORDER BY ALL
"""
_DERIVED = """
    SELECT DISTINCT 'document:' || p.document_id AS "prov:generatedEntity",
           'document:' || p.parent_id AS "prov:usedEntity", p.relation AS "prov:label"
    FROM parent p SEMI JOIN reached_document USING (document_id) ORDER BY ALL
"""
_CLAIM_DERIVED = """
    SELECT 'claim:' || a.evidence_id AS "prov:generatedEntity",
           'statement:' || url_encode(a.statement_digest) AS "prov:usedEntity"
    FROM attestation a SEMI JOIN reached_claim USING (evidence_id) ORDER BY ALL
"""
_OF_SOURCE = """
    SELECT 'document:' || document_id AS "prov:entity", 'source:' || url_encode(source) AS "prov:agent"
    FROM reached_place ORDER BY document_id
"""
_OF_AUTHOR = """
    SELECT 'document:' || document_id AS "prov:entity", 'agent:' || url_encode(author) AS "prov:agent"
    FROM reached_place WHERE author IS NOT NULL ORDER BY document_id
"""
_CLAIMED = """
    SELECT 'claim:' || evidence_id AS "prov:entity", 'agent:' || url_encode(author) AS "prov:agent"
    FROM reached_claim WHERE author IS NOT NULL ORDER BY evidence_id
"""
_SIGNED = """
    SELECT DISTINCT 'statement:' || url_encode(a.statement_digest) AS "prov:entity",
           'agent:' || url_encode(a.signer) AS "prov:agent"
    FROM attestation a SEMI JOIN reached_claim USING (evidence_id) ORDER BY ALL
"""
_BY_PROGRAM = """
    SELECT activity AS "prov:activity", 'agent:' || url_encode('corpus-provenance ' || code_version) AS "prov:agent"
    FROM (
        SELECT 'ingest:' || ingest_id AS activity, code_version FROM ingest SEMI JOIN reached_ingest USING (ingest_id)
        UNION ALL
        SELECT 'mix:' || url_encode(s.name), s.manifest->>'code_version'
        FROM training_set s SEMI JOIN reached_set r ON r.name = s.name
        UNION ALL
        SELECT 'fit:' || url_encode(m.name), m.code_version
        FROM model m SEMI JOIN reached_model r ON r.name = m.name WHERE m.training_set IS NOT NULL
    ) WHERE code_version IS NOT NULL ORDER BY ALL
"""
_CLAIMED_OF = """
    SELECT CASE subject_kind WHEN 'source' THEN 'source:' || url_encode(source)
                             WHEN 'ingest' THEN 'ingest:' || ingest_id
                             ELSE 'document:' || document_id END AS "prov:influencee",
           'claim:' || evidence_id AS "prov:influencer"
    FROM reached_claim ORDER BY evidence_id
"""

#: What the queries above join, made once.
PREPARED = (
    """
    CREATE OR REPLACE TEMP TABLE reached_place AS
    SELECT document_id, source, author, ingest_id, CASE WHEN origin IN ('synthetic', 'mixed') THEN model END AS model
    FROM document SEMI JOIN reached_document USING (document_id)
    """,
    "CREATE OR REPLACE TEMP TABLE reached_ingest AS SELECT DISTINCT ingest_id FROM reached_place",
    """
    CREATE OR REPLACE TEMP TABLE reached_claim AS
    SELECT * FROM evidence
    WHERE (subject_kind = 'source' AND source IN (SELECT source FROM reached_place))
       OR (subject_kind = 'ingest' AND ingest_id IN (SELECT ingest_id FROM reached_ingest))
       OR (subject_kind = 'document' AND document_id IN (SELECT document_id FROM reached_place))
    """,
)

#: In the order of the file; statements of the same kind stand together.
STATEMENTS = (
    *(Statements("entity", query) for query in (_DOCUMENTS, _SETS, _MODELS, _CLAIMS, _ATTESTATIONS)),
    *(Statements("activity", query) for query in (_INGESTS, _MIXES, _FITS, _GENERATIONS)),
    *(Statements("agent", query) for query in (_SOURCES, _AGENTS)),
    *(Statements("wasGeneratedBy", query) for query in (_MIXED, _FITTED, _WRITTEN)),
    *(Statements("used", query) for query in (_FIT_USED, _GENERATION_USED, _INGEST_USED)),
    Statements("hadMember", _MEMBERS),
    *(Statements("wasDerivedFrom", query) for query in (_DERIVED, _CLAIM_DERIVED)),
    *(Statements("wasAttributedTo", query) for query in (_OF_SOURCE, _OF_AUTHOR, _CLAIMED, _SIGNED)),
    Statements("wasAssociatedWith", _BY_PROGRAM),
    Statements("wasInfluencedBy", _CLAIMED_OF),
)

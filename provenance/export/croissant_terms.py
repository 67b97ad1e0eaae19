"""The vocabulary of Croissant 1.1, and what every column of an exported record is in it."""

from __future__ import annotations

from typing import Any, NamedTuple

from provenance.export.naming import TERMS

CROISSANT = "http://mlcommons.org/croissant/1.1"

#: The context that the specification prescribes, with PROV and our own terms.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "provenance": TERMS,
    "provenance:composition": {"@id": f"{TERMS}composition", "@type": "@json"},
    "provenance:manifest": {"@id": f"{TERMS}manifest", "@type": "@json"},
    "provenance:spec": {"@id": f"{TERMS}spec", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class Column(NamedTuple):
    """What a column of the records is.

    Attributes
    ----------
    meaning : in words
    kind : its data type
    property : the property of the record that it holds, in PROV or schema.org
    is_list : whether a record has several values
    """

    meaning: str
    kind: str = "sc:Text"
    property: str | None = None
    is_list: bool = False


_INTEGER = "sc:Integer"

#: In the order of the file.
COLUMNS: dict[str, Column] = {
    "position": Column("place in the training set, from 0", _INTEGER, "sc:position"),
    "document_id": Column("id of the document in its store", property="sc:identifier"),
    "content_id": Column("first 128 bits of SHA-256 of the text"),
    "text": Column("the text", property="prov:value"),
    "source": Column("source that the document came from", property="prov:hadPrimarySource"),
    "external_id": Column("id of the document in its source"),
    "uri": Column("address of the document", property="prov:atLocation"),
    "author": Column("who wrote it, where that is known", property="prov:wasAttributedTo"),
    "title": Column("title of the document", property="sc:headline"),
    "authored_at": Column("when it was written or published", "sc:DateTime", "prov:generatedAtTime"),
    "licence": Column("licence, an SPDX expression where it is one", property="sc:license"),
    "licence_class": Column("class of the licence, from public-domain to unknown"),
    "origin": Column("human, synthetic, mixed (people and a model) or unknown, as drawn", property="prov:type"),
    "generation": Column("0 for people, 1 + the largest generation its model was trained on", _INTEGER),
    "model": Column("the model that wrote it", property="prov:wasGeneratedBy"),
    "evidence_rank": Column("rank of the evidence for its origin, from 0 to 5", _INTEGER),
    "evidence_grade": Column("grade of that evidence: none, declared, detector, dated, attested, curated"),
    "cluster_id": Column("cluster of near-duplicates that it belongs to"),
    "stratum": Column("stratum of the mix that it was drawn from"),
    "repeat": Column("how often it had been drawn before", _INTEGER),
    "n_words": Column("words in the text", _INTEGER),
    "n_bytes": Column("bytes of the text in UTF-8", _INTEGER),
    "n_tokens": Column("tokens in the text, where the set was drawn in tokens", _INTEGER),
    "parents": Column("documents that it was made from", property="prov:wasDerivedFrom", is_list=True),
}

"""What the edges, clusters, representatives and licence classes of a set of documents are, from the definitions alone.

An edge stands exactly when its two contents share a bucket in which one of them is among the eight smallest content
ids, and they are the same in normal form, or enough of their hash values agree, or one stands inside the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import pyarrow as pa

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.dedup.tokens import normal_form, token_hash, tokens
from provenance.ids import content_digest
from provenance.licences import LICENCE_CLASSES
from provenance.store.store import Store
from tests.factories import rows

MASK = (1 << 64) - 1


class State(NamedTuple):
    edges: set[tuple[str, str, str, float]]
    clusters: dict[str, str]
    representatives: set[str]
    licence_classes: dict[str, str]


def stored_state(store: Store) -> State:
    edges = rows(store, "SELECT content_a, content_b, rule, score FROM near_duplicate")
    clusters = rows(store, "SELECT content_id, cluster_id FROM cluster")
    documents = rows(store, "SELECT document_id, is_representative, licence_class FROM document")
    in_documents = rows(store, "SELECT DISTINCT content_id, cluster_id FROM document")
    found = {str(row["content_id"]): str(row["cluster_id"]) for row in clusters}
    for row in in_documents:
        content = str(row["content_id"])
        assert str(row["cluster_id"]) == found.get(content, content)
    return State(
        {(str(row["content_a"]), str(row["content_b"]), row["rule"], row["score"]) for row in edges},
        found,
        {str(row["document_id"]) for row in documents if row["is_representative"]},
        {str(row["document_id"]): row["licence_class"] for row in documents},
    )


def band_keys(signature: Sequence[int], parameters: DedupParameters) -> list[int]:
    keys = []
    for band in range(parameters.n_bands):
        value = 0x9E3779B97F4A7C15 * (band + 1) & MASK
        for row in range(parameters.rows_per_band):
            value = (value ^ int(signature[band * parameters.rows_per_band + row])) * 0xFF51AFD7ED558CCD & MASK
            value ^= value >> 33
        keys.append((value >> 32) ^ (value & 0xFFFFFFFF))
    return keys


def expected_edges(texts: set[str], parameters: DedupParameters) -> dict[tuple[bytes, bytes], tuple[str, float]]:
    kernel = SignatureKernel(parameters.n_permutations, parameters.seed, shingle_tokens=parameters.shingle_tokens)
    ordered = sorted(texts)
    signatures, n_words = kernel.compute(pa.array(ordered, pa.large_string()))
    normal = {content_digest(text.encode()): normal_form(text) for text in ordered}
    signature = {}
    buckets: dict[Any, set[bytes]] = {}
    for text, values, n in zip(ordered, signatures, n_words, strict=True):
        content = content_digest(text.encode())
        signature[content] = tuple(int(v) for v in values) if n else None
        for key in band_keys(signature[content], parameters) if n else [normal[content]]:
            buckets.setdefault(key, set()).add(content)
    edges = {}
    for members in buckets.values():
        anchors = set(sorted(members)[:8])
        for a, b in combinations(sorted(members), 2):
            if a not in anchors and b not in anchors:
                continue
            equal = sum(x == y for x, y in zip(signature[a] or (), signature[b] or (), strict=True))
            if normal[a] == normal[b]:
                edges[a, b] = ("normalised", 1.0)
            elif equal >= parameters.min_equal:
                edges[a, b] = ("near", equal / parameters.n_permutations)
    return edges


def all_spans(text: str) -> list[int]:
    """Return the hash of every run of 13 tokens."""
    hashes = [token_hash(token) for token in _tokens(text)]
    spans = []
    for i in range(len(hashes) - 12):
        value = 0
        for one in hashes[i : i + 13]:
            value = (value * 0x9E3779B97F4A7C15 + one) & MASK
        value = (value ^ (value >> 32)) * 0xD6E8FEB86659FD93 & MASK
        spans.append(value ^ (value >> 32))
    return spans


def picked_spans(text: str) -> set[int]:
    """Return in every window of 38 runs of 13 tokens the one with the least hash."""
    spans = all_spans(text)
    return {min(spans[i : i + 38]) for i in range(max(1, len(spans) - 37))} if spans else set()


@cache
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(tokens(text))


def share_inside(inner: str, outer: str) -> float:
    """Return which share of a text's tokens stands in runs of 13 tokens that the other has too."""
    here, there = _tokens(inner), _tokens(outer)
    runs = {there[i : i + 13] for i in range(len(there) - 12)}
    covered = {i + k for i in range(len(here) - 12) if here[i : i + 13] in runs for k in range(13)}
    return len(covered) / max(1, len(here))


def coverage(one: str, other: str) -> float:
    """Return which share of the shorter text stands in the other; of two equally long ones, the larger share."""
    if len(_tokens(one)) == len(_tokens(other)):
        return max(share_inside(one, other), share_inside(other, one))
    return share_inside(*sorted((one, other), key=lambda text: len(_tokens(text))))


def expected_containments(texts: set[str], parameters: DedupParameters) -> dict[tuple[bytes, bytes], tuple[str, float]]:
    if parameters.containment is None:
        return {}
    text_of = {content_digest(text.encode()): text for text in texts}
    picked = {content: picked_spans(text) for content, text in text_of.items()}
    buckets: dict[int, set[bytes]] = {}
    for content, spans in picked.items():
        for span in spans:
            buckets.setdefault(span, set()).add(content)
    edges = {}
    for members in buckets.values():
        anchors = set(sorted(members)[:8])
        for a, b in combinations(sorted(members), 2):
            if (a not in anchors and b not in anchors) or (a, b) in edges:
                continue
            shared = len(picked[a] & picked[b]) / min(len(picked[a]), len(picked[b]))
            score = coverage(text_of[a], text_of[b]) if shared >= parameters.containment / 4 else 0.0
            if score >= parameters.containment:
                edges[a, b] = ("containment", score)
    return edges


def expected_clusters(edges: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    cluster = {node: node for edge in edges for node in edge}
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            least = min(cluster[a], cluster[b])
            if (cluster[a], cluster[b]) != (least, least):
                cluster[a] = cluster[b] = least
                changed = True
    return cluster


def as_text(digest: bytes) -> str:
    return f"{digest.hex()[:8]}-{digest.hex()[8:12]}-{digest.hex()[12:16]}-{digest.hex()[16:20]}-{digest.hex()[20:]}"


def expected_representatives(store: Store, clusters: dict[str, str]) -> set[str]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows(store, "SELECT * FROM document"):
        content = str(row["content_id"])
        groups.setdefault(clusters.get(content, content), []).append(row)

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            -row["evidence_rank"],
            (row["generation"] is None, row["generation"] or 0),
            LICENCE_CLASSES.index(row["stated_licence_class"]),
            (row["authored_at"] is None, row["authored_at"] and row["authored_at"].isoformat()),
            -row["n_words"],
            str(row["document_id"]),
        )

    return {str(min(group, key=order)["document_id"]) for group in groups.values()}


def expected_licence_classes(store: Store, clusters: Mapping[str, str]) -> dict[str, str]:
    """Return what is stated, made as restrictive as what is stated for any copy; what nobody states is unknown."""
    stated = {}
    strictest: dict[str, int] = {}
    for row in rows(store, "SELECT document_id, content_id, stated_licence_class FROM document"):
        content, place = str(row["content_id"]), LICENCE_CLASSES.index(row["stated_licence_class"])
        cluster = clusters.get(content, content)
        stated[str(row["document_id"])] = (cluster, place)
        if row["stated_licence_class"] != "unknown":
            strictest[cluster] = max(place, strictest.get(cluster, 0))
    return {
        document: "unknown" if LICENCE_CLASSES[place] == "unknown" else LICENCE_CLASSES[strictest[cluster]]
        for document, (cluster, place) in stated.items()
    }


def assert_as_defined(store: Store, texts: set[str], parameters: DedupParameters) -> State:
    state = stored_state(store)
    near, contained = expected_edges(texts, parameters), expected_containments(texts, parameters)
    assert state.edges == {
        (as_text(a), as_text(b), *found) for edges in (near, contained) for (a, b), found in edges.items()
    }
    clusters = {as_text(a): as_text(b) for a, b in expected_clusters([*near, *contained]).items()}
    assert state.clusters == clusters
    assert state.representatives == expected_representatives(store, clusters)
    assert state.licence_classes == expected_licence_classes(store, clusters)
    return state

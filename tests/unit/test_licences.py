"""Licence classes of SPDX identifiers and expressions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.licences import LICENCE_CLASSES, licence_class

#: One identifier of every class, freest first.
ONE_OF_EACH = ("CC0-1.0", "MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "LicenseRef-Ours", "gibberish")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CC0-1.0", "public-domain"), ("CC-PDM-1.0", "public-domain"), ("Unlicense", "public-domain"),
        ("LicenseRef-US-Government-Public-Domain", "public-domain"), ("LicenseRef-PD", "public-domain"),
        ("PDDL-1.0", "public-domain"),
        ("MIT", "permissive"), ("Apache-2.0", "permissive"), ("BSD-3-Clause", "permissive"),
        ("CC-BY-4.0", "permissive"),
        ("ISC", "permissive"), ("ODC-By-1.0", "permissive"), ("BSL-1.0", "permissive"), ("CC-BY", "permissive"),
        ("CC-BY-SA-4.0", "share-alike"), ("GPL-3.0-or-later", "share-alike"), ("LGPL-2.1-only", "share-alike"),
        ("AGPL-3.0-only", "share-alike"), ("MPL-2.0", "share-alike"), ("ODbL-1.0", "share-alike"),
        ("GFDL-1.3-only", "share-alike"),
        ("CC-BY-NC-4.0", "non-commercial"), ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("CC-BY-NC-ND-3.0", "non-commercial"),
        ("CC-BY-ND-4.0", "proprietary"), ("LicenseRef-Contract-17", "proprietary"), ("BUSL-1.1", "proprietary"),
        ("All rights reserved", "unknown"), ("", "unknown"), ("   ", "unknown"), (None, "unknown"),
        ("CC-BY-", "unknown"),
        ("MITX", "unknown"), ("not MIT", "unknown"), ("LicenseRef-PDF-Terms", "proprietary"),
        ("cc0-1.0", "public-domain"), ("mit", "permissive"),
        # expressions
        ("MIT OR GPL-3.0-only", "permissive"), ("MIT AND GPL-3.0-only", "share-alike"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "share-alike"),
        ("MIT AND GPL-3.0-only OR CC0-1.0", "public-domain"), ("MIT AND (GPL-3.0-only OR CC0-1.0)", "permissive"),
        ("(MIT OR CC0-1.0) AND CC-BY-NC-4.0", "non-commercial"), ("((CC0-1.0))", "public-domain"),
        ("MIT OR (CC-BY-NC-4.0 AND (GPL-3.0-only OR CC0-1.0))", "permissive"),
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", "permissive"),
        ("CC0-1.0 AND gibberish", "unknown"), ("CC0-1.0 OR gibberish", "public-domain"),
        # no expressions
        ("CC0-1.0 MIT", "unknown"), ("CC0-1.0 AND", "unknown"), ("AND CC0-1.0", "unknown"), ("OR", "unknown"),
        ("(CC0-1.0", "unknown"), ("CC0-1.0)", "unknown"), ("()", "unknown"), ("CC0-1.0 and MIT", "unknown"),
        ("CC0-1.0\nMIT", "unknown"),
    ],
)  # fmt: skip
def test_examples(expression: str | None, expected: str) -> None:
    assert licence_class(expression) == expected


_leaf = st.sampled_from(range(len(ONE_OF_EACH))).map(lambda i: (ONE_OF_EACH[i], i))


def _joined(parts: tuple[tuple[str, int], tuple[str, int], bool]) -> tuple[str, int]:
    (left, i), (right, j), is_and = parts
    return (f"({left}) AND ({right})", max(i, j)) if is_and else (f"({left}) OR ({right})", min(i, j))


@given(st.recursive(_leaf, lambda inner: st.tuples(inner, inner, st.booleans()).map(_joined), max_leaves=12))
def test_expressions(made: tuple[str, int]) -> None:
    expression, expected = made
    assert licence_class(expression) == LICENCE_CLASSES[expected]


_words = st.sampled_from(["(", ")", "AND", "OR", "WITH", "MIT", "CC0-1.0", "x"])


@given(st.lists(_words, max_size=9).map(" ".join) | st.text())
@example("(" * 100_000)
@example("(" * 99 + "MIT")
@example(")" * 300)
@example("CC-BY-" * 50_000)
def test_anything_has_a_class(expression: str) -> None:
    assert licence_class(expression) in LICENCE_CLASSES

"""Licences: SPDX expressions, their spelling and their classes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from license_expression import get_license_index

from provenance.errors import InvalidLicence
from provenance.licences import LICENCE_CLASSES, canonical, licence_class, problem, valid_licence

#: One licence of every class, freest first.
ONE_OF_EACH = ("CC0-1.0", "MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "LicenseRef-Ours", "gibberish")
#: Identifiers of the SPDX list (without the library's own), in the order of the library's index.
LISTED = [
    one["spdx_license_key"]
    for one in get_license_index()
    if one.get("spdx_license_key") and not one["is_exception"] and not one["spdx_license_key"].startswith("LicenseRef")
]
#: The licences that dataset cards on the Hugging Face hub name, but those that are SPDX identifiers in small letters.
CARD_TAGS = {
    "public-domain": ("pddl", "cc0-1.0", "unlicense", "wtfpl"),
    "permissive": ("odc-by", "apache-2.0", "bsd", "openmdw-1.0", "apple-ascl", "etalab-2.0", "ms-pl"),
    "share-alike": ("gpl", "lgpl", "gfdl", "odbl", "lgpl-lr", "cc-by-sa-4.0", "artistic-2.0", "ofl-1.1"),
    "non-commercial": (
        "h-research", "intel-research", "apple-amlr", "deepfloyd-if-license", "fair-noncommercial-research-license",
        "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0",
    ),
    "proprietary": (
        "openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
        "bigcode-openrail-m", "llama2", "llama3.1", "llama4", "gemma", "cc-by-nd-4.0", "c-uda",
    ),
    "unknown": ("unknown", "other", "cc"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CC0-1.0", "public-domain"), ("CC-PDM-1.0", "public-domain"), ("Unlicense", "public-domain"),
        ("LicenseRef-US-Government-Public-Domain", "public-domain"), ("LicenseRef-PD", "public-domain"),
        ("DocumentRef-a:LicenseRef-PD", "public-domain"), ("LicenseRef-scancode-public-domain", "public-domain"),
        ("PDDL-1.0", "public-domain"), ("DL-DE-ZERO-2.0", "public-domain"),
        ("MIT", "permissive"), ("Apache-2.0", "permissive"), ("BSD-3-Clause", "permissive"),
        ("CC-BY-4.0", "permissive"), ("DL-DE-BY-2.0", "permissive"), ("OGL-UK-3.0", "permissive"),
        ("ISC", "permissive"), ("ODC-By-1.0", "permissive"), ("BSL-1.0", "permissive"), ("CC-BY", "permissive"),
        ("CC-BY-SA-4.0", "share-alike"), ("GPL-3.0-or-later", "share-alike"), ("LGPL-2.1-only", "share-alike"),
        ("AGPL-3.0-only", "share-alike"), ("MPL-2.0", "share-alike"), ("ODbL-1.0", "share-alike"),
        ("GFDL-1.3-only", "share-alike"), ("OFL-1.1", "share-alike"), ("BSD-Protection", "share-alike"),
        ("CC-BY-SA-3.0-US", "share-alike"), ("GPL-2.0-with-classpath-exception", "share-alike"),
        ("CC-BY-NC-4.0", "non-commercial"), ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("CC-BY-NC-ND-3.0", "non-commercial"), ("PolyForm-Noncommercial-1.0.0", "non-commercial"),
        ("LicenseRef-NonCommercial", "non-commercial"), ("ASWF-Digital-Assets-1.0", "non-commercial"),
        ("CC-BY-ND-4.0", "proprietary"), ("LicenseRef-Contract-17", "proprietary"), ("BUSL-1.1", "proprietary"),
        ("Elastic-2.0", "proprietary"), ("SSPL-1.0", "proprietary"), ("Hippocratic-2.1", "proprietary"),
        ("LicenseRef-PDF-Terms", "proprietary"), ("LicenseRef-scancode-unknown", "unknown"),
        ("", "unknown"), ("   ", "unknown"), (None, "unknown"), ("CC-BY-", "unknown"), ("CC-BY-FOO", "unknown"),
        ("MITX", "unknown"), ("not MIT", "unknown"), ("NOASSERTION", "unknown"), ("NONE", "unknown"),
        ("cc0-1.0", "public-domain"), ("mit", "permissive"), ("Apache-2.0+", "permissive"),
        # expressions
        ("MIT OR GPL-3.0-only", "permissive"), ("MIT AND GPL-3.0-only", "share-alike"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "share-alike"),
        ("MIT WITH LicenseRef-scancode-commons-clause", "proprietary"), ("MIT WITH Anything", "unknown"),
        ("MIT AND GPL-3.0-only OR CC0-1.0", "public-domain"), ("MIT AND (GPL-3.0-only OR CC0-1.0)", "permissive"),
        ("(MIT OR CC0-1.0) AND CC-BY-NC-4.0", "non-commercial"), ("((CC0-1.0))", "public-domain"),
        ("MIT OR (CC-BY-NC-4.0 AND (GPL-3.0-only OR CC0-1.0))", "permissive"),
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", "permissive"),
        ("CC0-1.0 AND gibberish", "unknown"), ("CC0-1.0 OR gibberish", "public-domain"),
        ("CC0-1.0 and MIT", "permissive"), ("cc-by AND odc-by", "permissive"),
        # no expressions
        ("CC0-1.0 MIT", "unknown"), ("CC0-1.0 AND", "unknown"), ("AND CC0-1.0", "unknown"), ("OR", "unknown"),
        ("(CC0-1.0", "unknown"), ("CC0-1.0)", "unknown"), ("()", "unknown"), ("CC0-1.0\nMIT", "unknown"),
        ("Classpath-exception-2.0", "unknown"),
    ],
)  # fmt: skip
def test_examples(expression: str | None, expected: str) -> None:
    assert licence_class(expression) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Public Domain", "public-domain"), ("Public domain in the USA.", "public-domain"), ("PD", "public-domain"),
        ("US Government Work", "public-domain"), ("CC Zero", "public-domain"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
        ("http://creativecommons.org/publicdomain/zero/1.0/deed.fr", "public-domain"),
        ("http://rightsstatements.org/vocab/NoC-US/1.0/", "public-domain"), ("http://unlicense.org/", "public-domain"),
        ("CC BY 4.0", "permissive"), ("CC-BY 3.0 US", "permissive"), ("The MIT License", "permissive"),
        ("Creative Commons Attribution 4.0 International License", "permissive"),
        ("Apache License, Version 2.0", "permissive"), ("BSD (3 clause)", "permissive"), ("New BSD", "permissive"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode", "permissive"),
        ("//creativecommons.org/licenses/by/2.0/uk/", "permissive"), ("Open Government Licence v3.0", "permissive"),
        ("https://www.apache.org/licenses/LICENSE-2.0.txt", "permissive"),
        ("https://opensource.org/licenses/MIT", "permissive"), ("https://spdx.org/licenses/ISC.html", "permissive"),
        ("https://opendatacommons.org/licenses/by/1-0/", "permissive"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "share-alike"), ("CC BY-SA", "share-alike"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported", "share-alike"), ("GPLv3", "share-alike"),
        ("GNU Lesser General Public License v2.1", "share-alike"), ("GNU GPL v2+", "share-alike"),
        ("https://www.gnu.org/licenses/gpl-3.0.en.html", "share-alike"), ("Mozilla Public License 2.0", "share-alike"),
        ("https://www.gnu.org/copyleft/fdl.html", "share-alike"), ("Open Database License (ODbL) v1.0", "share-alike"),
        ("Attribution-NonCommercial-NoDerivatives 4.0 International", "non-commercial"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/de/", "non-commercial"),
        ("for non-commercial research use only", "non-commercial"), ("CC BY-NC 4.0", "non-commercial"),
        ("http://creativecommons.org/licenses/by-nd/4.0/", "proprietary"), ("CC BY-ND 4.0", "proprietary"),
        ("All rights reserved.", "proprietary"), ("© 2020 A. Author. All Rights Reserved", "proprietary"),
        ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", "proprietary"),
        ("http://rightsstatements.org/vocab/InC/1.0/", "proprietary"),
        # the first word is not the whole
        ("mit nicht-kommerzieller Nutzung", "unknown"), ("CC BY 4.0 except the pictures", "unknown"),
        ("not in the public domain", "unknown"), ("MIT or so they say", "unknown"),
        ("https://example.com/licenses/by/4.0/", "unknown"), ("https://creativecommons.org/licenses/", "unknown"),
    ],
)  # fmt: skip
def test_words_and_addresses(words: str, expected: str) -> None:
    assert licence_class(words) == expected
    assert canonical(words) is None, "no SPDX expression"


@pytest.mark.parametrize(("tag", "expected"), [(tag, kind) for kind, tags in CARD_TAGS.items() for tag in tags])
def test_tags_of_dataset_cards(tag: str, expected: str) -> None:
    assert licence_class(tag) == expected


def test_every_listed_licence_has_a_class() -> None:
    assert len(LISTED) > 600
    assert [identifier for identifier in LISTED if licence_class(identifier) == "unknown"] == []


@pytest.mark.parametrize(
    ("marks", "allowed"),
    [
        ("-NC-", {"non-commercial"}), ("CC-BY-ND", {"proprietary"}), ("CC-BY-SA", {"share-alike"}),
        ("GPL-3", {"share-alike"}), ("GFDL", {"share-alike"}), ("CC0", {"public-domain"}),
        ("MIT-", {"permissive"}), ("BSD-2-", {"permissive"}), ("BSD-3-", {"permissive", "proprietary"}),
        ("OFL-", {"share-alike"}), ("CERN-OHL-", {"share-alike", "permissive"}), ("-PD", {"public-domain"}),
    ],
)  # fmt: skip
def test_families_are_of_one_class(marks: str, allowed: set[str]) -> None:
    family = {identifier: licence_class(identifier) for identifier in LISTED if marks in identifier}
    assert family
    assert set(family.values()) <= allowed, family


# ---------------------------------------------------------------- the grammar


class _Value(int):
    """A class as a number under the operators of Python, which bind as those of SPDX do."""

    def __and__(self, other: int) -> _Value:
        return _Value(max(self, other))

    def __or__(self, other: int) -> _Value:
        return _Value(min(self, other))


_leaf = st.sampled_from(range(len(ONE_OF_EACH))).map(lambda i: [i])


def _compound(inner: st.SearchStrategy[list[object]]) -> st.SearchStrategy[list[object]]:
    operator = st.sampled_from(["AND", "OR"])
    return st.one_of(
        st.tuples(inner, operator, inner).map(lambda parts: [*parts[0], parts[1], *parts[2]]),
        inner.map(lambda part: ["(", *part, ")"]),
    )


_expressions = st.recursive(_leaf, _compound, max_leaves=12)
_EXCEPTION = " WITH LLVM-exception"


@st.composite
def _written(draw: st.DrawFn, tokens: list[object]) -> str:
    """Draw a way to write tokens: letters large or small, exceptions, more or less space."""
    words = []
    for token in tokens:
        word = ONE_OF_EACH[token] if isinstance(token, int) else str(token)
        if isinstance(token, int) and draw(st.booleans()):
            word += _EXCEPTION
        words.append(draw(st.sampled_from([word, word.lower(), word.upper()])))
    return draw(st.sampled_from([" ", "  ", "\n"])).join(words)


@given(st.data(), _expressions)
def test_expressions(data: st.DataObject, tokens: list[object]) -> None:
    code = " ".join(
        f"_Value({token})" if isinstance(token, int) else {"AND": "&", "OR": "|"}.get(str(token), str(token))
        for token in tokens
    )
    expected = eval(code, {"_Value": _Value})  # noqa: S307 (put together one line before)
    assert licence_class(data.draw(_written(tokens))) == LICENCE_CLASSES[expected]


_valid = st.sampled_from(ONE_OF_EACH[:-1]).map(lambda one: one + _EXCEPTION) | st.sampled_from(LISTED)


@given(st.lists(_valid, min_size=1, max_size=5), st.sampled_from([" AND ", " or ", " OR "]), st.booleans())
def test_the_spelling_of_spdx(parts: list[str], operator: str, is_small: bool) -> None:
    given_ = operator.join(parts)
    written = canonical(given_.lower() if is_small else given_)
    assert written is not None
    assert written.lower() == given_.lower()
    if "LicenseRef-Ours" not in given_:  # nobody knows how an own name is spelt
        assert written.replace(" OR ", operator) == given_
    assert canonical(written) == written
    assert licence_class(written) == licence_class(given_)
    assert problem(given_) is None


_words = st.sampled_from(["(", ")", "AND", "OR", "WITH", "MIT", "CC0-1.0", "x", "LLVM-exception", "+", "cc by"])


@given(st.lists(_words, max_size=9).map(" ".join) | st.text() | st.text("MITcby- 4.0/:()+", max_size=40))
@example("(" * 100_000)
@example("(" * 99 + "MIT")
@example("(MIT OR " * 120 + "MIT" + ")" * 120)
@example(")" * 300)
@example("CC-BY-" * 50_000)
@example("licence-" * 120)
@example("\ud800 MIT")
def test_anything_has_a_class(expression: str) -> None:
    assert licence_class(expression) in LICENCE_CLASSES
    assert (canonical(expression) is None) == (problem(expression) is not None)


# ---------------------------------------------------------------- what the command line refuses


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("mit", "MIT"), ("gpl-2.0+", "GPL-2.0-or-later"), ("GPL-2.0", "GPL-2.0-only"), ("apache-2.0+", "Apache-2.0+"),
        ("cc-by-sa-4.0 or (mit and isc)", "CC-BY-SA-4.0 OR (MIT AND ISC)"),
        ("GPL-3.0-only with gcc-exception-3.1", "GPL-3.0-only WITH GCC-exception-3.1"),
        ("licenseref-Our-Deal", "LicenseRef-Our-Deal"),
        ("documentref-D1:licenseref-X", "DocumentRef-D1:LicenseRef-X"),
        ("MIT WITH AdditionRef-y", "MIT WITH AdditionRef-y"),
    ],
)  # fmt: skip
def test_valid(licence: str, expected: str) -> None:
    assert valid_licence(licence) == canonical(licence) == expected


@pytest.mark.parametrize(
    ("licence", "part"),
    [
        ("MITT", "'MITT' is no licence of the SPDX list. Did you mean 'MIT'?"), ("CC-BY", "'CC-BY-4.0'"),
        ("odc-by", "'ODC-By-1.0'"), ("CC BY SA 3.0", "'CC-BY-SA-3.0'"), ("GPLv3", "'GPL-3.0-only'"),
        ("https://creativecommons.org/licenses/by-nc/2.0/", "'CC-BY-NC-2.0'"), ("Apache License 2.0", "'Apache-2.0'"),
        ("MIT OR Apache2", "'Apache2' is no licence of the SPDX list. Did you mean 'Apache-2.0'?"),
        ("MIT WITH LVM-exception", "'LVM-exception' behind WITH is no exception of the SPDX list. Did you mean 'LLVM"),
        ("MIT WITH ISC", "'ISC' behind WITH is no exception"), ("LLVM-exception", "LICENCE WITH LLVM-exception"),
        ("LicenseRef-a_b", "letters, digits, '-' and '.'"), ("", "no SPDX expression"), ("()", "no SPDX expression"),
        ("MIT AND", "'MIT AND' is no SPDX expression"), ("Public Domain", "'Public Domain' is no SPDX expression"),
        ("x" * 2000, "A text of 2,000 characters"),
    ],
)  # fmt: skip
def test_refused(licence: str, part: str) -> None:
    with pytest.raises(InvalidLicence) as caught:
        valid_licence(licence)
    assert part in str(caught.value)
    assert "LicenseRef-NAME" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.licence == licence
    assert caught.value.reason == problem(licence)

"""Elements of SVG: any text stays well-formed, and within its room."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.svg import columns, cut, page, tag, text, title

ANY = st.text(st.characters(exclude_categories=["Cs"]))


@given(ANY, st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF)))
def test_any_text_is_well_formed_and_comes_back(said: str, harmless: str) -> None:
    made = page(10, 20.4, [tag("g", title(said), text(1, 2.5, harmless, fill=said), class_="a", stroke_width=1 / 3)])
    root = ElementTree.fromstring(made)  # noqa: S314
    assert (root.get("viewBox"), root.get("height")) == ("0 0 10 20", "20")
    group = root[0]
    assert dict(group.attrib) == {"class": "a", "stroke-width": "0.33"}
    assert " ".join((group[1].text or "").split()) == " ".join(harmless.split())
    assert len(group[0].text or "") == len(said.replace("\r\n", "\n"))


@given(ANY, st.integers(3, 40))
def test_cut_text_is_no_wider_than_its_room(said: str, most: int) -> None:
    short = cut(said, most)
    assert columns(short) <= most
    if columns(said) <= most:
        assert short == said
    else:
        begin, _, end = short.partition("…") if "…" not in said else (short[:1], "", short[-1:])
        assert said.startswith(begin) and said.endswith(end)


@pytest.mark.parametrize(("said", "wide"), [("e\u0301", 1), ("文書", 4), ("ab", 2), ("\u200d", 0), ("🙂", 2)])
def test_width(said: str, wide: int) -> None:
    assert columns(said) == wide

"""Lines cut out of blocks of bytes, compared with a naive split."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from provenance.ingest.readers.base import TOO_LARGE, Refused
from provenance.ingest.readers.lines import LineCutter


def naive(data: bytes, limit: int) -> list[tuple[int, bytes | Refused]]:
    """Return (number, line), or the parts of a line that is too long."""
    expected: list[tuple[int, bytes | Refused]] = []
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if len(line) <= limit:
            expected.append((number, line))
            continue
        parts = [line[i : i + limit] for i in range(0, len(line), limit)]
        detail = f"the line is longer than {limit:,} bytes"
        expected += [(number, Refused(f"line {number}", TOO_LARGE, detail, part, i)) for i, part in enumerate(parts)]
    return expected


_data = st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r\n", b"0123456789", b"\xff\0"]), max_size=40).map(b"".join)


@given(data=_data, cuts=st.lists(st.integers(0, 200), max_size=12), limit=st.integers(1, 15))
@example(data=b"0123456789" * 3 + b"\nx", cuts=[5, 29, 30, 31], limit=10)
@example(data=b"0123456789", cuts=[10], limit=10)
@example(data=b"0123456789\n", cuts=[10], limit=10)
@example(data=b"01234567890\n\n", cuts=[11, 12], limit=10)
@example(data=b"", cuts=[0, 0], limit=1)
def test_like_a_naive_split(data: bytes, cuts: list[int], limit: int) -> None:
    places = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    cutter = LineCutter(limit=limit)
    found: list[tuple[int, bytes | Refused]] = []
    n_given = 0
    for begin, end in pairwise(places):
        piece = cutter.feed(data[begin:end])
        new = list(piece.lines(limit))
        found += new
        n_given += sum(len(one.raw) if isinstance(one, Refused) else len(one) for _, one in new)
        n_ends = data[:end].count(b"\n")
        assert end - n_ends - n_given <= limit, "it keeps more than a line may have"
    last = list(cutter.end().lines(limit))
    assert len({number for number, _ in last}) <= 1, "only the unfinished line comes at the end"
    assert found + last == naive(data, limit)


@given(data=_data, limit=st.integers(1, 15))
def test_blocks_do_not_matter(data: bytes, limit: int) -> None:
    whole = LineCutter(limit=limit)
    at_once = [*whole.feed(data).lines(limit), *whole.end().lines(limit)]
    bytewise = LineCutter(limit=limit)
    one_by_one = [one for i in range(len(data)) for one in bytewise.feed(data[i : i + 1]).lines(limit)]
    assert [*one_by_one, *bytewise.end().lines(limit)] == at_once == naive(data, limit)

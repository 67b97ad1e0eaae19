"""The text of a dataset card: what is in the set, on what evidence, under which licences, and how to check it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from provenance import __version__
from provenance.export.facts import NO_LICENCE, SetFacts, Share, spdx_name
from provenance.export.wording import description_of, licence_sentence, origin_in_words, part_name, spdx_address


def card_text(facts: SetFacts, *, file: str, sha256: str, creator: str | None = None) -> str:
    """Return the text that stands below the metadata.

    Parameters
    ----------
    file, sha256 : the data, as a path in the folder of the card, and their digest
    creator : who publishes it
    """
    sections = (
        f"# {facts.name}\n\n{description_of(facts)}" + (f" Published by {_escaped(creator)}." if creator else ""),
        _overview(facts),
        _composition(facts),
        _evidence(facts),
        _sources(facts),
        _licences(facts),
        _phases(facts.manifest),
        _quotas(facts.manifest),
        _copies(facts),
        _fields(file),
        _verification(facts, file, sha256),
        _limits(facts),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _overview(facts: SetFacts) -> str:
    human = facts.human
    rows = [
        ("documents", f"{facts.documents:,} ({facts.distinct_documents:,} distinct)"),
        ("words", f"{facts.words:,}"),
        ("bytes of text", f"{facts.n_bytes:,}"),
        (
            "human share",
            f"{human.word_share:.2%} of the words, {human.document_share:.2%} of the documents",
        ),
        ("drawn", f"{facts.created_at:%Y-%m-%d %H:%M} UTC by corpus-provenance {__version__}"),
        ("seed", str(facts.seed)),
        ("digest of the draws", f"`{facts.digest}`"),
    ]
    return "## At a glance\n\n" + _table(("", ""), rows)


def _composition(facts: SetFacts) -> str:
    rows = [(_escaped(part_name(part)), *_counts(part)) for part in facts.generations]
    models = [(_escaped(part.names["model"]), *_counts(part)) for part in facts.models]
    meanings = sorted({part.names["origin"] for part in facts.generations})
    words = "; ".join(f"*{origin}*: {origin_in_words(origin)}" for origin in meanings)
    text = (
        "## Composition\n\n![Words by origin and generation](plots/composition.svg)\n\n"
        f"{words[:1].upper()}{words[1:]}. A text of generation 1 was written by a model that was trained on nothing "
        "but human text as far as is known, one of generation 2 by a model that was trained on text of generation 1, "
        "and so on.\n\n" + _table(("origin", *_COUNTS), rows)
    )
    return text + ("\n\nModels that wrote it:\n\n" + _table(("model", *_COUNTS), models) if models else "")


def _evidence(facts: SetFacts) -> str:
    rows = [(part.names["origin"], part.names["evidence_grade"], *_counts(part)) for part in facts.grades]
    return (
        "## Evidence\n\nOn what ground an origin is believed: *declared* by who brought the text, a *detector*'s word, "
        "*dated* before there were such models, *attested* by a licence deal or a signed statement, *curated* by a "
        "person who looked.\n\n" + _table(("origin", "evidence", *_COUNTS), rows)
    )


def _sources(facts: SetFacts) -> str:
    rows = [
        (_escaped(part.names["source"]), _escaped(part.names["uri"] or "–"), *_counts(part)) for part in facts.sources
    ]
    return "## Sources\n\n![Words by source](plots/sources.svg)\n\n" + _table(("source", "address", *_COUNTS), rows)


def _licences(facts: SetFacts) -> str:
    rows = [(_linked(part.names["licence"]), part.names["licence_class"], *_counts(part)) for part in facts.licences]
    own = "" if facts.licence_names == [NO_LICENCE] else " Every record names its own."
    return f"## Licences\n\n{licence_sentence(facts)}{own}\n\n" + _table(("licence", "class", *_COUNTS), rows)


def _phases(manifest: dict[str, Any]) -> str:
    """Return the phases of a curriculum; nothing for a set that has none."""
    units = [unit for unit in (manifest["budget"]["unit"],) if unit != "documents"]
    rows = [
        (
            _escaped(one["phase"]),
            f"{one['share']} of the budget",
            *(f"{one[key]:,}" for key in ("position", "documents", *(["units"] if units else []))),
        )
        for one in manifest["phases"]
    ]
    if not rows:
        return ""
    text = "## Phases\n\nThe records stand in the order of a curriculum, one phase after the other.\n\n"
    return text + _table(("phase", "asked", "from position", "documents", *units), rows)


def _quotas(manifest: dict[str, Any]) -> str:
    unit = manifest["budget"]["unit"]
    rows = [
        (
            _escaped(quota["quota"] + (f" ({quota['group']})" if quota["group"] is not None else "")),
            _escaped(quota["phase"] or "–"),
            f"{'at least' if quota['bound'] == 'min' else 'at most'} {quota['share']}",
            f"{quota['units'] / quota['total']:.4f}" if quota["total"] else "–",
            f"{quota['units']:,} of {quota['total']:,}",
        )
        for quota in manifest["quotas"]
    ]
    budget = manifest["budget"]
    asked = budget["asked"] if budget["asked"] == "all" else f"{int(budget['asked']):,}"
    text = f"## Quotas\n\nBudget: {asked} {unit} asked, {budget['used']:,} used."
    if not rows:
        return f"{text} No quota was asked for."
    return f"{text} Every quota below is met; a mix that cannot meet one is refused.\n\n" + _table(
        ("quota", "phase", "asked", "met", f"{unit}"), rows
    )


def _copies(facts: SetFacts) -> str:
    left_out = facts.manifest["candidates"]["left_out"]
    words = {"empty": "without words", "used": "used by sets that were excluded", "too_large": "larger than the budget",
             "spans": "overlapping with excluded sets", "contaminated": "overlapping with evaluation data"}  # fmt: skip
    rows = [(words.get(name, name), f"{n:,}") for name, n in left_out.items() if n]
    rows.insert(0, ("copies and near-copies of what was drawn", f"{facts.copies_left_out:,}"))
    repeated = (
        f"{facts.repeated:,} draws repeat a document that was drawn before."
        if facts.repeated
        else "No document was drawn twice."
    )
    return f"## Left out\n\n{repeated}\n\n" + _table(("documents of the store that are not in the set", ""), rows)


def _fields(file: str) -> str:
    return (
        "## Use\n\n```python\nfrom datasets import load_dataset\n\n"
        'records = load_dataset("path/of/this/folder", split="train")\n'
        'records[0]["text"], records[0]["origin"]\n```\n\n'
        f"The records stand in `{file}`, one a draw, in the order of the training set. Each has its `text`, `source`, "
        "`author`, `licence`, `origin`, `generation`, `model`, `evidence_grade`, the `parents` that it was made from, "
        "and the ids with which its store finds it again."
    )


def _verification(facts: SetFacts, file: str, sha256: str) -> str:
    return (
        f"## Verify\n\n```\nsha256sum {file}\n{sha256}  {file}\nprovenance verify {file}\n```\n\n"
        "`provenance verify` recomputes every share, quota and digest from the file and its manifest alone; in the "
        f"store `provenance verify {facts.name}` also compares the labels of today."
    )


def _limits(facts: SetFacts) -> str:
    declared = sum(part.words for part in facts.grades if part.names["evidence_grade"] in ("none", "declared"))
    lines = [
        f"For {_percent(declared, facts.words)} of the words nothing stronger than a declaration says who wrote them.",
        "Labels are those of the day of drawing; what was found out since shows in the store (`provenance stale`).",
        "A generation that was declared, not computed from a training set, is a lower bound.",
    ]
    unknown = sum(part.words for part in facts.generations if part.names["origin"] == "unknown")
    if unknown:
        lines.append(f"{_percent(unknown, facts.words)} of the words are of unknown origin and count as not human.")
    if any(part.names["licence"] is None for part in facts.licences):
        lines.append("Some documents state no licence: whoever redistributes them has to find out.")
    if not facts.languages:
        lines.append("The language of the documents is not recorded.")
    return "## Known limits\n\n" + "\n".join(f"- {line}" for line in lines)


#: Longer tables are cut; the records have everything.
_MOST_ROWS = 200
_COUNTS = ("documents", "words", "share of words")


def _counts(part: Share) -> tuple[str, ...]:
    return f"{part.documents:,}", f"{part.words:,}", f"{part.word_share:.2%}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    numeric = ("documents", "words", "share of words", "met", "from position", "tokens", "bytes")
    shown = list(rows)
    left = len(shown) - _MOST_ROWS
    if left > 0:
        shown = [*shown[:_MOST_ROWS], (f"… {left:,} more", *[""] * (len(head) - 1))]
    lines = [head, ["--:" if name in numeric else "---" for name in head], *shown]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _linked(licence: str | None) -> str:
    name = spdx_name(licence)
    if name == NO_LICENCE:
        return "none stated"
    address = spdx_address(name)
    return f"[{name}]({address})" if address != name else _escaped(name)


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, in a cell of a table too."""
    kept = " ".join(text.split())
    for mark in "\\`*_[]<>|":
        kept = kept.replace(mark, "\\" + mark)
    return kept


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "0 %"

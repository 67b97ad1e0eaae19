from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.curation.errors import InvalidJudge, JudgementRefused, JudgementsUnreadable
from provenance.curation.exchange import export_queue, import_judgements
from provenance.curation.judging import Judgement, judge_document, take_back
from provenance.curation.queue import find_queue
from provenance.store.store import Store
from tests.factories import count, dump, ingest, provenance, rows
from tests.unit.curation.judging_desk import fill

Edit = Callable[[list[dict[str, Any]]], None]


def _exported(store: Store, kind: str) -> Path:
    fill(store)
    ingest(store, [{"id": "odd", "text": 'a "quoted", text;\r\nin two\nlines \x07 \u2028 and 日本'}], source="crawl",
           origin="unknown")  # fmt: skip
    file = store.path.with_name(f"queue.{kind}")
    assert export_queue(store, find_queue(store), file) == 4
    return file


def _read(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(file: Path, found: list[dict[str, Any]]) -> None:
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
        return
    with file.open("w", encoding="utf-8-sig", newline="") as stream:  # as a spreadsheet does it
        writer = csv.DictWriter(stream, found[0], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(found)


def _edit(file: Path, **judged: str) -> None:
    """Fill in judgements by external id."""
    found = _read(file)
    for row in found:
        row["judgement"] = judged.get(row["external_id"], "")
    _write(file, found)


def _origins(store: Store) -> dict[str, str]:
    found = rows(store, "SELECT external_id, origin FROM documents WHERE evidence_rank = 5")
    return {row["external_id"]: row["origin"] for row in found}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_the_queue_goes_out_and_judgements_come_back(store: Store, kind: str) -> None:
    file = _exported(store, kind)
    found = _read(file)
    assert [row["external_id"] for row in found] == ["u300", "u200", "u100", "odd"]
    assert found[3]["text"] == 'a "quoted", text;\r\nin two\nlines \x07 \u2028 and 日本'
    assert {(row["judgement"], row["judge"], row["note"]) for row in found} == {("", "", "")}
    claims = found[0]["claims"] if kind == "jsonl" else json.loads(found[0]["claims"])
    assert claims[0]["origin"] == "unknown"
    _edit(file, u300="human", u200=" Synthetic ", odd="cannot tell")
    assert import_judgements(store, file, judge="anna") == (3, 0, 1)
    assert _origins(store) == {"u300": "human", "u200": "synthetic"}
    assert {row["author"] for row in rows(store, "SELECT author FROM claims WHERE rank = 5")} == {"anna"}
    assert [one.n_words for one in find_queue(store)] == [100]
    n = count(store, "evidence")
    assert import_judgements(store, file, judge="anna") == (0, 3, 1)  # once more changes nothing
    assert count(store, "evidence") == n


def test_a_line_names_its_own_judge_and_note(store: Store) -> None:
    file = _exported(store, "jsonl")
    found = _read(file)
    found[0] |= {"judgement": "mixed", "judge": "bert", "note": "a preface by people"}
    _write(file, [*found[:1], found[0]])  # and twice the same is once
    assert import_judgements(store, file, judge="anna").n_judged == 1
    [claim] = rows(store, "SELECT origin, author, note, method FROM claims WHERE rank = 5")
    assert tuple(claim.values()) == ("mixed", "bert", "a preface by people", "judged by a person")


def _set(place: int, **fields: Any) -> Edit:
    return lambda found: found[place].update(fields)


def _twice(found: list[dict[str, Any]]) -> None:
    found.append({**found[0], "judgement": "synthetic"})


_GONE = "00000000-0000-0000-0000-000000000001"


_REFUSED: list[tuple[Edit, int, str]] = [
    (_set(1, judgement="humam"), 2, "'humam' is no judgement. Did you mean 'human'\\? Expected one of: human"),
    (_set(2, judgement="human", document_id=_GONE), 3, f"there is no document {_GONE}"),
    (_set(2, judgement="human", document_id="u100"), 3, "'u100' is no id of a document"),
    (_set(2, judgement="human", document_id=None), 3, "'' is no id of a document"),
    (_set(1, judgement=1), 2, "judgement is 1, expected text"),
    (_set(1, judgement="human", claims="?"), 2, "claims is not what was exported"),
    (_twice, 5, "is judged otherwise on line 1"),
]


def test_what_cannot_be_taken_is_named_by_its_line_and_nothing_is_taken(store: Store) -> None:
    file = _exported(store, "jsonl")
    whole, before = _read(file), dump(store)
    for edit, line, reason in _REFUSED:
        found = [dict(row) for row in whole]
        found[0]["judgement"] = "human"
        edit(found)
        _write(file, found)
        with pytest.raises(JudgementRefused, match=reason) as caught:
            import_judgements(store, file, judge="anna")
        assert caught.value.line == line
        assert dump(store) == before


def test_what_was_judged_since_the_export_is_refused(store: Store) -> None:
    file = _exported(store, "csv")
    _edit(file, u300="human", u100="human")
    document = next(row["document_id"] for row in _read(file) if row["external_id"] == "u100")
    for judge, word in (("bert", "human"), ("anna", "synthetic")):
        judgement = Judgement(document, word, judge)
        claim = judge_document(store, judgement)
        before = dump(store)
        with pytest.raises(JudgementRefused, match=f"was judged {word} by {judge}") as caught:
            import_judgements(store, file, judge="anna")
        assert caught.value.line == 4
        assert dump(store) == before
        take_back(store, judgement, claim)
    assert import_judgements(store, file, judge="anna").n_judged == 2


_UNREADABLE: list[tuple[str, bytes | None, str]] = [
    ("q.jsonl", b'{"document_id": 1\n', "line 1: it is no JSON"),
    ("q.jsonl", b"[1]\n", "line 1: it is no JSON object"),
    ("q.jsonl", b"\xff\n", "it is no UTF-8"),
    ("q.csv", b"document_id,judge\n", "line 1: there is no column 'judgement'"),
    ("q.csv", b"", "line 1: there is no column 'document_id'"),
    ("q.csv", b"document_id,judgement\na\n", "line 2: it has another number of fields"),
    ("q.csv", b'document_id,judgement\n"a"b,c\n', "line 2: it is no CSV"),
    ("q.txt", b"", r"ends in .jsonl or .csv"),
    ("none.csv", None, "it cannot be read"),
]


def test_files_that_cannot_be_read_are_refused(store: Store) -> None:
    for name, data, problem in _UNREADABLE:
        file = store.path.with_name(name)
        if data is not None:
            file.write_bytes(data)
        with pytest.raises((JudgementRefused, JudgementsUnreadable), match=problem):
            import_judgements(store, file, judge="anna")


def test_nobody_judges_without_a_name(store: Store) -> None:
    file = _exported(store, "jsonl")
    _edit(file, u300="human")
    for judge in ("", " ", "a\nb", "x" * 201):
        with pytest.raises(InvalidJudge):
            import_judgements(store, file, judge=judge)


def test_the_command_line_exports_and_imports(store: Store) -> None:
    file = _exported(store, "csv")
    path = store.path
    store.close()
    assert provenance("--store", path, "curate", "--export", file, "--limit", 2).code == 0
    _edit(file, u300="human")
    answer = provenance("--store", path, "curate", "--import", file, "--judge", "anna", "--json")
    assert json.loads(answer.out) == {"n_judged": 1, "n_present": 0, "n_empty": 1}
    refused = provenance("--store", path, "curate", "--export", file.with_suffix(".xlsx"))
    assert (refused.code, "ends in .jsonl or .csv" in refused.err) == (1, True)
    assert provenance("--store", path, "curate", "--export", file.parent / "no" / "q.csv").code == 1

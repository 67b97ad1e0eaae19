"""Logs of exchanges with language models: every shape, what is refused, and what the store knows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ingest_chat_log
import pytest

from provenance.ingest.inputs import Input
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.quarantine import Selection
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import BAD_JSON, MISSING_FIELD, NO_TEXT, TOO_LARGE, WRONG_TYPE, ReadOptions
from provenance.ingest.readers.chat import ChatReader
from provenance.ingest.retry import RetryOptions, retry_quarantined
from provenance.store.store import Store
from tests.factories import ingest_paths, provenance, rows, violations, write_lines
from tests.reading import Outcome, read

READER = ChatReader()
ASK = {"role": "user", "content": "Who built the bridge?"}
CREATED = 1_700_000_000  # 2023-11-14T22:13:20 UTC


def answer(text: Any = "A mason from the next town.", **more: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}


def response(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "r1", "model": "m-1", "created": CREATED, "choices": list(choices or (answer(),)), **more}


def outcome_of(tmp_path: Path, *lines: Any, name: str = "a.chat.jsonl", **options: Any) -> Outcome:
    return read(READER, write_lines(tmp_path / name, lines), **options)


def one_problem(tmp_path: Path, line: Any) -> tuple[str, str]:
    """Return reason and detail of a line of which nothing is taken."""
    found = outcome_of(tmp_path, line)
    ((refused, _),) = found.refused
    assert (found.records, found.error) == ([], None)
    return refused.reason, str(refused.detail)


# ---------------------------------------------------------------- shapes

SHAPES: dict[str, dict[str, Any]] = {
    "both": {"request": {"model": "asked", "messages": [ASK], "temperature": 0.5}, "response": response()},
    "flat": {"messages": [ASK], "temperature": 0.5, **response()},
    "batch": {"custom_id": "c7", "body": {"messages": [ASK], "temperature": 0.5}, "response": {"body": response()}},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_chat_completions(tmp_path: Path, shape: str) -> None:
    found = outcome_of(tmp_path, SHAPES[shape])
    assert found.refused == []
    prompt, said = found.records
    assert prompt == {"id": "r1#prompt", "text": "Who built the bridge?", "origin": "unknown"}
    (parent,) = said.pop("parent")
    assert parent["relation"] == "prompt"
    metadata = said.pop("metadata")
    assert (metadata["parameters"], metadata["finish_reason"]) == ({"temperature": 0.5}, "stop")
    assert said == {
        "id": "r1",
        "text": "A mason from the next town.",
        "origin": "synthetic",
        "model": "m-1",
        "date": "2023-11-14T22:13:20+00:00",
    }
    assert found.places == ["line 1 prompt", "line 1"]


def test_completions_of_a_prompt(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "prompt": "Once", "completion": "upon a time", "model": "m"},
        {"id": 2, "prompt": ["Once"], "choices": [{"text": "more"}], "model": "m"},
        {"id": 3, "prompt": "Once", "echo": True, "choices": [{"text": "Once again"}], "model": "m"},
        {"id": 4, "prompt": [17, 4], "completion": "of tokens", "model": "m"},
    ]
    found = outcome_of(tmp_path, *lines)
    said = [(record["id"], record["text"], "parent" in record) for record in found.records]
    assert said == [
        ("1#prompt", "Once", False), ("1", "upon a time", True),
        ("2#prompt", "Once", False), ("2", "more", True),
        ("3#prompt", "Once", False), ("3", " again", True),
        ("4", "of tokens", False),
    ]  # fmt: skip


def test_messages_that_end_with_the_answer(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, ASK, {"role": "assistant", "content": "A mason."}]
    prompt, said = outcome_of(tmp_path, {"messages": messages, "model": "m", "id": "f"}).records
    assert prompt["text"] == "system:\nBe brief.\n\nuser:\nWho built the bridge?"
    assert (said["text"], said["model"]) == ("A mason.", "m")
    assert "system_prompt" in said["metadata"]


def test_parts_of_a_message(tmp_path: Path) -> None:
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "it?"},
    ]
    line = {
        "messages": [{"role": "user", "content": parts}],
        **response(answer([{"type": "output_text", "text": "Ça."}])),
    }
    assert [record["text"] for record in outcome_of(tmp_path, line).records] == ["What is\nit?", "Ça."]
    picture = {"messages": [{"role": "user", "content": parts[1:2]}], **response()}
    (said,) = outcome_of(tmp_path, picture).records
    assert "parent" not in said


def test_several_answers(tmp_path: Path) -> None:
    line = {"messages": [ASK], **response(answer("one"), answer(None), answer("three"))}
    found = outcome_of(tmp_path, line)
    assert [record["id"] for record in found.records] == ["r1#prompt", "r1", "r1#2"]
    assert found.reasons == [("line 1 choice 1", NO_TEXT)]
    assert len({record["parent"][0]["document_id"] for record in found.records[1:]}) == 1


def test_an_exchange_without_an_id_is_known_by_its_bytes(tmp_path: Path) -> None:
    line = {"prompt": "Once", "completion": "upon a time", "model": "m"}
    first, again, other = (
        outcome_of(tmp_path, *lines, name=f"{i}.chat.jsonl").records[-1]["id"]
        for i, lines in enumerate([[line], [line, line], [{**line, "completion": "more"}]])
    )
    assert first == again != other


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"{", BAD_JSON, "unexpected end"),
        ({"messages": [ASK], **response(answer(None, finish_reason="length"))}, NO_TEXT, "finish_reason: length"),
        ({"messages": [ASK], "choices": []}, NO_TEXT, "'choices' is empty"),
        (
            {"messages": [ASK], "choices": [{"message": {"role": "assistant", "tool_calls": [{"id": 1}]}}]},
            NO_TEXT,
            "a call of tools",
        ),
        ({"request": {"messages": [ASK]}, "response": {"error": {"message": "overloaded"}}}, NO_TEXT, "overloaded"),
        ({"messages": [ASK]}, NO_TEXT, "the last message has the role 'user'"),
        ({"question": "why?"}, MISSING_FIELD, "it has: question"),
        ({"messages": "hello"}, WRONG_TYPE, "'messages' is text, expected a list"),
        ({"messages": [7], "completion": "x"}, WRONG_TYPE, "'messages[0]' is a number, expected an object"),
        ({"messages": [{"content": "x"}], "completion": "x"}, MISSING_FIELD, "'messages[0].role' is null"),
        ({"messages": [ASK], "choices": [{"message": 3}]}, WRONG_TYPE, "'choices[0].message' is a number"),
        ({"messages": [ASK], "choices": [{}]}, MISSING_FIELD, "neither a message nor text"),
        ({"prompt": ["a", "b"], "completion": "x"}, WRONG_TYPE, "several texts"),
        ({"prompt": "a", "completion": 5}, WRONG_TYPE, "'completion' is a number"),
        ({"request": [], "response": response()}, WRONG_TYPE, "'request' is a list, expected an object"),
        ({"id": [], "prompt": "a", "completion": "x"}, WRONG_TYPE, "'id' is a list"),
    ],
)
def test_what_is_no_exchange(tmp_path: Path, line: Any, reason: str, detail: str) -> None:
    found = one_problem(tmp_path, line)
    assert found[0] == reason
    assert detail in found[1]


def test_lines_around_a_refused_one_are_read(tmp_path: Path) -> None:
    line = {"prompt": "Once", "completion": "upon", "model": "m"}
    found = outcome_of(tmp_path, {**line, "id": 1}, b"{", {**line, "id": 2}, b"", {"x": 1}, {**line, "id": 3})
    assert [place for place, _ in found.order] == [
        "line 1 prompt", "line 1", "line 2", "line 3 prompt", "line 3", "line 5", "line 6 prompt", "line 6",
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [50, 900, 5000])
def test_deep_nesting(tmp_path: Path, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    line = b'{"prompt": "a", "completion": "b", "logit_bias": %b, "model": "m", "id": 1}' % nested
    found = outcome_of(tmp_path, line)
    assert len(found.records) == 2 or len(found.refused) == 1
    assert found.error is None


def test_names(tmp_path: Path) -> None:
    line = {"prompt": "Once", "completion": "upon", "model": "m"}
    for name in ("x.chat.jsonl", "x.chat.jsonl.gz", "X.CHAT.JSONL.zst"):
        path = write_lines(tmp_path / name, [line])
        assert reader_for(Input(str(path))).name == "chat"
        assert len(read(READER, path).records) == 2
    assert reader_for(Input(str(write_lines(tmp_path / "x.jsonl", [line])))).name == "jsonl"


# ---------------------------------------------------------------- in the store


def test_the_store_knows_model_evidence_and_parent(store: Store, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "log.chat.jsonl", [SHAPES["both"], SHAPES["batch"] | {"response": {"body": response(id="r2")}}]
    )
    report = ingest_paths(store, file, origin="unknown")
    assert (report.counts.n_read, report.counts.n_inserted) == (4, 4)
    found = rows(
        store, "SELECT external_id, origin, model, generation, authored_at FROM documents ORDER BY external_id"
    )
    assert [(row["external_id"], row["origin"], row["model"], row["generation"]) for row in found] == [
        ("r1", "synthetic", "m-1", None),
        ("r1#prompt", "unknown", None, None),
        ("r2", "synthetic", "m-1", None),
        ("r2#prompt", "unknown", None, None),
    ]
    assert str(found[0]["authored_at"]) == "2023-11-14 22:13:20"
    parents = rows(
        store,
        """SELECT a.external_id AS child, b.external_id AS parent, p.relation
           FROM parent p JOIN document a USING (document_id) JOIN document b ON b.document_id = p.parent_id
           ORDER BY child""",
    )
    assert [(row["child"], row["parent"], row["relation"]) for row in parents] == [
        ("r1", "r1#prompt", "prompt"),
        ("r2", "r2#prompt", "prompt"),
    ]
    evidence = rows(
        store,
        """SELECT e.method, e.note FROM evidence e JOIN document d ON e.document_id = d.document_id
           WHERE d.external_id = 'r1' AND e.subject_kind = 'document'""",
    )
    assert [(row["method"], json.loads(row["note"])) for row in evidence] == [
        ("log of the model's output", {"temperature": 0.5})
    ]
    assert violations(store) == []
    again = ingest_paths(store, file, origin="unknown").counts
    assert (again.n_inserted, again.n_present) == (0, 4)


def test_a_source_of_a_model_does_not_make_its_prompts_synthetic(store: Store, tmp_path: Path) -> None:
    line = {"id": "x", "prompt": "Who built the bridge?", "completion": "A mason."}
    ingest_paths(store, write_lines(tmp_path / "a.chat.jsonl", [line]), origin="synthetic", model="gpt-x")
    found = rows(store, "SELECT external_id, origin, model FROM documents ORDER BY external_id")
    assert [tuple(row.values()) for row in found] == [("x", "synthetic", "gpt-x"), ("x#prompt", "unknown", None)]


@pytest.mark.parametrize("prompt", ["a\0b", "long " * 500])
def test_a_prompt_that_cannot_be_stored_is_no_parent(store: Store, tmp_path: Path, prompt: str) -> None:
    line = {"id": "x", "prompt": prompt, "completion": "A mason.", "model": "m"}
    options = IngestOptions(max_record_bytes=2000)
    file = write_lines(tmp_path / "b.chat.jsonl", [line])
    counts = ingest_paths(store, file, origin="unknown", options=options).counts
    assert counts.n_read == counts.n_inserted + counts.n_quarantined
    assert rows(store, "SELECT * FROM parent") == []
    assert violations(store) == []


def test_a_retry_takes_what_was_too_large(store: Store, tmp_path: Path) -> None:
    line = {"id": "x", "prompt": "Tell.", "completion": "word " * 100, "model": "m"}
    small = IngestOptions(max_record_bytes=300)
    file = write_lines(tmp_path / "a.chat.jsonl", [line, {**line, "id": "y", "completion": "short"}])
    counts = ingest_paths(store, file, origin="unknown", options=small).counts
    assert (counts.n_read, counts.n_inserted, counts.n_quarantined) == (3, 2, 1)
    assert [row["reason"] for row in rows(store, "SELECT DISTINCT reason FROM quarantined")] == [TOO_LARGE]
    retry_quarantined(store, Selection(), options=RetryOptions(max_record_bytes=10_000))
    found = rows(store, "SELECT external_id FROM documents ORDER BY 1")
    assert [row["external_id"] for row in found] == ["x", "x#prompt", "y", "y#prompt"]
    assert rows(store, "SELECT * FROM quarantined") == []
    assert violations(store) == []


def test_rereading_a_line_makes_all_its_records(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, SHAPES["both"])
    again = READER.reread("a", found.raws[1], None, ReadOptions())
    assert again.records == found.records


def test_the_format_by_name(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "any.jsonl", [SHAPES["flat"]])
    path = tmp_path / "s.duckdb"
    Store.create(path).close()
    common = ("--store", path, "ingest", file, "--source", "logs", "--origin", "unknown", "--json")
    assert json.loads(provenance(*common).out)["n_quarantined"] == 1  # no field `text`
    said = provenance(*common, "--format", "chat")
    assert (said.code, json.loads(said.out)["n_inserted"]) == (0, 2)


def test_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"id": "x", "prompt": "Who?", "completion": "A mason."}
    file = write_lines(tmp_path / "any.jsonl", [line])
    for i, more in enumerate([[], ["--model", "gpt-x"]]):
        path = tmp_path / f"{i}.duckdb"
        assert ingest_chat_log.main([str(file), "--store", str(path), "--jobs", "1", *more]) == 0
        with Store.open(path) as store:
            found = rows(store, "SELECT source, origin, model FROM documents WHERE external_id = 'x'")
        assert [tuple(row.values()) for row in found] == [("chat-logs", "synthetic", "gpt-x" if more else None)]
    assert "2 records read = 2 inserted" in capsys.readouterr().err

"""Logs of exchanges with language models: what a model answered, and what it had been asked.

Such a log is the best evidence of synthetic text there is: it names the model, and the parent of every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from provenance.ids import as_uuid, content_digest, document_digest
from provenance.ingest.inputs import Input
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Block, Chunk, Ground, ReadOptions, Refused, behind
from provenance.ingest.readers.chat_shapes import Exchange, NotAnExchange, exchange_of
from provenance.ingest.readers.jsonl import JsonLinesReader
from provenance.ingest.readers.streams import plain_name

_ANSWERED = "log of the model's output"
_ASKED = Ground("prompt in the log of a model; who wrote it is not known")


class ChatReader:
    """Reads JSON Lines of which each is an exchange with a language model, in the shapes of the OpenAI interface.

    An exchange makes one record for its prompt, of unknown origin, and one for each answer, synthetic and with the
    prompt as parent. Taken are:

    - `{"request": {"model", "messages", …}, "response": {"id", "model", "created", "choices": […], "usage"}}`;
    - the fields of both in one object;
    - `{"prompt", "completion"}`, or `choices` with `text`;
    - lines of a batch, `{"custom_id", "response": {"body": …}}`, with the request as `request` or `body` if at all;
    - `{"messages": […]}` that end with the answer, as for fine-tuning.

    Notes
    -----
    - The id of an answer is the response's id, `ID#1` and so on for further choices; its prompt's is `ID#prompt`. A
      line without an id gets one from its bytes.
    - The prompt is one text: of a single message of the user its text; several stand below their roles
      (`system:`), parted by blank lines. Without text (pictures, tokens) there is no prompt, and no parent.
    - An answer without text is refused; where all of an exchange are, the prompt is not taken either.
    - The prompt has no date: when it was sent says nothing of when it was written.
    - A refused record keeps the whole line. Read again, the line makes all its records again.
    """

    name = "chat"
    formats = ("chat and completions logs (.chat.jsonl)",)

    def __init__(self) -> None:
        self._lines = JsonLinesReader()

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is that of a log."""
        return plain_name(name).endswith(".chat.jsonl")

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield whole lines."""
        return self._lines.blocks(file, options)

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the prompts and answers of the lines."""
        return _exchanges(self._lines.parse(block, options), options)

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the prompt and the answers of a line."""
        return _exchanges(self._lines.reread(file, raw, context, options), options)


def _exchanges(lines: Chunk, options: ReadOptions) -> Chunk:
    """Return the prompts and answers of objects, refused lines in their places."""
    assert lines.raws is not None
    chunk = Chunk(lines.file, [], [], [], grounds=[])
    unread = iter(lines.refused)
    refused = next(unread, None)
    for i, (place, record, raw) in enumerate(zip(lines.places, lines.records, lines.raws, strict=True)):
        while refused is not None and refused.n_before <= i:
            chunk.refused.append(behind(refused, chunk))
            refused = next(unread, None)
        try:
            exchange = exchange_of(record, raw)
            note = _packed(exchange.parameters)
        except NotAnExchange as problem:
            chunk.refused.append(behind(Refused(place, problem.reason, problem.detail, raw), chunk))
        else:
            _add(exchange, note, place, raw, chunk, options)
    if refused is not None:
        chunk.refused.extend(behind(one, chunk) for one in (refused, *unread))
    return chunk


def _add(exchange: Exchange, note: str | None, place: str, raw: bytes, chunk: Chunk, options: ReadOptions) -> None:
    """Append the records of an exchange to the chunk, and its refused answers."""
    parent = None
    if exchange.prompt is not None and any(one.problem is None for one in exchange.choices):
        prompt_id = f"{exchange.id}#prompt"
        _append({"id": prompt_id, "text": exchange.prompt, "origin": "unknown"}, f"{place} prompt", raw, _ASKED, chunk)
        parent = _document_id(prompt_id, exchange.prompt, options)
    for k, choice in enumerate(exchange.choices):
        # Two refused records of a line must differ in their places, or quarantine takes them for the same one.
        own_place = place if len(exchange.choices) == 1 else f"{place} choice {k}"
        if choice.problem is not None:
            one = Refused(own_place, choice.problem.reason, choice.problem.detail, raw)
            chunk.refused.append(behind(one, chunk))
            continue
        answer: dict[str, Any] = {
            "id": f"{exchange.id}#{k}" if k else exchange.id,
            "text": choice.text,
            "origin": "synthetic",
            "model": exchange.model,
            "date": exchange.date,
        }
        if parent is not None:
            answer["parent"] = [{"document_id": parent, "relation": "prompt"}]
        metadata = dict(exchange.metadata)
        if exchange.parameters:
            metadata["parameters"] = exchange.parameters
        if choice.finish_reason is not None:
            metadata["finish_reason"] = choice.finish_reason
        if metadata:
            answer["metadata"] = metadata
        _append(answer, own_place, raw, Ground(_ANSWERED, note), chunk)


def _append(record: dict[str, Any], place: str, raw: bytes, ground: Ground, chunk: Chunk) -> None:
    assert chunk.raws is not None
    assert chunk.grounds is not None
    chunk.places.append(place)
    chunk.records.append(record)
    chunk.raws.append(raw)
    chunk.grounds.append(ground)


def _document_id(external_id: str, text: str, options: ReadOptions) -> str | None:
    """Return the id that the validation will give a prompt; None where it will refuse it: a parent must be there."""
    encoded = text.encode()
    if b"\0" in encoded or len(encoded) > options.max_record_bytes:
        return None
    return str(as_uuid(document_digest(options.source, external_id, content_digest(encoded))))


def _packed(parameters: dict[str, Any]) -> str | None:
    try:
        return orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS).decode() if parameters else None
    except orjson.JSONEncodeError as error:  # deeper than can be written, though not than can be read
        raise NotAnExchange(base.WRONG_TYPE, f"the parameters cannot be kept as JSON: {error}") from error

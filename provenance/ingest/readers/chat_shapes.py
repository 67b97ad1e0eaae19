"""Shapes in which exchanges with a language model are logged, brought to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from provenance.ids import as_uuid, composite_digest, content_digest
from provenance.ingest.readers import base

EXPECTED = (
    "expected a request and a response with 'choices', both in one object, 'prompt' with 'completion', "
    "or 'messages' that end with one of the assistant"
)
#: What decides how a model draws its words; all else in a request is kept as plain metadata.
PARAMETERS = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "n", "best_of", "seed", "stop", "suffix", "max_tokens",
    "max_completion_tokens", "min_tokens", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias",
    "reasoning_effort", "verbosity", "response_format",
)  # fmt: skip
#: Fields that become something else than metadata.
_USED = frozenset(
    (*PARAMETERS, "id", "model", "created", "created_at", "messages", "prompt", "choices", "completion", "request",
     "response", "body")
)  # fmt: skip
_TEXT_PARTS = ("text", "input_text", "output_text")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS = 200


class NotAnExchange(Exception):
    """Raised among the modules of this reader for a line, or a choice of it, that cannot be taken."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Choice(NamedTuple):
    """One answer of the model: its text, or why there is none."""

    text: str
    finish_reason: Any = None
    problem: NotAnExchange | None = None


@dataclass(frozen=True)
class Exchange:
    """A request and what the model answered.

    Attributes
    ----------
    id : of the response, else of the line, else made from the line's bytes
    prompt : what the model was given, as one text; None where there is no text
    choices : the answers, in the order of the log
    model : as the response names it, else the request
    date : when the response was made, in ISO 8601; what cannot be a date is left for the validation to refuse
    parameters : decoding parameters
    metadata : everything else that the log says of the request and the response as wholes
    """

    id: str
    prompt: str | None
    choices: tuple[Choice, ...]
    model: Any
    date: Any
    parameters: dict[str, Any]
    metadata: dict[str, Any]


def exchange_of(record: dict[str, Any], raw: bytes) -> Exchange:
    """Return the exchange that a line holds.

    Raises
    ------
    NotAnExchange
        If the line has none of the shapes, or no answer.
    """
    request = _request(record)
    response = _response(record)
    messages = _messages(request)
    choices = _choices(record, response)
    if choices is None and request is response is record:
        messages, choices = _answered(messages)
    if choices is None:
        raise _without_answer(record, response)
    # `echo` asks for the prompt in front of the answer; people may have written it.
    prompt = _prompt(request, messages)
    if prompt and request.get("echo") is True:
        choices = tuple(one._replace(text=one.text.removeprefix(prompt)) for one in choices)
    return Exchange(
        id=_id(record, response, raw),
        prompt=prompt,
        choices=tuple(_with_text(one) for one in choices),
        model=response.get("model") or request.get("model") or record.get("model"),
        date=_date(response, record),
        parameters={name: request[name] for name in PARAMETERS if request.get(name) is not None},
        metadata=_metadata(record, request, response, messages),
    )


# ---------------------------------------------------------------- parts of a line


def _request(record: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked: the object `request` or `body` (of a batch), where there is one, else the line itself."""
    for name in ("request", "body"):
        found = record.get(name)
        if found is not None:
            return _body(found, name)
    return record


def _response(record: dict[str, Any]) -> dict[str, Any]:
    found = record.get("response")
    return record if found is None else _body(found, "response")


def _body(value: Any, name: str) -> dict[str, Any]:
    """Return an object, or the `body` in it, as batches have it."""
    value = _object(value, name)
    return _object(value["body"], f"{name}.body") if value.get("body") is not None else value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAnExchange(base.WRONG_TYPE, f"{name!r} is {_kind(value)}, expected an object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise NotAnExchange(base.WRONG_TYPE, f"{name!r} is {_kind(value)}, expected a list")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {dict: "an object", list: "a list", str: "text", bool: "a boolean"}.get(type(value), "a number")


def _id(record: dict[str, Any], response: dict[str, Any], raw: bytes) -> str:
    for one in (response.get("id"), record.get("id"), record.get("custom_id")):
        if one is None or one == "":
            continue
        if isinstance(one, bool) or not isinstance(one, str | int):
            raise NotAnExchange(base.WRONG_TYPE, f"'id' is {_kind(one)}, expected text or a whole number")
        return str(one)
    # The same line has the same id in any file, at any place.
    return str(as_uuid(composite_digest("chat", raw.removeprefix(_BYTE_ORDER_MARK).strip())))


def _date(response: dict[str, Any], record: dict[str, Any]) -> Any:
    given = (one.get(name) for one in (response, record) for name in ("created", "created_at"))
    found = next((one for one in given if one is not None), None)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return found
    try:
        return datetime.fromtimestamp(found, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{found} seconds"  # as a number, it might pass for a year


def _metadata(
    record: dict[str, Any], request: dict[str, Any], response: dict[str, Any], messages: list[dict[str, Any]]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in (request, response, record):
        for name, value in part.items():
            if name not in _USED and value is not None:
                found.setdefault(name, value)
    system = "\n\n".join(
        filter(None, (_text_of(one) for one in messages if one.get("role") in ("system", "developer")))
    )
    if system:
        found["system_prompt"] = str(as_uuid(content_digest(system.encode())))
    return found


# ---------------------------------------------------------------- prompt


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    found = request.get("messages")
    if found is None:
        return []
    messages = [_object(one, f"messages[{i}]") for i, one in enumerate(_list(found, "messages"))]
    for i, one in enumerate(messages):
        if not isinstance(one.get("role"), str):
            raise NotAnExchange(
                base.MISSING_FIELD if one.get("role") is None else base.WRONG_TYPE,
                f"'messages[{i}].role' is {_kind(one.get('role'))}, expected text",
            )
        _text_of(one, f"messages[{i}]")
    return messages


def _prompt(request: dict[str, Any], messages: list[dict[str, Any]]) -> str | None:
    """Return what the model was given as one text.

    A single message of the user is its text. Otherwise, every message stands below a line with its role and a colon,
    with a blank line between messages. Messages without text (pictures, calls of tools) are left out.
    """
    prompt = request.get("prompt")
    if prompt is not None:
        return _completion_prompt(prompt)
    parts = [(one["role"], text) for one in messages if (text := _text_of(one))]
    if [role for role, _ in parts] == ["user"]:
        return parts[0][1]
    return "\n\n".join(f"{role}:\n{text}" for role, text in parts) or None


def _completion_prompt(prompt: Any) -> str | None:
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str):
        return None if _is_blank(prompt) else prompt
    if isinstance(prompt, list) and not any(isinstance(one, str) for one in prompt):  # tokens
        return None
    several = "several texts" if isinstance(prompt, list) else _kind(prompt)
    raise NotAnExchange(base.WRONG_TYPE, f"'prompt' is {several}, expected one text")


def _text_of(message: dict[str, Any], name: str = "message") -> str | None:
    """Return the text of a message, its parts on lines of their own; None where it has none."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(text for i, one in enumerate(content) if (text := _part(one, f"{name}.content[{i}]")))
    if content is not None and not isinstance(content, str):
        raise NotAnExchange(base.WRONG_TYPE, f"'{name}.content' is {_kind(content)}, expected text or a list of parts")
    return None if content is None or _is_blank(content) else content


def _part(part: Any, name: str) -> str | None:
    """Return the text of a part; None for a picture, a sound, a file."""
    if isinstance(part, str):
        return part
    if _object(part, name).get("type", "text") not in _TEXT_PARTS:
        return None
    text = part.get("text")
    if not isinstance(text, str):
        raise NotAnExchange(base.WRONG_TYPE, f"'{name}.text' is {_kind(text)}, expected text")
    return text


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


# ---------------------------------------------------------------- answers


def _choices(record: dict[str, Any], response: dict[str, Any]) -> tuple[Choice, ...] | None:
    """Return the answers of a response; None where it has no field for them."""
    if response.get("choices") is not None:
        choices = _list(response["choices"], "choices")
        if not choices:
            raise NotAnExchange(base.NO_TEXT, "'choices' is empty")
        return tuple(_choice(one, f"choices[{k}]") for k, one in enumerate(choices))
    for part in (response, record):
        if "completion" in part:
            text = part["completion"]
            if text is not None and not isinstance(text, str):
                raise NotAnExchange(base.WRONG_TYPE, f"'completion' is {_kind(text)}, expected text")
            return (Choice(text or "", part.get("finish_reason")),)
    return None


def _choice(choice: Any, name: str) -> Choice:
    try:
        choice = _object(choice, name)
        reason = choice.get("finish_reason")
        if choice.get("message") is None:
            text = choice.get("text")
            if text is not None and not isinstance(text, str):
                raise NotAnExchange(base.WRONG_TYPE, f"'{name}.text' is {_kind(text)}, expected text")
            if text is None:
                raise NotAnExchange(base.MISSING_FIELD, f"'{name}' has neither a message nor text")
            return Choice(text, reason)
        message = _object(choice["message"], f"{name}.message")
        text = _text_of(message, f"{name}.message")
        if text is None and (message.get("tool_calls") or message.get("function_call")):
            raise NotAnExchange(base.NO_TEXT, "the answer is a call of tools")
        return Choice(text or "", reason)
    except NotAnExchange as problem:
        return Choice("", None, problem)


def _with_text(choice: Choice) -> Choice:
    if choice.problem is None and _is_blank(choice.text):
        stopped = "" if choice.finish_reason is None else f" (finish_reason: {str(choice.finish_reason)[:40]})"
        return choice._replace(problem=NotAnExchange(base.NO_TEXT, f"the answer is empty{stopped}"))
    return choice


def _answered(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[Choice, ...] | None]:
    """Part messages that hold the answer too, as for fine-tuning: what the assistant says last is the answer."""
    n_asked = len(messages)
    while n_asked and messages[n_asked - 1]["role"] == "assistant":
        n_asked -= 1
    if not messages:
        return messages, None
    said = messages[n_asked:]
    if not said:
        raise NotAnExchange(base.NO_TEXT, f"no answer: the last message has the role {messages[-1]['role'][:40]!r}")
    text = "\n\n".join(filter(None, map(_text_of, said)))
    if not text and any(one.get("tool_calls") or one.get("function_call") for one in said):
        raise NotAnExchange(base.NO_TEXT, "the answer is a call of tools")
    return messages[:n_asked], (Choice(text),)


def _without_answer(record: dict[str, Any], response: dict[str, Any]) -> NotAnExchange:
    error = response.get("error") or record.get("error")
    if error:
        message = error.get("message") if isinstance(error, dict) else error
        return NotAnExchange(base.NO_TEXT, f"the response is an error: {message}"[:_SHOWN_CHARACTERS])
    has = ", ".join(response)[:_SHOWN_CHARACTERS]
    return NotAnExchange(base.MISSING_FIELD, f"no answer: {EXPECTED}; it has: {has}")

"""A chat completion as a response: output items, states and usage. Pure. ``response_events`` writes streams."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain import Usage, Value
from gateway.formats.chat import text_of
from gateway.formats.reply import decoded, from_upstream
from gateway.formats.usage import counted
from gateway.upstream.response_items import CUSTOM
from gateway.upstream.response_requests import Translated

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_FAILED = {"code": "server_error", "message": "The model stopped with an error."}
_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a response that repeat the request, with what OpenAI's server says where a request is silent."""


class ResponseMarks(Value, frozen=True):
    """The marks of a response."""

    token: str
    """Unique, letters and digits: every id is made of it."""
    created: int
    """Seconds since the epoch."""
    model: str

    def id(self, prefix: str, number: int | None = None) -> str:
        """Return the id of an item."""
        return f"{prefix}_{self.token}{'' if number is None else f'{number:02}'}"


class CallDelta(msgspec.Struct):
    """A tool call of a chat, or in a stream a piece of one."""

    index: int | None = None
    id: str | None = None
    function: dict[str, Any] | None = None

    def part(self, name: str) -> str:
        """Return a text of the function."""
        text = (self.function or {}).get(name)
        return text if isinstance(text, str) else ""


class ChatWords(msgspec.Struct):
    """A message of a chat, or in a stream a piece of one."""

    content: Any = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[CallDelta] | None = None

    def text(self) -> str:
        return text_of(self.content, ("text",)) or ""

    def thoughts(self) -> str:
        """Return the reasoning under either name; an upstream with both repeats itself."""
        given = self.reasoning_content or self.reasoning
        return given if isinstance(given, str) else ""


class ChatChoice(msgspec.Struct):
    """A choice of a chat, whole or in a stream."""

    index: int = 0
    message: ChatWords | None = None
    delta: ChatWords | None = None
    finish_reason: str | None = None
    logprobs: Any = None

    def chances(self) -> list[Any]:
        """Return the log probabilities of the tokens."""
        content = self.logprobs.get("content") if isinstance(self.logprobs, dict) else None
        return content if isinstance(content, list) else []


class ChatReply(msgspec.Struct):
    """A completion, or a chunk of one."""

    choices: list[ChatChoice] | None = None
    model: str | None = None
    usage: Any = None
    error: Any = None
    object: Any = None

    def first(self) -> ChatChoice | None:
        return next((choice for choice in self.choices or () if choice.index == 0), None)


_completion = msgspec.json.Decoder(ChatReply)


def whole_response(completion: bytes, request: Translated, marks: ResponseMarks) -> bytes:
    """Translate a whole reply. Raises ``UpstreamGarbage`` if it is no chat completion."""
    with from_upstream("a chat completion"):
        opened = decoded(_completion, completion)
    choice = opened.first()
    if choice is None or choice.message is None:
        return completion  # an error under a good status: read where every reply is read
    words = choice.message
    state = item_state(choice.finish_reason)
    output: list[dict[str, Any]] = []
    if words.thoughts():
        output.append(reasoning_item(marks.id("rs"), words.thoughts()))
    parts = [text_part(words.text(), choice.chances())] if words.text() else []
    parts += [refusal_part(words.refusal)] if words.refusal else []
    if parts:
        output.append(message_item(marks.id("msg"), parts, state))
    for number, call in enumerate(words.tool_calls or ()):
        output.append(call_item(marks, number, call.id, call.part("name"), call.part("arguments"), request, state))
    response = response_object(
        request, marks, output, finish=choice.finish_reason, usage=counted(opened.usage), model=opened.model
    )
    return msgspec.json.encode(response)


def response_object(
    request: Translated,
    marks: ResponseMarks,
    output: Sequence[Mapping[str, Any]] = (),
    *,
    finish: str | None = None,
    usage: Usage | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Return a response; without ``usage`` it is still in progress."""
    status, why, error = ("in_progress", None, None) if usage is None else ending(finish)
    given = {name: value for name in _DEFAULTS if (value := request.fields.get(name)) is not None}
    return {
        "id": marks.id("resp"),
        "object": "response",
        "created_at": marks.created,
        "status": status,
        "error": error,
        "incomplete_details": why,
        "model": model or marks.model,
        "output": list(output),
        **_DEFAULTS,
        **given,
        "store": False,
        "tools": list(request.tools),
        "usage": None if usage is None else response_usage(usage),
    }


def ending(finish: str | None) -> tuple[str, dict[str, str] | None, dict[str, str] | None]:
    """Return status, details of an incomplete response, and error for a chat's reason to end."""
    if finish in _INCOMPLETE:
        return "incomplete", {"reason": _INCOMPLETE[finish]}, None
    return ("failed", None, _FAILED) if finish == "error" else ("completed", None, None)


def item_state(finish: str | None) -> str:
    """Return the state of an item at the end of its response."""
    return "completed" if ending(finish)[0] == "completed" else "incomplete"


def response_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }


def reasoning_item(id_: str, text: str) -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}] if text else []
    return {"id": id_, "type": "reasoning", "summary": [], "content": content}


def message_item(id_: str, parts: Sequence[Mapping[str, Any]], state: str) -> dict[str, Any]:
    return {"id": id_, "type": "message", "status": state, "role": "assistant", "content": list(parts)}


def text_part(text: str, chances: Sequence[Any] = ()) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(chances)}


def refusal_part(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def call_item(
    marks: ResponseMarks,
    number: int,
    call_id: str | None,
    name: str,
    arguments: str,
    request: Translated,
    state: str = "completed",
) -> dict[str, Any]:
    """Return a call: of a function, or of a custom tool with its plain text."""
    shared = {"call_id": call_id or marks.id("call", number), **request.named(name), "status": state}
    if name in request.custom:
        return {"id": marks.id("ctc", number), "type": "custom_tool_call", **shared, "input": plain_input(arguments)}
    return {"id": marks.id("fc", number), "type": "function_call", **shared, "arguments": arguments}


def plain_input(arguments: str) -> str:
    """Return the text for a custom tool. A model may write it without the object around it."""
    try:
        text = msgspec.json.decode(arguments, type=dict[str, Any]).get(CUSTOM)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return text if isinstance(text, str) else arguments

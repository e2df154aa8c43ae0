"""Anthropic's Messages API on its way out: a whole chat completion becomes a message, an error becomes Anthropic's.

Stop reasons and token counts are translated here for streams too; ``messages_stream`` writes the events of a stream.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from gateway.domain import Value
from gateway.errors import PreceptorError, UpstreamBroken, UpstreamRefused
from gateway.formats.reply import decoded, from_upstream
from gateway.formats.upstream_error import overflows

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OWN_TYPES = frozenset({*_ERROR_TYPES.values(), "invalid_request_error", "api_error"})


NO_NAMES: Mapping[str, str] = MappingProxyType({})


class MessageOptions(Value, frozen=True):
    """The parts of a request that shape its reply."""

    model: str
    """The model as the client named it."""
    stops: tuple[str, ...] = ()
    """Its stop sequences."""
    thinking: bool = False
    """Whether the client asked to see the model's reasoning; others expect text first."""
    names: Mapping[str, str] = NO_NAMES
    """Tools with names too long for a chat: their own names by those in the chat."""


class _CalledFunction(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCallPiece(msgspec.Struct):
    """A tool call, or in a stream a piece of one."""

    index: int | None = None
    id: str | None = None
    function: _CalledFunction | None = None

    def name(self) -> str:
        return (self.function and self.function.name) or ""

    def arguments(self) -> str:
        return (self.function and self.function.arguments) or ""


class ReplyMessage(msgspec.Struct):
    """A whole message of a model, or in a stream a piece of it."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallPiece] | None = None

    def text(self) -> str:
        return (self.content or "") + (self.refusal or "")

    def thinking(self) -> str:
        """Return the reasoning under either name; an upstream with both repeats itself."""
        return self.reasoning_content or self.reasoning or ""


class Choice(msgspec.Struct):
    """A choice of a completion or of a chunk."""

    index: int = 0
    message: ReplyMessage | None = None
    delta: ReplyMessage | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """vLLM's: the stop sequence that was hit, or a token's number."""
    matched_stop: Any = None
    """SGLang's name of it."""


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class TokenCounts(msgspec.Struct):
    """Tokens as a chat completion reports them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class ChatCompletion(msgspec.Struct):
    """The fields of a completion, or of a chunk, that make a message."""

    choices: list[Choice] | None = None
    usage: TokenCounts | None = None

    def first(self) -> Choice | None:
        """Return the first choice, the only part of a message's reply."""
        return next((choice for choice in self.choices or () if choice.index == 0), None)


_completion = msgspec.json.Decoder(ChatCompletion)
_object = msgspec.json.Decoder(dict[str, Raw])


def to_message(chat_completion: bytes, *, message_id: str, options: MessageOptions) -> bytes:
    """Translate a whole reply. Raises ``UpstreamGarbage`` if it is no chat completion."""
    with from_upstream("a chat completion"):
        completion = decoded(_completion, chat_completion)
    choice = completion.first() or Choice()
    reply = choice.message or ReplyMessage()
    content: list[dict[str, Any]] = []
    if options.thinking and reply.thinking():
        content.append(thinking_block(reply.thinking()))
    if reply.text():
        content.append(text_block(reply.text()))
    for position, call in enumerate(reply.tool_calls or ()):
        id_ = call.id or call_id(message_id, position)
        name = options.names.get(call.name(), call.name())
        content.append(tool_use_block(id_, name, tool_input(call.arguments())))
    ending = Ending(options)
    ending.read(choice, reply)
    message = empty_message(message_id, options) | ending.fields() | {"content": content, "usage": usage_of(completion)}
    return msgspec.json.encode(message)


def empty_message(message_id: str, options: MessageOptions) -> dict[str, Any]:
    """Return a message without content."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": options.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage_of(ChatCompletion()),
    }


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def thinking_block(thinking: str) -> dict[str, Any]:
    """Return a block of reasoning. Only Anthropic could sign it."""
    return {"type": "thinking", "thinking": thinking, "signature": ""}


def tool_use_block(id_: str, name: str, input_: Raw) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": input_}


def call_id(message_id: str, position: int) -> str:
    """Return an id for a tool call without an id, unique by its message's."""
    return f"toolu_{message_id}_{position}"


def is_object(text: str) -> bool:
    """Decide whether a text is a whole JSON object."""
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def tool_input(arguments: str) -> Raw:
    """Return the arguments of a tool call, byte for byte; none at all are ``{}``.

    A model may write invalid JSON. It is passed on as Anthropic's documentation proposes: as the only value of an
    object. So the tool's own check fails instead of the client.
    """
    if not arguments.strip():
        return Raw(b"{}")
    if is_object(arguments):
        return Raw(arguments.encode())
    return Raw(msgspec.json.encode({"INVALID_JSON": arguments}))


def usage_of(completion: ChatCompletion) -> dict[str, int]:
    """Return Anthropic's counts: their input leaves out tokens from the prompt cache."""
    counts = completion.usage or TokenCounts()
    prompt = counts.prompt_tokens or 0
    cached = (counts.prompt_tokens_details and counts.prompt_tokens_details.cached_tokens) or 0
    return {
        "input_tokens": max(0, prompt - cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": counts.completion_tokens or 0,
    }


class Ending:
    """The reason for a reply's end, gathered from its only choice or from all of its chunks."""

    def __init__(self, options: MessageOptions) -> None:
        self._stops = options.stops
        self._finish: str | None = None
        self._hit: str | None = None
        self._called = self._refused = False

    def read(self, choice: Choice, reply: ReplyMessage) -> None:
        self._finish = choice.finish_reason or self._finish
        self._hit = next((hit for hit in (choice.stop_reason, choice.matched_stop) if hit in self._stops), self._hit)
        self._called = self._called or bool(reply.tool_calls)
        self._refused = self._refused or bool(reply.refusal)

    def fields(self) -> dict[str, str | None]:
        """Return stop reason and stop sequence; only some upstreams name the sequence.

        Raises ``UpstreamBroken`` for a reply that ended in an error.
        """
        if self._finish == "error":
            raise UpstreamBroken("the upstream ended its reply with an error")
        reason, sequence = _STOP_REASONS.get(self._finish or "", "end_turn"), None
        if reason in ("end_turn", "tool_use"):
            # A forced call ends with "stop" at OpenAI; a client looks for tool_use whatever the upstream calls it.
            reason = "tool_use" if self._called else "end_turn"
        if reason == "end_turn" and self._refused:
            reason = "refusal"
        elif reason == "end_turn" and self._hit is not None:
            reason, sequence = "stop_sequence", self._hit
        return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": None}


def anthropic_error_body(error: UpstreamRefused, request_id: str) -> bytes:
    """Return the refusal of an upstream that speaks Anthropic's API, with its own type and words."""
    try:
        given: dict[str, Any] = msgspec.json.decode(error.payload)["error"]
        if given.get("code") is not None:
            return error_body(error, request_id)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
        return error_body(error, request_id)
    own = {name: value for name, value in given.items() if name not in _OPENAIS}
    return msgspec.json.encode({"type": "error", "error": own, "request_id": request_id})


_OPENAIS = ("param", "code")
"""Fields of an error at OpenAI only."""


def error_body(error: PreceptorError, request_id: str | None = None) -> bytes:
    """Return an error in Anthropic's shape, its type by the status, its code among the details.

    Anthropic's clients compact their history when they read "prompt is too long".
    """
    message = error.words()
    if error.status < 500 and overflows(message, error.code) and not message.startswith("prompt is too long"):
        message = f"prompt is too long: {message}"
    type_ = _ERROR_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    if error.code in _OWN_TYPES:  # an upstream that speaks the same gave it
        type_ = error.code
    details = {"details": {"error_code": error.code}} if error.code else {}
    shape = {"type": "error", "error": {"type": type_, "message": message, **details}, "request_id": request_id}
    return msgspec.json.encode(shape)

"""``/chat/completions``: a conversation as a list of messages."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
from msgspec import Raw

from gateway.domain import Usage, Value
from gateway.errors import BadRequest
from gateway.formats import sse
from gateway.formats.chat_reply import ChatReader, WholeCompletion, open_completion
from gateway.formats.closed_schema import labelled_object
from gateway.formats.envelope import (
    Changes,
    Conversation,
    Envelope,
    Field,
    Obstacle,
    decode_object,
    decoded,
    extended,
    model_of,
    no_model,
    raw,
    stream_of,
)
from gateway.formats.field_names import request_fields
from gateway.formats.replayed import completion_events
from gateway.formats.reply import WholeReply
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.formats.written_reply import written_completion
from gateway.memo import remembered

_BRACE = ord("{")
_SYSTEM = ("system", "developer")
_MORE_THAN_TEXT = ("logprobs", "top_logprobs", "logit_bias", "audio", "modalities", "web_search_options", "store")
"""Fields of a request whose reply is more than the text of a label, another than the likeliest, or kept upstream."""
_LEADING = (b"system", b"developer")
_messages = Field("messages", list[Raw] | None, "an array")
_stream_options = Field("stream_options", dict[str, Any] | None, "an object")


class _Head(msgspec.Struct):
    """The fields of a chat that are read of every request, decoded at once."""

    model: str | None = None
    messages: list[Raw] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


_head = msgspec.json.Decoder(_Head)


class _Turn(msgspec.Struct):
    role: Any = None


_turn = msgspec.json.Decoder(_Turn)
_role = re.compile(rb'\s*\{\s*"role"\s*:\s*"(\w+)"\s*,')
"""The beginning of a message whose role comes first, as most clients write it: read without a look at the content."""


def first_user_message(messages: Sequence[Raw]) -> Raw | bytes:
    """Return the first message that a user wrote, as it came; else the first message. Empty without any."""
    for message in messages:
        begins = _role.match(message)
        if (begins[1] if begins else role_of(message)) == b"user":
            return message
    return messages[0] if messages else b""


def role_of(message: Raw) -> bytes | None:
    """Return the role of a message; ``None`` for a message of odd shape."""
    begins = _role.match(message)
    if begins:
        return begins[1]
    try:
        role = _turn.decode(message).role
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return role.encode() if isinstance(role, str) else None


class CompletionRequest(Envelope, frozen=True, kw_only=True):
    """A request whose reply consists of choices of text: a chat's, or a legacy completion's."""

    closing: ClassVar[bytes] = sse.DONE

    include_usage: bool = False
    """Whether the client itself asked for usage in the stream."""

    def usage_changes(self) -> Changes:
        """Ask the upstream for its own count: estimates miss most of a reasoning model's bill."""
        if self.include_usage:
            return {}
        return {"stream_options": raw({**(self.value("stream_options") or {}), "include_usage": True})}

    @property
    def stored(self) -> bool:
        """The upstream is asked to store the reply, for later requests by its id."""
        return "store" in self.fields and bytes(self.fields["store"]) == b"true"

    def open_reply(self, body: bytes) -> WholeCompletion:
        return open_completion(body, stored=self.stored)

    def replayed(self, body: bytes) -> Sequence[bytes]:
        return [*completion_events(body), sse.DONE]

    def reader(
        self, transcript: Transcript, exchange_id: str, *, untouched: bool, tags: TagFilter | None
    ) -> ChatReader:
        usage = untouched or self.include_usage
        return ChatReader(transcript, exchange_id, hand_on_usage=usage, tags=tags, stored=self.stored)


class ChatRequest(CompletionRequest, Conversation, frozen=True, kw_only=True):
    """A chat completion request."""

    path: ClassVar[str] = "/chat/completions"
    content_fields: ClassVar[tuple[str, ...]] = ("messages",)
    reply_only: ClassVar[tuple[str, ...]] = (
        "stream", "stream_options", "response_format", "stop", "logprobs", "top_logprobs", "n", "prediction",
        "max_tokens", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "functions",
        "function_call", "metadata",
    )  # fmt: skip
    limits: ClassVar[tuple[str, ...]] = ("max_tokens", "max_completion_tokens")

    messages: tuple[Raw, ...]

    def system_text(self) -> str | None:
        return _system_text(bytes(self.messages[0]))

    def opening(self) -> Raw | bytes:
        return first_user_message(self.messages)

    def question(self) -> str | None:
        last = open_message(self.messages[-1])
        return last.text() if last.role == "user" and last.only_text() else None

    def obstacles(self) -> Sequence[Obstacle]:
        tools = self.value("tools") or self.value("functions")
        reasons: list[Obstacle] = []
        if tools:
            forced = forces_function(tools, self.value("tool_choice") or self.value("function_call"))
            reasons.append("forced_function" if forced else "tools")
        if self.value("n") not in (None, 1):
            reasons.append("choices")
        if self.question() is None:
            reasons.append("no_question")
        return reasons

    def supports_tags(self) -> bool:
        return not any(self.value(name) for name in ("response_format", "stop", "logprobs", "tools", "functions"))

    def with_system(self, text: str) -> Changes:
        if not text:
            return {}
        instructed = _instructed(bytes(self.messages[0]), text)
        if instructed is not None:
            return {"messages": raw([instructed, *self.messages[1:]])}
        return {"messages": raw([raw({"role": "system", "content": text}), *self.messages])}

    def with_question(self, text: str) -> Self:
        return self._with((*self.messages[:-1], open_message(self.messages[-1]).extended(text)))

    def with_turns(self, turns: Sequence[tuple[str, str]]) -> Self:
        leading = next((at for at, message in enumerate(self.messages) if role_of(message) not in _LEADING), 0)
        return self._with((*self.messages[:leading], *encoded_turns(turns), *self.messages[leading:]))

    def structured(self, name: str, schema: Mapping[str, Any]) -> Changes:
        return {"response_format": raw({"type": "json_schema", "json_schema": {"name": name, "schema": schema}})}

    def hidden(self, tokens: int) -> Changes:
        changes = super().hidden(tokens)
        return {**changes, "store": raw(False)} if "store" in self.fields else changes

    def _labelled(self, label: str) -> str | None:
        if self.obstacles() or any(self.value(name) for name in _MORE_THAN_TEXT):
            return None
        given = self.value("response_format") or {}
        shape = given.get("json_schema") if isinstance(given, dict) else None
        reply = shaped_label(given, shape.get("schema") if isinstance(shape, dict) else None, label)
        return None if reply is None or is_stopped(reply, self.value("stop")) else reply

    def written(self, hidden: WholeReply, exchange_id: str, text: str, usage: Usage) -> Sequence[bytes]:
        body = written_completion(hidden.body, exchange_id, text, usage)
        return completion_events(body, include_usage=self.include_usage) if self.stream else [body]

    def _with(self, messages: tuple[Raw, ...]) -> Self:
        fields = {**self.fields, "messages": raw(messages)}
        return msgspec.structs.replace(self, messages=messages, fields=fields)


def shaped_label(given: Any, schema: Any, label: str) -> str | None:
    """Return a label in the format of a reply; ``None`` if it is no text and no object of a closed schema."""
    kind = given.get("type", "text") if isinstance(given, dict) else None
    return label if kind == "text" else labelled_object(schema, label) if kind == "json_schema" else None


def is_stopped(text: str, stops: Any) -> bool:
    """Decide whether a stop sequence would cut a text."""
    return any(str(stop) in text for stop in (stops if isinstance(stops, list) else [stops] if stops else []))


def forces_function(tools: Any, choice: Any) -> bool:
    """Decide whether a request forces the reply to call a certain function, as SDKs do for structured output."""
    if isinstance(choice, dict):
        return "name" in choice or (choice.get("type") == "function" and "function" in choice)
    return choice == "required" and isinstance(tools, list) and len(tools) == 1


def encoded_turns(turns: Sequence[tuple[str, str]]) -> list[Raw]:
    """Return questions and answers as messages."""
    return [
        raw({"role": role, "content": content})
        for question, answer in turns
        for role, content in (("user", question), ("assistant", answer))
    ]


def open_chat(body: bytes) -> ChatRequest:
    """Decode a chat completion request; raises ``BadRequest`` in OpenAI's words."""
    fields = request_fields(body)
    try:
        head = _head.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # One by one, to name the field of a wrong type.
        head = _Head(model_of(fields), _messages(fields), stream_of(fields), _stream_options(fields))
    if not head.model:
        raise no_model()
    if not head.messages:
        raise BadRequest("'messages' must be an array of at least one message.", param="messages")
    for index, message in enumerate(head.messages):
        if memoryview(message)[0] != _BRACE:
            raise BadRequest(f"'messages[{index}]' must be an object.", param=f"messages[{index}]")
    return ChatRequest(
        body=body,
        fields=fields,
        model=head.model,
        messages=tuple(head.messages),
        stream=bool(head.stream),
        include_usage=_includes_usage(head.stream_options),
    )


def wants_usage(fields: dict[str, Raw]) -> bool:
    """Decide whether a client asks for usage in its stream. Raises ``BadRequest``."""
    return _includes_usage(_stream_options(fields))


def _includes_usage(options: dict[str, Any] | None) -> bool:
    return bool(options and options.get("include_usage"))


class Message(Value, frozen=True):
    """One message, decoded as far as injection needs; ``fields`` keeps all of it."""

    fields: dict[str, Raw]
    role: str | None

    def content(self) -> Any:
        return decoded(self.fields.get("content") or Raw(b"null"))

    def text(self) -> str | None:
        """Return the text: a string content, or the text parts joined; ``None`` if there is none."""
        return text_of(self.content(), ("text",))

    def only_text(self) -> bool:
        """Decide whether the content is a string or consists of text parts: no image, audio or file."""
        return only_text(self.content(), ("text",))

    def extended(self, text: str) -> Raw:
        """Append ``text`` to the content, which keeps its bytes."""
        return raw({**self.fields, "content": extended(self.fields.get("content"), text, part="text")})


def open_message(message: Raw) -> Message:
    """Decode one message. A message of odd shape has role ``None``: the upstream judges it."""
    fields = decode_object(bytes(message))
    role = decoded(fields["role"]) if "role" in fields else None
    return Message(fields=fields, role=role if isinstance(role, str) else None)


@remembered
def _system_text(message: bytes) -> str | None:
    """Return the text of an instructing message; ``None`` for any other."""
    opened = open_message(Raw(message))
    return opened.text() if opened.role in _SYSTEM else None


@remembered
def _instructed(message: bytes, text: str) -> Raw | None:
    """Append instructions to an instructing message; ``None`` for any other message."""
    opened = open_message(Raw(message))
    return opened.extended("\n\n" + text) if opened.role in _SYSTEM else None


def text_of(content: Any, types: Sequence[str], separator: str = "\n") -> str | None:
    """Return the text of a content: a string, or its parts of these types joined; ``None`` without text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [
            part["text"]
            for part in content
            if isinstance(part, dict) and part.get("type", types[0]) in types and isinstance(part.get("text"), str)
        ]
        return separator.join(parts) if parts else None
    return None


def only_text(content: Any, types: Sequence[str]) -> bool:
    """Decide whether a content is a string or consists of parts of these types."""
    return isinstance(content, str) or (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") in types for part in content)
    )

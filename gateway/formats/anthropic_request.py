"""``/messages`` of Anthropic's clients for an upstream that speaks the same: nothing is translated.

The body keeps its bytes but for the model's name and the parts of a rule set. Rules are a block of their own
in ``system``: behind the client's instructions, before the messages. Their bytes are equal in every request, and prompt
caches keep hitting.
For an upstream that speaks OpenAI's API the same request becomes a chat (``messages``).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
from msgspec import Raw

from gateway.domain import Usage
from gateway.errors import BadRequest
from gateway.formats.anthropic_reply import AnthropicReader, AnthropicReply, open_anthropic_reply
from gateway.formats.chat import (
    encoded_turns,
    first_user_message,
    forces_function,
    is_stopped,
    open_message,
    role_of,
    shaped_label,
    text_of,
)
from gateway.formats.envelope import (
    Changes,
    Conversation,
    Field,
    Obstacle,
    decode_object,
    decoded,
    model_of,
    raw,
    stream_of,
)
from gateway.formats.field_names import request_fields
from gateway.formats.messages import MessagesRequest, open_messages, user_of
from gateway.formats.replayed import message_events
from gateway.formats.reply import WholeReply, from_upstream
from gateway.formats.strict_schema import strict_schema
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.formats.written_reply import written_message

_BREAKPOINTS = 4
"""Breakpoints of the prompt cache in a request at most."""
_BREAKPOINT = b'"cache_control"'
"""A breakpoint in JSON. Inside a text its quotes would be escaped."""
_LASTING = re.compile(rb'"cache_control"\s*:\s*\{[^{}]*"ttl"\s*:\s*"1h"')
_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')
_BRACE = ord("{")
_messages = Field("messages", list[Raw] | None, "an array")
_blocks = msgspec.json.Decoder(list[Raw])


class AnthropicRequest(Conversation, frozen=True, kw_only=True):
    """A request for a message in Anthropic's own words."""

    path: ClassVar[str] = "/messages"
    content_fields: ClassVar[tuple[str, ...]] = ("system", "messages")
    reply_only: ClassVar[tuple[str, ...]] = (
        "stream", "stop_sequences", "tools", "tool_choice", "thinking", "output_config", "metadata", "diagnostics",
        "mcp_servers", "container", "context_management",
    )  # fmt: skip
    limits: ClassVar[tuple[str, ...]] = ("max_tokens",)
    body_headers: ClassVar[frozenset[bytes]] = frozenset({b"anthropic-version", b"anthropic-beta"})

    messages: tuple[Raw, ...]
    cache_rules: bool = True
    """Set a breakpoint behind the rules."""

    def translated(self) -> MessagesRequest:
        """Return the request as a chat. Raises ``BadRequest`` for blocks that no chat can hold."""
        return open_messages(self.body)

    def signed(self) -> Self:
        """Return the request without unsigned thinking: another model's, through this gateway. Anthropic refuses it."""
        if not any(_UNSIGNED.search(message) for message in self.messages):
            return self
        signed = (_signed(message) if _UNSIGNED.search(message) else message for message in self.messages)
        return self._with(tuple(message for message in signed if message is not None))

    def recorded(self, body: bytes) -> bytes:
        """Return a body as a chat, so that it can be graded and asked again as any other.

        A request beyond chats is recorded as it came.
        """
        try:
            return open_messages(body).body
        except BadRequest:
            return body

    def naming(self) -> Mapping[str, Raw]:
        """Return the field with the end user as a chat has it."""
        metadata = self.value("metadata")
        user = user_of(metadata) if isinstance(metadata, dict) else None
        return {"user": raw(user)} if isinstance(user, str) else {}

    def system_text(self) -> str | None:
        system = self.value("system")
        if system:
            return text_of(system, ("text",), "\n\n")
        first = open_message(self.messages[0])
        return text_of(first.content(), ("text",), "\n\n") if first.role == "system" else None

    def opening(self) -> Raw | bytes:
        return first_user_message(self.messages)

    def question(self) -> str | None:
        last = open_message(self.messages[-1])
        return last.text() if last.role == "user" and last.only_text() else None

    def obstacles(self) -> Sequence[Obstacle]:
        reasons: list[Obstacle] = []
        tools, choice = self.value("tools"), self.value("tool_choice")
        if tools or self.value("mcp_servers"):
            alone = isinstance(choice, dict) and choice.get("type") == "any"
            forced = bool(tools) and forces_function(tools, "required" if alone else choice)
            reasons.append("forced_function" if forced else "tools")
        if self.question() is None:
            reasons.append("no_question")
        if self.value("container") or self.value("thread"):
            reasons.append("conversation")
        return reasons

    def supports_tags(self) -> bool:
        config = self.value("output_config")
        shaped = isinstance(config, dict) and config.get("format")
        return not (shaped or self.value("stop_sequences") or self.value("tools"))

    def with_system(self, text: str) -> Changes:
        if not text:
            return {}
        block = raw({"type": "text", "text": text, **self._breakpoint()})
        given = bytes(self.fields.get("system", b"null")).strip()
        if given in (b"null", b'""') or re.fullmatch(rb"\[\s*\]", given):
            return {"system": raw([block])}
        if given.startswith(b'"'):
            return {"system": raw([raw({"type": "text", "text": Raw(given)}), block])}
        return {"system": Raw(given[:-1] + b"," + bytes(block) + b"]")} if given.startswith(b"[") else {}

    def _breakpoint(self) -> dict[str, Any]:
        """Return a mark for the prompt cache; empty where the client's own leave no room, or none that fits.

        A lasting entry must stand before those of five minutes.
        """
        marks = sum(bytes(value).count(_BREAKPOINT) for value in self.fields.values())
        if not self.cache_rules or marks + ("cache_control" in self.fields) >= _BREAKPOINTS:
            return {}
        before = b"".join(bytes(self.fields.get(name, b"")) for name in ("tools", "system"))
        own = bytes(self.fields.get("cache_control", b"null"))
        after = bytes(self.fields.get("messages", b"")) + _BREAKPOINT + b":" + own
        if not _LASTING.search(after):
            return {"cache_control": {"type": "ephemeral"}}
        brief = before.count(_BREAKPOINT) > len(_LASTING.findall(before))
        return {} if brief else {"cache_control": {"type": "ephemeral", "ttl": "1h"}}

    def with_question(self, text: str) -> Self:
        return self._with((*self.messages[:-1], open_message(self.messages[-1]).extended(text)))

    def with_turns(self, turns: Sequence[tuple[str, str]]) -> Self:
        leading = next((at for at, message in enumerate(self.messages) if role_of(message) != b"system"), 0)
        return self._with((*self.messages[:leading], *encoded_turns(turns), *self.messages[leading:]))

    def structured(self, name: str, schema: Mapping[str, Any]) -> Changes:
        return {"output_config": raw({"format": {"type": "json_schema", "schema": strict_schema(schema)}})}

    def _labelled(self, label: str) -> str | None:
        config, thinking = self.value("output_config") or {}, self.value("thinking") or {}
        if self.obstacles() or not isinstance(thinking, dict) or thinking.get("type", "disabled") != "disabled":
            return None
        given = (config.get("format") or {}) if isinstance(config, dict) else None
        reply = shaped_label(given, given.get("schema") if isinstance(given, dict) else None, label)
        return None if reply is None or is_stopped(reply, self.value("stop_sequences")) else reply

    def written(self, hidden: WholeReply, exchange_id: str, text: str, usage: Usage) -> Sequence[bytes]:
        message = written_message(hidden.body, exchange_id, text, usage)
        return message_events(message) if self.stream else [msgspec.json.encode(message)]

    def _with(self, messages: tuple[Raw, ...]) -> Self:
        fields = {**self.fields, "messages": raw(messages)}
        return msgspec.structs.replace(self, messages=messages, fields=fields)

    def open_reply(self, body: bytes) -> AnthropicReply:
        return open_anthropic_reply(body)

    def replayed(self, body: bytes) -> Sequence[bytes]:
        with from_upstream("a message"):
            return message_events(msgspec.json.decode(body))

    def reader(
        self, transcript: Transcript, exchange_id: str, *, untouched: bool, tags: TagFilter | None
    ) -> AnthropicReader:
        return AnthropicReader(transcript, tags)


def _signed(message: Raw) -> Raw | None:
    """Return a message without unsigned thinking; ``None`` if nothing else is in it."""
    fields = decode_object(bytes(message))
    try:
        blocks = _blocks.decode(fields["content"])
    except (KeyError, msgspec.DecodeError):
        return message
    kept = [block for block in blocks if not _is_unsigned(block)]
    if len(kept) == len(blocks):
        return message
    return raw({**fields, "content": kept}) if kept else None


def _is_unsigned(block: Raw) -> bool:
    content = decoded(block)
    return isinstance(content, dict) and content.get("type") == "thinking" and content.get("signature") == ""


def open_anthropic(body: bytes) -> AnthropicRequest:
    """Decode a request for a message as far as it is used. Raises ``BadRequest``."""
    fields = request_fields(body)
    model = model_of(fields)
    messages: list[Raw] | None = _messages(fields)
    if not messages:
        raise BadRequest("messages: at least one message is required.", param="messages")
    for index, message in enumerate(messages):
        if memoryview(message)[0] != _BRACE:
            raise BadRequest(f"messages.{index}: must be an object.", param=f"messages.{index}")
    return AnthropicRequest(body=body, fields=fields, model=model, messages=tuple(messages), stream=stream_of(fields))

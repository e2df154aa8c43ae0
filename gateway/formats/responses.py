"""``/responses``: a conversation as instructions and input items.

Requests reach the upstream in this very form, so its features (stored responses, tools) work; the upstream must have
the endpoint. Replies keep the upstream's id, because later requests refer to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec
from msgspec import Raw

from gateway.domain import Usage
from gateway.errors import BadRequest
from gateway.formats.chat import (
    encoded_turns,
    first_user_message,
    forces_function,
    only_text,
    role_of,
    shaped_label,
    text_of,
)
from gateway.formats.envelope import (
    Changes,
    Conversation,
    Obstacle,
    decode_object,
    decoded,
    extended,
    model_of,
    raw,
    stream_of,
    typed,
)
from gateway.formats.field_names import request_fields
from gateway.formats.replayed import response_events
from gateway.formats.reply import WholeReply, from_upstream
from gateway.formats.responses_reply import Response, ResponsesReader, open_response
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.formats.written_reply import written_response

_LEADING = (b"system", b"developer")
_LOGPROBS = "message.output_text.logprobs"
_TEXT = ("input_text", "output_text", "text")


class ResponsesRequest(Conversation, frozen=True, kw_only=True):
    """A request to create a response."""

    path: ClassVar[str] = "/responses"
    content_fields: ClassVar[tuple[str, ...]] = ("instructions", "input")
    reply_only: ClassVar[tuple[str, ...]] = (
        "stream", "stream_options", "text", "top_logprobs", "include", "max_output_tokens", "background", "metadata",
        "tools", "tool_choice", "parallel_tool_calls", "max_tool_calls",
    )  # fmt: skip
    limits: ClassVar[tuple[str, ...]] = ("max_output_tokens",)

    items: tuple[Raw, ...] | None = None
    """The input's items; ``None`` for an input that is a string, or none."""

    def system_text(self) -> str | None:
        instructions = self.value("instructions")
        if isinstance(instructions, str):
            return instructions
        first = decoded(self.items[0]) if self.items else None
        if isinstance(first, dict) and first.get("role") in ("system", "developer"):
            return text_of(first.get("content"), _TEXT)
        return None

    def opening(self) -> Raw | bytes:
        if not self.items:
            return self.fields.get("input", b"")
        return first_user_message(self.items)

    def question(self) -> str | None:
        if self.items is None:
            given = self.value("input")
            return given if isinstance(given, str) else None
        last = decoded(self.items[-1]) if self.items else None
        if not isinstance(last, dict) or last.get("role") != "user" or not only_text(last.get("content"), _TEXT):
            return None
        return text_of(last.get("content"), _TEXT)

    def obstacles(self) -> Sequence[Obstacle]:
        reasons: list[Obstacle] = []
        tools = self.value("tools")
        if tools:
            reasons.append("forced_function" if forces_function(tools, self.value("tool_choice")) else "tools")
        if self.question() is None:
            reasons.append("no_question")
        if self.value("conversation"):
            reasons.append("conversation")
        if self.value("background"):
            reasons.append("background")
        return reasons

    def supports_tags(self) -> bool:
        # Events of a response name positions in its text, so nothing can be cut out of a stream.
        return False

    def with_system(self, text: str) -> Changes:
        if not text:
            return {}
        instructions = self.fields.get("instructions")
        if self.items and role_of(self.items[0]) in _LEADING and not self.value("instructions"):
            if not self._is_stored():
                return {"input": raw([_extended_item(self.items[0], "\n\n" + text), *self.items[1:]])}
            # Rules speak of the text above them. A stored turn stays as it came, so its text is repeated.
            instructions = raw(text_of(decoded(self.items[0]).get("content"), _TEXT))
        return {"instructions": extended(instructions, "\n\n" + text, part="input_text")}

    def with_question(self, text: str) -> Self:
        if self._is_stored():
            return self._with(self.with_system(text.lstrip("\n")), self.items)
        if self.items is None:
            return self._with({"input": extended(self.fields.get("input"), text, part="input_text")}, None)
        items = (*self.items[:-1], _extended_item(self.items[-1], text))
        return self._with({"input": raw(items)}, items)

    def with_turns(self, turns: Sequence[tuple[str, str]]) -> Self:
        if self._is_stored():
            return self._with(self.with_system(examples_text(turns)), self.items)
        given = self.items if self.items is not None else (raw({"role": "user", "content": self.value("input")}),)
        leading = next((at for at, item in enumerate(given) if role_of(item) not in _LEADING), 0)
        items = (*given[:leading], *encoded_turns(turns), *given[leading:])
        return self._with({"input": raw(items)}, items)

    def structured(self, name: str, schema: Mapping[str, Any]) -> Changes:
        return {"text": raw({"format": {"type": "json_schema", "name": name, "schema": schema}})}

    def hidden(self, tokens: int) -> Changes:
        return {**super().hidden(tokens), "store": raw(False)}

    def _labelled(self, label: str) -> str | None:
        include = self.value("include") or []
        if self.obstacles() or self._is_stored() or self.value("top_logprobs") or _LOGPROBS in include:
            return None
        text = self.value("text") or {}
        given = (text.get("format") or {}) if isinstance(text, dict) else None
        return shaped_label(given, given.get("schema") if isinstance(given, dict) else None, label)

    def written(self, hidden: WholeReply, exchange_id: str, text: str, usage: Usage) -> Sequence[bytes]:
        response = written_response(hidden.body, self.fields, text, usage)
        return response_events(response) if self.stream else [msgspec.json.encode(response)]

    def _is_stored(self) -> bool:
        """Decide whether the upstream keeps the turns of this request: later requests may build on them."""
        return self.value("store") is not False or bool(self.value("conversation"))

    def _with(self, changes: Changes, items: tuple[Raw, ...] | None) -> Self:
        fields = {**self.fields, **{name: value for name, value in changes.items() if value is not None}}
        return msgspec.structs.replace(self, fields=fields, items=items)

    def open_reply(self, body: bytes) -> Response:
        return open_response(body, self.value("instructions"))

    def replayed(self, body: bytes) -> Sequence[bytes]:
        with from_upstream("a response"):
            return response_events(msgspec.json.decode(body))

    def reader(
        self, transcript: Transcript, exchange_id: str, *, untouched: bool, tags: TagFilter | None
    ) -> ResponsesReader:
        return ResponsesReader(transcript, self.value("instructions"))


def open_responses(body: bytes) -> ResponsesRequest:
    """Decode a request to create a response; raises ``BadRequest``.

    A stored prompt or an earlier response may name the model; then the request has none.
    """
    fields = request_fields(body)
    model = model_of(fields) if "model" in fields else ""
    typed(fields, "instructions", str | list[Any] | None, "a string")
    given = typed(fields, "input", str | list[Raw] | None, "a string or an array")
    for index, item in enumerate(given if isinstance(given, list) else ()):
        if not bytes(item).startswith(b"{"):
            raise BadRequest(f"'input[{index}]' must be an object.", param=f"input[{index}]")
    return ResponsesRequest(
        body=body,
        fields=fields,
        model=model,
        stream=stream_of(fields),
        items=tuple(given) if isinstance(given, list) else None,
    )


def _extended_item(item: Raw, text: str) -> Raw:
    fields = decode_object(bytes(item))
    return raw({**fields, "content": extended(fields.get("content"), text, part="input_text")})


def examples_text(turns: Sequence[tuple[str, str]]) -> str:
    """Return questions and answers as a part of the instructions."""
    return "\n\n".join(["Examples:", *(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)])

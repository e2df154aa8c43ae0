"""``/responses``: a conversation as instructions and input items.

Requests reach the upstream in this very form, so its features (stored responses, tools) work; the upstream must have
the endpoint. Replies keep the upstream's id, because later requests refer to it.
"""

from typing import Any, ClassVar

from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.chat import first_user_message, only_text, text_of
from gateway.formats.envelope import (
    Changes,
    Conversation,
    decode_object,
    decoded,
    extended,
    model_of,
    raw,
    stream_of,
    typed,
)
from gateway.formats.field_names import request_fields
from gateway.formats.responses_reply import Response, ResponsesReader, open_response
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript

_TEXT = ("input_text", "output_text", "text")


class ResponsesRequest(Conversation, frozen=True, kw_only=True):
    """A request to create a response."""

    path: ClassVar[str] = "/responses"
    reply_only: ClassVar[tuple[str, ...]] = (
        "stream", "stream_options", "text", "top_logprobs", "include", "max_output_tokens", "background",
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

    def with_system(self, text: str) -> Changes:
        if not text:
            return {}
        instructions = self.fields.get("instructions")
        return {"instructions": extended(instructions, "\n\n" + text, part="input_text")}

    def with_question(self, text: str) -> Changes:
        if self.items is None:
            return {"input": extended(self.fields.get("input"), text, part="input_text")}
        last = decode_object(bytes(self.items[-1]))
        changed = {**last, "content": extended(last.get("content"), text, part="input_text")}
        return {"input": raw([*self.items[:-1], changed])}

    def supports_scratchpad(self) -> bool:
        if self.value("tools") or self.value("background"):
            return False
        if self.items is None:
            return isinstance(self.value("input"), str)
        last = decoded(self.items[-1]) if self.items else None
        return isinstance(last, dict) and last.get("role") == "user" and only_text(last.get("content"), _TEXT)

    def supports_tags(self) -> bool:
        # Events of a response name positions in its text, so nothing can be cut out of a stream.
        return False

    def open_reply(self, body: bytes) -> Response:
        return open_response(body)

    def reader(
        self, transcript: Transcript, exchange_id: str, *, untouched: bool, tags: TagFilter | None
    ) -> ResponsesReader:
        return ResponsesReader(transcript)


def open_responses(body: bytes) -> ResponsesRequest:
    """Decode a request to create a response; raises ``BadRequest``."""
    fields = request_fields(body)
    model = model_of(fields)
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

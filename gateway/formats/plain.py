"""``/completions`` and ``/embeddings``: requests without a conversation; nothing is injected into them."""

from typing import Any, ClassVar

import msgspec

from gateway.domain import ToolCall, Usage, Value
from gateway.formats.chat import CompletionRequest, wants_usage
from gateway.formats.envelope import Envelope, model_of, stream_of
from gateway.formats.field_names import request_fields
from gateway.formats.reply import from_upstream
from gateway.formats.usage import counted


class TextRequest(CompletionRequest, frozen=True, kw_only=True):
    """A legacy completion request: a prompt, and a reply in choices as a chat has them."""

    path: ClassVar[str] = "/completions"


def open_text(body: bytes) -> TextRequest:
    """Decode a legacy completion request; raises ``BadRequest``."""
    fields = request_fields(body)
    return TextRequest(
        body=body,
        fields=fields,
        model=model_of(fields),
        stream=stream_of(fields),
        include_usage=wants_usage(fields),
    )


class EmbeddingsRequest(Envelope, frozen=True, kw_only=True):
    """A request for embeddings. It has no stream and no id."""

    path: ClassVar[str] = "/embeddings"

    def open_reply(self, body: bytes) -> "Embeddings":
        with from_upstream("a list of embeddings"):
            return Embeddings(body=body, usage=counted(_embeddings.decode(body).usage))


def open_embeddings(body: bytes) -> EmbeddingsRequest:
    """Decode a request for embeddings; raises ``BadRequest``."""
    fields = request_fields(body)
    return EmbeddingsRequest(body=body, fields=fields, model=model_of(fields))


class _EmbeddingsBody(msgspec.Struct):
    data: msgspec.Raw
    usage: Any = None


_embeddings = msgspec.json.Decoder(_EmbeddingsBody)


class Embeddings(Value, frozen=True):
    """Embeddings as they came. Implements ``reply.WholeReply``."""

    body: bytes
    usage: Usage
    id: str | None = None
    text: str | None = None
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()

    def sealed(self, exchange_id: str, *, text: str | None = None, usage: Usage | None = None) -> bytes:
        return self.body

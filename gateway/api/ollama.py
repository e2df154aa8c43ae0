"""``POST /api/chat``, ``/api/generate`` and ``/api/embed``: Ollama's own API, a chat underneath with tasks and rules.

A stream is a JSON object a line. A request without content asks for a model in memory: that is the upstream's own
business, and answered here.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar, Literal

import msgspec
from litestar.types import HTTPScope, Send

from gateway.api.endpoint import Endpoint
from gateway.api.http import header, respond
from gateway.api.models import listed
from gateway.api.running import Running
from gateway.errors import PreceptorError
from gateway.formats import allowed_fields
from gateway.formats.envelope import Envelope, decode_object
from gateway.formats.field_names import restricted
from gateway.formats.ollama_reply import Moment, embedded, loaded, native_error, to_native
from gateway.formats.ollama_request import (
    NativeChat,
    NativeShape,
    NativeText,
    loading,
    open_embed,
    open_generate,
    open_native_chat,
)
from gateway.formats.ollama_stream import NativeStream, silent_line
from gateway.formats.plain import EmbeddingsRequest
from gateway.http_server.request_head import Header
from gateway.routing.route import route
from gateway.services import Services
from gateway.settings import Settings

LATEST = ":latest"


class NativeEndpoint(Endpoint):
    """An ASGI application for ``/api/chat`` or ``/api/generate``."""

    stream_headers: ClassVar[tuple[Header, ...]] = (
        (b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"),
    )  # fmt: skip

    def __init__(self, services: Services, content: Literal["messages", "prompt"]) -> None:
        super().__init__(services, self._opened, fields=allowed_fields.OLLAMA, prefix="ollama-")
        self._content: Literal["messages", "prompt"] = content

    def _opened(self, body: bytes) -> Envelope:
        opener = open_native_chat if self._content == "messages" else open_generate
        return opener(body, self._name)

    def _name(self, name: str) -> str:
        return configured_name(name, self._services.settings)

    async def _serve(self, scope: HTTPScope, body: bytes, exchange: Running, send: Send) -> None:
        reason = loading(body, self._content)
        if reason is None:
            await super()._serve(scope, body, exchange, send)
        else:
            shape = self._loadable(scope, body, exchange)
            await respond(send, 200, loaded(shape, reason, self._now(exchange)), self.headers(exchange))

    def _loadable(self, scope: HTTPScope, body: bytes, exchange: Running) -> NativeShape:
        """Return the shape of a request without content. Raises ``PreceptorError`` if the client may not ask."""
        if exchange.holder is not None and exchange.holder.limited:
            body = restricted(body, self._fields, exchange.holder.fields)
        fields = decode_object(body)
        named = {name: fields[name] for name in ("model", "metadata") if name in fields}
        silent = [{"role": "user", "content": ""}]
        request = open_native_chat(msgspec.json.encode({**named, "messages": silent}), self._name)
        services = self._services
        task = services.serving.classifier.task_of(request, lambda name: header(scope, name.encode("latin-1")))
        if exchange.holder is not None:
            exchange.holder.check(task, request.model)
        # An unknown name raises what its first question would raise.
        route(request, task, services.rules.current, services.settings)
        api: Literal["chat", "generate"] = "chat" if self._content == "messages" else "generate"
        return NativeShape(model=request.shape.model, api=api)

    def whole(self, reply: bytes, exchange: Running) -> bytes:
        return to_native(reply, shape=_shape(exchange), now=self._now(exchange))

    async def events(self, events: AsyncGenerator[bytes, None], exchange: Running) -> AsyncGenerator[bytes, None]:
        stream = NativeStream(_shape(exchange))
        async with aclosing(events):
            async for event in events:
                lines = stream.feed(event, self._now(exchange))
                if lines:
                    yield lines

    def sign_of_life(self, exchange: Running) -> bytes:
        return silent_line(_shape(exchange), self._now(exchange))

    def error(self, error: PreceptorError, exchange: Running) -> bytes:
        return native_error(error)

    def error_event(self, error: PreceptorError, exchange: Running) -> bytes:
        return native_error(error) + b"\n"

    def _now(self, exchange: Running) -> Moment:
        return Moment(wall_s=self._services.wall_clock(), elapsed_s=exchange.elapsed_s())


class NativeEmbeddings(Endpoint):
    """An ASGI application for ``/api/embed``, or for the older ``/api/embeddings``."""

    def __init__(self, services: Services, *, old: bool = False) -> None:
        super().__init__(services, self._opened, fields=allowed_fields.OLLAMA, prefix="ollama-", numbers=False)
        self._old = old

    def _opened(self, body: bytes) -> EmbeddingsRequest:
        settings = self._services.settings
        return open_embed(
            body, lambda name: configured_name(name, settings), content="prompt" if self._old else "input"
        )

    def whole(self, reply: bytes, exchange: Running) -> bytes:
        assert exchange.plan is not None
        model = exchange.plan.envelope.model
        return embedded(reply, model=model, elapsed_s=exchange.elapsed_s(), old=self._old)

    def error(self, error: PreceptorError, exchange: Running) -> bytes:
        return native_error(error)


def names_of(settings: Settings) -> set[str]:
    """Return every name for ``model`` in a request."""
    return {model["id"] for model in listed(settings)}


def configured_name(name: str, settings: Settings) -> str:
    """Return a model's name without the tag that Ollama's clients add, if only the shorter name is known here."""
    if not name.endswith(LATEST):
        return name
    known = names_of(settings)
    shorter = name.removesuffix(LATEST)
    return shorter if name not in known and shorter in known else name


def _shape(exchange: Running) -> NativeShape:
    envelope = None if exchange.plan is None else exchange.plan.envelope
    assert isinstance(envelope, NativeChat | NativeText)
    return envelope.shape

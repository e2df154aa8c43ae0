"""``POST /v1/messages``: Anthropic's Messages API.

An upstream of kind ``anthropic`` takes a request as it came; for any other it is translated to a chat and back. Tasks
and rules apply either way.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from litestar.types import HTTPScope, Send

from gateway.api.endpoint import Endpoint
from gateway.api.http import header, header_value, respond
from gateway.api.running import Running
from gateway.errors import ModelNotFound, PreceptorError, UpstreamRefused
from gateway.formats import allowed_fields
from gateway.formats.anthropic_request import AnthropicRequest, open_anthropic
from gateway.formats.envelope import Conversation, Envelope, decode_object, raw
from gateway.formats.field_names import restricted
from gateway.formats.messages import MessagesRequest, open_messages
from gateway.formats.messages_reply import anthropic_error_body, error_body, to_message
from gateway.formats.messages_stream import MessageStream, error_event
from gateway.formats.token_estimate import estimated_tokens
from gateway.http_server.request_head import Header
from gateway.routing.chains import Link
from gateway.routing.route import RoutePlan, RuleSnapshot, route
from gateway.routing.wording import worded
from gateway.services import Services
from gateway.settings import Settings
from gateway.upstream.base import Call
from gateway.upstream.refusal import refusal

_COUNT = "/messages/count_tokens"
_LIMITS = "anthropic-ratelimit-"
"""Beginning of the headers with what is left of the upstream's limits."""


class Messages(Endpoint):
    """An ASGI application for a path of Anthropic's API."""

    def __init__(self, services: Services) -> None:
        super().__init__(services, self._opened, fields=allowed_fields.MESSAGES, prefix="msg_")

    def _opened(self, body: bytes) -> Conversation:
        return open_anthropic(body) if self._services.serving.speaks_anthropic else open_messages(body)

    @staticmethod
    def _route(
        envelope: Envelope,
        task: str | None,
        snapshot: RuleSnapshot,
        settings: Settings,
        *,
        key: str | None = None,
        link: Link | None = None,
    ) -> RoutePlan:
        plan = route(envelope, task, snapshot, settings, key=key, link=link)
        return worded(plan, settings, key=key) if isinstance(envelope, AnthropicRequest) else plan

    def whole(self, reply: bytes, exchange: Running) -> bytes:
        request = _translated(exchange)
        return reply if request is None else to_message(reply, message_id=exchange.id, options=request.options)

    async def events(self, events: AsyncGenerator[bytes, None], exchange: Running) -> AsyncGenerator[bytes, None]:
        stream: MessageStream | None = None
        async with aclosing(events):
            async for event in events:
                request = _translated(exchange)
                if request is None:
                    yield event
                    continue
                if stream is None:
                    assert exchange.plan is not None
                    tokens = estimated_tokens(request, exchange.plan.instructions)
                    stream = MessageStream(message_id=exchange.id, options=request.options, input_tokens=tokens)
                changed = stream.feed(event)
                if changed:
                    yield changed

    def headers(self, exchange: Running) -> list[Header]:
        """Return the headers about the exchange, with the upstream's request id where it speaks the same."""
        id_ = exchange.upstream_request_id
        more: list[Header] = []
        reply, plan = exchange.trace.reply, exchange.plan
        if reply is not None and plan is not None and isinstance(plan.envelope, AnthropicRequest):
            given = reply.headers
            id_ = id_ or given.get("request-id")
            if plan.task is None or self._services.settings.server.arm_headers:
                limits = (name for name in given if name.startswith(_LIMITS))
                more = [(name.encode(), header_value(given[name])) for name in limits]
        own = header_value(id_) if id_ else exchange.id.encode()
        return [(b"request-id", own), *more, *super().headers(exchange)]

    def error(self, error: PreceptorError, exchange: Running) -> bytes:
        if isinstance(error, UpstreamRefused) and self._is_anthropics(exchange):
            exchange.upstream_request_id = error.headers.get("x-request-id")
            return anthropic_error_body(error, exchange.upstream_request_id or exchange.id)
        return error_body(error, exchange.id)

    def _is_anthropics(self, exchange: Running) -> bool:
        """Decide whether the upstream of a refusal speaks Anthropic's own words."""
        return exchange.plan is not None and isinstance(exchange.plan.envelope, AnthropicRequest)

    def error_event(self, error: PreceptorError, exchange: Running) -> bytes:
        return error_event(error, exchange.id)


def _translated(exchange: Running) -> MessagesRequest | None:
    """Return the chat that is under way; ``None`` where the upstream speaks Anthropic's own words."""
    assert exchange.plan is not None
    envelope = exchange.plan.envelope
    assert isinstance(envelope, MessagesRequest | AnthropicRequest)
    return envelope if isinstance(envelope, MessagesRequest) else None


class TokenCount(Messages):
    """``POST /v1/messages/count_tokens``: the upstream's own count where it has one, else an estimate."""

    async def _serve(self, scope: HTTPScope, body: bytes, exchange: Running, send: Send) -> None:
        services, serving, holder = self._services, self._services.serving, exchange.holder
        if holder is not None and holder.limited:
            body = restricted(body, self._fields, holder.fields)
        native = serving.speaks_anthropic
        request = self._opened(body if native else msgspec.json.encode({"max_tokens": 1, **decode_object(body)}))
        task = serving.classifier.task_of(request, lambda name: header(scope, name.encode("latin-1")))
        if holder is not None:
            holder.check(task, request.model)
        key, rules = holder.name if holder is not None else None, ""
        try:
            plan = self._route(request, task, services.rules.current, serving.settings, key=key)
            if isinstance(plan.envelope, AnthropicRequest):
                await self._count(scope, plan, exchange, send)
                return
            assert isinstance(plan.envelope, MessagesRequest)
            request, rules = plan.envelope, plan.instructions
        except ModelNotFound:
            if native:
                raise
        assert isinstance(request, MessagesRequest)
        count = msgspec.json.encode({"input_tokens": estimated_tokens(request, rules)})
        await respond(send, 200, count, [(b"request-id", exchange.id.encode())])

    def _is_anthropics(self, exchange: Running) -> bool:
        return True  # no other upstream is asked

    async def _count(self, scope: HTTPScope, plan: RoutePlan, exchange: Running, send: Send) -> None:
        """Ask the upstream, with the rules that the request would be sent with."""
        request, serving = plan.envelope, self._services.serving
        assert isinstance(request, AnthropicRequest)
        changes = request.with_system(plan.instructions)
        if plan.upstream_model is not None:
            changes["model"] = raw(plan.upstream_model)
        headers = [(name, value) for name, value in scope["headers"] if name in serving.request_headers]
        asked = scope.get("query_string", b"").decode("latin-1")
        reply = await serving.upstreams[plan.upstream].send(
            Call(
                model=plan.upstream_model or request.model,
                body=request.sealed(changes) if changes else request.body,
                path=_COUNT,
                query="" if exchange.holder is not None and exchange.holder.limited else asked,
                headers=headers,
            )
        )
        async with aclosing(reply):
            if reply.status >= 300:
                raise await refusal(reply, plan.upstream)
            count = await reply.read()
        own = reply.headers.get("request-id")
        await respond(send, 200, count, [(b"request-id", header_value(own) if own else exchange.id.encode())])

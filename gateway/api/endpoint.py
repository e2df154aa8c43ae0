"""The endpoints for models: the request path. Touches no disk and waits for nothing but models.

A single class serves them all. They differ in opening a request and, for a foreign API, in the shape of replies and
errors.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, ClassVar, cast

from litestar.types import HTTPScope, Receive, Send

from gateway.api.azure import DEPLOYMENT, with_model
from gateway.api.claims import claim_for
from gateway.api.earlier import conversation_id, link_of_conversation, link_to
from gateway.api.gate import holder_of
from gateway.api.hangup import ClientGone, HangUp, limit_answer
from gateway.api.heartbeat import COMMENT, Heartbeat
from gateway.api.http import EVENTS, LONGEST, error_headers, header, piece, read_body, respond, short_body, start
from gateway.api.repeats import answering
from gateway.api.request_coding import decompressed
from gateway.api.running import HIT, Running
from gateway.errors import MethodNotAllowed, Overloaded, PreceptorError, UpgradeRequired
from gateway.formats import sse
from gateway.formats.envelope import Conversation, Envelope
from gateway.formats.field_names import restricted
from gateway.http_server.request_head import Header, Scope, headers_by_name
from gateway.routing.route import route
from gateway.services import Services

log = logging.getLogger(__name__)

LEARN_HEADER = b"x-preceptor-learn"
REF_HEADER = b"x-client-request-id"
PREVIOUS = "previous_response_id"
STORED = "conversation"
_STREAM_HEADERS = (EVENTS, (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""The last one tells nginx to hand on every event at once."""


def learnable(header: str | None) -> bool:
    """Decide whether the text of an exchange may be kept. Any value but ``on`` forbids it: no objection is missed."""
    return header is None or header.strip().lower() in ("on", "")


def client_ref(header: str | None) -> str | None:
    """Return the client's own name for a request as it is recorded: at most ``LONGEST`` characters."""
    return header[:LONGEST] if header else None


class Endpoint:
    """An ASGI application for a path of OpenAI's API."""

    _route = staticmethod(route)
    stream_headers: ClassVar[tuple[Header, ...]] = _STREAM_HEADERS

    def __init__(
        self,
        services: Services,
        open_request: Callable[[bytes], Envelope],
        *,
        fields: frozenset[str],
        prefix: str,
        numbers: bool = True,
    ) -> None:
        """``fields`` are those allowed to keys with limits. ``prefix`` begins the ids of replies: ``chatcmpl-``.

        ``numbers``: plain numbers count towards the limit of JSON values.
        """
        self._services = services
        self._open = open_request
        self._fields = fields
        self._prefix = prefix
        self._numbers = numbers

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        exchange = Running(self._services, self._services.new_id(self._prefix), holder_of(scope))
        body = b""
        try:
            if scope["method"] != "POST":
                if header(scope, b"sec-websocket-key") is not None:
                    raise UpgradeRequired("WebSockets are not served here: use plain HTTP.", code="no_websockets")
                raise MethodNotAllowed("Only POST is served here.", code="method_not_supported")
            serving = self._services.serving
            bodies, short = self._services.bodies, short_body(scope, serving.short_limit)
            if short is not None:
                body = short
                bodies.take(len(body))
            else:
                values = serving.settings.server.max_json_values
                body = await read_body(scope, receive, serving.body_limit, bodies, values=values, numbers=self._numbers)
            coding = header(scope, b"content-encoding")
            if coding is not None:
                values = serving.settings.server.max_json_values
                body = decompressed(body, coding, serving.body_limit, bodies, values=values, numbers=self._numbers)
            with HangUp(scope, receive):
                await self._serve(scope, body, exchange, send)
        except ClientGone:
            exchange.end("abandoned", 499, "client_disconnected")
        except PreceptorError as error:
            await self._fail(exchange, error, send)
        except Exception as error:
            log.exception("a request failed", extra={"action": "endpoint.bug", "exchange": exchange.id})
            await self._fail(exchange, PreceptorError(f"internal error: {type(error).__name__}"), send)
        except asyncio.CancelledError:
            # The server stops and has waited long enough. The request's own task ends here: no caller awaits it.
            stopping = Overloaded("The gateway is stopping: send the request again.", code="stopping")
            await self._fail(exchange, stopping, send)
        finally:
            self._services.bodies.free(len(body))

    async def _serve(self, scope: HTTPScope, body: bytes, exchange: Running, send: Send) -> None:
        services, serving = self._services, self._services.serving
        deployment = cast("Mapping[str, Any]", scope).get(DEPLOYMENT)
        if deployment is not None:
            body = with_model(body, deployment)
        if exchange.holder is not None and exchange.holder.limited:
            body = restricted(body, self._fields, exchange.holder.fields)
        envelope = self._open(body)
        given = headers_by_name(cast("Scope", scope))
        task = None
        if isinstance(envelope, Conversation):
            task = serving.classifier.task_of(envelope, lambda name: _text(given.get(name.encode("latin-1"))))
        if exchange.holder is not None:
            exchange.holder.check(task, envelope.model)
        if LEARN_HEADER in given:
            exchange.learn = all(learnable(_text(value)) for name, value in scope["headers"] if name == LEARN_HEADER)
        if REF_HEADER in given:
            exchange.ref = client_ref(_text(given[REF_HEADER]))
        exchange.hand_on(given)
        query = scope.get("query_string")
        if query and not (exchange.holder is not None and exchange.holder.limited):
            exchange.trace.path = scope["path"].removeprefix("/v1").rstrip("/")
            exchange.trace.query = query.decode("latin-1")
        key = exchange.holder.name if exchange.holder is not None else None
        if PREVIOUS in envelope.fields:
            exchange.link = await link_to(envelope.value(PREVIOUS), services, exchange.holder)
        elif STORED in envelope.fields:
            exchange.conversation = conversation_id(envelope.value(STORED))
            exchange.link = link_of_conversation(exchange.conversation, services, exchange.holder)
        plan = self._route(envelope, task, services.rules.current, serving.settings, key=key, link=exchange.link)
        keeps = plan.task in serving.kept_seconds
        completions = answering(services, exchange, plan) if keeps else serving.completions
        exchange.claim = await claim_for(services, exchange.holder, plan, exchange.cached == HIT)
        exchange.trace.plan = plan
        if not envelope.stream:
            reply = await completions.whole(plan, exchange.id, exchange.trace)
            exchange.begin()
            await respond(send, 200, self.whole(reply, exchange), self.headers(exchange))
        else:
            events = completions.stream(plan, exchange.id, exchange.trace)
            beat = functools.partial(self._beat, scope, exchange, send)
            async with contextlib.aclosing(self.events(events, exchange)) as worded:
                with Heartbeat(serving.settings.server.heartbeat_s, beat) as heartbeat:
                    # No 200 before the upstream has answered with its first event, or kept the client waiting.
                    first = await anext(worded)
                    exchange.begin()
                    if not exchange.streaming:
                        await self._start_stream(scope, exchange, send)
                    await _relay(first, worded, send, heartbeat)
        exchange.end("ok", 200)

    async def _start_stream(self, scope: HTTPScope, exchange: Running, send: Send) -> None:
        assert exchange.plan is not None, "a stream has a plan"
        exchange.streaming = True
        upstream = self._services.settings.upstreams[exchange.plan.upstream]  # a fallback's, if that answers
        limit_answer(scope, upstream.total_timeout_s)
        await start(send, 200, [*self.stream_headers, *self.headers(exchange)])

    async def _beat(self, scope: HTTPScope, exchange: Running, send: Send) -> None:
        """Show a waiting client that the gateway is alive. The first sign begins the response."""
        if not exchange.streaming:
            exchange.begin()
            await self._start_stream(scope, exchange, send)
        await piece(send, self.sign_of_life(exchange), more=True)

    def whole(self, reply: bytes, exchange: Running) -> bytes:
        """Return an unstreamed reply in this API's shape."""
        return reply

    def events(self, events: AsyncGenerator[bytes, None], exchange: Running) -> AsyncGenerator[bytes, None]:
        """Return the events of a streamed reply in this API's shape. Closing the result closes ``events``."""
        return events

    def sign_of_life(self, exchange: Running) -> bytes:
        """Return the bytes for a waiting client of this API."""
        return COMMENT

    def headers(self, exchange: Running) -> list[Header]:
        """Return the headers about the exchange."""
        return exchange.headers()

    def error(self, error: PreceptorError, exchange: Running) -> bytes:
        """Return an error in this API's shape."""
        return error.body()

    def error_event(self, error: PreceptorError, exchange: Running) -> bytes:
        """Return an error as an event of a stream, in this API's shape."""
        return sse.event_of(self.error(error, exchange))

    async def _fail(self, exchange: Running, error: PreceptorError, send: Send) -> None:
        """Answer with an error: as a response, or as the last event of a stream."""
        if exchange.streaming:
            await piece(send, self.error_event(error, exchange), more=True)
            await piece(send, b"", more=False)
        else:
            exchange.begin()
            await respond(
                send, error.status, self.error(error, exchange), [*error_headers(error), *self.headers(exchange)]
            )
        exchange.end("error", error.status, error.code or type(error).__name__)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def _relay(first: bytes, events: AsyncIterator[bytes], send: Send, heartbeat: Heartbeat) -> None:
    await piece(send, first, more=True)
    heartbeat.moved()
    async for event in events:
        await piece(send, event, more=True)
        heartbeat.moved()
    await piece(send, b"", more=False)

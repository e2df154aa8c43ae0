"""``POST /v1/chat/completions``: the request path. Nothing here touches the disk or waits for anything but models."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from litestar.types import HTTPScope, Receive, Send

from gateway.api.hangup import ClientGone, HangUp
from gateway.api.http import EVENTS, Header, error_headers, header, header_value, piece, read_body, respond, start
from gateway.completion import Tally
from gateway.domain import Exchange, Status
from gateway.errors import MethodNotAllowed, Overloaded, PreceptorError
from gateway.pipeline import sse
from gateway.pipeline.envelope import open_envelope
from gateway.pipeline.route import Plan, route
from gateway.services import Services

log = logging.getLogger(__name__)


class ChatCompletions:
    """An ASGI application for one path."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limit = int(services.settings.server.max_body_mb * 10**6)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        exchange = _Running(self._services)
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("Only POST is served here.")
            body = await read_body(scope, receive, self._limit)
            async with HangUp(receive):
                await self._serve(scope, body, exchange, send)
        except ClientGone:
            exchange.end("abandoned", 499, "client_disconnected")
        except PreceptorError as error:
            await exchange.fail(error, send)
        except Exception as error:
            log.exception("a request failed", extra={"action": "chat.bug", "exchange": exchange.id})
            await exchange.fail(PreceptorError(f"internal error: {type(error).__name__}"), send)
        except asyncio.CancelledError:
            # The server stops and has waited long enough. This is the request's own task: nobody above awaits it.
            await exchange.fail(Overloaded("The gateway is stopping: send the request again.", code="stopping"), send)

    async def _serve(self, scope: HTTPScope, body: bytes, exchange: "_Running", send: Send) -> None:
        services = self._services
        envelope = open_envelope(body)
        task = services.classifier.task_of(envelope, lambda name: header(scope, name.encode("latin-1")))
        exchange.plan = plan = route(envelope, task, services.rules.current.injections, services.settings)
        if not envelope.stream:
            reply = await services.completions.whole(plan, exchange.id, exchange.tally)
            exchange.begin()
            await respond(send, 200, reply, exchange.headers())
        else:
            events = services.completions.stream(plan, exchange.id, exchange.tally)
            async with contextlib.aclosing(events):
                # No 200 before the upstream has answered with its first event.
                first = await anext(events)
                exchange.begin()
                await start(send, 200, [EVENTS, (b"cache-control", b"no-cache"), *exchange.headers()])
                exchange.streaming = True
                await _relay(first, events, send)
        exchange.end("ok", 200)


async def _relay(first: bytes, events: AsyncIterator[bytes], send: Send) -> None:
    await piece(send, first, more=True)
    async for event in events:
        await piece(send, event, more=True)
    await piece(send, b"", more=False)


class _Running:
    """An exchange under way: collects what its record needs and hands it to the writer once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.id = services.new_id()
        self._created = services.wall_clock()
        self._began = services.clock()
        self._first_byte_ms: float | None = None
        self._overhead_s = 0.0
        self.tally: Tally = services.completions.tally()
        self.plan: Plan | None = None
        self.streaming = False

    def begin(self) -> None:
        """The reply begins now."""
        elapsed = self._services.clock() - self._began
        self._first_byte_ms = elapsed * 1000
        self._overhead_s = max(0.0, elapsed - self.tally.waited_s)

    def headers(self) -> list[Header]:
        headers = [(b"x-request-id", self.id.encode())]
        plan = self.plan
        if plan is not None:
            headers += [
                (b"x-preceptor-task", (plan.task or "none").encode()),
                (b"x-preceptor-rules", str(plan.rules_version or "none").encode()),
                (b"x-preceptor-arm", plan.arm.encode()),
                (b"x-preceptor-model", header_value(plan.model)),
                (b"x-preceptor-overhead-ms", f"{self._overhead_s * 1000:.3f}".encode()),
            ]
        return headers

    async def fail(self, error: PreceptorError, send: Send) -> None:
        """Answer with an error: as a response, or inside a stream that has begun."""
        if self.streaming:
            await piece(send, sse.event_of(error.body()), more=True)
            await piece(send, b"", more=False)
        else:
            self.begin()
            await respond(send, error.status, error.body(), [*error_headers(error), *self.headers()])
        self.end("error", error.status, error.code or type(error).__name__)

    def end(self, status: Status, http_status: int, error: str | None = None) -> None:
        """Record the exchange. A request that never became a plan is counted nowhere but in the client."""
        plan = self.plan
        if plan is None:
            return
        services = self._services
        exchange = Exchange(
            id=self.id,
            created=self._created,
            task=plan.task,
            client_model=plan.envelope.model,
            model=plan.model,
            arm=plan.arm,
            rules=plan.rules_version,
            stream=plan.envelope.stream,
            status=status,
            http_status=http_status,
            error=error,
            request=plan.envelope.body,
            reply=self.tally.text,
            finish_reason=self.tally.finish_reason,
            usage=self.tally.usage,
            latency_ms=(services.clock() - self._began) * 1000,
            first_byte_ms=self._first_byte_ms,
        )
        services.writer.put(exchange)
        services.telemetry.exchange(exchange, self._overhead_s)

"""The endpoints for models: the request path. Touches no disk and waits for nothing but models.

A single class serves them all. They differ in opening a request and, for a foreign API, in the shape of replies and
errors.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import lru_cache

from litestar.types import HTTPScope, Receive, Send

from gateway.api.gate import holder_of
from gateway.api.hangup import ClientGone, HangUp, limit_answer
from gateway.api.http import EVENTS, LONGEST, error_headers, header, header_value, piece, read_body, respond, start
from gateway.auth import Holder
from gateway.completion import CompletionTrace
from gateway.domain import Arm, Exchange, Status
from gateway.errors import MethodNotAllowed, Overloaded, PreceptorError
from gateway.formats import sse
from gateway.formats.envelope import Conversation, Envelope
from gateway.formats.field_names import restricted
from gateway.http_server.request_head import Header
from gateway.prices import cost_usd
from gateway.recording import audit_rate
from gateway.routing.route import RoutePlan, route
from gateway.services import Services

log = logging.getLogger(__name__)

LEARN_HEADER = b"x-preceptor-learn"
REF_HEADER = b"x-client-request-id"
_PLANS = 1024
"""Most plans with remembered headers."""


def learnable(header: str | None) -> bool:
    """Decide whether the text of an exchange may be kept. Any value but ``on`` forbids it: no objection is missed."""
    return header is None or header.strip().lower() in ("on", "")


def client_ref(header: str | None) -> str | None:
    """Return the client's own name for a request as it is recorded: at most ``LONGEST`` characters."""
    return header[:LONGEST] if header else None


class Endpoint:
    """An ASGI application for a path of OpenAI's API."""

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
                raise MethodNotAllowed("Only POST is served here.", code="method_not_supported")
            serving = self._services.serving
            values = serving.settings.server.max_json_values
            body = await read_body(
                scope, receive, serving.body_limit, self._services.bodies, values=values, numbers=self._numbers
            )
            async with HangUp(scope, receive):
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

    async def _serve(self, scope: HTTPScope, body: bytes, exchange: "Running", send: Send) -> None:
        services, serving = self._services, self._services.serving
        if exchange.holder is not None and exchange.holder.limited:
            body = restricted(body, self._fields, exchange.holder.fields)
        envelope = self._open(body)
        task = None
        if isinstance(envelope, Conversation):
            task = serving.classifier.task_of(envelope, lambda name: header(scope, name.encode("latin-1")))
        if exchange.holder is not None:
            exchange.holder.check(task, envelope.model)
        exchange.learn = learnable(header(scope, LEARN_HEADER))
        exchange.ref = client_ref(header(scope, REF_HEADER))
        key = exchange.holder.name if exchange.holder is not None else None
        plan = route(envelope, task, services.rules.current, serving.settings, key=key)
        exchange.trace.plan = plan
        if not envelope.stream:
            reply = await serving.completions.whole(plan, exchange.id, exchange.trace)
            exchange.begin()
            await respond(send, 200, self.whole(reply, exchange), self.headers(exchange))
        else:
            events = serving.completions.stream(plan, exchange.id, exchange.trace)
            async with contextlib.aclosing(self.events(events, exchange)) as worded:
                # No 200 before the upstream has answered with its first event.
                first = await anext(worded)
                exchange.begin()
                upstream = (exchange.plan or plan).upstream  # a fallback's, if that answers
                limit_answer(scope, serving.settings.upstreams[upstream].total_timeout_s)
                await start(send, 200, [EVENTS, (b"cache-control", b"no-cache"), *self.headers(exchange)])
                exchange.streaming = True
                await _relay(first, worded, send)
        exchange.end("ok", 200)

    def whole(self, reply: bytes, exchange: "Running") -> bytes:
        """Return an unstreamed reply in this API's shape."""
        return reply

    def events(self, events: AsyncGenerator[bytes, None], exchange: "Running") -> AsyncGenerator[bytes, None]:
        """Return the events of a streamed reply in this API's shape. Closing the result closes ``events``."""
        return events

    def headers(self, exchange: "Running") -> list[Header]:
        """Return the headers about the exchange."""
        return exchange.headers()

    def error(self, error: PreceptorError, exchange: "Running") -> bytes:
        """Return an error in this API's shape."""
        return error.body()

    def error_event(self, error: PreceptorError, exchange: "Running") -> bytes:
        """Return an error as an event of a stream, in this API's shape."""
        return sse.event_of(self.error(error, exchange))

    async def _fail(self, exchange: "Running", error: PreceptorError, send: Send) -> None:
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


async def _relay(first: bytes, events: AsyncIterator[bytes], send: Send) -> None:
    await piece(send, first, more=True)
    async for event in events:
        await piece(send, event, more=True)
    await piece(send, b"", more=False)


@lru_cache(_PLANS)
def _plan_headers(task: str | None, why: str) -> tuple[Header, ...]:
    """Return the headers about a plan for every client."""
    return (
        (b"x-preceptor-task", (task or "none").encode()),
        *([(b"x-preceptor-why", why.encode())] if why else []),
    )


@lru_cache(_PLANS)
def _arm_headers(rules: int | None, arm: Arm, model: str) -> tuple[Header, ...]:
    """Return the headers about a plan's arm. Callers shorten ``model``: it may be a client's text, and is kept."""
    return (
        (b"x-preceptor-rules", str(rules or "none").encode()),
        (b"x-preceptor-arm", arm.encode()),
        (b"x-preceptor-model", header_value(model)),
    )


class Running:
    """An exchange under way. Collects its record and hands it to the writer once."""

    def __init__(self, services: Services, id_: str, holder: Holder | None = None) -> None:
        self._services = services
        self.id = id_
        self.holder = holder
        self._created = services.wall_clock()
        self._began = services.clock()
        self._first_byte_ms: float | None = None
        self._overhead_s = 0.0
        self.trace: CompletionTrace = services.serving.completions.new_trace()
        self.streaming = False
        self.learn = True
        """The text may be kept; the client decides (``x-preceptor-learn: off``)."""
        self.ref: str | None = None
        """The client's own name for the request."""

    @property
    def plan(self) -> RoutePlan | None:
        """The plan in execution; ``None`` until the request is understood."""
        return self.trace.plan

    @property
    def why(self) -> str:
        """The reason for answering without the rules of the task, or without a part of them; usually empty."""
        return self.trace.why or (self.plan.why if self.plan is not None else "")

    def begin(self) -> None:
        """Note the beginning of the reply."""
        elapsed = self._services.clock() - self._began
        self._first_byte_ms = elapsed * 1000
        self.id = self.trace.reply_id or self.id
        self._overhead_s = max(0.0, elapsed - self.trace.waited_s)

    def headers(self) -> list[Header]:
        headers = [(b"x-request-id", self.id.encode())]
        plan = self.plan
        if plan is not None:
            headers += _plan_headers(plan.task, self.why)
            if self._services.settings.server.arm_headers:
                headers += _arm_headers(plan.rules_version, plan.arm, plan.model[:LONGEST])
            headers.append((b"x-preceptor-overhead-ms", b"%.3f" % (self._overhead_s * 1000)))
        return headers

    def end(self, status: Status, http_status: int, error: str | None = None) -> None:
        """Record the exchange. A request without a plan is not recorded."""
        plan = self.plan
        if plan is None:
            return
        services = self._services
        model = services.settings.models.get(plan.model)
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
            request=plan.envelope.body if self.learn else b"{}",
            reply=self.trace.text if self.learn else None,
            finish_reason=self.trace.finish_reason,
            usage=self.trace.usage,
            latency_ms=(services.clock() - self._began) * 1000,
            first_byte_ms=self._first_byte_ms,
            tool_calls=self.trace.tool_calls if self.learn else (),
            key=self.holder.name if self.holder is not None else None,
            ref=self.ref,
            cost_usd=None if model is None else cost_usd(model.price, self.trace.usage),
        )
        services.writer.put(exchange, self._completed if self.learn else None)
        services.telemetry.exchange(exchange, self._overhead_s)
        if self.why:
            services.telemetry.rules_left_out(plan.task, self.why)

    def _completed(self, exchange: Exchange) -> Exchange:
        """Return the record with what the writer's thread adds to it."""
        assert self.plan is not None, "only plans are recorded"
        services = self._services
        rate = audit_rate(exchange.task, services.settings, services.rules.current)
        return services.recorder.completed(exchange, self.plan.envelope, rate)

"""One span per exchange, sent to an OpenTelemetry collector: OTLP over HTTP, in its JSON form.

Names are those of OpenTelemetry's conventions for generative AI, and ``preceptor.*``; no text of a user. A caller's
``traceparent`` is taken as the parent, and the upstream gets one with this span as its parent. The request path notes a
span; a loop and a thread send them, several at once. Nobody waits for a collector: beyond the bound, or while it cannot
be reached, spans are dropped and counted.
"""

import asyncio
import contextlib
import logging
import random
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.domain import Exchange, Value

log = logging.getLogger(__name__)

TRACEPARENT: Final = b"traceparent"
INTERVAL_S = 1.0
TIMEOUT_S = 5.0
MOST_SPANS = 10_000
"""Spans that wait to be sent."""
MANY_SPANS = 1_000
"""Spans that are sent without waiting for more: in memory, many of them would crowd out what requests work on."""
_LONGEST = 200
_SERVER = 2
_ERROR = 2
_HEX = frozenset(b"0123456789abcdef")
_OPERATIONS = {"/embeddings": "embeddings", "/completions": "text_completion"}


class SpanContext(Value, frozen=True):
    """The place of a span in a trace; ids in hex digits."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = True

    @property
    def traceparent(self) -> bytes:
        """The header for whoever works on behalf of this span."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}".encode()


def parent_in(header: bytes | None) -> SpanContext | None:
    """Return the caller's span by its ``traceparent`` (W3C Trace Context); ``None`` without a usable one."""
    parts = (header or b"").strip().split(b"-")
    if [len(part) for part in parts[:4]] != [2, 32, 16, 2] or not _HEX.issuperset(b"".join(parts[:4])):
        return None
    version, trace_id, span_id, flags = parts[:4]
    if version == b"ff" or (version == b"00" and len(parts) > 4) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return SpanContext(trace_id=trace_id.decode(), span_id=span_id.decode(), sampled=bool(int(flags, 16) & 1))


class Tracer:
    """Makes spans and sends them. ``share`` (0..1) of the traces that begin here are sent; a caller's choice holds.

    ``send`` blocks, and raises ``OSError``. ``draw`` draws from 0..1. Spans wait for up to ``interval_s`` seconds.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        share: float = 1.0,
        draw: Callable[[], float] = random.random,
        bits: Callable[[int], int] = random.getrandbits,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._send, self._share, self._draw, self._bits = send, share, draw, bits
        self._interval_s = interval_s
        self._spans: deque[bytes] = deque()
        self._many = asyncio.Event()
        self._down = False
        self.dropped = 0
        """Spans that nobody got."""

    def begin(self, header: bytes | None) -> SpanContext:
        """Return the place of a new span below the caller's, or at the root of a new trace."""
        parent = parent_in(header)
        span_id = f"{self._bits(64) or 1:016x}"
        if parent is None:
            sampled = self._draw() < self._share
            return SpanContext(trace_id=f"{self._bits(128) or 1:032x}", span_id=span_id, sampled=sampled)
        return SpanContext(trace_id=parent.trace_id, span_id=span_id, parent_id=parent.span_id, sampled=parent.sampled)

    def note(self, place: SpanContext, exchange: Exchange, *, path: str, overhead_s: float) -> None:
        """Take the span of an exchange; never waits."""
        if not place.sampled:
            return
        if len(self._spans) >= MOST_SPANS:
            self.dropped += 1
            return
        self._spans.append(msgspec.json.encode(span_of(place, exchange, path=path, overhead_s=overhead_s)))
        if len(self._spans) >= MANY_SPANS:
            self._many.set()

    async def run(self) -> None:
        """Send what was noted until cancelled, and the rest then."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._many.wait()
                self._many.clear()
                await asyncio.to_thread(self.flush)
        finally:
            await asyncio.shield(asyncio.to_thread(self.flush))

    def flush(self) -> None:
        """Send every span. Blocks."""
        spans = [self._spans.popleft() for _ in range(len(self._spans))]
        if not spans:
            return
        try:
            self._send(b",".join(spans).join(_REQUEST))
            self._down = False
        except (OSError, ValueError) as error:
            self.dropped += len(spans)
            if not self._down:
                log.warning("spans cannot be sent: %s", error, extra={"action": "tracing.failed"})
            self._down = True


def sender(endpoint: str, headers: Mapping[str, str]) -> Callable[[bytes], None]:
    """Return a function to post spans to a collector's address."""
    url = f"{endpoint.rstrip('/')}/v1/traces"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(body: bytes) -> None:
        fields = {**headers, "content-type": "application/json"}
        request = urllib.request.Request(url, body, fields)  # noqa: S310 - the operator's own address, checked as http
        with contextlib.closing(direct.open(request, timeout=TIMEOUT_S)) as reply:
            reply.read()

    return send


def span_of(place: SpanContext, exchange: Exchange, *, path: str, overhead_s: float) -> dict[str, Any]:
    """Return the span of an exchange in OTLP's JSON form."""
    operation, usage = _OPERATIONS.get(path, "chat"), exchange.usage
    facts = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": exchange.client_model,
        "gen_ai.response.model": exchange.model,
        "gen_ai.response.id": exchange.id,
        "gen_ai.response.finish_reasons": [exchange.finish_reason] if exchange.finish_reason else None,
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "http.response.status_code": exchange.http_status,
        "error.type": exchange.error,
        "preceptor.task": exchange.task,
        "preceptor.arm": exchange.arm,
        "preceptor.rules": exchange.rules,
        "preceptor.key": exchange.key,
        "preceptor.status": exchange.status,
        "preceptor.client_request_id": exchange.ref,
        "preceptor.cost_usd": exchange.cost_usd,
        "preceptor.first_byte_ms": exchange.first_byte_ms,
        "preceptor.overhead_ms": overhead_s * 1000,
    }
    return {
        "traceId": place.trace_id,
        "spanId": place.span_id,
        "parentSpanId": place.parent_id,
        "flags": 1,
        "name": f"{operation} {exchange.model[:_LONGEST]}",
        "kind": _SERVER,
        "startTimeUnixNano": str(int(exchange.created * 1e9)),
        "endTimeUnixNano": str(int(exchange.created * 1e9 + exchange.latency_ms * 1e6)),
        "attributes": [{"key": key, "value": _value(value)} for key, value in facts.items() if value is not None],
        "status": {"code": _ERROR} if exchange.status == "error" else {},
    }


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)[:_LONGEST]}


_REQUEST: Final = (
    (
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"preceptor"}}]},'
        b'"scopeSpans":[{"scope":{"name":"preceptor"},"spans":['
    ),
    b"]}]}]}",
)
"""What stands before and behind the spans of a request to a collector."""

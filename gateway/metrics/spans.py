"""One span per exchange, sent to an OpenTelemetry collector: OTLP over HTTP, in its JSON form.

Names are those of OpenTelemetry's conventions for generative AI, and ``preceptor.*``; no text of a user. A caller's
``traceparent`` is taken as the parent, and the upstream gets one with this span as its parent. The request path notes a
span; a loop and a thread send them, several at once. Nobody waits for a collector: beyond the bound, or while it cannot
be reached, spans are dropped and counted.
"""

import asyncio
import contextlib
import functools
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
_KINDS = 1024
"""Remembered parts that many spans share."""
_SAMPLED, _LEFT_OUT = b"-01", b"-00"
_SERVER = 2
_ERROR = 2
_HEX = frozenset(b"0123456789abcdef")
_OPERATIONS = {"/embeddings": "embeddings", "/completions": "text_completion"}


class SpanContext(Value, frozen=True):
    """The place of a span in a trace."""

    traceparent: bytes
    """The header for whoever works on behalf of this span."""
    parent_id: bytes = b""
    """In hex digits; empty at the root of a trace."""

    @property
    def trace_id(self) -> bytes:
        """32 hex digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> bytes:
        """16 hex digits."""
        return self.traceparent[36:52]

    @property
    def sampled(self) -> bool:
        """The span is sent."""
        return self.traceparent.endswith(_SAMPLED)


def parent_in(header: bytes | None) -> SpanContext | None:
    """Return the caller's span by its ``traceparent`` (W3C Trace Context); ``None`` without a usable one."""
    parts = (header or b"").strip().split(b"-")
    if [len(part) for part in parts[:4]] != [2, 32, 16, 2] or not _HEX.issuperset(b"".join(parts[:4])):
        return None
    version, trace_id, span_id, flags = parts[:4]
    if version == b"ff" or (version == b"00" and len(parts) > 4) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    sampled = _SAMPLED if int(flags, 16) & 1 else _LEFT_OUT
    return SpanContext(traceparent=b"00-%b-%b%b" % (trace_id, span_id, sampled))


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
        parent = None if header is None else parent_in(header)
        span_id = self._bits(64) or 1
        if parent is None:
            sampled = _SAMPLED if self._draw() < self._share else _LEFT_OUT
            return SpanContext(traceparent=b"00-%032x-%016x%b" % (self._bits(128) or 1, span_id, sampled))
        begun = parent.traceparent
        return SpanContext(traceparent=b"%b%016x%b" % (begun[:36], span_id, begun[52:]), parent_id=parent.span_id)

    def note(self, place: SpanContext, exchange: Exchange, *, path: str, overhead_s: float) -> None:
        """Take the span of an exchange; never waits."""
        if not place.sampled:
            return
        if len(self._spans) >= MOST_SPANS:
            self.dropped += 1
            return
        self._spans.append(span_of(place, exchange, path=path, overhead_s=overhead_s))
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


def span_of(place: SpanContext, exchange: Exchange, *, path: str, overhead_s: float) -> bytes:
    """Return the span of an exchange in OTLP's JSON form."""
    usage, begun = exchange.usage, exchange.created * 1e9
    more = b""
    if exchange.first_byte_ms is not None:
        more += _FIRST_BYTE % exchange.first_byte_ms
    if exchange.cost_usd is not None:
        more += _COST % exchange.cost_usd
    if exchange.ref is not None:
        more += _REF % msgspec.json.encode(exchange.ref[:_LONGEST])
    return _SPAN % (
        place.trace_id,
        place.span_id,
        place.parent_id,
        begun,
        begun + exchange.latency_ms * 1e6,
        # Bounded, because it is remembered and a client may have chosen it.
        _facts(
            _OPERATIONS.get(path, "chat"),
            exchange.client_model[:_LONGEST],
            exchange.model[:_LONGEST],
            (exchange.finish_reason or "")[:_LONGEST],
            exchange.http_status,
            (exchange.error or "")[:_LONGEST],
            exchange.task,
            exchange.arm,
            exchange.rules,
            exchange.key,
            exchange.status,
        ),
        msgspec.json.encode(exchange.id[:_LONGEST]),
        usage.prompt_tokens,
        usage.output_tokens,
        overhead_s * 1000,
        more,
    )


@functools.lru_cache(_KINDS)
def _facts(
    operation: str, client_model: str, model: str, finish_reason: str, http_status: int, error: str,
    task: str | None, arm: str, rules: int | None, key: str | None, status: str,
) -> bytes:  # fmt: skip
    """Return the part of a span that many exchanges share: name, status, and the beginning of the attributes."""
    facts = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": client_model,
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": [finish_reason] if finish_reason else None,
        "http.response.status_code": http_status,
        "error.type": error or None,
        "preceptor.task": task,
        "preceptor.arm": arm,
        "preceptor.rules": rules,
        "preceptor.key": key,
        "preceptor.status": status,
    }
    shared = {
        "flags": 1,
        "name": f"{operation} {model}",
        "kind": _SERVER,
        "status": {"code": _ERROR} if status == "error" else {},
        "attributes": [{"key": key, "value": _value(value)} for key, value in facts.items() if value is not None],
    }
    return msgspec.json.encode(shared)[1:-2]  # without its braces and the end of the attributes


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": str(value)[:_LONGEST]}


_SPAN: Final = (
    b'{"traceId":"%b","spanId":"%b","parentSpanId":"%b","startTimeUnixNano":"%d","endTimeUnixNano":"%d",%b,'
    b'{"key":"gen_ai.response.id","value":{"stringValue":%b}},'
    b'{"key":"gen_ai.usage.input_tokens","value":{"intValue":"%d"}},'
    b'{"key":"gen_ai.usage.output_tokens","value":{"intValue":"%d"}},'
    b'{"key":"preceptor.overhead_ms","value":{"doubleValue":%.3f}}%b]}'
)
_FIRST_BYTE: Final = b',{"key":"preceptor.first_byte_ms","value":{"doubleValue":%.3f}}'
_COST: Final = b',{"key":"preceptor.cost_usd","value":{"doubleValue":%.12f}}'
_REF: Final = b',{"key":"preceptor.client_request_id","value":{"stringValue":%b}}'
_REQUEST: Final = (
    (
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"preceptor"}}]},'
        b'"scopeSpans":[{"scope":{"name":"preceptor"},"spans":['
    ),
    b"]}]}]}",
)
"""What stands before and behind the spans of a request to a collector."""

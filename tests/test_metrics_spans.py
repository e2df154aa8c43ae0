"""Spans: one per exchange, in the place that the caller gave, with the fields of OTLP's JSON form and no text."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.spans import MANY_SPANS, MOST_SPANS, Tracer, parent_in, sender, span_of
from optimizer.demo.loopback import loopback_server
from tests.fakes import CONFIG, FakeUpstream, asked, read_request, served, settings
from tests.test_store_sql import EXCHANGE

CALLER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_caller_s_span_is_read_and_written_again() -> None:
    """W3C Trace Context; a later version may have more parts."""
    for header in (CALLER, b" " + CALLER, CALLER.replace(b"00-", b"01-", 1) + b"-more"):
        parent = parent_in(header)
        assert parent is not None and parent.sampled
        assert (parent.trace_id, parent.span_id) == (CALLER[3:35], CALLER[36:52])
        assert parent.traceparent == CALLER
    unsampled = parent_in(CALLER[:-2] + b"00")
    assert unsampled is not None and not unsampled.sampled


@pytest.mark.parametrize(
    "header",
    [
        None, b"", b"nonsense", CALLER + b"-more", CALLER.upper(), b"ff" + CALLER[2:], CALLER[:-1],
        b"00-" + b"0" * 32 + CALLER[35:], CALLER[:36] + b"0" * 16 + CALLER[52:],
    ],
)  # fmt: skip
def test_a_header_that_is_none_begins_a_trace(header: bytes | None) -> None:
    """As the specification asks."""
    assert parent_in(header) is None
    place = Tracer(lambda body: None).begin(header)
    assert place.parent_id == b"" and parent_in(place.traceparent) is not None


@given(st.binary(max_size=80))
def test_no_header_is_too_strange(header: bytes) -> None:
    """It is a span, or none."""
    parent = parent_in(header)
    assert parent is None or parent_in(parent.traceparent) is not None


def test_a_caller_s_choice_holds_and_a_share_is_for_new_traces() -> None:
    """Not sampled: not sent, and the upstream is told so."""
    sent: list[bytes] = []
    tracer = Tracer(sent.append, share=0.5, draw=lambda: 0.6)
    for header in (CALLER[:-2] + b"00", None):
        place = tracer.begin(header)
        assert place.traceparent.endswith(b"-00")
        tracer.note(place, EXCHANGE, path="/chat/completions", overhead_s=0.001)
    tracer.flush()
    assert sent == []
    tracer.note(tracer.begin(CALLER), EXCHANGE, path="/chat/completions", overhead_s=0.001)
    tracer.flush()
    assert len(sent) == 1


def test_a_span_holds_numbers_and_names_and_no_text() -> None:
    """Times in nanoseconds as texts, ids in hex digits, as OTLP's JSON form has them."""
    exchange = msgspec.structs.replace(
        EXCHANGE, created=2.0, latency_ms=1500.0, request=b"secret", reply="secret", tenant="secret", status="error",
        error="upstream_timeout", client_model="m" * 1000,
    )  # fmt: skip
    place = Tracer(lambda body: None).begin(CALLER)
    span = json.loads(span_of(place, exchange, path="/embeddings", overhead_s=0.002))
    assert (span["startTimeUnixNano"], span["endTimeUnixNano"]) == ("2000000000", "3500000000")
    assert (span["traceId"], span["parentSpanId"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert (span["kind"], span["status"]) == (2, {"code": 2})
    facts = {fact["key"]: next(iter(fact["value"].values())) for fact in span["attributes"]}
    assert facts["gen_ai.operation.name"] == "embeddings" and facts["error.type"] == "upstream_timeout"
    assert len(facts["gen_ai.request.model"]) == 200 and facts["preceptor.overhead_ms"] == 2.0
    assert "secret" not in json.dumps(span)


NAMES = st.text(max_size=300)


@given(model=NAMES, error=st.none() | NAMES, ref=st.none() | NAMES, id_=NAMES, cost=st.none() | st.floats(0, 1e9))
def test_any_names_and_numbers_make_valid_json(
    model: str, error: str | None, ref: str | None, id_: str, cost: float | None
) -> None:
    """Quotes, line breaks and lone surrogates included; absent facts are left out."""
    exchange = msgspec.structs.replace(EXCHANGE, client_model=model, error=error, ref=ref, id=id_, cost_usd=cost)
    span = json.loads(span_of(Tracer(lambda body: None).begin(None), exchange, path="/x", overhead_s=0.0))
    facts = {fact["key"]: next(iter(fact["value"].values())) for fact in span["attributes"]}
    assert facts["gen_ai.request.model"] == model[:200] and facts["gen_ai.response.id"] == id_[:200]
    assert (facts.get("error.type"), facts.get("preceptor.client_request_id")) == (
        error[:200] if error else None, None if ref is None else ref[:200],
    )  # fmt: skip
    assert facts.get("preceptor.cost_usd") == (None if cost is None else pytest.approx(cost, abs=1e-12))


def test_a_collector_that_is_away_is_told_once_and_costs_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody takes is counted."""
    tracer = Tracer(sender("http://127.0.0.1:9", {}))
    for _ in range(2):
        tracer.note(tracer.begin(None), EXCHANGE, path="/chat/completions", overhead_s=0.0)
        tracer.flush()
    assert tracer.dropped == 2 and caplog.text.count("spans cannot be sent") == 1
    for _ in range(MOST_SPANS + 1):
        tracer.note(tracer.begin(None), EXCHANGE, path="/chat/completions", overhead_s=0.0)
    assert tracer.dropped == 3


async def test_many_spans_are_sent_without_waiting_for_more() -> None:
    """One request to the collector holds them all."""
    sent = asyncio.Queue[bytes]()
    loop = asyncio.get_running_loop()

    def send(body: bytes) -> None:
        loop.call_soon_threadsafe(sent.put_nowait, body)

    tracer = Tracer(send, interval_s=3600)
    for _ in range(MANY_SPANS):
        tracer.note(tracer.begin(None), EXCHANGE, path="/chat/completions", overhead_s=0.0)
    running = asyncio.create_task(tracer.run())
    body = await sent.get()
    (scope,) = json.loads(body)["resourceSpans"][0]["scopeSpans"]
    assert len(scope["spans"]) == MANY_SPANS
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def collector(taken: list[tuple[str, dict[str, str], Any]]) -> AsyncIterator[str]:
    """An HTTP server with the one path of a collector for traces."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, headers, body = await read_request(reader)
        taken.append((line, headers, json.loads(body)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with loopback_server(take) as url:
        yield url.removesuffix("/v1")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_exchange_is_a_span_between_caller_and_upstream(stream: bool) -> None:
    """Over the wire: the collector's span has the caller's as its parent, and the upstream got it as its own parent."""
    taken: list[tuple[str, dict[str, str], Any]] = []
    upstream = FakeUpstream(lambda body: "4")
    async with collector(taken) as endpoint, served(upstream, CONFIG) as gateway:
        gateway.services.tracer = tracer = Tracer(sender(endpoint, {"x-key": "k"}))
        headers = {"traceparent": CALLER.decode(), "x-client-request-id": "mine"}
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream), headers=headers)
        await asyncio.to_thread(tracer.flush)
    ((line, got, body),) = taken
    assert line.startswith("POST /v1/traces ") and (got["content-type"], got["x-key"]) == ("application/json", "k")
    ((span,),) = [[*scope["spans"]] for scope in body["resourceSpans"][0]["scopeSpans"]]
    handed_on = upstream.calls[0].traceparent.decode()
    assert handed_on == f"00-{span['traceId']}-{span['spanId']}-01"
    assert b"traceparent" not in dict(upstream.calls[0].headers)
    assert (span["traceId"], span["parentSpanId"]) == (CALLER[3:35].decode(), CALLER[36:52].decode())
    facts = {fact["key"]: next(iter(fact["value"].values())) for fact in span["attributes"]}
    assert facts["gen_ai.response.id"] == reply.headers["x-request-id"]
    assert (facts["gen_ai.usage.output_tokens"], facts["http.response.status_code"]) == ("3", "200")
    assert (facts["preceptor.task"], facts["preceptor.client_request_id"]) == ("arithmetic", "mine")


def test_a_collector_s_headers_may_be_a_secret() -> None:
    """They are in no line about the configuration."""
    made = settings(CONFIG + '[tracing]\nendpoint = "http://127.0.0.1:4318"\nheaders = { x = "hidden" }\n')
    assert made.tracing.headers == {"x": "hidden"} and "hidden" not in repr(made)

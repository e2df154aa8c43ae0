"""The line of a request: facts and no text, written behind the request path."""

import asyncio
import contextlib
import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.request_log import MOST_NOTES, RequestLog, RequestNote, noted, noted_refusal, shortened
from tests.fakes import CONFIG, FakeUpstream, asked, served
from tests.test_store_sql import EXCHANGE

NOTE = RequestNote(at=1_700_000_000.25, id="a", http_status=200, status="ok", latency_ms=12.346, cost_usd=0.000123)


def test_a_line_is_an_object_like_every_other() -> None:
    """Times in milliseconds; facts that are not there are left out."""
    lines: list[str] = []
    log = RequestLog(lines.append)
    log.note(NOTE)
    log.flush()
    log.flush()
    (line,) = lines
    assert json.loads(line) == {
        "event": "request", "level": "info", "action": "request", "id": "a", "http_status": 200, "status": "ok",
        "latency_ms": 12.346, "cost_usd": 0.000123, "timestamp": "2023-11-14T22:13:20.250Z",
    }  # fmt: skip


def test_a_client_s_name_ends_no_line() -> None:
    """Neither in JSON nor for people; a long one is cut."""
    for as_text in (False, True):
        lines: list[str] = []
        log = RequestLog(lines.append, as_text=as_text)
        ref = 'x\n{"level": "error"} \x1b[31m' + "y" * 1000
        log.note(noted(msgspec.structs.replace(EXCHANGE, ref=ref), 0.5))
        log.flush()
        assert lines[0].count("\n") == 1 and lines[0].endswith("\n") and "\x1b" not in lines[0]
        assert len(lines[0]) < 600


def test_every_name_is_cut() -> None:
    """Whoever chose it: a client, an upstream, or the configuration. A refused request's, too."""
    name = "n" * 1000
    exchange = msgspec.structs.replace(
        EXCHANGE, id=name, ref=name, key=name, task=name, model=name, error=name, client_model=name
    )
    refused = noted_refusal(
        at=1.0, id_=name, status="error", http_status=404, error=name, ref=name, key=name, latency_ms=1.0
    )
    for note in (noted(exchange, 0.5), refused):
        assert max(len(value) for value in msgspec.structs.astuple(note) if isinstance(value, str)) == 200


def test_the_texts_of_an_exchange_are_no_facts() -> None:
    """Whatever is recorded of it."""
    exchange = msgspec.structs.replace(EXCHANGE, request=b"secret", reply="secret", tenant="secret", ref="mine")
    lines: list[str] = []
    log = RequestLog(lines.append)
    log.note(noted(exchange, 0.5))
    log.flush()
    assert "secret" not in lines[0] and json.loads(lines[0])["ref"] == "mine"


def test_numbers_are_as_long_as_they_are_worth() -> None:
    """Microseconds, and millionths of a dollar."""
    exchange = msgspec.structs.replace(EXCHANGE, latency_ms=12.34567, first_byte_ms=1.23456, cost_usd=0.00012345)
    note = noted(exchange, 0.98765)
    assert (note.latency_ms, note.first_byte_ms, note.overhead_ms) == (12.346, 1.235, 0.988)
    assert note.cost_usd == 0.000123


@given(st.floats(0, 10**9))
def test_thousandths_are_rounded(number: float) -> None:
    """To within half of the last digit."""
    assert abs(shortened(number) - number) <= 0.0005 + 1e-6


def test_nobody_who_reads_costs_lines_and_no_memory() -> None:
    """What is beyond the bound is counted."""
    log = RequestLog(lambda lines: None)
    for _ in range(MOST_NOTES + 3):
        log.note(NOTE)
    assert log.dropped == 3


async def test_the_rest_is_written_at_the_end() -> None:
    """A gateway that stops loses no line."""
    lines: list[str] = []
    log = RequestLog(lines.append)
    running = asyncio.create_task(log.run())
    await asyncio.sleep(0)
    log.note(NOTE)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert len(lines) == 1


async def test_every_request_gets_its_line() -> None:
    """Answered, refused for an unknown model, refused for its body; with the client's own name of it."""
    lines: list[str] = []
    async with served(FakeUpstream(lambda body: "4"), CONFIG) as gateway:
        gateway.services.request_log._write = lines.append
        for body in (asked(), asked("unknown"), {"model": 1}):
            headers = {"x-client-request-id": "mine"}
            await gateway.client.post("/v1/chat/completions", json=body, headers=headers)
    told = [json.loads(line) for line in "".join(lines).splitlines()]
    assert [(line["http_status"], line.get("task"), line.get("arm")) for line in told] == [
        (200, "arithmetic", "weak"), (404, None, None), (400, None, None),
    ]  # fmt: skip
    assert told[0]["ref"] == told[1]["ref"] == "mine" and told[0]["output_tokens"] == 3


async def test_the_lines_can_be_switched_off() -> None:
    """By their own switch, or by the level."""
    for setting in ("requests = false", 'level = "warning"'):
        lines: list[str] = []
        text = CONFIG.replace("[optimizer]", f"[log]\n{setting}\n[optimizer]")
        async with served(FakeUpstream(lambda body: "4"), text) as gateway:
            gateway.services.request_log._write = lines.append
            await gateway.client.post("/v1/chat/completions", json=asked())
        assert lines == []

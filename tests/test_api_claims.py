"""Limits before a real gateway: what clients see, and what is counted at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest

from gateway.api.claims import taken
from gateway.completion import CompletionTrace
from gateway.domain import Usage
from gateway.errors import UpstreamBroken
from gateway.quotas.meter import NANO, Kind, Meter
from gateway.settings.keys import digest
from tests.fakes import CONFIG, FakeReply, FakeUpstream, Served, asked, events, served

TEAM = "team-0123456789abcdef"
HEADERS = {"authorization": f"Bearer {TEAM}"}
PRICED = CONFIG.replace('model = "tiny-1b"', 'model = "tiny-1b"\nprice = { input = 100, output = 100 }')
KEY = f'[keys.team]\nhash = "{digest(TEAM)}"\n'


@asynccontextmanager
async def limited(line: str, upstream: FakeUpstream | None = None, text: str = PRICED) -> AsyncIterator[Served]:
    async with served(upstream or FakeUpstream(lambda body: "4"), text + KEY + line + "\n") as gateway:
        yield gateway


def meter(gateway: Served, kind: Kind = "key", name: str = "team") -> Meter:
    return next(made for made in gateway.services.quotas.meters if (made.kind, made.name) == (kind, name))


async def ask(gateway: Served, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
    return await gateway.client.post(path, json=asked(**fields), headers=HEADERS)


async def test_replies_tell_the_limits_and_a_refusal_the_time() -> None:
    """A refused request goes nowhere and is not recorded."""
    upstream = FakeUpstream(lambda body: "4")
    async with limited("limits = { requests_per_minute = 2, tokens_per_minute = 5000 }", upstream) as gateway:
        replies = [await ask(gateway, max_tokens=100) for _ in range(3)]
        await asyncio.to_thread(gateway.services.writer.flush, 5)
        recorded, _ = gateway.services.store.recorded(0, limit=9)
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining-requests"] for reply in replies] == ["1", "0", "0"]
    assert replies[0].headers["x-ratelimit-limit-tokens"] == "5000"
    assert 0 < int(replies[2].headers["retry-after"]) <= 65
    assert replies[2].json()["error"]["code"] == "rate_limit_exceeded"
    assert (len(upstream.calls), len(recorded)) == (2, 2)


async def test_openai_s_client_raises_its_rate_limit_error() -> None:
    """For a rate, and for money."""
    for line, code in (
        ("limits = { requests_per_minute = 1 }", "rate_limit_exceeded"),
        ("budget = { usd = 0.0001 }", "insufficient_quota"),
    ):
        async with (
            limited(line) as gateway,
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=TEAM, max_retries=0) as client,
        ):
            with pytest.raises(openai.RateLimitError) as caught:
                for _ in range(2):
                    await client.chat.completions.create(
                        model="small", messages=[{"role": "user", "content": "2+2"}], max_tokens=9
                    )
            assert caught.value.code == code


async def test_anthropic_s_shape_and_ollama_s_are_kept() -> None:
    """Each API has its own words for it."""
    async with limited("limits = { requests_per_minute = 1 }") as gateway:
        await ask(gateway)
        message = await ask(gateway, "/v1/messages", max_tokens=9)
        native = await ask(gateway, "/api/chat")
    assert (message.status_code, message.json()["error"]["type"]) == (429, "rate_limit_error")
    assert native.status_code == 429 and "Rate limit" in native.json()["error"]


async def test_what_was_reserved_is_settled_by_the_upstream_s_count() -> None:
    """Tokens and money; the record tells the same cost."""
    async with limited("limits = { tokens_per_minute = 5000 }\nbudget = { usd = 1 }") as gateway:
        exchange = await gateway.exchange(await ask(gateway, max_tokens=100))
        settled = meter(gateway)
    assert exchange.cost_usd == 0.001
    assert (settled.in_flight, settled.reserved, settled.money_used()) == (0, 0, NANO // 1000)
    assert settled.remaining(0) == (None, 4990)


async def test_a_stream_settles_at_its_end_and_when_its_client_hangs_up() -> None:
    """By an estimate where the upstream's count never came."""
    gone = asyncio.Event()

    class Slow(FakeReply):
        async def chunks(self) -> AsyncIterator[bytes]:
            for event in events(["one two three four"])[:2]:
                yield event
            await gone.wait()

    upstream = FakeUpstream(lambda body: Slow(200, [], {"content-type": "text/event-stream"}))
    async with limited("limits = { concurrent = 1 }\nbudget = { usd = 1 }", upstream) as gateway:
        body = asked(stream=True, max_tokens=100)
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body, headers=HEADERS) as reply:
            await anext(reply.aiter_lines())
            assert meter(gateway).reserved > 0
            assert (await ask(gateway)).status_code == 429
        await gateway.until(lambda: meter(gateway).in_flight == 0)
        exchange = await gateway.recorded(reply.headers["x-request-id"])
        gone.set()
    settled = meter(gateway)
    assert exchange.status == "abandoned" and settled.reserved == 0
    assert settled.money_used() == round((exchange.cost_usd or 0) * NANO) > 0


@pytest.mark.parametrize(
    "answer", [UpstreamBroken("gone"), FakeReply(500, [b"no"], {}), FakeReply(200, [b"no JSON"], {})]
)
async def test_a_failed_request_gives_its_reservation_back(answer: Any) -> None:
    """It counts as a request, and costs nothing."""
    async with limited("limits = { concurrent = 1 }\nbudget = { usd = 1 }", FakeUpstream(lambda _: answer)) as gateway:
        statuses = {(await ask(gateway)).status_code for _ in range(3)}
        settled = meter(gateway)
    assert statuses <= {500, 502}
    assert (settled.in_flight, settled.reserved, settled.money_used()) == (0, 0, 0)


async def test_a_budget_that_runs_out_in_a_stream_refuses_the_next() -> None:
    """The stream ends as if nothing were the matter."""
    upstream = FakeUpstream(lambda _: FakeReply(200, events(["4"], output_tokens=50_000), {
        "content-type": "text/event-stream"
    }))  # fmt: skip
    async with limited("budget = { usd = 1 }", upstream) as gateway:
        first = await ask(gateway, stream=True, max_tokens=5)
        second = await ask(gateway, stream=True, max_tokens=5)
    assert first.text.endswith("data: [DONE]\n\n")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "insufficient_quota")


async def test_a_task_is_limited_for_all_keys_together() -> None:
    """And a request of no task is not."""
    text = PRICED.replace("grader = {", "limits = { requests_per_minute = 1 }\ngrader = {")
    other = f'[keys.other]\nhash = "{digest("other-" + TEAM)}"'
    async with limited(other, text=text) as gateway:
        first, direct = await ask(gateway), await ask(gateway, model="small")
        headers = {"authorization": f"Bearer other-{TEAM}"}
        second = await gateway.client.post("/v1/chat/completions", json=asked(), headers=headers)
    assert [reply.status_code for reply in (first, direct, second)] == [200, 200, 429]
    assert "task 'arithmetic'" in second.json()["error"]["message"]


async def test_a_limited_upstream_is_spared() -> None:
    """Beyond its limits a fallback answers; without one the client waits."""
    text = PRICED.replace("[models.small]", "limits = { requests_per_minute = 1 }\n[models.small]", 1)
    upstream = FakeUpstream(lambda body: "4")
    async with limited("", upstream, text) as gateway:
        statuses = [(await ask(gateway, stream=stream)).status_code for stream in (False, False, True)]
        settled = meter(gateway, "upstream", "mock")
    assert statuses == [200, 429, 429] and len(upstream.calls) == 1 and settled.in_flight == 0


async def test_paths_that_pass_through_count_as_requests() -> None:
    """Files and the like, too."""
    text = PRICED.replace("[server]", '[server]\ndefault_upstream = "mock"')
    upstream = FakeUpstream(lambda body: FakeReply(200, [b"{}"], {}))
    async with limited("limits = { requests_per_minute = 2, concurrent = 1 }", upstream, text) as gateway:
        statuses = [(await gateway.client.get("/v1/files", headers=HEADERS)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_two_hundred_clients_at_once_never_exceed_a_limit() -> None:
    """Requests, tokens and those under way: exactly the limit in one process; all is settled at the end."""
    under_way, most = 0, 0

    class Counting(FakeUpstream):
        async def send(self, call: Any) -> FakeReply:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            under_way -= 1
            return await super().send(call)

    line = "limits = { requests_per_minute = 70, concurrent = 9 }\nbudget = { usd = 1 }"
    async with limited(line, Counting(lambda body: "4")) as gateway:

        async def client() -> list[int]:
            return [(await ask(gateway, max_tokens=5)).status_code for _ in range(3)]

        statuses = [status for some in await asyncio.gather(*(client() for _ in range(200))) for status in some]
        while (await ask(gateway, max_tokens=5)).status_code == 200:
            statuses.append(200)
        settled = meter(gateway)
    assert set(statuses) == {200, 429} and statuses.count(200) == 70 and most <= 9
    assert (settled.in_flight, settled.reserved, settled.money_used()) == (0, 0, 70 * NANO // 1000)


def test_an_exchange_without_a_count_costs_what_it_showed() -> None:
    """Nothing if it never began."""
    trace = CompletionTrace()
    assert taken(trace, None) == Usage()  # type: ignore[arg-type]
    trace.usage = Usage(prompt_tokens=3)
    assert taken(trace, None) == Usage(prompt_tokens=3)  # type: ignore[arg-type]

"""Limits over replicas, counted in a real Valkey: exact, and never in the way of requests."""

import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from gateway.background import Background
from gateway.errors import Overloaded, RateLimited
from gateway.quotas.meter import Meter, Need
from gateway.quotas.replicas import Fail, ReplicaCounts
from gateway.settings.quotas import Limits
from tests.fakes import CONFIG, FakeUpstream, asked, free_port, gateway, services, settings
from tests.valkey import valkey

NEED = Need(bucket=100, tokens=30)


def meter(limits: Limits, name: str = "team") -> Meter:
    made = Meter("key", name)
    made.limits = limits
    return made


@contextlib.asynccontextmanager
async def replica(
    url: str, name: str, meters: Sequence[Meter] = (), fail: Fail = "open", answer_s: float = 5.0
) -> AsyncIterator[ReplicaCounts]:
    counts = ReplicaCounts(url, name, fail, answer_s=answer_s)
    async with counts.running(Background(), lambda: meters):
        yield counts


async def test_replicas_count_together() -> None:
    """Requests, tokens and those under way; what settles is free again for all."""
    async with valkey() as (url, _), replica(url, "a") as one, replica(url, "b") as two:
        limited = meter(Limits(requests_per_minute=3, tokens_per_minute=70, concurrent=2))
        first, second = await one.take([limited], NEED), await two.take([limited], NEED)
        assert first is not None and second is not None
        for counts in (one, two):
            with pytest.raises(RateLimited, match="over all replicas"):
                await counts.take([limited], NEED)
        one.settle(first, 5, 0.0, 0.0)
        third = await one.take([limited], NEED)  # the way of the settlement, which comes first on it
        assert third is not None
        two.settle(second, 30, 0.0, 0.0)
        with pytest.raises(RateLimited, match="requests") as caught:
            await two.take([limited], NEED)
        assert 0 < int(caught.value.headers["retry-after"]) <= 65
        with pytest.raises(RateLimited, match="tokens"):
            await one.take([meter(Limits(tokens_per_minute=70))], NEED)


async def test_a_request_counts_under_all_of_its_limits_or_none() -> None:
    """A refused one holds nothing."""
    async with valkey() as (url, _), replica(url, "a") as counts:
        key, task = meter(Limits(requests_per_minute=9)), meter(Limits(requests_per_minute=1), "task")
        assert await counts.take([key, task], NEED) is not None
        for _ in range(20):
            with pytest.raises(RateLimited, match="'task'"):
                await counts.take([key, task], NEED)
        for _ in range(8):
            assert await counts.take([key], NEED) is not None


async def test_what_a_lost_replica_held_is_free_after_its_last_sign_of_life() -> None:
    """Five seconds, by Valkey's clock."""
    limited = meter(Limits(concurrent=1))
    async with valkey() as (url, _), replica(url, "alive") as alive:
        lost = ReplicaCounts(url, "lost", "open", answer_s=5.0)
        await lost._link.beat()
        assert await lost.take([limited], NEED) is not None
        with pytest.raises(RateLimited):
            await alive.take([limited], NEED)
        await lost._link.leave()
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(RateLimited):
                    assert await alive.take([limited], NEED) is not None
                    break
                await asyncio.sleep(0.2)


async def test_a_lost_answer_does_not_count_for_ever() -> None:
    """The next sign of life corrects what is under way."""
    limited = meter(Limits(concurrent=1))
    async with valkey() as (url, _), replica(url, "a", [limited]) as counts, asyncio.timeout(20):
        assert await counts.take([limited], NEED) is not None  # and nobody settles it
        while True:
            with contextlib.suppress(RateLimited):
                assert await counts.take([limited], NEED) is not None
                break
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_without_the_counters_the_policy_decides(fail: Fail, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody there from the start, gone, or silent: said once, and taken up again by itself."""
    limited, port = meter(Limits(requests_per_minute=100)), free_port()

    async def without(counts: ReplicaCounts) -> None:
        if fail == "open":
            assert await counts.take([limited], NEED) is None
        else:
            with pytest.raises(Overloaded) as caught:
                await counts.take([limited], NEED)
            assert (caught.value.status, caught.value.code) == (503, "counters_unavailable")

    async with replica(f"valkey://127.0.0.1:{port}", "a", fail=fail, answer_s=0.3) as counts, asyncio.timeout(60):
        await without(counts)
        assert counts.away and caplog.text.count("the counters are away") == 1
        async with valkey(port) as (_, process):
            while counts.away or await _taken(counts, limited) is None:
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGSTOP)
            await without(counts)
            process.send_signal(signal.SIGCONT)
        while not counts.away:
            await asyncio.sleep(0.05)
        await without(counts)
    assert counts.failures >= 3


async def _taken(counts: ReplicaCounts, limited: Meter) -> object:
    with contextlib.suppress(Overloaded):
        return await counts.take([limited], NEED)
    return None


async def test_two_hundred_clients_before_three_gateways_never_exceed_a_limit() -> None:
    """Exactly the limit over all of them; at the end nothing is under way anywhere."""
    under_way, most = 0, 0

    class Counting(FakeUpstream):
        async def send(self, call: object) -> object:  # type: ignore[override]
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.005)
            under_way -= 1
            return await super().send(call)  # type: ignore[arg-type]

    text = CONFIG.replace("grader = {", "limits = { requests_per_minute = 70, concurrent = 9 }\ngrader = {")
    upstream = Counting(lambda body: "4")
    async with valkey() as (url, _), contextlib.AsyncExitStack() as stack:
        urls, made = [], []
        for number in range(3):
            counts = ReplicaCounts(url, f"replica-{number}", "closed", answer_s=20.0)
            one = dataclasses.replace(services(settings(text), {"mock": upstream}), replicas=counts)  # type: ignore[dict-item]
            urls.append(await stack.enter_async_context(gateway(one)))
            made.append(one)
        limits = httpx.Limits(max_connections=200)
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False, limits=limits))

        async def ask(number: int) -> int:
            reply = await client.post(f"{urls[number % 3]}/v1/chat/completions", json=asked(max_tokens=5))
            return reply.status_code

        statuses = await asyncio.gather(*map(ask, range(200)))
        for number in range(90):
            statuses.append(await ask(number))
        held = [meter.in_flight for one in made for meter in one.quotas.meters]
    assert set(statuses) == {200, 429} and statuses.count(200) == 70 and most <= 9 and held == [0, 0, 0]

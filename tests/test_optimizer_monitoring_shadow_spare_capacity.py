"""Callers come first: what an upstream has left for the background."""

import asyncio
import dataclasses
from contextlib import AsyncExitStack

import pytest

from gateway.errors import UpstreamUnreachable
from gateway.settings import Settings
from gateway.store.memory import MemoryStore
from gateway.upstream.base import Call
from gateway.upstream.guarded import Guarded
from optimizer.monitoring.shadow.spare_capacity import SpareCapacity, spare_capacity_of
from tests.fakes import CONFIG, FakeUpstream, services, settings

CALL = Call(model="tiny-1b", body=b"{}")


def configured(upstream: str) -> Settings:
    return settings(CONFIG.replace('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', upstream))


def guarded(upstream: FakeUpstream, told: Settings) -> Guarded:
    return Guarded(upstream, "mock", told.upstreams["mock"])


@pytest.mark.parametrize(("upstream", "concurrency"), [
    ('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmax_connections = 6', 3),
    ('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmax_connections = 1', 1),
    ('kind = "ollama"', 1),
    ('kind = "llamacpp"\nparallel = 4', 2),
])  # fmt: skip
async def test_half_of_the_places_are_the_callers_alone(upstream: str, concurrency: int) -> None:
    """A model on this machine has few, however many connections it takes."""
    told = configured(upstream)
    made = services(told, {"mock": guarded(FakeUpstream(lambda body: "4"), told)}, MemoryStore())
    async with AsyncExitStack() as stack:
        for _ in range(concurrency):
            assert spare_capacity_of(made.serving, "small") == SpareCapacity(concurrency=concurrency, free=True)
            reply = await made.serving.upstreams["mock"].send(CALL)
            stack.push_async_callback(reply.aclose)
        assert spare_capacity_of(made.serving, "small") == SpareCapacity(concurrency=concurrency, free=False)


async def test_an_upstream_that_rests_is_not_called() -> None:
    """It says why."""
    told = settings(CONFIG.replace("[models.small]", "breaker_failures = 1\nretries = 0\n[models.small]"))
    upstream = guarded(FakeUpstream(lambda body: UpstreamUnreachable("gone")), told)
    made = services(told, {"mock": upstream}, MemoryStore())
    await asyncio.gather(upstream.send(CALL), return_exceptions=True)
    assert "left alone" in (spare_capacity_of(made.serving, "small").resting or "")


async def test_there_is_no_room_for_a_model_that_is_gone() -> None:
    """A reload took it out of the configuration."""
    made = services(settings(), {"mock": FakeUpstream(lambda body: "4")}, MemoryStore())
    gone = dataclasses.replace(made.serving, settings=Settings())
    assert spare_capacity_of(made.serving, "small") == SpareCapacity(concurrency=256, free=True)
    assert not spare_capacity_of(gone, "small").free and spare_capacity_of(gone, "small").resting

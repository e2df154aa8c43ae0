"""What the gateway does for the process that learns."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.errors import PreceptorError, UpstreamUnreachable
from gateway.services import Services
from gateway.upstream.base import Call
from gateway.upstream.guarded import Guarded
from optimizer.scheduling.process.parent_connection import RelayedUpstream
from tests.fakes import CONFIG, Answer, FakeReply, FakeUpstream, services, settings
from tests.linked import Linked, linked

CALL = Call(model="tiny-1b", body=b"{}")


def guarded(upstream: FakeUpstream, extra: str = "") -> Services:
    """One upstream as the gateway has it."""
    told = settings(CONFIG.replace("[models.small]", f"{extra}\n[models.small]"))
    return services(told, {"mock": Guarded(upstream, "mock", told.upstreams["mock"])})


async def busy(link: Linked, calls: int) -> None:
    """Wait until the child knows of so many calls under way."""
    async with asyncio.timeout(10):
        while RelayedUpstream("mock", link.line).in_flight != calls:
            await asyncio.sleep(0.01)


async def test_callers_are_seen() -> None:
    """So that the child asks only what an upstream has room for; and that they are gone."""
    made = guarded(FakeUpstream(lambda body: "4"))
    async with linked(made) as link:
        assert RelayedUpstream("mock", link.line).in_flight == 0
        reply = await made.serving.upstreams["mock"].send(CALL)
        await busy(link, 1)
        await reply.aclose()
        await busy(link, 0)


async def test_a_call_of_the_childs_own_is_over_when_it_has_its_reply() -> None:
    """It must not take itself for a caller: the reply comes after the news of it."""
    async with linked(guarded(FakeUpstream(lambda body: "4"))) as link:
        relayed = RelayedUpstream("mock", link.line)
        for _ in range(20):
            await relayed.send(CALL)
            assert relayed.in_flight == 0


async def test_a_caller_that_comes_as_the_childs_own_call_ends_is_seen() -> None:
    """Whatever was told with the reply."""
    made = guarded(FakeUpstream(lambda body: "4"))
    async with linked(made) as link:
        first = await made.serving.upstreams["mock"].send(CALL)
        await busy(link, 1)
        await first.aclose()
        await RelayedUpstream("mock", link.line).send(CALL)
        assert RelayedUpstream("mock", link.line).in_flight == 0
        caller = await made.serving.upstreams["mock"].send(CALL)
        await busy(link, 1)
        await caller.aclose()


async def test_an_upstream_that_rests_is_seen() -> None:
    """With the reason."""
    failing = FakeUpstream(lambda body: UpstreamUnreachable("gone"))
    async with linked(guarded(failing, "breaker_failures = 1\nretries = 0")) as link:
        relayed = RelayedUpstream("mock", link.line)
        assert relayed.ready() is None
        with pytest.raises(UpstreamUnreachable):
            await relayed.send(CALL)
        assert "left alone" in (relayed.ready() or "")


async def test_an_upstream_that_is_configured_no_more_cannot_be_asked() -> None:
    """A reload took it away while the child made up its mind."""
    async with linked(services(settings(), {})) as link:
        with pytest.raises(UpstreamUnreachable, match="'mock' is not configured any more"):
            await RelayedUpstream("mock", link.line).send(CALL)


async def test_a_bug_is_an_error_of_that_call_only() -> None:
    """It is said in the log; the next call is answered."""
    answers: Iterator[Answer] = iter([ZeroDivisionError("bug"), "4"])
    async with linked(guarded(FakeUpstream(lambda body: next(answers)))) as link:
        relayed = RelayedUpstream("mock", link.line)
        with pytest.raises(PreceptorError, match="internal error: ZeroDivisionError"):
            await relayed.send(CALL)
        assert (await relayed.send(CALL)).status == 200


async def test_what_a_child_asked_ends_with_it() -> None:
    """Nothing goes on for nobody, and the call's place is free."""
    cut = asyncio.Event()

    class Endless(FakeReply):
        async def read(self) -> bytes:
            await cut.wait()
            return b""

    made = guarded(FakeUpstream(lambda body: Endless(200, [], {})))
    async with linked(made) as link:
        call = asyncio.create_task(RelayedUpstream("mock", link.line).send(CALL))
        await busy(link, 1)
        await link.line.aclose()
        async with asyncio.timeout(10):
            await link.answering
        upstream = made.serving.upstreams["mock"]
        assert isinstance(upstream, Guarded) and upstream.in_flight == 0
        await asyncio.gather(call, return_exceptions=True)

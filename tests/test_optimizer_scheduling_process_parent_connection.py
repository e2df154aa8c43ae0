"""The gateway's upstreams, seen from the process that learns."""

import asyncio
import socket

import msgspec
import pytest

from gateway.errors import UpstreamBroken, UpstreamTimeout
from gateway.framing import cut
from gateway.settings import Settings
from gateway.store.memory import MemoryStore
from gateway.upstream.base import Call
from optimizer.scheduling.process.messages import Configured, frame
from optimizer.scheduling.process.parent_connection import ParentConnection, RelayedUpstream
from tests.fakes import CONFIG, FakeReply, FakeUpstream, completion, services, settings
from tests.linked import linked

CALL = Call(model="tiny-1b", body=b'{"messages":[]}', headers=[(b"accept", b"*/*")])


class Silent(FakeUpstream):
    """Never answers; knows whether somebody waits for it."""

    def __init__(self) -> None:
        super().__init__(lambda body: "")
        self.waiting = 0

    async def send(self, call: Call) -> FakeReply:
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1
        raise AssertionError("nobody sets it")


async def test_a_reply_comes_whole() -> None:
    """Status, headers and body, and the upstream got the call as it was."""
    upstream = FakeUpstream(lambda body: FakeReply(429, [b"not", b" now"], {"retry-after": "7"}))
    async with linked(services(settings(), {"mock": upstream})) as link:
        reply = await RelayedUpstream("mock", link.line).send(CALL)
        assert (reply.status, reply.headers, await reply.read()) == (429, {"retry-after": "7"}, b"not now")
        assert [piece async for piece in reply.chunks()] == [b"not now"]
        await reply.aclose()
    assert upstream.calls == [CALL]
    assert upstream.replies[0].closed


async def test_calls_do_not_wait_for_each_other() -> None:
    """A hundred at once, and each gets its own reply."""
    upstream = FakeUpstream(lambda body: FakeReply(200, [completion(body["n"])], {}))
    async with linked(services(settings(), {"mock": upstream})) as link:
        relayed = RelayedUpstream("mock", link.line)
        calls = [Call(model="tiny-1b", body=b'{"n":"%d"}' % number) for number in range(100)]
        replies = await asyncio.gather(*map(relayed.send, calls))
        assert [await reply.read() for reply in replies] == [completion(str(number)) for number in range(100)]


async def test_an_upstreams_error_is_raised() -> None:
    """As it would be raised in the gateway."""
    async with linked(services(settings(), {"mock": FakeUpstream(lambda body: UpstreamTimeout("too late"))})) as link:
        with pytest.raises(UpstreamTimeout, match="too late"):
            await RelayedUpstream("mock", link.line).send(CALL)


async def test_a_call_that_is_given_up_is_given_up_in_the_gateway() -> None:
    """Its place there is free again."""
    upstream = Silent()
    async with linked(services(settings(), {"mock": upstream})) as link:
        call = asyncio.create_task(RelayedUpstream("mock", link.line).send(CALL))
        async with asyncio.timeout(10):
            while not upstream.waiting:
                await asyncio.sleep(0.01)
            call.cancel()
            while upstream.waiting:
                await asyncio.sleep(0.01)
        assert not link.answering.done()


async def test_a_gateway_that_is_gone_leaves_nobody_waiting() -> None:
    """Whoever waited for a reply is told; whoever waited for a configuration, too."""
    async with linked(services(settings(), {"mock": Silent()})) as link:
        call = asyncio.create_task(RelayedUpstream("mock", link.line).send(CALL))
        await asyncio.sleep(0)
        link.cut()
        async with asyncio.timeout(10):
            with pytest.raises(UpstreamBroken, match="the gateway is gone"):
                await call


async def test_a_new_configuration_is_told() -> None:
    """The child follows what the gateway follows."""
    made = services(settings(), {}, MemoryStore())
    told: asyncio.Queue[Settings] = asyncio.Queue()
    async with linked(made) as link:
        link.line.configured = told.put_nowait
        assert link.line.settings is not None
        assert link.line.settings.optimizer.max_rules == settings().optimizer.max_rules
        made.serving = services(settings(CONFIG + "max_rules = 1\n"), {}).serving
        async with asyncio.timeout(10):
            assert (await told.get()).optimizer.max_rules == 1


async def test_a_configuration_that_cannot_be_read_leaves_nobody_waiting() -> None:
    """The child ends with the reason, and another one is started."""
    ours, its = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    line = ParentConnection(*await asyncio.open_connection(sock=its))
    writer.write(frame(Configured(settings={"no such section": {}})))
    async with asyncio.timeout(10):
        with pytest.raises(msgspec.ValidationError):
            await line.listen()
        await line.ready.wait()
    assert line.settings is None
    await line.aclose()
    await cut(writer)

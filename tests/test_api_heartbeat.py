"""Signs of life in silent streams, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.api.heartbeat import COMMENT, Heartbeat
from gateway.errors import UpstreamBroken
from gateway.upstream.base import Call
from tests.fakes import CONFIG, FakeReply, FakeUpstream, asked, events, served

SOON = CONFIG.replace("port = 0", "port = 0\nheartbeat_s = 0.05")
PATHS = {
    "/v1/chat/completions": asked(stream=True),
    "/v1/messages": {**asked(stream=True), "max_tokens": 9},
}


class Thinking(FakeUpstream):
    """Answers once it may: ``go_on`` is set when the client has seen what the test waits for."""

    def __init__(self, last: bytes | Exception | None = None) -> None:
        super().__init__(lambda body: FakeReply(200, [], {"content-type": "text/event-stream"}))
        self.go_on = asyncio.Event()
        self._pieces = [*events(["It is 4"]), *([] if last is None else [last])]

    async def send(self, call: Call) -> Any:
        await self.go_on.wait()
        return FakeReply(200, self._pieces if call.stream else [], {"content-type": "text/event-stream"})


@pytest.mark.parametrize("path", PATHS)
async def test_a_waiting_client_gets_the_head_and_a_comment(path: str) -> None:
    """Then the reply as ever; proxies are told to hold nothing back."""
    upstream = Thinking()
    async with served(upstream, SOON) as gateway, gateway.client.stream("POST", path, json=PATHS[path]) as reply:
        lines = reply.aiter_lines()
        assert (reply.status_code, await anext(lines)) == (200, COMMENT.decode().strip())
        assert reply.headers["x-accel-buffering"] == "no"
        assert reply.headers["x-preceptor-task"] == "arithmetic"
        upstream.go_on.set()
        rest = "\n".join([line async for line in lines])
    assert "It is 4" in rest


async def test_an_error_after_the_first_sign_is_an_event() -> None:
    """The status is gone by then; the record knows the failure."""

    class Failing(Thinking):
        async def send(self, call: Call) -> Any:
            await self.go_on.wait()
            raise UpstreamBroken("gone")

    upstream = Failing()
    body = asked(stream=True)
    async with served(upstream, SOON) as gateway:
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            upstream.go_on.set()
            rest = "\n".join([line async for line in lines])
        exchange = await gateway.recorded(reply.headers["x-request-id"])
    assert '"message":"gone"' in rest
    assert (exchange.status, exchange.error) == ("error", "upstream_broken")


async def test_silence_between_events_is_filled_too() -> None:
    """A model may think in the middle of its reply; no comment stands inside of an event."""
    first, *rest = events(["It ", "is 4"])
    go_on = asyncio.Event()

    class Halting(FakeReply):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield first
            await go_on.wait()
            for chunk in rest:
                yield chunk

    halting = Halting(200, [], {"content-type": "text/event-stream"})
    async with (
        served(FakeUpstream(lambda body: halting), SOON) as gateway,
        gateway.client.stream("POST", "/v1/chat/completions", json=asked(stream=True)) as reply,
    ):
        blocks = []
        async for block in reply.aiter_text():
            blocks += [part for part in block.split("\n\n") if part]
            if COMMENT.decode().strip() in blocks:
                go_on.set()
    assert blocks[0].startswith("data: ")
    assert all(block.startswith(("data: ", ":")) for block in blocks)
    assert blocks[-1] == "data: [DONE]"


async def test_a_lively_stream_has_none() -> None:
    """Its bytes are as they were."""
    async with served(FakeUpstream(lambda body: "It is 4")) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=True))
    assert COMMENT.decode() not in reply.text


async def test_nothing_beats_after_the_end() -> None:
    """The timer and a beat under way end with the stream."""
    beats: list[int] = []

    async def beat() -> None:
        beats.append(1)
        await asyncio.sleep(3600)

    with Heartbeat(0.001, beat):
        while not beats:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert beats == [1]
    assert len(asyncio.all_tasks()) == 1

"""The demo's client on Python's own HTTP, against a gateway in memory."""

import asyncio

import pytest

from gateway.errors import UpstreamUnreachable
from optimizer.demo.contract import RequestFailed
from optimizer.demo.loopback import loopback_server
from optimizer.demo.plain_client import PlainClient
from optimizer.demo.problems import Problem
from tests.fakes import FakeUpstream, read_request, served

TICKET = Problem(question="My parcel has not come.", answer="shipping")


async def test_a_reply_and_its_feedback_reach_their_ends() -> None:
    """Text, tokens and rule version one way; the right answer, by the reply's id, the other."""
    async with served(FakeUpstream(lambda body: "returns")) as gateway:
        client = PlainClient(gateway.url, "Route the ticket.")
        reply = await client.ask(TICKET)
        await client.feedback(reply.id, "shipping")
        await client.close()
        (graded,) = gateway.services.store.graded("arithmetic", limit=9)
    assert (reply.text, reply.output_tokens, reply.rules) == ("returns", 3, "none")
    assert (graded.exchange.id, graded.feedback.expected) == (reply.id, "shipping")
    assert b"Route the ticket." in graded.exchange.request


async def test_a_stream_has_the_version_of_its_beginning() -> None:
    """From the reply's headers."""
    async with served(FakeUpstream(lambda body: "re turns")) as gateway:
        assert await PlainClient(gateway.url, "").stream(TICKET) == "none"


async def test_a_failed_request_is_an_error_of_the_client() -> None:
    """An upstream that is gone, and a gateway that is not there."""
    async with served(FakeUpstream(lambda body: UpstreamUnreachable("gone"))) as gateway:
        for method in (PlainClient(gateway.url, "").ask, PlainClient(gateway.url, "").stream):
            with pytest.raises(RequestFailed, match="/v1/chat/completions: 5"):
                await method(TICKET)
    with pytest.raises(RequestFailed):
        await PlainClient("http://127.0.0.1:9", "").ask(TICKET)


async def test_feedback_is_sent_again_while_the_store_is_busy() -> None:
    """As the gateway asks for; another refusal ends the demo."""
    statuses = ["503 Service Unavailable", "200 OK", "404 Not Found"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 {statuses.pop(0)}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        await writer.drain()

    async with loopback_server(answer) as url:
        client = PlainClient(url, "")
        await client.feedback("ex-1", "shipping")
        assert len(statuses) == 1
        with pytest.raises(RequestFailed, match="404"):
            await client.feedback("ex-1", "shipping")

"""The demo's client against a gateway in memory."""

import json

import pytest

from gateway.errors import UpstreamUnreachable
from optimizer.demo.client import Client
from optimizer.demo.contract import RequestFailed
from optimizer.demo.problems import Problem
from tests.fakes import FakeUpstream, served

PROBLEM = Problem(question="What is 40 plus 2?", answer=42)


async def test_a_reply_carries_what_the_report_needs() -> None:
    """Text, tokens, and the version of the rules."""
    async with served(FakeUpstream(lambda body: "42")) as gateway:
        client = Client(gateway.url)
        reply = await client.ask(PROBLEM)
        await client.close()
    assert (reply.text, reply.output_tokens, reply.rules) == ("42", 3, "none")


async def test_feedback_reaches_the_exchange_that_it_speaks_of() -> None:
    """By the reply's id alone."""
    async with served(FakeUpstream(lambda body: "41")) as gateway:
        client = Client(gateway.url)
        reply = await client.ask(PROBLEM)
        await client.feedback(reply.id, PROBLEM.answer)
        await client.close()
        (graded,) = gateway.services.store.graded("arithmetic", limit=9)
    assert (graded.exchange.id, graded.feedback.expected) == (reply.id, 42)
    assert json.loads(graded.exchange.request)["messages"][1]["content"] == PROBLEM.question


async def test_a_stream_tells_the_version_that_it_began_with() -> None:
    """From the reply's headers."""
    async with served(FakeUpstream(lambda body: "4 2")) as gateway:
        client = Client(gateway.url)
        assert await client.stream(PROBLEM) == "none"
        await client.close()


async def test_a_failed_request_is_an_error_of_the_client() -> None:
    """So that a dropped request is counted."""
    async with served(FakeUpstream(lambda body: UpstreamUnreachable("gone"))) as gateway:
        client = Client(gateway.url)
        with pytest.raises(RequestFailed):
            await client.stream(PROBLEM)
        await client.close()

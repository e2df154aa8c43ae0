"""Calls adapted to a model's quirks: refused once, then never again, whoever asks and however many at once."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.settings import Quirks
from gateway.store.memory import MemoryStore
from gateway.upstream.adapted import AdaptedUpstream
from gateway.upstream.base import Call, Upstream
from gateway.upstream.quirk_memory import QuirkMemory
from tests.fakes import Answer, FakeReply, FakeUpstream, served

BODY = {"model": "tiny-1b", "messages": [], "max_tokens": 9, "temperature": 0}
KEY = ("server", "tiny-1b")


def refused(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> FakeReply:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return FakeReply(status, [json.dumps({"error": error}).encode()], {"x-request-id": "theirs"})


def reasoning_model(body: dict[str, Any]) -> Answer:
    """As a reasoning model of OpenAI: one refusal at a time, with ``param``."""
    if "max_tokens" in body:
        message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
        return refused(message, "max_tokens", "unsupported_parameter")
    if "temperature" in body:
        return refused("Unsupported value: 'temperature' does not support 0.", "temperature", "unsupported_value")
    return "4"


def older_server(body: dict[str, Any]) -> Answer:
    """A server that checks its fields with ``param: null``."""
    if "stream_options" in body:
        return refused("Unrecognized request argument supplied: stream_options", status=422)
    return "4"


def adapted(script: Callable[[dict[str, Any]], Answer], memory: QuirkMemory) -> tuple[AdaptedUpstream, FakeUpstream]:
    fake = FakeUpstream(script)
    return AdaptedUpstream(fake, "mock", "server", memory), fake


def memory() -> QuirkMemory:
    return QuirkMemory(time.time)


def call(**fields: Any) -> Call:
    return Call(model="tiny-1b", body=json.dumps({**BODY, **fields}).encode(), adaptable=True)


async def ask(upstream: Upstream, asked: Call) -> tuple[int, bytes]:
    reply = await upstream.send(asked)
    try:
        return reply.status, await reply.read()
    finally:
        await reply.aclose()


async def test_a_refused_request_is_mended_and_the_quirk_remembered() -> None:
    """Two refusals for the first request, none for the second."""
    upstream, fake = adapted(reasoning_model, memory())
    assert (await ask(upstream, call()))[0] == 200
    assert (len(fake.calls), fake.bodies[-1]) == (3, {"model": "tiny-1b", "messages": [], "max_completion_tokens": 9})
    assert (await ask(upstream, call(n=1)))[0] == 200
    assert len(fake.calls) == 4
    assert all(reply.closed for reply in fake.replies)


async def test_simultaneous_refusals_are_all_mended() -> None:
    """Each is on its way before any of them is answered; none ends as an error, and nobody is asked twice too often."""
    everybody = asyncio.Barrier(8)

    class Together(FakeUpstream):
        async def send(self, call: Call) -> FakeReply:
            if len(self.calls) < 8:
                reply = await super().send(call)
                await everybody.wait()
                return reply
            return await super().send(call)

    fake, learnt = Together(reasoning_model), memory()
    upstream = AdaptedUpstream(fake, "mock", "server", learnt)
    statuses = await asyncio.gather(*(ask(upstream, call(n=number)) for number in range(8)))
    assert {status for status, _ in statuses} == {200}
    assert len(fake.calls) <= 3 * 8
    assert learnt.quirks(KEY) == Quirks(output_limit="max_completion_tokens", without=("temperature",))


async def test_a_refusal_without_a_param_is_understood_by_its_message() -> None:
    """Servers beside OpenAI's leave it null."""
    upstream, fake = adapted(older_server, memory())
    assert (await ask(upstream, call(stream_options={"include_usage": True})))[0] == 200
    assert "stream_options" not in fake.bodies[-1]


async def test_a_quirk_is_remembered_only_if_the_mended_request_was_accepted() -> None:
    """A server that refuses whatever comes shows nothing of its model; its own last words go to the caller."""
    learnt = memory()
    upstream, fake = adapted(lambda body: refused("Unsupported parameter: 'temperature'", "temperature"), learnt)
    status, words = await ask(upstream, call())
    assert (status, len(fake.calls)) == (400, 2)
    assert b"Unsupported parameter" in words
    assert learnt.quirks(KEY) == Quirks()


@pytest.mark.parametrize("status", [400, 422])
async def test_another_refusal_passes_unchanged(status: int) -> None:
    """Status, words and headers, after a single call."""
    upstream, fake = adapted(lambda body: refused("max_tokens is too large", "max_tokens", status=status), memory())
    reply = await upstream.send(call())
    assert (reply.status, reply.headers["x-request-id"], len(fake.calls)) == (status, "theirs", 1)
    assert b"too large" in await reply.read()


async def test_a_call_of_the_callers_own_choice_is_not_touched() -> None:
    """A name that passes through means the model itself: its refusal is for the caller, known quirk or not."""
    learnt = memory()
    learnt.learn(KEY, Quirks(without=("temperature",)))
    upstream, fake = adapted(reasoning_model, learnt)
    status, _ = await ask(upstream, Call(model="tiny-1b", body=json.dumps(BODY).encode()))
    assert (status, fake.bodies) == (400, [BODY])


async def test_an_optional_field_of_the_gateway_may_go() -> None:
    """The same field of a caller may not."""

    def no_schema(body: dict[str, Any]) -> Answer:
        return refused("'response_format' json_schema is not supported") if "response_format" in body else "4"

    wanted = {"response_format": {"type": "json_schema"}}
    own = Call(model="tiny-1b", body=json.dumps(wanted).encode(), adaptable=True, optional=("response_format",))
    learnt = memory()
    upstream, fake = adapted(no_schema, learnt)
    assert (await ask(upstream, own))[0] == 200 and learnt.quirks(KEY).json_schema is False
    assert (await ask(upstream, own))[0] == 200 and len(fake.calls) == 3
    assert (await ask(upstream, call(**wanted)))[0] == 400


async def test_the_length_of_the_context_is_noted_and_the_refusal_handed_on() -> None:
    """There is no cure, but who sends long prompts in the background may ask."""
    learnt = memory()
    message = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."
    upstream, fake = adapted(lambda body: refused(message, "messages", "context_length_exceeded"), learnt)
    assert (await ask(upstream, call()))[0] == 400
    assert learnt.quirks(KEY) == Quirks(context=4096) and len(fake.calls) == 1


RULES = RuleSet(task="arithmetic", version=1, scratchpad="two_pass", rules=(Rule(text="Work in steps."),))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_two_pass_rule_set_works_with_a_reasoning_model(stream: bool) -> None:
    """Both passes get their limit under the name that the model takes, and the caller gets a reply."""
    store = MemoryStore()
    version = store.publish(RULES).version
    store.activate(Activation(task="arithmetic", version=version, created=1.0, by="test"))
    upstream, fake = adapted(reasoning_model, memory())
    asked = {
        "model": "gpt-4o-mini", "messages": [{"role": "user", "content": "2 + 2?"}], "max_tokens": 50,
        "temperature": 0, "stream": stream,
    }  # fmt: skip
    async with served(upstream, store=store) as running:
        reply = await running.client.post("/v1/chat/completions", json=asked)
        assert (reply.status_code, reply.headers["x-preceptor-rules"]) == (200, "1")
    working, second = (body for body in fake.bodies if not {"max_tokens", "temperature"} & set(body))
    assert working["max_completion_tokens"] > 50 and second["max_completion_tokens"] == 50

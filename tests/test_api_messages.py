"""``POST /v1/messages`` over a real socket: Anthropic's words on the outside, a chat on the inside."""

import json
from typing import Any

import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.errors import UpstreamBroken
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeReply, FakeUpstream, events, served

PATH = "/v1/messages"


def asked(**fields: Any) -> dict[str, Any]:
    question = {"role": "user", "content": "What is 2 + 2?"}
    return {"model": "gpt-4o-mini", "max_tokens": 64, "system": "Be brief.", "messages": [question], **fields}


def streamed(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of the events of a stream."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_a_message_is_answered_by_the_tasks_weak_model_with_its_rules() -> None:
    """Tasks, rules and records are those of a chat."""
    store = MemoryStore()
    version = store.publish(RuleSet(task="arithmetic", rules=(Rule(text="Count twice."),))).version
    store.activate(Activation(task="arithmetic", version=version, created=0.0, by="test"))
    upstream = FakeUpstream(lambda body: "It is 4")
    async with served(upstream, store=store) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
        exchange = await gateway.recorded(reply.json()["id"])
    message = reply.json()
    assert message["type"] == "message" and message["id"].startswith("msg_")
    assert message["content"] == [{"type": "text", "text": "It is 4"}]
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("end_turn", 3)
    assert upstream.bodies[0]["messages"][0]["content"].endswith("1. Count twice.")
    assert (exchange.task, exchange.rules, exchange.reply) == ("arithmetic", version, "It is 4")


async def test_a_stream_is_a_stream_of_anthropics_events() -> None:
    """From ``message_start`` to ``message_stop``."""
    async with served(FakeUpstream(lambda body: "It is 4")) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
    told = streamed(reply.text)
    assert [told[0][0], told[-1][0]] == ["message_start", "message_stop"]
    assert "".join(data["delta"]["text"] for name, data in told if name == "content_block_delta") == "It is 4"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (asked(messages="hi"), 400, "invalid_request_error"),
        (asked(model="nothing"), 404, "not_found_error"),
    ],
)
async def test_an_error_is_worded_as_anthropics(body: dict[str, Any], status: int, kind: str) -> None:
    """So that its SDK raises what it would raise there."""
    async with served(FakeUpstream(lambda body: "4")) as gateway:
        reply = await gateway.client.post(PATH, json=body)
    assert (reply.status_code, reply.json()["type"], reply.json()["error"]["type"]) == (status, "error", kind)


async def test_an_error_in_a_stream_is_an_error_event() -> None:
    """Nothing follows it."""
    cut = FakeReply(200, [*events(["It"])[:2], UpstreamBroken("cut")], {"content-type": "text/event-stream"})
    async with served(FakeUpstream(lambda body: cut)) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
    assert streamed(reply.text)[-1][0] == "error"


async def test_a_context_meter_has_an_estimate_from_the_first_event_on() -> None:
    """Clients read it there; the upstream's own count comes with the last event."""
    async with served(FakeUpstream(lambda body: "It is 4")) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
        counted = await gateway.client.post(PATH + "/count_tokens", json={**asked(), "max_tokens": None})
    events = dict(streamed(reply.text))
    assert events["message_start"]["message"]["usage"]["input_tokens"] == counted.json()["input_tokens"] > 0
    assert events["message_delta"]["usage"]["input_tokens"] == 7


async def test_tokens_are_counted_for_whoever_may_ask() -> None:
    """Mistakes and foreign models are answered as those of a message; nothing is asked upstream, nothing recorded."""
    upstream = FakeUpstream(lambda body: "4")
    text = CONFIG + '[keys.team]\nkey = "sixteen-letters-and-more"\ntasks = ["arithmetic"]\n'
    headers = {"x-api-key": "sixteen-letters-and-more"}
    async with served(upstream, text) as gateway:
        path = PATH + "/count_tokens"
        known = await gateway.client.post(path, json=asked(), headers=headers)
        foreign = await gateway.client.post(path, json=asked(model="small"), headers=headers)
        broken = await gateway.client.post(path, json={"model": "gpt-4o-mini"}, headers=headers)
    assert [reply.status_code for reply in (known, foreign, broken)] == [200, 403, 400]
    assert broken.json()["type"] == "error"
    assert (
        upstream.calls == []
        and not gateway.services.store.recorded(0, limit=1)[0]
        and not gateway.services.writer.pending
    )


async def test_a_full_context_is_said_in_the_words_on_which_clients_compact() -> None:
    """With the upstream's own words behind them."""
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    refused = FakeReply(400, [json.dumps({"error": {"message": words}}).encode()], {})
    async with served(FakeUpstream(lambda body: refused)) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == f"prompt is too long: {words}"

"""A task with rules, through every official client: the model is told them, the caller sees nothing but its reply."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.rules.live import refresh
from tests.conformance import replies
from tests.conformance.clients import Client
from tests.conformance.scenarios import ADD, ASK, CHAT, IT_IS_4, RESPONSES, Scenario, chatting
from tests.conformance.stage import Running
from tests.conformance.upstream import Answer, Asked, ScriptedUpstream, stream, whole

RULE = "Always handle the doubled part first."
WORKING = "2 + 2 is 4, I think."


@pytest.fixture(params=["none", "tags", "two_pass"])
def taught(request: pytest.FixtureRequest, gateway: Callable[..., Running]) -> Running:
    """A gateway whose task has one rule, with each form of scratchpad."""
    form: Scratchpad = request.param
    running = gateway(upstream=f"# taught, with scratchpad {form}")
    store = running.services.store
    if not store.rule_sets("arithmetic"):
        published = store.publish(RuleSet(task="arithmetic", scratchpad=form, rules=(Rule(text=RULE),)))
        store.activate(Activation(task="arithmetic", version=published.version, created=0, by="test"))
    refresh(store, running.services.rules)
    return running


IDS = map("resp_{}".format, itertools.count())
"""A response keeps the upstream's id, under which its exchange is recorded."""


def under_new_id(events: Sequence[bytes]) -> list[bytes]:
    new = next(IDS).encode()
    return [event.replace(replies.RESPONSE.encode(), new) for event in events]


def answered(asked: Asked) -> Answer:
    """Works where it is told to: between tags, or in a first pass."""
    body = asked.json
    text = str(body)
    first_pass = "draft for yourself" in text
    before = f"<working>{WORKING}</working>\n" if "<working>" in text else WORKING if first_pass else ""
    if "input" in body:
        said = "It is 4" if not first_pass else WORKING
        if body.get("stream"):
            return stream(under_new_id(replies.response_events(*said.split(" "))))
        return whole(replies.response(replies.said(said), id=next(IDS)))
    if body.get("stream"):
        return stream(replies.chunks(*map(replies.delta, before), *(() if first_pass else IT_IS_4)))
    return whole(replies.chat(replies.choice(before if first_pass else before + "It is 4")))


HEARD: dict[str, Scenario] = {
    "whole": CHAT["whole"],
    "streamed": chatting(stream=True, how="events", stream_options={"include_usage": True}),
    "streamed, put together": CHAT["streamed, put together"],
    "with a system message": chatting(messages=[{"role": "system", "content": [{"type": "text", "text": "Hm."}]}, ASK]),
    "with tools": chatting(tools=[ADD]),
    "a response": RESPONSES["whole"],
    "a response with instructions": RESPONSES["instructions and turns"],
    "a streamed response": RESPONSES["streamed"],
}


ROOMLESS = {"with tools", "a response with instructions"}
"""Requests with tools or pictures have no room for a working: rules that were verified with one are left out."""


@pytest.mark.parametrize("name", HEARD)
def test_the_model_hears_the_rules_and_the_caller_its_reply(
    name: str, client: Client, upstream: ScriptedUpstream, taught: Running
) -> None:
    """No working leaks, nothing of the reply is lost, and each pass is counted."""
    scenario = HEARD[name]
    told = taught.services.store.rule_sets("arithmetic")[0].scratchpad == "none" or name not in ROOMLESS
    upstream.play([answered])
    body = {**scenario.body, "model": "gpt-4o-mini"}
    seen = client.perform({**scenario.action, "body": body}, taught.url)
    assert seen["error"] is None
    assert (RULE in str(upstream.asked[0].json)) == told
    assert WORKING not in str(seen["value"]) and "<working>" not in str(seen["value"])
    exchange = taught.recorded(_id(seen["value"]))
    assert exchange.reply is not None and exchange.reply.replace(" ", "") == "Itis4"
    assert (exchange.status, exchange.rules) == ("ok", 1 if told else None)
    assert exchange.usage.output_tokens == 3 * len(upstream.asked)


def _id(value: Any) -> str:
    """The id of a reply or of a stream's events."""
    first = value[0] if isinstance(value, list) else value
    return str(first.get("response", first)["id"])

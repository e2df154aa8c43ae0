"""``/v1/responses`` through the official clients, before an upstream that knows chats only."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import DefaultHttpxClient, OpenAI

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.rules.live import refresh
from tests.conformance import replies
from tests.conformance.clients import KEY, NO_CERTIFICATES, Client
from tests.conformance.scenarios import ADD_FLAT, IT_IS_4, PIXEL, SUM_TEXT, Scenario, calling
from tests.conformance.stage import Running
from tests.conformance.test_rules import RULE, WORKING
from tests.conformance.upstream import Answer, Asked, ScriptedUpstream, refused, stream, whole

Gateway = Callable[..., Running]

MODEL = "small"
ASK = "What is 2 + 2?"
FOUR = whole(replies.chat(replies.choice("It is 4")))
CALLS = whole(
    replies.chat(replies.choice(None, finish="tool_calls", tool_calls=[replies.call(0, "add", '{"a":2,"b":2}')]))
)
CALLS_STREAMED = stream(
    replies.chunks(
        replies.delta(reasoning_content="Let me add."), replies.call_begins(0, "add"),
        replies.call_goes_on(0, '{"a":2,'), replies.call_goes_on(0, '"b":2}'), replies.delta(finish="tool_calls"),
    )
)  # fmt: skip
TURNS = [
    {"role": "developer", "content": "Count."},
    {
        "role": "user",
        "content": [{"type": "input_text", "text": "2 + 2?"}, {"type": "input_image", "image_url": PIXEL}],
    },
    {"type": "function_call", "call_id": "call_9", "name": "add", "arguments": '{"a":3,"b":4}'},
    {"type": "function_call_output", "call_id": "call_9", "output": "7"},
]

SCENARIOS: dict[str, Scenario] = {
    "whole": calling("responses.create", FOUR, model=MODEL, input=ASK, shows=("It is 4", '"completed"')),
    "turns and tools": calling(
        "responses.create", CALLS, model=MODEL, input=TURNS, tools=[ADD_FLAT], tool_choice="auto",
        shows=("call_0", r"{\"a\":2,\"b\":2}", "function_call"),
    ),
    "streamed": calling(
        "responses.create", stream(replies.chunks(*IT_IS_4)), model=MODEL, input=ASK, stream=True, how="events",
        shows=("response.created", "response.output_text.delta", "response.completed", '"output_tokens": 3'),
    ),
    "streamed, put together": calling(
        "responses.stream", stream(replies.chunks(*IT_IS_4)), model=MODEL, input=ASK, how="final", shows=("It is 4",)
    ),
    "tools, streamed": calling(
        "responses.stream", CALLS_STREAMED, model=MODEL, input=ASK, tools=[ADD_FLAT], how="final",
        shows=("Let me add.", r"{\"a\":2,\"b\":2}", "call_0"),
    ),
    "cut for length": calling(
        "responses.create", whole(replies.chat(replies.choice("It", finish="length"))), model=MODEL, input=ASK,
        shows=('"incomplete"', "max_output_tokens"),
    ),
    "cut for length, streamed": calling(
        "responses.create", stream(replies.chunks(replies.delta("It"), replies.delta(finish="length"))), model=MODEL,
        input=ASK, stream=True, how="events", shows=("response.incomplete", "max_output_tokens"),
    ),
    "parsed": calling(
        "responses.parse", whole(replies.chat(replies.choice(SUM_TEXT))), model=MODEL, input=ASK,
        text={"$schema": "sum"}, shows=('"parsed": {"sum": 4',),
    ),
}  # fmt: skip
TOOLS: Any = [ADD_FLAT]
NUMBERS = itertools.count()


def chats_only(answer: Any) -> Callable[[Asked], Answer]:
    """A server that answers chats, and has no other path."""

    def answered(asked: Asked) -> Answer:
        if asked.line != "POST /v1/chat/completions":
            return whole({"detail": "Not Found"}, 404)
        made: Answer = answer if isinstance(answer, Answer) else answer(asked)
        return made

    return answered


@pytest.fixture
def fresh(gateway: Gateway) -> Running:
    """A gateway that has not yet found out what its upstream has."""
    return gateway(upstream=f"# no responses {next(NUMBERS)}")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_response_is_answered_by_a_chat(
    name: str, client: Client, upstream: ScriptedUpstream, fresh: Running
) -> None:
    """Whatever the client makes of it; recorded under the response's id."""
    scenario = SCENARIOS[name]
    upstream.play([chats_only(scenario.answers[0])])
    seen = client.perform(scenario.action, fresh.url)
    assert seen["error"] is None
    shown = json.dumps(seen["value"], ensure_ascii=False)
    assert [text for text in scenario.shows if text not in shown] == [], shown
    assert [asked.line for asked in upstream.asked] == ["POST /v1/responses", "POST /v1/chat/completions"]
    value = seen["value"]
    first = value[0]["response"] if isinstance(value, list) else value
    exchange = fresh.recorded(first["id"])
    assert (exchange.status, exchange.model, exchange.usage.output_tokens) == ("ok", "small", 3)


def test_an_agents_loop_goes_round(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """What the client got it sends back: reasoning, call and result arrive in the chat's own order."""
    running = gateway(upstream='responses = "chat"')
    upstream.play([chats_only(CALLS_STREAMED), chats_only(FOUR)])
    with official(running) as client:
        items: Any = [{"role": "user", "content": ASK}]
        with client.responses.stream(model=MODEL, input=items, tools=TOOLS, store=False) as events:
            first = events.get_final_response()
        items += [item.to_dict() for item in first.output]
        call = first.output[-1]
        assert call.type == "function_call" and json.loads(call.arguments) == {"a": 2, "b": 2}
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "4"})
        second = client.responses.create(model=MODEL, input=items, tools=TOOLS, store=False)
    assert second.output_text == "It is 4"
    assert upstream.asked[1].json["messages"][1:] == [
        {
            "role": "assistant", "content": None, "reasoning_content": "Let me add.",
            "tool_calls": [{"id": "call_0", "type": "function",
                            "function": {"name": "add", "arguments": '{"a":2,"b":2}'}}],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "4"},
    ]  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("form", ["none", "two_pass"])
def test_rules_apply(form: Scratchpad, streamed: bool, gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """In the chat's system message; a working pass is a chat, too."""
    running = gateway(upstream=f'responses = "chat"  # taught, with scratchpad {form}')
    store = running.services.store
    if not store.rule_sets("arithmetic"):
        published = store.publish(RuleSet(task="arithmetic", scratchpad=form, rules=(Rule(text=RULE),)))
        store.activate(Activation(task="arithmetic", version=published.version, created=0, by="test"))
    refresh(store, running.services.rules)

    def answer(asked: Asked) -> Answer:
        if "draft for yourself" in str(asked.json):
            return whole(replies.chat(replies.choice(WORKING)))
        return stream(replies.chunks(*IT_IS_4)) if asked.json.get("stream") else FOUR

    upstream.play([chats_only(answer)])
    with official(running) as client:
        if streamed:
            with client.responses.stream(model="gpt-4o-mini", input=ASK, instructions="Be brief.") as events:
                response: Any = events.get_final_response()
        else:
            response = client.responses.create(model="gpt-4o-mini", input=ASK, instructions="Be brief.")
    assert response.output_text == "It is 4" and WORKING not in str(response)
    assert response.usage.output_tokens == 3 * len(upstream.asked)
    assert RULE in upstream.asked[0].json["messages"][0]["content"]
    assert running.recorded(response.id).rules == 1


def test_what_needs_a_store_is_answered_clearly(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """As OpenAI answers for a response that is not there; an upstream's refusal keeps its words."""
    running = gateway(upstream='responses = "chat"')
    upstream.play([chats_only(refused(429))])
    with official(running) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=MODEL, input=ASK, previous_response_id="resp_before")
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
        with pytest.raises(openai.BadRequestError, match="only functions"):
            client.responses.create(model=MODEL, input=ASK, tools=[{"type": "web_search"}])
        with pytest.raises(openai.RateLimitError, match="refused with 429"):
            client.responses.create(model=MODEL, input=ASK)


def test_a_stream_that_breaks_off_ends_with_an_error(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    """As OpenAI's own event, numbered on."""
    running = gateway(upstream='responses = "chat"')
    upstream.play([chats_only(stream(replies.chunks(replies.delta("It"))[:2], end="cut"))])
    with official(running) as client:
        events = list(client.responses.create(model=MODEL, input=ASK, stream=True))
    assert [event.type for event in events][-2:] == ["response.output_text.delta", "error"]
    assert [event.sequence_number for event in events] == list(range(len(events)))


def official(running: Running) -> OpenAI:
    """The client; it retries nothing."""
    http = DefaultHttpxClient(trust_env=False, verify=NO_CERTIFICATES)
    return OpenAI(base_url=running.url, api_key=KEY, max_retries=0, http_client=http)

"""Anthropic's and OpenAI's official clients against the gateway before an upstream that speaks Anthropic's API.

Anthropic's client sees what it sees there directly, and the upstream is asked the same, in each form of rules.
"""

import hashlib
import json
import ssl
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic, DefaultHttpxClient
from openai import OpenAI
from pydantic import BaseModel

from gateway.domain import Activation, Rule, RuleSet, Scratchpad
from gateway.rules.live import refresh
from tests.conformance import stage as stages
from tests.conformance.stage import Running, Stage
from tests.conformance.test_anthropic import client_of, weather
from tests.conformance.upstream import Answer, Answers, Asked, ScriptedUpstream, event, stream, whole
from tests.sent_messages import WHOLE, events, failure, message, said, thought, use

RULE = "Always handle the doubled part first."
HELLO = [{"role": "user", "content": "What is 2 + 2?"}]
WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MARK = {"type": "ephemeral"}
DOCUMENT = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "cache_control": MARK}
STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])

FOUR = message(thought("2 + 2"), said("It is 4"))
CALLS = message(said("Let me look."), use("weather", {"city": "Oslo"}, "t1"), use("weather", {"city": "Rome"}, "t2"))
REQUESTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a message": ({}, FOUR),
    "instructions": ({"system": "Be brief."}, FOUR),
    "marked instructions": ({"system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}]}, FOUR),
    "tools": ({"tools": [WEATHER], "tool_choice": {"type": "any"}}, CALLS),
    "thinking": ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, FOUR),
    "a document": ({"messages": [{"role": "user", "content": [DOCUMENT, {"type": "text", "text": "And?"}]}]}, FOUR),
    "its own tool": ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, FOUR),
    "thoughts that come back": (
        {"messages": [*HELLO, {"role": "assistant", "content": FOUR["content"]}, {"role": "user", "content": "Sure?"}]},
        FOUR,
    ),
    "the end of a limit": ({"max_tokens": 2000}, message(said("It"), stop="max_tokens")),
}


ROOMLESS = {"its own tool", "a document"}
"""Requests without room for a working: rules that were verified with one are left out."""


def played(*made: dict[str, Any], streamed: bool) -> Answers:
    return [stream(events(one)) if streamed else whole(one, request_id="req_upstream") for one in made]


@pytest.fixture(scope="module")
def claude(stage: Stage, direct: str) -> Running:
    """A gateway before an upstream that speaks Anthropic's API."""
    return stage.open(stages.running(stages.config(direct).replace('kind = "openai"', 'kind = "anthropic"')))


@pytest.fixture(params=["none", "tags", "two_pass"])
def form(request: pytest.FixtureRequest, claude: Running) -> Scratchpad:
    """The task's live rule set has this form."""
    scratchpad: Scratchpad = request.param
    store = claude.services.store
    rule_set = RuleSet(task="arithmetic", scratchpad=scratchpad, rules=(Rule(text=RULE),))
    version = store.publish(rule_set).version
    store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
    refresh(store, claude.services.rules)
    return scratchpad


@pytest.fixture(scope="module")
def client(claude: Running) -> Iterator[Anthropic]:
    with client_of(claude) as made:
        yield made


@pytest.fixture(scope="module")
def direct_client(direct: str) -> Iterator[Anthropic]:
    """The same client, speaking to the upstream itself."""
    no_certificates = DefaultHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    url = direct.removesuffix("/v1")
    with Anthropic(api_key="sk-upstream", base_url=url, max_retries=0, http_client=no_certificates) as made:
        yield made


@pytest.fixture(scope="module")
def chats(claude: Running) -> Iterator[OpenAI]:
    """OpenAI's client through the same gateway."""
    no_certificates = openai.DefaultHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with OpenAI(api_key="sk-client", base_url=claude.url, max_retries=0, http_client=no_certificates) as made:
        yield made


def heard(client: Anthropic, *, streamed: bool, **body: Any) -> dict[str, Any]:
    """The message that a client makes of the answer."""
    asked = {"model": "tiny-1b", "max_tokens": 4096, "messages": HELLO, **body}
    if not streamed:
        whole_message: dict[str, Any] = client.messages.create(**asked).to_dict()
        return whole_message
    with client.messages.stream(**asked) as told:
        return told.get_final_message().to_dict()


@STREAMED
@pytest.mark.parametrize("name", REQUESTS)
def test_a_client_sees_what_it_sees_directly(
    name: str, streamed: bool, client: Anthropic, direct_client: Anthropic, upstream: ScriptedUpstream
) -> None:
    """And the upstream is asked the same, byte for byte."""
    body, answer = REQUESTS[name]
    upstream.play(played(answer, streamed=streamed))
    expected = heard(direct_client, streamed=streamed, **body)
    assert heard(client, streamed=streamed, **body) == expected
    first, second = upstream.asked
    assert first.body == second.body and first.line == second.line == "POST /v1/messages"
    assert first.headers["anthropic-version"] == second.headers["anthropic-version"]
    assert second.headers["x-api-key"] == "sk-upstream" and "authorization" not in second.headers


@STREAMED
@pytest.mark.parametrize("name", REQUESTS)
def test_rules_change_nothing_else(
    name: str, streamed: bool, client: Anthropic, direct_client: Anthropic, upstream: ScriptedUpstream, form: Scratchpad
) -> None:
    """In every form the client reads the reply it would get directly; the request differs by the rules."""
    body, answer = REQUESTS[name]
    upstream.play(played(answer, streamed=streamed))
    expected = heard(direct_client, streamed=streamed, **body)
    plain = upstream.asked[0].json

    def worked(asked: Asked) -> Answer:
        """The working where it is asked for, then the answer."""
        told = asked.json
        if "draft for yourself" in str(told):
            return whole(message(said("2 and 2")))
        before = "<working>2 and 2</working>" if "<working>" in str(told) else ""
        content = [{**one, "text": before + one["text"]} if one["type"] == "text" else one for one in answer["content"]]
        made = {**answer, "content": content}
        return stream(events(made)) if told.get("stream") else whole(made)

    upstream.play([worked])
    got = heard(client, streamed=streamed, **body, model="gpt-4o-mini")
    assert {**got, "usage": None} == {**expected, "usage": None}
    assert got["usage"]["output_tokens"] == 3 * len(upstream.asked)
    last = upstream.asked[-1].json
    changed = {"system", "model", *(["messages"] if len(upstream.asked) == 2 else [])}
    assert {key: value for key, value in last.items() if key not in changed} == {
        key: value for key, value in plain.items() if key not in changed
    }
    if form != "none" and name in ROOMLESS:
        assert RULE not in str(upstream.asked[0].json)
    else:
        assert RULE in upstream.asked[0].json["system"][-1]["text"]
        assert upstream.asked[0].json["system"][-1]["cache_control"] == MARK


@STREAMED
def test_the_clients_own_tool_loop(
    client: Anthropic, direct_client: Anthropic, upstream: ScriptedUpstream, streamed: bool
) -> None:
    """Its calls and their results go back and forth as they do directly."""
    asked = []
    for each in (direct_client, client):
        upstream.play(played(CALLS, message(said("Sunny.")), streamed=streamed))
        body: Any = {"model": "tiny-1b", "max_tokens": 99, "messages": HELLO, "tools": [weather], "stream": streamed}
        final = each.beta.messages.tool_runner(**body).until_done()
        assert [block.text for block in final.content if block.type == "text"] == ["Sunny."]
        asked.append([(one.line, one.body, one.headers.get("anthropic-beta")) for one in upstream.asked])
    assert asked[0] == asked[1] and len(asked[0]) == 2


def test_tokens_are_the_upstreams_count(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """By the client's own call."""
    upstream.play([whole({"input_tokens": 42})])
    assert client.messages.count_tokens(model="small", messages=HELLO).input_tokens == 42  # type: ignore[arg-type]
    assert upstream.asked[0].line == "POST /v1/messages/count_tokens" and upstream.asked[0].json["model"] == "tiny-1b"


def test_a_message_is_known_by_the_upstreams_ids(
    client: Anthropic, claude: Running, upstream: ScriptedUpstream
) -> None:
    """Its request id for support, its message id for feedback."""
    upstream.play(played(message(said("It is 4"), id="msg_known"), streamed=False))
    got = client.messages.create(model="small", max_tokens=9, messages=HELLO)  # type: ignore[arg-type]
    assert (got.id, got._request_id) == ("msg_known", "req_upstream")
    exchange = claude.recorded("msg_known")
    assert (exchange.reply, exchange.status, exchange.usage.prompt_tokens) == ("It is 4", "ok", 127)


@STREAMED
@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.RequestTooLargeError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_a_refusal_is_raised_as_it_is_directly(
    client: Anthropic,
    direct_client: Anthropic,
    upstream: ScriptedUpstream,
    status: int,
    kind: str,
    error: type[anthropic.APIStatusError],
    streamed: bool,
) -> None:
    """The same class, words, type and request id."""
    refused = {**failure("prompt is too long: 9 tokens > 8 maximum", kind), "request_id": "req_upstream"}
    upstream.play([Answer([json.dumps(refused).encode()], status, {**WHOLE, "retry-after": "7"})])
    raised = []
    for each in (direct_client, client):
        with pytest.raises(error) as caught:
            heard(each, streamed=streamed)
        raised.append((caught.value.body, caught.value.request_id, caught.value.response.headers["retry-after"]))
    assert raised[0] == raised[1] == (refused, "req_upstream", "7")


def test_an_error_in_the_middle_is_raised_as_it_is_directly(
    client: Anthropic, direct_client: Anthropic, upstream: ScriptedUpstream
) -> None:
    """By its type; a client of agents tries again after an overload."""
    broken = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
    upstream.play([stream([*events(FOUR)[:6], broken])])
    for each in (direct_client, client):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
            heard(each, streamed=True)
        assert caught.value.type == "overloaded_error"


def test_a_client_that_hangs_up(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """Stops the upstream."""
    upstream.play([stream(events(message(said("It is 4")))[:5], end="hold")])
    with client.messages.stream(model="small", max_tokens=9, messages=HELLO) as told:  # type: ignore[arg-type]
        assert next(iter(told.text_stream)) == "It i"
    assert upstream.gone.wait(5)


def prefixes(body: dict[str, Any]) -> list[str]:
    """Digests of what stands before each mark of the prompt cache, as Anthropic orders it."""
    system = body.get("system", [])
    blocks = [*body.get("tools", []), *([said(system)] if isinstance(system, str) else system)]
    for turn in body["messages"]:
        content = [said(turn["content"])] if isinstance(turn["content"], str) else turn["content"]
        blocks += [{"role": turn["role"]}, *content]
    running, marked = hashlib.sha256(), []
    for block in blocks:
        running.update(json.dumps({key: value for key, value in block.items() if key != "cache_control"}).encode())
        if "cache_control" in block:
            marked.append(running.hexdigest())
    return marked


def test_a_session_of_thirty_turns_keeps_its_prompt_cache(client: Anthropic, upstream: ScriptedUpstream) -> None:
    """As an agent runs it: tools, marked instructions, a mark on the last turn; the rules are live all the time."""
    store_turns: list[dict[str, Any]] = []
    system = [{"type": "text", "text": "You are an agent." * 50, "cache_control": MARK}]
    upstream.play(played(CALLS, streamed=True))
    for number in range(30):
        store_turns.append({"role": "user", "content": [{"type": "text", "text": f"Step {number}."}]})
        marked = [
            *store_turns[:-1],
            {"role": "user", "content": [{**store_turns[-1]["content"][0], "cache_control": MARK}]},
        ]
        got = heard(client, streamed=True, model="gpt-4o-mini", system=system, tools=[WEATHER], messages=marked)
        assert got["content"] == CALLS["content"]
        results = [{"type": "tool_result", "tool_use_id": id_, "content": "sunny"} for id_ in ("t1", "t2")]
        store_turns += [{"role": "assistant", "content": got["content"]}, {"role": "user", "content": results}]
        assert upstream.asked[-1].json["messages"] == marked and upstream.asked[-1].json["tools"] == [WEATHER]
    sent = [asked.json for asked in upstream.asked]
    assert len({json.dumps(body["system"]) for body in sent}) == 1 and sent[0]["system"][0] == system[0]
    assert all(len(prefixes(body)) <= 4 for body in sent)
    # What a request wrote into the cache, up to its last turn, stands unchanged in the next one.
    seen = [prefixes({**body, "messages": _marked_everywhere(body["messages"])}) for body in sent]
    assert all(prefixes(earlier)[-1] in later for earlier, later in zip(sent, seen[1:], strict=False))


def _marked_everywhere(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**turn, "content": [{**block, "cache_control": MARK} for block in turn["content"]]} for turn in turns]


class Sum(BaseModel):
    """What is parsed."""

    sum: int


@STREAMED
def test_openais_client_reads_a_chat(chats: OpenAI, upstream: ScriptedUpstream, streamed: bool) -> None:
    """Text, reasoning, usage and the end."""
    upstream.play(played(FOUR, streamed=streamed))
    asked: dict[str, Any] = {"model": "small", "messages": [{"role": "system", "content": "Be brief."}, *HELLO]}
    if streamed:
        with chats.chat.completions.stream(**asked, stream_options={"include_usage": True}) as told:
            for _ in told:
                pass
            got = told.get_final_completion()
    else:
        got = chats.chat.completions.create(**asked)
    reply = got.choices[0]
    assert (reply.message.content, reply.finish_reason) == ("It is 4", "stop")
    assert reply.message.model_extra is not None
    assert reply.message.model_extra["reasoning_content"] == "2 + 2"
    assert [{**block, "index": 0} for block in reply.message.model_extra["thinking_blocks"]] == [
        {**thought("2 + 2"), "index": 0}
    ]
    assert got.usage is not None and got.usage.prompt_tokens_details is not None
    assert (got.usage.prompt_tokens, got.usage.prompt_tokens_details.cached_tokens) == (127, 100)
    (request,) = upstream.asked
    assert request.json["system"] == [{**said("Be brief."), "cache_control": MARK}]
    assert request.json["messages"] == HELLO
    assert request.headers["x-api-key"] == "sk-upstream" and "authorization" not in request.headers


@STREAMED
def test_openais_client_calls_tools(chats: OpenAI, upstream: ScriptedUpstream, streamed: bool) -> None:
    """Several at once, with their results and its thoughts on the way back."""
    calls = {**CALLS, "content": [thought("hm"), *CALLS["content"]]}
    upstream.play([*played(calls, streamed=streamed), *played(message(said("Sunny.")), streamed=False)])
    tool = {"type": "function", "function": {"name": "weather", "parameters": WEATHER["input_schema"]}}
    asked: dict[str, Any] = {"model": "small", "messages": HELLO, "tools": [tool], "reasoning_effort": "low"}
    if streamed:
        with chats.chat.completions.stream(**asked) as told:
            for _ in told:
                pass
            reply = told.get_final_completion().choices[0]
    else:
        reply = chats.chat.completions.create(**asked).choices[0]
    assert reply.finish_reason == "tool_calls" and reply.message.tool_calls is not None
    cities = [json.loads(call.function.arguments)["city"] for call in reply.message.tool_calls]
    assert cities == ["Oslo", "Rome"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in reply.message.tool_calls]
    history = [*HELLO, reply.message.to_dict(), *results]
    last = chats.chat.completions.create(**{**asked, "messages": history})
    assert last.choices[0].message.content == "Sunny."
    _, assistant, user = upstream.asked[1].json["messages"]
    assert assistant["content"] == calls["content"] and upstream.asked[1].json["thinking"]["type"] == "adaptive"
    first, second = ({"type": "tool_result", "tool_use_id": id_, "content": "sunny"} for id_ in ("t1", "t2"))
    assert user["content"] == [first, {**second, "cache_control": MARK}]


def test_openais_client_parses_a_type(chats: OpenAI, upstream: ScriptedUpstream) -> None:
    """Its schema is Anthropic's structured output."""
    upstream.play(played(message(said('{"sum": 4}')), streamed=False))
    got = chats.chat.completions.parse(model="small", messages=HELLO, response_format=Sum)  # type: ignore[arg-type]
    assert got.choices[0].message.parsed == Sum(sum=4)
    schema = upstream.asked[0].json["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False and schema["properties"]["sum"]["type"] == "integer"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (529, openai.InternalServerError)],
)
def test_openais_client_raises_its_own(
    chats: OpenAI, upstream: ScriptedUpstream, status: int, error: type[openai.APIStatusError]
) -> None:
    """In the upstream's words."""
    upstream.play([whole(failure("temperature: not for this model"), status)])
    with pytest.raises(error, match="not for this model") as caught:
        chats.chat.completions.create(model="small", messages=HELLO, temperature=0.5)  # type: ignore[arg-type]
    assert caught.value.param == ("temperature")


def test_openais_client_gets_a_response(chats: OpenAI, upstream: ScriptedUpstream) -> None:
    """Asked as a chat, which is asked as a message."""
    upstream.play(played(message(said("It is 4")), streamed=False))
    assert chats.responses.create(model="small", input="What is 2 + 2?").output_text == "It is 4"
    assert upstream.asked[0].line == "POST /v1/messages"

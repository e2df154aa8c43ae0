"""Every form over an Anthropic upstream, on the wire: what goes out, what the client gets, what is recorded."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.settings import AnthropicSettings
from gateway.store.memory import MemoryStore
from gateway.teaching import DecisionRule, Example, Worksheet
from gateway.upstream.anthropic import AnthropicUpstream
from gateway.upstream.base import Upstream
from tests.fakes import CONFIG, FakeReply, FakeUpstream, Served, asked, loopback_client, served, services, settings
from tests.fakes import gateway as gateway_of
from tests.sent_messages import STREAM, WHOLE, events, failure, message, said

CLAUDE = CONFIG.replace('kind = "openai"\nbase_url = "http://127.0.0.1:9/v1"', 'kind = "anthropic"')
RULES = (Rule(text="Count twice."),)
SHEET = Worksheet(
    schema={"properties": {"sum": {"type": "integer"}}, "required": ["sum"]},
    decisions=(DecisionRule(when="sum == 4", result="four"),),
)
FORMS: dict[str, dict[str, Any]] = {
    "none": {},
    "tags": {"scratchpad": "tags"},
    "two_pass": {"scratchpad": "two_pass"},
    "examples": {"examples": (Example(question="What is 1 + 1?", answer="2", shared=True),), "examples_mode": "fixed"},
    "worksheet": {"worksheet": SHEET},
}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def taught(**parts: Any) -> MemoryStore:
    """A store with a live version of these parts."""
    store = MemoryStore()
    version = store.publish(RuleSet(task="arithmetic", rules=RULES, **parts)).version
    store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
    return store


def claude() -> tuple[AnthropicUpstream, FakeUpstream]:
    """A model that works as it is told, and the server that it is reached at."""

    def script(body: dict[str, Any]) -> FakeReply:
        text = json.dumps(body)
        if "This is a draft" in text:
            answer = "2 and 2 make 4"
        elif "<working>" in text:
            answer = "<working>2 and 2</working>\n4"
        else:
            answer = '{"sum": 4}' if "output_config" in body else "4"
        made = message(said(answer))
        return FakeReply(200, events(made) if body.get("stream") else [json.dumps(made).encode()],
                         STREAM if body.get("stream") else WHOLE)  # fmt: skip

    server = FakeUpstream(script)
    return AnthropicUpstream("mock", AnthropicSettings(), http=server), server


@contextlib.asynccontextmanager
async def served_by(upstreams: Mapping[str, Upstream], text: str) -> AsyncIterator[Served]:
    """A gateway over several upstreams and a store in memory."""
    made = services(settings(text), upstreams)
    async with gateway_of(made) as url, loopback_client(url) as client:
        yield Served(url, made, client)


def refusing(status: int, body: bytes) -> Callable[[dict[str, Any]], FakeReply]:
    return lambda _: FakeReply(status, [body], WHOLE)


def chat_text(reply: str, *, stream: bool) -> str:
    """What a client of OpenAI's reads."""
    if not stream:
        return str(json.loads(reply)["choices"][0]["message"]["content"])
    chunks = [json.loads(line[6:]) for line in reply.split("\n\n") if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@STREAMED
@pytest.mark.parametrize("form", FORMS)
async def test_a_chat_in_every_form(form: str, stream: bool) -> None:
    """The reply is the same in each; hidden passes are counted and never shown."""
    upstream, server = claude()
    passes = 2 if form in ("two_pass", "worksheet") else 1
    async with served(upstream, CLAUDE, taught(**FORMS[form])) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream))
        exchange = await gateway.exchange(reply)
    assert reply.status_code == 200 and chat_text(reply.text, stream=stream) == "4"
    assert (exchange.reply, exchange.status, exchange.finish_reason) == ("4", "ok", "stop")
    assert (exchange.usage.prompt_tokens, exchange.usage.output_tokens) == (127 * passes, 3 * passes)
    assert len(server.bodies) == passes
    assert {call.path for call in server.calls} == {"/messages"} and server.bodies[-1]["model"] == "tiny-1b"
    assert any("Count twice." in str(body.get("system")) for body in server.bodies)
    assert reply.headers["x-upstream-request-id"] == "req_upstream"


@STREAMED
async def test_cached_tokens_are_shown(stream: bool) -> None:
    """Under OpenAI's name, where the client asks for usage."""
    upstream, _ = claude()
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
    async with served(upstream, CLAUDE) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream, **options))
    text = reply.text.removesuffix("data: [DONE]\n\n").rpartition("data: ")[2]
    assert json.loads(text)["usage"]["prompt_tokens_details"] == {"cached_tokens": 100, "cache_write_tokens": 20}


@STREAMED
async def test_a_refusal_in_the_upstreams_words(stream: bool) -> None:
    """With its status; the mistake of the gateway's own key is told without them."""
    words = "prompt is too long: 300000 tokens > 200000 maximum"
    for status, told in ((400, words), (401, "refused the gateway's key")):
        body = json.dumps(failure(words)).encode()
        server = FakeUpstream(refusing(status, body))
        upstream = AnthropicUpstream("mock", AnthropicSettings(), http=server)
        async with served(upstream, CLAUDE) as gateway:
            reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=stream))
        assert reply.status_code == status and told in reply.json()["error"]["message"]


async def test_an_error_in_the_middle_of_a_stream_is_no_end() -> None:
    """The client hears of it, and nothing is learnt from half a reply."""
    pieces = [
        *events(message(said("It is 4")))[:5],
        b'event: error\ndata: {"type": "error", "error": {"message": "x"}}\n\n',
    ]
    server = FakeUpstream(lambda _: FakeReply(200, pieces, STREAM))
    async with served(AnthropicUpstream("mock", AnthropicSettings(), http=server), CLAUDE) as gateway:
        reply = await gateway.client.post("/v1/chat/completions", json=asked(stream=True))
        exchange = await gateway.exchange(reply)
    assert "in the middle of its stream: x" in reply.text and "[DONE]" not in reply.text
    assert exchange.status == "error"


def native(**fields: Any) -> dict[str, Any]:
    return asked(**{"max_tokens": 4096, "system": "Be brief.", **fields})


def message_text(reply: str, *, stream: bool) -> str:
    """What a client of Anthropic's reads; its stream begins and ends once."""
    if not stream:
        return "".join(block["text"] for block in json.loads(reply)["content"] if block["type"] == "text")
    told = [json.loads(line[6:]) for line in reply.split("\n") if line.startswith("data: ")]
    assert [one["type"] for one in told if one["type"].startswith("message_")] == [
        "message_start", "message_delta", "message_stop",
    ]  # fmt: skip
    return "".join(one["delta"].get("text", "") for one in told if one["type"] == "content_block_delta")


@STREAMED
@pytest.mark.parametrize("form", FORMS)
async def test_a_message_in_every_form(form: str, stream: bool) -> None:
    """Rules stand in a block of their own behind the client's; the record is that of a chat."""
    upstream, server = claude()
    passes = 2 if form in ("two_pass", "worksheet") else 1
    async with served(upstream, CLAUDE, taught(**FORMS[form])) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native(stream=stream))
        exchange = await gateway.recorded("msg_01")
    assert reply.status_code == 200 and message_text(reply.text, stream=stream) == "4"
    assert (exchange.reply, exchange.status, exchange.finish_reason, exchange.task) == ("4", "ok", "stop", "arithmetic")
    assert (exchange.usage.prompt_tokens, exchange.usage.output_tokens) == (127 * passes, 3 * passes)
    assert json.loads(exchange.request)["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len(server.bodies) == passes and {call.path for call in server.calls} == {"/messages"}
    ruled = [body for body in server.bodies if "Count twice." in json.dumps(body)]
    assert ruled and all(body["system"][0] == said("Be brief.") for body in ruled)
    assert all(body["system"][1]["cache_control"] == {"type": "ephemeral"} for body in ruled)
    assert server.bodies[-1]["max_tokens"] == 4096 and server.bodies[-1]["model"] == "tiny-1b"
    assert reply.headers["request-id"] == "req_upstream"


@STREAMED
async def test_a_decided_message(stream: bool) -> None:
    """The decision is the reply, in one call; a client that wants to see thinking gets the model's own."""
    upstream, server = claude()
    sheet = msgspec.structs.replace(SHEET, decide="answer")
    async with served(upstream, CLAUDE, taught(worksheet=sheet)) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native(stream=stream))
        exchange = await gateway.recorded("msg_01")
        thinking = native(stream=stream, thinking={"type": "enabled", "budget_tokens": 1024})
        thought = await gateway.client.post("/v1/messages", json=thinking)
    assert message_text(reply.text, stream=stream) == exchange.reply == "four"
    assert (exchange.usage.prompt_tokens, exchange.usage.output_tokens, exchange.finish_reason) == (127, 3, "stop")
    assert message_text(thought.text, stream=stream) == "4" and len(server.bodies) == 3


@STREAMED
async def test_without_rules_a_message_passes_as_it_is(stream: bool) -> None:
    """Request and reply, byte for byte but for the model's name; unknown parts and betas, too."""
    upstream, server = claude()
    content = [{"type": "sparkle", "x": [1.50, "\u00e9"]}, {"type": "text", "text": "hi", "cache_control": {}}]
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": content}], "later": 1.0,
                       "max_tokens": 9, "stream": stream}).encode()  # fmt: skip
    headers = {"anthropic-version": "2027-01-01", "anthropic-beta": "sparkle-1", "x-api-key": "sk-client"}
    async with served(upstream, CLAUDE) as gateway:
        reply = await gateway.client.post("/v1/messages", content=body, headers=headers)
    sent, given = (json.loads(raw) for raw in (server.raw_bodies[0], body))
    assert sent == {**given, "model": "tiny-1b"}
    assert json.dumps(content).encode() in server.raw_bodies[0] and b'"later":1.0' in server.raw_bodies[0]
    assert dict(server.calls[0].headers) == {b"anthropic-version": b"2027-01-01", b"anthropic-beta": b"sparkle-1"}
    made = message(said("4"))
    assert reply.content == (b"".join(events(made)) if stream else json.dumps(made).encode())


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_query_reaches_an_upstream_that_is_asked_by_the_same_path(path: str) -> None:
    """Claude Code asks for ``?beta=true``; hidden passes are read alike, and a limited key hands nothing on."""
    upstream, server = claude()
    keyed = CLAUDE + '[keys.team]\nkey = "sixteen-letters-and-more"\ntasks = ["arithmetic"]\n'
    keyed += '[keys.all]\nkey = "any-letters-and-no-limits"\n'
    async with served(upstream, keyed, taught(scratchpad="two_pass")) as gateway:
        for key in ("any-letters-and-no-limits", "sixteen-letters-and-more"):
            headers = {"authorization": f"Bearer {key}"}
            await gateway.client.post(f"{path}?beta=true&x=%201", json=native(), headers=headers)
    passes = 1 if "count" in path else 2
    assert [call.query for call in server.calls] == ["beta=true&x=%201"] * passes + [""] * passes


async def test_a_query_does_not_outlive_a_translation() -> None:
    """It is about the client's path: a chat that becomes a message, a message that becomes a chat."""
    upstream, server = claude()
    other = FakeUpstream(lambda _: "4")
    async with served(upstream, CLAUDE) as gateway:
        await gateway.client.post("/v1/chat/completions?x=1", json=asked())
    async with served(other) as gateway:
        await gateway.client.post("/v1/messages?beta=true", json=native())
        await gateway.client.post("/v1/chat/completions?x=1", json=asked())
    assert [call.query for call in server.calls] == [""]
    assert [call.query for call in other.calls] == ["", "x=1"]


async def test_a_hidden_pass_is_read_as_the_clients() -> None:
    """With its version and betas: the history may need them."""
    upstream, server = claude()
    headers = {"anthropic-version": "2027-01-01", "anthropic-beta": "x", "traceparent": "00-1"}
    async with served(upstream, CLAUDE, taught(scratchpad="two_pass")) as gateway:
        await gateway.client.post("/v1/messages", json=native(), headers=headers)
    hidden, shown = (dict(call.headers) for call in server.calls)
    assert hidden == {b"anthropic-version": b"2027-01-01", b"anthropic-beta": b"x"}
    assert shown == {**hidden, b"traceparent": b"00-1"}


async def test_an_unknown_model_passes_untouched() -> None:
    """To a default upstream that speaks the same."""
    upstream, server = claude()
    text = CLAUDE.replace("[server]", '[server]\ndefault_upstream = "mock"')
    body = b'{ "model": "claude-x",  "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}] }'
    async with served(upstream, text) as gateway:
        reply = await gateway.client.post("/v1/messages", content=body)
    assert reply.status_code == 200 and server.raw_bodies == [body]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (429, "rate_limit_error"),
                                              (413, "request_too_large"), (529, "overloaded_error")])  # fmt: skip
async def test_a_refusal_keeps_its_type_its_words_and_its_request_id(path: str, status: int, kind: str) -> None:
    """As Anthropic worded it."""
    refused = {**failure("prompt is too long: 9 tokens > 8 maximum", kind), "request_id": "req_upstream"}
    server = FakeUpstream(refusing(status, json.dumps(refused).encode()))
    async with served(AnthropicUpstream("mock", AnthropicSettings(), http=server), CLAUDE) as gateway:
        reply = await gateway.client.post(path, json=native())
    assert (reply.status_code, reply.json()) == (status, refused)
    assert reply.headers["request-id"] == "req_upstream"


async def test_a_refused_key_is_the_gateways_own_mistake() -> None:
    """Told without the upstream's words, which may quote it."""
    server = FakeUpstream(refusing(401, json.dumps(failure("invalid x-api-key", "authentication_error")).encode()))
    async with served(AnthropicUpstream("mock", AnthropicSettings(), http=server), CLAUDE) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native())
    error = reply.json()["error"]
    assert error["type"] == "authentication_error" and "upstreams.mock.api_key" in error["message"]
    assert "invalid x-api-key" not in reply.text


async def test_an_error_in_the_middle_of_a_message_is_an_error_event() -> None:
    """In the upstream's words, and nothing behind it."""
    broken = (
        b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    )
    server = FakeUpstream(lambda _: FakeReply(200, [*events(message(said("It is 4")))[:5], broken], STREAM))
    async with served(AnthropicUpstream("mock", AnthropicSettings(), http=server), CLAUDE) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native(stream=True))
        exchange = await gateway.recorded("msg_01")
    assert reply.text.count("event: error") == 1 and "stream: Overloaded" in reply.text.rpartition("event: error")[2]
    assert exchange.status == "error"


async def test_tokens_are_counted_by_the_upstream() -> None:
    """With the rules; nothing is recorded."""
    counted = FakeUpstream(lambda _: FakeReply(200, [b'{"input_tokens": 42}'], WHOLE))
    async with served(AnthropicUpstream("mock", AnthropicSettings(), http=counted), CLAUDE, taught()) as gateway:
        asked_for = {key: value for key, value in native().items() if key != "max_tokens"}
        headers = {"anthropic-beta": "x"}
        reply = await gateway.client.post("/v1/messages/count_tokens", json=asked_for, headers=headers)
        direct = await gateway.client.post("/v1/messages/count_tokens", json={**asked_for, "model": "small"})
    assert (reply.json(), direct.json()) == ({"input_tokens": 42}, {"input_tokens": 42})
    assert reply.headers["request-id"] == "req_upstream"
    first, second = counted.calls
    assert (first.path, dict(first.headers)[b"anthropic-beta"]) == ("/messages/count_tokens", b"x")
    assert "Count twice." in first.body.decode() and "max_tokens" not in counted.bodies[0]
    assert counted.bodies[1] == {**asked_for, "model": "tiny-1b"} and second.path == first.path
    assert gateway.services.writer.pending == 0 and gateway.services.store.recorded(0, limit=1)[0] == []


MIXED = CLAUDE.replace(
    '[models.large]\nupstream = "mock"', '[upstreams.other]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    '[models.large]\nupstream = "other"'
)  # fmt: skip


@STREAMED
async def test_a_fallback_gets_the_message_in_its_own_words(stream: bool) -> None:
    """A chat, where it speaks OpenAI's API; the client reads a message all the same."""
    busy = FakeUpstream(refusing(529, json.dumps(failure("Overloaded", "overloaded_error")).encode()))
    other = FakeUpstream(lambda _: "4")
    text = MIXED.replace("grader = {", 'fallback = ["large"]\ngrader = {')
    upstreams: dict[str, Upstream] = {"mock": AnthropicUpstream("mock", AnthropicSettings(), http=busy), "other": other}
    async with served_by(upstreams, text) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native(stream=stream))
        exchange = await gateway.exchange(reply)
    assert message_text(reply.text, stream=stream) == "4" and exchange.arm == "fallback"
    assert other.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert reply.headers["request-id"] == exchange.id


async def test_beside_an_anthropic_upstream_others_get_chats() -> None:
    """And refuse what no chat can hold, by its place; tokens are estimated there."""
    other = FakeUpstream(lambda _: "4")
    upstreams: dict[str, Upstream] = {"mock": claude()[0], "other": other}
    document = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
    async with served_by(upstreams, MIXED) as gateway:
        reply = await gateway.client.post("/v1/messages", json=native(model="large"))
        counted = await gateway.client.post("/v1/messages/count_tokens", json=native(model="large"))
        beyond = native(model="large", messages=[{"role": "user", "content": [document]}])
        refused = await gateway.client.post("/v1/messages", json=beyond)
    assert message_text(reply.text, stream=False) == "4" and reply.json()["id"].startswith("msg_")
    assert counted.json()["input_tokens"] > 0
    assert refused.status_code == 400 and "messages.0.content.0" in refused.json()["error"]["message"]

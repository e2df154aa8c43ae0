"""``POST /v1/chat/completions`` over a real socket: what a client gets, and what is recorded of it."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api.endpoint import Endpoint
from gateway.domain import Activation, Rule, RuleSet, TrafficSplit, Usage
from gateway.errors import ConfigurationError, UpstreamBroken, UpstreamTimeout
from gateway.formats import allowed_fields
from gateway.formats.chat import open_chat
from gateway.store.memory import MemoryStore
from gateway.upstream.base import Call
from gateway.upstream.http import HttpUpstream
from optimizer.demo.loopback import loopback_server
from tests import fakes
from tests.fakes import CONFIG, FakeReply, FakeUpstream, MoodyStore, asked, completion, events, served

PATH = "/v1/chat/completions"
PASS_THROUGH = CONFIG.replace("port = 0", 'port = 0\ndefault_upstream = "mock"')


def four() -> FakeUpstream:
    return FakeUpstream(lambda body: "It is 4")


def streamed(text: str) -> list[dict[str, Any]]:
    """The decoded events of a stream that ended properly."""
    blocks = [block for block in text.split("\n\n") if block]
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


def said(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def teach(store: MemoryStore, text: str) -> int:
    """Publish one rule for ``arithmetic`` and make it live; returns its version."""
    version = store.publish(RuleSet(task="arithmetic", rules=(Rule(text=text),))).version
    store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
    return version


async def test_a_whole_reply_comes_back_under_the_exchange_s_id() -> None:
    """Text and usage are the upstream's; id and headers are the exchange's, and the record agrees with them."""
    store = MemoryStore()
    version = teach(store, "Think.")
    upstream = four()
    async with served(upstream, store=store) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
        exchange = await gateway.exchange(reply)
    body = reply.json()
    assert reply.status_code == 200
    assert body["choices"][0]["message"]["content"] == "It is 4"
    assert body["id"] == reply.headers["x-request-id"] == exchange.id
    assert {name: reply.headers[f"x-preceptor-{name}"] for name in ("task", "rules", "arm", "model")} == {
        "task": "arithmetic", "rules": str(version), "arm": "weak", "model": "small",
    }  # fmt: skip
    assert float(reply.headers["x-preceptor-overhead-ms"]) >= 0
    assert (exchange.task, exchange.rules, exchange.arm, exchange.model) == ("arithmetic", version, "weak", "small")
    assert (exchange.status, exchange.http_status, exchange.error, exchange.stream) == ("ok", 200, None, False)
    assert (exchange.reply, exchange.finish_reason) == ("It is 4", "stop")
    assert exchange.usage == Usage(prompt_tokens=7, output_tokens=3)
    assert exchange.client_model == "gpt-4o-mini"
    assert json.loads(exchange.request) == asked(), "the record holds the client's request, before injection"
    assert upstream.bodies[0]["model"] == "tiny-1b"
    assert "Think." in json.dumps(upstream.bodies[0]["messages"])


async def test_a_stream_comes_back_under_the_exchange_s_id() -> None:
    """Every chunk has the exchange's id; the record is complete although nobody asked for usage."""
    async with served(four()) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
        exchange = await gateway.exchange(reply)
    chunks = streamed(reply.text)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["x-preceptor-rules"] == "none"
    assert {chunk["id"] for chunk in chunks} == {reply.headers["x-request-id"]} == {exchange.id}
    assert said(chunks) == "It is 4" == exchange.reply
    assert all(chunk["choices"] for chunk in chunks), "the usage chunk was for the gateway"
    assert exchange.usage == Usage(prompt_tokens=7, output_tokens=3)
    assert (exchange.status, exchange.stream, exchange.finish_reason) == ("ok", True, "stop")
    assert exchange.first_byte_ms is not None and 0 <= exchange.first_byte_ms <= exchange.latency_ms


async def test_a_client_that_asks_for_usage_in_a_stream_gets_it() -> None:
    """``stream_options.include_usage`` brings the last chunk without choices."""
    async with served(four()) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True, stream_options={"include_usage": True}))
    last = streamed(reply.text)[-1]
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)


async def test_each_exchange_is_recorded_once() -> None:
    """Requests and records are one to one."""
    async with served(four()) as gateway:
        for stream in (False, True) * 3:
            await gateway.client.post(PATH, json=asked(stream=stream))
        await asyncio.to_thread(gateway.services.writer.flush, 5)
        assert gateway.services.store.counts()["arithmetic"].exchanges == 6


async def test_unknown_fields_reach_the_upstream_as_they_came() -> None:
    """What the gateway does not know it does not touch: names, order, number formats and escapes."""
    extra = b'"store":true,"reasoning_effort":"low","seed":1e2,"big":123456789012345678901234567890,"u":"\\u00e9"'
    upstream = four()
    async with served(upstream) as gateway:
        await gateway.client.post(PATH, content=json.dumps(asked()).encode()[:-1] + b"," + extra + b"}")
    assert extra in upstream.raw_bodies[0]


async def test_unknown_models_pass_through_untouched() -> None:
    """With a default upstream the body goes up byte by byte, and belongs to no task."""
    upstream = four()
    body = b' {"messages": [ {"role":"user","content":"hi"} ] , "model":"other/model" } '
    async with served(upstream, PASS_THROUGH) as gateway:
        reply = await gateway.client.post(PATH, content=body)
        exchange = await gateway.exchange(reply)
    assert upstream.raw_bodies == [body]
    assert reply.headers["x-preceptor-arm"] == "direct"
    assert reply.headers["x-preceptor-task"] == "none"
    assert (exchange.task, exchange.model) == (None, "other/model")


@pytest.mark.parametrize("model", ["a\r\nset-cookie: x=1", "a\n\nb", "\u0000", "modèle", "模型"])
async def test_a_model_s_name_cannot_write_headers(model: str) -> None:
    """Whatever a client calls a model, it comes back as one header of printable characters."""
    async with served(four(), PASS_THROUGH) as gateway:
        reply = await gateway.client.post(PATH, json=asked(model))
    assert reply.status_code == 200
    assert "set-cookie" not in reply.headers
    assert reply.headers["x-preceptor-model"].isprintable()


WRONG: dict[str, tuple[bytes, int, str | None]] = {
    "empty": (b"", 400, None),
    "not JSON": (b"{", 400, None),
    "not an object": (b"[]", 400, None),
    "null": (b"null", 400, None),
    "not UTF-8": (b'{"model":"\xff\xfe"}', 400, None),
    "a lone surrogate": (b'{"model":"\\ud800","messages":[{}]}', 400, None),
    "deep nesting": (b'{"model":"small","messages":[{"role":' + b"[" * 20_000 + b"]" * 20_000 + b"}]}", 400, None),
    "deep nesting outside": (b"[" * 40_000, 400, None),
    "too many values": (b'{"model":"small","messages":[' + b"{}," * 100_000 + b"{}]}", 413, None),
    "too many fields": (b"{" + b'"a":0,' * 100_000 + b'"model":"small"}', 413, None),
    "no model": (b'{"messages":[{"role":"user","content":"x"}]}', 400, "model"),
    "an empty model": (b'{"model":"","messages":[{}]}', 400, "model"),
    "a model that is none": (b'{"model":7,"messages":[{}]}', 400, "model"),
    "no messages": (b'{"model":"small"}', 400, "messages"),
    "empty messages": (b'{"model":"small","messages":[]}', 400, "messages"),
    "messages that are none": (b'{"model":"small","messages":"hi"}', 400, "messages"),
    "a message that is none": (b'{"model":"small","messages":["hi"]}', 400, "messages[0]"),
    "stream as text": (b'{"model":"small","messages":[{}],"stream":"yes"}', 400, "stream"),
    "stream options as a list": (b'{"model":"small","messages":[{}],"stream_options":[]}', 400, "stream_options"),
    "an unknown model": (b'{"model":"gpt-9","messages":[{}]}', 404, "model"),
    "an unknown task": (b'{"model":"task:nothing","messages":[{}]}', 404, "model"),
    "too large": (b" " * 1001 * 1000, 413, None),
}


async def test_clients_are_not_told_the_arm_unless_the_operator_wants_it() -> None:
    """Whoever knew it could label the replies of a trial alone as wrong."""
    telling = {"x-preceptor-rules", "x-preceptor-arm", "x-preceptor-model"}
    for text, expected in ((CONFIG.replace("arm_headers = true", ""), set()), (CONFIG, telling)):
        async with served(four(), text) as gateway:
            replies = [await gateway.client.post(PATH, json=asked(stream=stream)) for stream in (False, True)]
            refused = await gateway.client.post(PATH, json=asked("small", n="x"))
        for reply in replies:
            assert reply.headers["x-preceptor-task"] == "arithmetic"
            assert telling & reply.headers.keys() == expected
        assert not telling & refused.headers.keys() or expected


async def test_all_bodies_together_have_a_bound() -> None:
    """What does not fit beside the requests under way is a 503; what ended, however it did, leaves its room."""
    text = CONFIG.replace("port = 0", "port = 0\nmax_bodies_mb = 0.5")
    large = asked(user="x" * 400_000)
    go_on, begun = asyncio.Event(), asyncio.Event()

    class Slow(FakeUpstream):
        async def send(self, call: Call) -> Any:
            begun.set()
            await go_on.wait()
            return await super().send(call)

    async with served(Slow(lambda body: "4"), text) as gateway:
        first = asyncio.create_task(gateway.client.post(PATH, json=large))
        await begun.wait()
        refused = await gateway.client.post(PATH, json=large)
        small = asyncio.create_task(gateway.client.post(PATH, json=asked()))
        go_on.set()
        assert (await first).status_code == (await small).status_code == 200
        assert (await gateway.client.post(PATH, json=large)).status_code == 200
        assert (await gateway.client.post("/v1/files", json=large)).status_code == 404
        assert gateway.services.bodies.held == 0
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_bodies")


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_request_is_refused_in_openai_s_shape(case: str) -> None:
    """Status, all four keys, and the parameter where there is one; the gateway serves on, over the same connection."""
    body, status, param = WRONG[case]
    upstream = four()
    async with served(upstream, CONFIG.replace("port = 0", "port = 0\nmax_body_mb = 1")) as gateway:
        reply = await gateway.client.post(PATH, content=body)
        after = await gateway.client.post(PATH, json=asked())
    assert (reply.status_code, after.status_code) == (status, 200)
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert reply.headers["content-type"] == "application/json"
    assert len(upstream.bodies) == 1, "a refused request costs nothing"


async def test_a_body_of_unknown_length_is_bounded_too() -> None:
    """A chunked request that exceeds the limit is refused when it does."""

    async def pieces() -> Any:
        for _ in range(30):
            yield b" " * 100_000

    async with served(four(), CONFIG.replace("port = 0", "port = 0\nmax_body_mb = 1")) as gateway:
        reply = await gateway.client.post(PATH, content=pieces())
        assert reply.status_code == 413
        assert (await gateway.client.post(PATH, json=asked())).status_code == 200


@pytest.mark.parametrize(
    ("metadata", "sent"), [({"task": "arithmetic"}, None), ({"task": "arithmetic", "run": "7"}, {"run": "7"})]
)
async def test_the_task_s_name_stays_here(metadata: dict[str, str], sent: dict[str, str] | None) -> None:
    """OpenAI refuses ``metadata`` on requests that are not stored; the client's other entries arrive."""
    upstream = four()
    async with served(upstream) as gateway:
        assert (await gateway.client.post(PATH, json=asked(metadata=metadata))).status_code == 200
        await gateway.client.post(PATH, json=asked("small", metadata={"task": "somebody's"}))
    assert upstream.bodies[0].get("metadata") == sent
    assert upstream.bodies[1]["metadata"] == {"task": "somebody's"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_only_post_is_served(method: str) -> None:
    """Any other method is 405 in OpenAI's shape."""
    async with served(four()) as gateway:
        reply = await gateway.client.request(method, PATH)
    assert (reply.status_code, reply.json()["error"]["type"]) == (405, "invalid_request_error")


async def test_a_task_can_be_named_outright() -> None:
    """By model, by header, by metadata; an unknown name in the header is the client's mistake."""
    async with served(four()) as gateway:
        named = [
            await gateway.client.post(PATH, json=asked("task:arithmetic")),
            await gateway.client.post(PATH, json=asked("small"), headers={"X-Preceptor-Task": "arithmetic"}),
            await gateway.client.post(PATH, json=asked("small", metadata={"task": "arithmetic"})),
        ]
        unknown = await gateway.client.post(PATH, json=asked("small"), headers={"x-preceptor-task": "nothing"})
    assert [reply.headers["x-preceptor-task"] for reply in named] == ["arithmetic"] * 3
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "task_not_found")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_upstream_s_refusal_is_handed_on(stream: bool) -> None:
    """Status, words and ``retry-after`` are the upstream's, the request id is ours, and it is recorded as an error."""
    refusal = json.dumps({"error": {"message": "slow down", "type": "rate_limit", "code": "limit"}}).encode()
    headers = {"retry-after": "7", "x-request-id": "theirs", "set-cookie": "a=b", "content-type": "application/json"}
    async with served(FakeUpstream(lambda body: FakeReply(429, [refusal], headers))) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=stream))
        exchange = await gateway.exchange(reply)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "7")
    assert reply.json()["error"] == {"message": "slow down", "type": "rate_limit", "param": None, "code": "limit"}
    assert reply.headers.get_list("x-request-id") == [exchange.id]
    assert "set-cookie" not in reply.headers
    assert (exchange.status, exchange.http_status) == ("error", 429)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_no_ok_is_sent_before_the_upstream_has_answered(stream: bool) -> None:
    """An upstream that fails before its first event gets the status of its failure, not an empty stream."""
    async with served(FakeUpstream(lambda body: UpstreamTimeout("too slow"))) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=stream))
        exchange = await gateway.exchange(reply)
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "upstream_timeout")
    assert (exchange.status, exchange.http_status, exchange.error) == ("error", 504, "upstream_timeout")


async def test_a_failure_in_the_middle_of_a_stream_is_an_error_event() -> None:
    """The client gets what there was, then one event that parses as an error, and no ``[DONE]``."""
    whole = events(["It ", "is "])
    upstream = FakeUpstream(lambda body: FakeReply(200, [*whole[:3], UpstreamBroken("cut")], EVENT_STREAM))
    async with served(upstream) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
        exchange = await gateway.exchange(reply)
    *chunks, last = [json.loads(block.removeprefix("data: ")) for block in reply.text.split("\n\n") if block]
    assert said(chunks) == "It is "
    assert last["error"] == {"message": "cut", "type": "upstream_error", "param": None, "code": "upstream_broken"}
    assert (exchange.status, exchange.error, exchange.reply) == ("error", "upstream_broken", "It is ")
    assert upstream.replies[0].closed


EVENT_STREAM = {"content-type": "text/event-stream"}


@pytest.mark.parametrize("kept", [0, 2], ids=["before the first event", "in the middle"])
async def test_a_stream_that_just_ends_is_no_success(kept: int) -> None:
    """An upstream that closes its stream politely but without a finish reason has failed."""
    upstream = FakeUpstream(lambda body: FakeReply(200, events(["It ", "is "])[:kept], EVENT_STREAM))
    async with served(upstream) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=True))
        exchange = await gateway.exchange(reply)
    assert "[DONE]" not in reply.text
    assert "upstream_broken" in reply.text
    assert reply.status_code == (200 if kept else 502)
    assert exchange.status == "error"


async def test_a_defect_of_the_gateway_is_a_500_that_tells_nothing() -> None:
    """An unforeseen exception becomes OpenAI's server error; its text, which may quote a prompt, stays inside."""
    async with served(FakeUpstream(lambda body: RuntimeError("a secret prompt"))) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
        exchange = await gateway.exchange(reply)
    assert (reply.status_code, reply.json()["error"]["type"]) == (500, "api_error")
    assert "secret" not in reply.text
    assert exchange.status == "error"


async def test_an_answer_says_why_it_was_given_without_rules() -> None:
    """A request with tools has no room for the scratchpad of its rules: a header and a count tell."""
    store = MemoryStore()
    version = store.publish(RuleSet(task="arithmetic", scratchpad="two_pass", rules=(Rule(text="Work."),))).version
    store.activate(Activation(task="arithmetic", version=version, created=0, by="test"))
    async with served(FakeUpstream(lambda body: "4"), store=store) as gateway:
        without = await gateway.client.post(PATH, json=asked(tools=[{"type": "function", "function": {"name": "f"}}]))
        taught = await gateway.client.post(PATH, json=asked())
        text = gateway.services.telemetry.text().decode()
    assert (without.headers["x-preceptor-rules"], without.headers["x-preceptor-why"]) == ("none", "tools")
    assert taught.headers["x-preceptor-rules"] == str(version) and "x-preceptor-why" not in taught.headers
    assert 'preceptor_rules_left_out_total{task="arithmetic",why="tools"} 1.0' in text


async def test_a_stream_ends_with_the_rules_it_began_with() -> None:
    """An activation in the store is followed by new requests within a second; a running one keeps its rule set."""
    store = MemoryStore()
    first = teach(store, "First.")
    go_on = asyncio.Event()
    upstream = Held(go_on)
    async with served(upstream, store=store) as gateway:
        async with gateway.client.stream("POST", PATH, json=asked(stream=True)) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            second = teach(store, "Second.")
            live = gateway.services.rules
            await gateway.until(lambda: live.current.revision == store.revision())
            go_on.set()
            assert [line async for line in lines if line][-1] == "data: [DONE]"
        old = await gateway.exchange(reply)
        new = await gateway.client.post(PATH, json=asked(stream=True))
    assert (reply.headers["x-preceptor-rules"], old.rules) == (str(first), first)
    assert new.headers["x-preceptor-rules"] == str(second)
    assert ["First." in json.dumps(body) for body in upstream.bodies] == [True, False]


class Held(FakeUpstream):
    """Streams its first event at once and the rest when told."""

    def __init__(self, go_on: asyncio.Event) -> None:
        super().__init__(lambda body: _HeldReply(go_on))


class _HeldReply(FakeReply):
    def __init__(self, go_on: asyncio.Event) -> None:
        super().__init__(200, events(["It ", "is ", "4"]), EVENT_STREAM)
        self._go_on = go_on

    async def chunks(self) -> Any:
        async for chunk in super().chunks():
            yield chunk
            await self._go_on.wait()


async def test_requests_pass_while_the_store_is_away() -> None:
    """Nothing on the request path waits for the database; what could not be written is written later."""
    store = MoodyStore()
    async with served(four(), store=store) as gateway:
        store.down = True
        replies = [await gateway.client.post(PATH, json=asked()) for _ in range(3)]
        store.down = False
        assert [reply.status_code for reply in replies] == [200] * 3
        for reply in replies:
            await gateway.exchange(reply)


async def test_the_client_s_key_and_headers_stay_here() -> None:
    """What a client sends as authorization, cookie or anything else never reaches an upstream."""
    seen: list[dict[str, str]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await fakes.read_request(reader))[1])
        body = completion("4")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    config = fakes.settings()
    async with loopback_server(handle) as url:
        upstream = HttpUpstream("mock", config.upstreams["mock"], base_url=url, api_key="sk-ours")
        async with served(upstream) as gateway:
            headers = {
                "Authorization": "Bearer sk-theirs",
                "Cookie": "a=b",
                "X-Api-Key": "k",
                "OpenAI-Organization": "o",
            }
            reply = await gateway.client.post(PATH, json=asked(), headers=headers)
    assert reply.status_code == 200
    own = {"host", "content-type", "user-agent", "content-length", "authorization", "accept-encoding"}
    assert set(seen[0]) == own
    assert seen[0]["authorization"] == "Bearer sk-ours"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["small", "gpt-4o-mini", "task:arithmetic", "nobody"]) | json_values,
        "messages": st.lists(
            st.fixed_dictionaries({}, optional={"role": st.sampled_from(["system", "user"]) | json_values,
                                                "content": json_values}), max_size=3,
        ) | json_values,
        "stream": st.booleans() | json_values,
        "stream_options": st.fixed_dictionaries({}, optional={"include_usage": json_values}) | json_values,
        "metadata": st.fixed_dictionaries({}, optional={"task": json_values}) | json_values,
        "max_tokens": json_values,
        "response_format": json_values,
    },
)  # fmt: skip
bodies = st.binary() | json_values.map(json.dumps).map(str.encode) | requests.map(json.dumps).map(str.encode)


@given(body=bodies, scratchpad=st.sampled_from(["none", "tags", "two_pass"]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_no_body_whatever_is_our_failure(body: bytes, scratchpad: Any) -> None:
    """Arbitrary bytes and JSON values are answered with 200 or refused with 4xx in OpenAI's shape; never with 500."""

    async def ask() -> tuple[int, bytes]:
        made = fakes.services(fakes.settings(), {"mock": four()})
        rules = RuleSet(task="arithmetic", version=1, scratchpad=scratchpad, rules=(Rule(text="Think."),))
        made.rules.swap({"arithmetic": TrafficSplit(live=rules)}, 1)
        return await call(Endpoint(made, open_chat, fields=allowed_fields.CHAT, prefix="chatcmpl-"), body)

    status, reply = asyncio.run(ask())
    if status != 200:
        assert 400 <= status < 500
        assert set(json.loads(reply)["error"]) == {"message", "type", "param", "code"}


async def call(app: Endpoint, body: bytes) -> tuple[int, bytes]:
    """One request to the application, without a socket."""
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        for message in messages:
            return message
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


async def test_a_request_that_is_stopped_is_told_so() -> None:
    """A gateway that stops answers what it could not finish with 503, which clients send again."""
    hanging = asyncio.Event()

    class Hanging(FakeUpstream):
        async def send(self, call: Any) -> FakeReply:
            hanging.set()
            await asyncio.sleep(60)
            raise AssertionError("it was not stopped")

    made = fakes.services(fakes.settings(), {"mock": Hanging(lambda body: "4")})
    asking = asyncio.create_task(
        call(Endpoint(made, open_chat, fields=allowed_fields.CHAT, prefix="chatcmpl-"), json.dumps(asked()).encode())
    )
    await hanging.wait()
    asking.cancel()
    status, body = await asking
    assert (status, json.loads(body)["error"]["code"]) == (503, "stopping")


async def test_many_requests_at_once_are_kept_apart() -> None:
    """A hundred concurrent requests, streamed and not: each gets its own reply."""
    upstream = FakeUpstream(lambda body: f"you said {body['messages'][-1]['content']}")
    async with served(upstream) as gateway:

        async def ask(number: int) -> httpx.Response:
            messages = [{"role": "user", "content": str(number)}]
            return await gateway.client.post(PATH, json=asked(messages=messages, stream=number % 2 == 1))

        replies = await asyncio.gather(*(ask(number) for number in range(100)))
        for number, reply in enumerate(replies):
            text = said(streamed(reply.text)) if number % 2 else reply.json()["choices"][0]["message"]["content"]
            assert text == f"you said {number}" == (await gateway.exchange(reply)).reply
    assert len({reply.headers["x-request-id"] for reply in replies}) == 100


def responded(**fields: Any) -> dict[str, Any]:
    """A response of the Responses API as an upstream sends it."""
    parts = [{"type": "output_text", "text": "It is 4"}]
    return {
        "id": "resp_up1", "object": "response", "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": parts}],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}, **fields,
    }  # fmt: skip


async def test_a_response_keeps_the_upstreams_id_and_is_recorded_under_it() -> None:
    """A later request refers to it, and so does feedback."""
    store = MemoryStore()
    version = teach(store, "Count twice.")
    body = json.dumps(responded()).encode()
    upstream = FakeUpstream(lambda asked: FakeReply(200, [body], {"content-type": "application/json"}))
    async with served(upstream, store=store) as gateway:
        reply = await gateway.client.post("/v1/responses", json={"model": "gpt-4o-mini", "input": "2 + 2?"})
        exchange = await gateway.recorded("resp_up1")
        said = {"id": "resp_up1", "correct": True}
        feedback = await gateway.client.post("/v1/feedback", json=said)
    assert (reply.content, reply.headers["x-request-id"]) == (body, "resp_up1")
    assert (exchange.task, exchange.rules, exchange.reply) == ("arithmetic", version, "It is 4")
    assert feedback.status_code == 200
    assert upstream.bodies[0]["instructions"].endswith("1. Count twice.")
    assert upstream.calls[0].path == "/responses"


async def test_a_streamed_response_ends_without_done() -> None:
    """Its typed events say how it ended."""
    sent: list[dict[str, Any]] = [
        {"type": "response.created", "response": responded(status="in_progress", output=[], usage=None)},
        {"type": "response.output_text.delta", "delta": "It is 4"},
        {"type": "response.completed", "response": responded()},
    ]
    stream = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in sent]
    upstream = FakeUpstream(lambda body: FakeReply(200, stream, {"content-type": "text/event-stream"}))
    async with served(upstream) as gateway:
        reply = await gateway.client.post("/v1/responses", json={"model": "small", "input": "hi", "stream": True})
        exchange = await gateway.recorded("resp_up1")
    assert reply.content == b"".join(stream)
    assert (reply.headers["x-request-id"], exchange.reply, exchange.usage.output_tokens) == ("resp_up1", "It is 4", 3)


async def test_a_legacy_completion_has_no_task() -> None:
    """It has no instructions into which rules could go; a configured model answers it."""
    body = b'{"id":"cmpl-up","choices":[{"index":0,"text":"4","finish_reason":"stop"}]}'
    upstream = FakeUpstream(lambda asked: FakeReply(200, [body], {"content-type": "application/json"}))
    async with served(upstream) as gateway:
        unknown = await gateway.client.post("/v1/completions", json={"model": "gpt-4o-mini", "prompt": "2 + 2?"})
        reply = await gateway.client.post("/v1/completions", json={"model": "small", "prompt": "2 + 2?"})
        exchange = await gateway.exchange(reply)
    assert unknown.status_code == 404
    assert reply.json()["id"].startswith("cmpl-")
    assert upstream.bodies == [{"model": "tiny-1b", "prompt": "2 + 2?"}]
    assert (exchange.task, exchange.reply) == (None, "4")


async def test_embeddings_are_handed_on_byte_for_byte() -> None:
    """They have no id of their own; the header names the exchange."""
    body = b'{"data":[{"embedding":[0.10, -1e-3]}], "usage":{"prompt_tokens":7}}'
    upstream = FakeUpstream(lambda asked: FakeReply(200, [body], {"content-type": "application/json"}))
    async with served(upstream) as gateway:
        reply = await gateway.client.post("/v1/embeddings", json={"model": "small", "input": ["hi"]})
        exchange = await gateway.exchange(reply)
    assert reply.content == body
    assert (exchange.usage.prompt_tokens, exchange.reply) == (7, "")


@pytest.mark.parametrize(
    ("header", "kept"), [("off", False), ("Off", False), ("false", False), ("on", True), ("", True)]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_can_keep_its_words_to_itself(header: str, kept: bool, stream: bool) -> None:
    """``x-preceptor-learn: off``: answered as ever, and of the exchange only the numbers are recorded."""
    async with served(four()) as gateway:
        reply = await gateway.client.post(PATH, json=asked(stream=stream), headers={"x-preceptor-learn": header})
        exchange = await gateway.exchange(reply)
    assert "4" in reply.text and exchange.usage.output_tokens == 3
    assert (exchange.reply is not None, exchange.request != b"{}") == (kept, kept)
    assert (exchange.cluster is not None, exchange.audit_rate) == (kept, 1.0 if kept else 0.0)


@pytest.mark.parametrize("values", [("on", "off"), ("off", "on"), ("", "false")])
async def test_one_objection_of_several_counts(values: tuple[str, ...]) -> None:
    """A proxy may have added a header before or behind the client's own."""
    async with served(four()) as gateway:
        headers = [("x-preceptor-learn", value) for value in values]
        exchange = await gateway.exchange(await gateway.client.post(PATH, json=asked(), headers=headers))
    assert (exchange.reply, exchange.request) == (None, b"{}")


async def test_of_a_huge_exchange_the_numbers_are_recorded() -> None:
    """Beyond ``server.max_record_mb``: answered as ever; feedback on it is refused with the reason."""
    ids: list[str] = []
    async with served(four(), CONFIG.replace("port = 0", "port = 0\nmax_record_mb = 0.1")) as gateway:
        for characters, kept in ((90_000, True), (110_000, False)):
            messages = [{"role": "user", "content": "x" * characters}]
            reply = await gateway.client.post(PATH, json=asked(messages=messages))
            exchange = await gateway.exchange(reply)
            assert "4" in reply.text and exchange.usage.output_tokens == 3
            assert (exchange.reply is not None, exchange.request != b"{}") == (kept, kept)
            ids.append(exchange.id)
        judged = await gateway.client.post("/v1/feedback", json={"id": ids[-1], "correct": True})
    assert judged.status_code == 409 and "max_record_mb" in judged.json()["error"]["message"]


async def test_a_record_says_what_it_cost_and_what_it_belongs_to() -> None:
    """The price is the configured one; the turns of a conversation share a cluster; the client's own name is kept."""
    text = CONFIG.replace('model = "tiny-1b"', 'model = "tiny-1b"\nprice = { input = 1.0, output = 10.0 }')
    first = [{"role": "user", "content": "What is 2 + 2?"}]
    later = [*first, {"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3 + 3?"}]
    async with served(four(), text) as gateway:
        named = {"x-client-request-id": "order-17"}
        replies = [
            await gateway.client.post(PATH, json=asked(messages=first), headers=named),
            await gateway.client.post(PATH, json=asked(messages=later)),
        ]
        turns = [await gateway.exchange(reply) for reply in replies]
        other = await gateway.exchange(await gateway.client.post(PATH, json=asked(model="large")))
    assert [turn.ref for turn in turns] == ["order-17", None]
    assert turns[0].cluster == turns[1].cluster is not None
    assert turns[0].cost_usd == pytest.approx((7 * 1.0 + 3 * 10.0) / 1e6)
    assert (other.cost_usd, other.audit_rate) == (None, 0.0)


LIMITS = {"content-type": "application/json", "x-ratelimit-remaining-requests": "7", "x-request-id": "up-1",
          "set-cookie": "a=b", "server": "x"}  # fmt: skip


def limited_upstream() -> FakeUpstream:
    return FakeUpstream(lambda body: FakeReply(200, [completion("4")], LIMITS))


async def test_listed_headers_pass_between_client_and_upstream() -> None:
    """Tracing and the like on the way there, rate limits on the way back; no key, no cookie, nothing else."""
    upstream = limited_upstream()
    sent = {"traceparent": "00-1-2-01", "authorization": "Bearer client", "cookie": "a=b", "x-other": "y"}
    async with served(upstream, CONFIG) as gateway:
        reply = await gateway.client.post(PATH, json=asked("small"), headers=sent)
    assert list(upstream.calls[0].headers) == [(b"traceparent", b"00-1-2-01")]
    assert reply.headers["x-ratelimit-remaining-requests"] == "7"
    assert reply.headers["x-upstream-request-id"] == "up-1"
    assert reply.headers["x-request-id"] == reply.json()["id"]
    assert not {"set-cookie", "server"} & set(reply.headers)


@pytest.mark.parametrize("told", [True, False])
async def test_a_task_s_clients_cannot_tell_the_model_by_its_headers(told: bool) -> None:
    """Rate limits differ by upstream: whoever sees them knows the arm, and could label by it."""
    text = CONFIG if told else CONFIG.replace("arm_headers = true", "arm_headers = false")
    async with served(limited_upstream(), text) as gateway:
        reply = await gateway.client.post(PATH, json=asked())
    assert ("x-ratelimit-remaining-requests" in reply.headers) is told
    assert ("x-upstream-request-id" in reply.headers) is told


@pytest.mark.parametrize(
    "name", ["authorization", "x-api-key", "cookie", "set-cookie", "content-length", "Host", "x-preceptor-arm"]
)
@pytest.mark.parametrize("field", ["request_headers", "reply_headers"])
def test_no_secret_can_be_listed(name: str, field: str) -> None:
    """Nor a header of the connection."""
    with pytest.raises(ConfigurationError, match=field):
        fakes.settings(CONFIG.replace("port = 0", f'port = 0\n{field} = ["{name}"]'))

"""What is sent upstream for a plan, and that the caller receives the reply and nothing else, in each form."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.completion import Completions, CompletionTrace
from gateway.domain import Rule, RuleSet, Scratchpad, Usage
from gateway.errors import (
    PreceptorError,
    UpstreamBroken,
    UpstreamGarbage,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.formats.upstream_error import refusal_body
from gateway.forms import FORMS, NONE, Form, Guidance
from gateway.forms.two_pass import WORKING_TOKENS
from gateway.routing.inject import compile_rules
from gateway.routing.route import RoutePlan
from gateway.upstream.base import Call
from tests.fakes import Answer, FakeReply, FakeUpstream, completion, events

SYSTEM = {"role": "system", "content": "Réply with only the number."}
USER = {"role": "user", "content": "What is 2 + 2?"}
RULES = (Rule(text="Work in steps."),)
SECRET = "twoandtwo"
ONE_PASS = Usage(prompt_tokens=7, output_tokens=3)
EVENT_STREAM = {"content-type": "text/event-stream"}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
EVERY_FORM = pytest.mark.parametrize("form", ["none", "two_pass", "tags"])


def request(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt", "messages": [SYSTEM, USER], **fields}, ensure_ascii=False).encode()


def plan(
    body: bytes, form: Scratchpad | None = None, rules: Sequence[Rule] = RULES, upstream_model: str | None = "tiny-1b"
) -> RoutePlan:
    """A plan with rules in a form, or for ``None`` without a rule set."""
    injection = compile_rules(RuleSet(task="sums", version=1, scratchpad=form, rules=tuple(rules))) if form else None
    envelope = open_chat(body)
    return RoutePlan(
        envelope=envelope, task="sums", arm="weak", model="small", upstream="mock",
        upstream_model=upstream_model, injection=injection, form=_form(form or "none", envelope),
        guidance=injection.guidance(envelope, None) if injection else Guidance(),
    )  # fmt: skip


def _form(name: Scratchpad, request: Conversation) -> Form:
    form = FORMS[name]
    return form.for_request(request) if form.obstacle(request) is None else NONE


class Outcome:
    """What a caller received, and what is known of the exchange."""

    def __init__(self, trace: CompletionTrace, events: Sequence[bytes]) -> None:
        self.trace = trace
        self.events = events
        self.objects: list[dict[str, Any]] = [json.loads(event[6:]) for event in events if b"[DONE]" not in event]

    @property
    def text(self) -> str:
        choices = [choice for item in self.objects for choice in item["choices"]]
        return "".join((choice.get("delta") or choice.get("message"))["content"] or "" for choice in choices
                       if "content" in (choice.get("delta") or choice.get("message") or {}))  # fmt: skip

    @property
    def usages(self) -> list[dict[str, Any]]:
        return [item["usage"] for item in self.objects if item.get("usage")]


async def ask(upstream: FakeUpstream, wanted: RoutePlan) -> Outcome:
    """Have a plan answered, streamed where the request says so."""
    completions = Completions({"mock": upstream}, clock=lambda: 0.0)
    trace = CompletionTrace()
    if wanted.envelope.stream:
        return Outcome(trace, [event async for event in completions.stream(wanted, "ex-1", trace)])
    return Outcome(trace, [b"data: " + await completions.whole(wanted, "ex-1", trace)])


def two_passes(body: dict[str, Any]) -> Answer:
    """A model that works when it is asked for the working, and replies when it finds one."""
    return "4" if "Working:" in body["messages"][-1]["content"] else f"{SECRET} four"


def tagging(body: dict[str, Any]) -> Answer:
    """A model that works between tags."""
    return f"{OPEN_TAG}\n{SECRET} four\n{CLOSE_TAG}\n\n4"


def forgetful(body: dict[str, Any]) -> Answer:
    """A model that is asked for tags and never closes them."""
    return "4" if "Working:" in body["messages"][-1]["content"] else f"{OPEN_TAG}\n{SECRET} four"


def empty_handed(body: dict[str, Any]) -> Answer:
    """A model that closes its tags and stops."""
    return "4" if "Working:" in body["messages"][-1]["content"] else f"{OPEN_TAG}{SECRET} four{CLOSE_TAG}\n"


def always(answer: Answer) -> Callable[[dict[str, Any]], Answer]:
    return lambda body: answer


SCRIPTED_FORMS = pytest.mark.parametrize(
    ("form", "script", "passes"),
    [
        ("none", always("4"), 1),
        ("two_pass", two_passes, 2),
        ("tags", tagging, 1),
        ("tags", forgetful, 2),
        ("tags", empty_handed, 2),
    ],
    ids=["none", "two_pass", "tags", "tags not closed", "tags without a reply"],
)


@STREAMED
@SCRIPTED_FORMS
async def test_the_caller_receives_the_reply_and_nothing_else(
    form: Scratchpad, script: Callable[[dict[str, Any]], Answer], passes: int, stream: bool
) -> None:
    """No word of the working reaches the caller or the record; each event and the reply carry the exchange's id."""
    upstream = FakeUpstream(script)
    outcome = await ask(upstream, plan(request(stream=stream), form))
    assert outcome.text == outcome.trace.text == "4"
    assert SECRET not in b"".join(outcome.events).decode()
    assert {item["id"] for item in outcome.objects} == {"ex-1"}
    assert b"upstream-1" not in b"".join(outcome.events)
    assert len(upstream.bodies) == passes
    assert outcome.trace.finish_reason == "stop"
    assert all(reply.closed for reply in upstream.replies)


@STREAMED
@SCRIPTED_FORMS
async def test_usage_counts_every_pass(
    form: Scratchpad, script: Callable[[dict[str, Any]], Answer], passes: int, stream: bool
) -> None:
    """What the caller is told is what the exchange cost."""
    body = request(stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    outcome = await ask(FakeUpstream(script), plan(body, form))
    assert outcome.trace.usage == Usage(prompt_tokens=7 * passes, output_tokens=3 * passes)
    assert outcome.usages == [
        {"prompt_tokens": 7 * passes, "completion_tokens": 3 * passes, "total_tokens": 10 * passes}
    ]


@SCRIPTED_FORMS
async def test_usage_is_streamed_only_where_it_was_asked_for(
    form: Scratchpad, script: Callable[[dict[str, Any]], Answer], passes: int
) -> None:
    """The gateway asks for it always, for its own books, and keeps the chunk to itself."""
    upstream = FakeUpstream(script)
    outcome = await ask(upstream, plan(request(stream=True, stream_options={"x": 1}), form))
    assert outcome.usages == []
    assert outcome.trace.usage.output_tokens == 3 * passes
    assert all(item["choices"] for item in outcome.objects)
    streamed = [body for body in upstream.bodies if body.get("stream")]
    assert [body["stream_options"] for body in streamed] == [{"x": 1, "include_usage": True}] * len(streamed)


@SCRIPTED_FORMS
async def test_a_stream_ends_once(form: Scratchpad, script: Callable[[dict[str, Any]], Answer], passes: int) -> None:
    """One finish reason and one ``[DONE]``, last, however many passes there were."""
    outcome = await ask(FakeUpstream(script), plan(request(stream=True), form))
    finished = [choice["finish_reason"] for item in outcome.objects for choice in item["choices"]]
    assert finished.count("stop") == 1 and finished[-1] == "stop"
    assert [event for event in outcome.events if b"[DONE]" in event] == [outcome.events[-1]] == [b"data: [DONE]\n\n"]


@STREAMED
async def test_rules_are_injected_behind_the_callers_system_text(stream: bool) -> None:
    """The body names the upstream's model; everything else is the caller's."""
    upstream = FakeUpstream(always("4"))
    await ask(upstream, plan(request(stream=stream, temperature=0.0, seed=1), "none"))
    (body,) = upstream.bodies
    system, user = body["messages"]
    assert (body["model"], body["temperature"], body["seed"], user) == ("tiny-1b", 0.0, 1, USER)
    assert system["content"].startswith(SYSTEM["content"] + "\n\nRules.")


@STREAMED
async def test_a_first_pass_is_asked_with_the_rules_and_never_streamed(stream: bool) -> None:
    """The question stays as it is; the working has a bound of its own."""
    upstream = FakeUpstream(two_passes)
    await ask(upstream, plan(request(stream=stream, max_tokens=2), "two_pass"))
    first = upstream.bodies[0]
    assert "Work in steps." in first["messages"][0]["content"]
    assert first["messages"][1] == USER
    assert "stream" not in first and first["max_tokens"] == WORKING_TOKENS


@STREAMED
@pytest.mark.parametrize(("form", "script"), [("two_pass", two_passes), ("tags", forgetful)])
async def test_a_second_pass_is_the_callers_own_prompt(
    form: Scratchpad, script: Callable[[dict[str, Any]], Answer], stream: bool
) -> None:
    """The system prompt arrives byte for byte, without rules; the working stands behind the question."""
    upstream = FakeUpstream(script)
    await ask(upstream, plan(request(stream=stream, max_tokens=4096), form))
    second = upstream.bodies[1]
    assert json.dumps(SYSTEM, ensure_ascii=False).encode() in upstream.raw_bodies[1]
    assert second["messages"] == [SYSTEM, {**USER, "content": USER["content"] + f"\n\nWorking:\n{SECRET} four"}]
    assert second["max_tokens"] == 4096 and second.get("stream", False) is stream


@STREAMED
async def test_tags_keep_the_callers_limit(stream: bool) -> None:
    """It bounds the whole answer, so that a reply is never longer than the caller allows."""
    upstream = FakeUpstream(tagging)
    await ask(upstream, plan(request(stream=stream, max_tokens=4096), "tags"))
    (body,) = upstream.bodies
    assert body["max_tokens"] == 4096
    assert CLOSE_TAG in body["messages"][0]["content"]


@STREAMED
async def test_a_small_limit_is_kept_for_the_reply(stream: bool) -> None:
    """The working has a call and a limit of its own."""
    upstream = FakeUpstream(two_passes)
    outcome = await ask(upstream, plan(request(stream=stream, max_tokens=2), "tags"))
    assert [body["max_tokens"] for body in upstream.bodies] == [WORKING_TOKENS, 2]
    assert outcome.text == "4"


@STREAMED
async def test_a_short_answer_without_tags_is_the_reply(stream: bool) -> None:
    """A model that needs no working is not asked for the same answer twice."""
    upstream = FakeUpstream(always("4 of them"))
    outcome = await ask(upstream, plan(request(stream=stream), "tags"))
    assert outcome.text == outcome.trace.text == "4 of them" and len(upstream.bodies) == 1
    assert {item["id"] for item in outcome.objects} == {"ex-1"}


@STREAMED
@EVERY_FORM
async def test_a_request_with_tools_gets_rules_and_no_scratchpad(form: Scratchpad, stream: bool) -> None:
    """Tool calls stay what the upstream made of them."""
    upstream = FakeUpstream(always("4"))
    tools = [{"type": "function", "function": {"name": "f"}}]
    outcome = await ask(upstream, plan(request(stream=stream, tools=tools), form))
    (body,) = upstream.bodies
    assert outcome.text == "4" and body["tools"] == tools
    assert "Work in steps." in body["messages"][0]["content"] and body["messages"][1] == USER


@STREAMED
async def test_without_a_rule_set_only_the_model_changes(stream: bool) -> None:
    """The messages keep their bytes."""
    upstream = FakeUpstream(always("4"))
    body = b'{"model":"gpt", "messages":[ {"role":"user","content":"\\u00e9 1.0"} ], "x": 1.0,"stream":%s}'
    await ask(upstream, plan(body % (b"true" if stream else b"false")))
    assert b'"messages":[ {"role":"user","content":"\\u00e9 1.0"} ],"x":1.0' in upstream.raw_bodies[0]
    assert upstream.bodies[0]["model"] == "tiny-1b"


@STREAMED
async def test_a_request_that_passes_through_is_untouched(stream: bool) -> None:
    """An unknown model's body arrives byte for byte, and its usage chunk is the client's own business."""
    upstream = FakeUpstream(always("4"))
    body = b' {"x" : 1.0,"messages":[ {"role":"user","content":"hi"} ],"model":"gpt-9", "stream":%s} '
    body %= b"true" if stream else b"false"
    outcome = await ask(upstream, plan(body, upstream_model=None))
    assert upstream.raw_bodies == [body]
    assert outcome.text == "4" and {item["id"] for item in outcome.objects} == {"ex-1"}
    assert len(outcome.usages) == 1 and outcome.trace.usage == ONE_PASS


async def test_a_whole_reply_keeps_what_the_upstream_says_beside_it() -> None:
    """Fields that nobody reads reach the caller."""
    answer = FakeReply(200, [completion("4", system_fingerprint="fp", extra=1.5)], {})
    outcome = await ask(FakeUpstream(always(answer)), plan(request(), "none"))
    assert outcome.objects == [{**json.loads(completion("4")), "id": "ex-1", "system_fingerprint": "fp", "extra": 1.5}]


@given(st.data())
async def test_a_streamed_reply_does_not_depend_on_how_it_was_split(data: st.DataObject) -> None:
    """Pieces of the text and pieces of the wire may end anywhere, in tags and in characters."""
    text = f"{OPEN_TAG}{SECRET} fóur{CLOSE_TAG} 4 äpples"
    text_cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    wire = b"".join(events([text[a:b] for a, b in zip([0, *text_cuts], [*text_cuts, len(text)], strict=True)]))
    wire_cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    chunks = [wire[a:b] for a, b in zip([0, *wire_cuts], [*wire_cuts, len(wire)], strict=True)]
    upstream = FakeUpstream(always(FakeReply(200, chunks, EVENT_STREAM)))
    outcome = await ask(upstream, plan(request(stream=True), "tags"))
    assert outcome.text == "4 äpples"
    assert SECRET not in b"".join(outcome.events).decode()


async def test_comments_and_empty_events_are_no_part_of_a_reply() -> None:
    """Keep-alives of an upstream neither break a stream nor reach the caller."""
    chunks = [b": keep-alive\n\n", b"data: \n\n", *events(["4"])]
    outcome = await ask(FakeUpstream(always(FakeReply(200, chunks, EVENT_STREAM))), plan(request(stream=True), "none"))
    assert outcome.text == "4"


@pytest.mark.parametrize("dropped", [1, 2], ids=["no [DONE]", "no usage either"])
async def test_a_stream_that_reached_its_finish_reason_is_complete(dropped: int) -> None:
    """``[DONE]`` is a courtesy that some upstreams leave out; the caller gets it all the same."""
    chunks = events(["4"])[:-dropped]
    outcome = await ask(FakeUpstream(always(FakeReply(200, chunks, EVENT_STREAM))), plan(request(stream=True), "none"))
    assert outcome.text == "4" and outcome.events[-1] == b"data: [DONE]\n\n"


async def received(upstream: FakeUpstream, wanted: RoutePlan) -> tuple[bytes, PreceptorError]:
    """The bytes of a stream up to the error that ends it."""
    completions = Completions({"mock": upstream}, clock=lambda: 0.0)
    seen: list[bytes] = []
    try:
        async for event in completions.stream(wanted, "ex-1", CompletionTrace()):
            seen.append(event)  # noqa: PERF401  what was seen before the error counts
    except PreceptorError as error:
        return b"".join(seen), error
    raise AssertionError("the stream ended as if it were complete")


@EVERY_FORM
@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ([], UpstreamBroken),
        ([UpstreamBroken("reset")], UpstreamBroken),
        ([UpstreamTimeout("idle")], UpstreamTimeout),
        ([b"data: {broken\n\n"], UpstreamGarbage),
        ([b'data: {"error":{"message":"overloaded"}}\n\n', b"data: [DONE]\n\n"], UpstreamBroken),
    ],
    ids=["ends early", "breaks", "stalls", "turns to garbage", "reports an error"],
)
async def test_a_broken_stream_never_looks_complete(
    form: Scratchpad, ending: list[bytes | Exception], expected: type[PreceptorError]
) -> None:
    """It raises, yields no ``[DONE]`` and no finish reason, and gives its connection back."""

    def script(body: dict[str, Any]) -> Answer:
        if not body.get("stream"):
            return SECRET
        return FakeReply(200, [*events([f"{CLOSE_TAG}4", "2"])[:-3], *ending], EVENT_STREAM)

    upstream = FakeUpstream(script)
    seen, error = await received(upstream, plan(request(stream=True), form))
    assert type(error) is expected
    assert b"[DONE]" not in seen and b'"stop"' not in seen
    assert b"4" in seen
    assert all(reply.closed for reply in upstream.replies)


async def test_a_stream_is_given_back_when_the_caller_leaves() -> None:
    """Closing the events closes the upstream's reply before anything else runs: nothing is generated for nobody."""
    upstream = FakeUpstream(always("a b c"))
    completions = Completions({"mock": upstream}, clock=lambda: 0.0)
    running = completions.stream(plan(request(stream=True), "none"), "ex-1", CompletionTrace())
    await anext(running)
    await running.aclose()
    assert [reply.closed for reply in upstream.replies] == [True]


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"choices":', b"{}", b"[]", b'"ok"'])
@EVERY_FORM
async def test_garbage_is_said_to_be_the_upstreams(form: Scratchpad, body: bytes) -> None:
    """A 200 with anything but a completion."""
    answer = FakeReply(200, [body], {})
    with pytest.raises(UpstreamGarbage):
        await ask(FakeUpstream(always(answer)), plan(request(), form))
    assert answer.closed


@STREAMED
async def test_a_redirection_is_garbage(stream: bool) -> None:
    """Redirections are never followed: the message says where to look."""
    with pytest.raises(UpstreamGarbage, match="base_url"):
        await ask(FakeUpstream(always(FakeReply(307, [], {"location": "/x"}))), plan(request(stream=stream)))


@STREAMED
@EVERY_FORM
async def test_a_refusal_is_handed_on(form: Scratchpad, stream: bool) -> None:
    """Status, message and the headers that clients act on; no other header."""
    said = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}'
    headers = {"retry-after": "3", "x-should-retry": "true", "set-cookie": "a=b", "server": "x"}
    answer = FakeReply(429, [said], headers)
    with pytest.raises(UpstreamRefused) as caught:
        await ask(FakeUpstream(always(answer)), plan(request(stream=stream), form))
    assert caught.value.status == 429
    assert caught.value.headers == {"retry-after": "3", "x-should-retry": "true"}
    assert json.loads(caught.value.body()) == {
        "error": {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    }
    assert answer.closed


@STREAMED
@EVERY_FORM
async def test_an_upstream_that_cannot_be_reached_is_said_so(form: Scratchpad, stream: bool) -> None:
    """What the wire raised arrives as it is."""
    upstream = FakeUpstream(always(UpstreamUnreachable("refused")))
    with pytest.raises(UpstreamUnreachable, match="refused"):
        await ask(upstream, plan(request(stream=stream), form))


ERRORS = st.one_of(
    st.binary(),
    st.sampled_from([b"<html>502</html>", b'{"error":"model not loaded"}', b'{"error":null}',
                     b'{"error":{"message":3}}', b'{"error":{"message":"m","x":1e999}}',
                     b"[" * 10**5, b'{"detail":"Not Found"}', b"[]", b"\xff"]),
    st.dictionaries(st.sampled_from(["message", "type", "param", "code", "x"]),
                    st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])))
    .map(lambda error: json.dumps({"error": error}).encode()),
)  # fmt: skip


@given(ERRORS, st.integers(400, 599))
def test_every_refusal_has_openais_shape(payload: bytes, status: int) -> None:
    """All four keys and a message, whatever the upstream sent."""
    error = json.loads(refusal_body(payload, status, "mock"))["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert isinstance(error["message"], str)


@pytest.mark.parametrize(
    ("payload", "status", "message", "type_"),
    [
        (b'{"error":"model not loaded"}', 404, "model not loaded", "invalid_request_error"),
        (b'{"error":{"message":"m","type":"t"}}', 400, "m", "t"),
        (b"<html>", 502, "upstream 'mock' answered with status 502", "upstream_error"),
        (b"", 404, "upstream 'mock' answered with status 404", "invalid_request_error"),
        (b'{"detail":"Not Found"}', 404, "Not Found", "invalid_request_error"),
        (b'{"object":"error","message":"too long","type":"BadRequestError"}', 400, "too long", "BadRequestError"),
        (b'[{"error":{"message":"quota"}}]', 429, "quota", "invalid_request_error"),
        (b"maximum context length is 8192", 400, "maximum context length is 8192", "invalid_request_error"),
    ],
)
def test_what_an_upstream_said_is_kept_where_it_said_something(
    payload: bytes, status: int, message: str, type_: str
) -> None:
    """OpenAI's shape and Ollama's plain string; anything else is described."""
    assert json.loads(refusal_body(payload, status, "mock"))["error"] == {
        "message": message, "type": type_, "param": None, "code": None
    }  # fmt: skip


@pytest.mark.parametrize(("code", "status"), [(429, 429), ("rate_limit", 502), (200, 502)])
async def test_an_error_under_a_good_status_is_a_refusal(code: object, status: int) -> None:
    """With its words, and its own code as the status where it has one."""
    body = json.dumps({"error": {"message": "slow down", "code": code}}).encode()
    with pytest.raises(UpstreamRefused) as caught:
        await ask(FakeUpstream(always(FakeReply(200, [body], {}))), plan(request(), "none"))
    assert caught.value.status == status
    assert json.loads(caught.value.body())["error"]["message"] == "slow down"


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/x-ndjson"}])
async def test_a_stream_is_known_by_its_bytes_where_its_type_does_not_tell(headers: dict[str, str]) -> None:
    """The client's own SDK does not look at the type."""
    outcome = await ask(
        FakeUpstream(always(FakeReply(200, events(["4"]), headers))), plan(request(stream=True), "none")
    )
    assert outcome.text == "4"


@pytest.mark.parametrize("form", ["none", "tags"])
async def test_a_server_that_does_not_stream_is_streamed_for(form: Scratchpad) -> None:
    """Its whole reply comes as events, through the same form."""
    said = completion(f"{OPEN_TAG}{SECRET}{CLOSE_TAG}4" if form == "tags" else "4")
    outcome = await ask(
        FakeUpstream(always(FakeReply(200, [said[:20], said[20:]], {}))), plan(request(stream=True), form)
    )
    assert (outcome.text, outcome.trace.usage, outcome.trace.finish_reason) == ("4", ONE_PASS, "stop")


async def test_what_is_neither_a_stream_nor_a_reply_is_garbage() -> None:
    """An error page, and an object that is no reply."""
    for body, words in ((b"<html>", "did not answer with a stream"), (b"{}", "not a chat completion")):
        with pytest.raises(UpstreamGarbage, match=words):
            await ask(FakeUpstream(always(FakeReply(200, [body], {}))), plan(request(stream=True), "none"))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_quoted(status: int) -> None:
    """The upstream refused the gateway's key, not the client's: its words may quote the key and stay here."""
    payload = b'{"error":{"message":"Incorrect API key provided: sk-1234","code":"invalid_api_key"}}'
    body = refusal_body(payload, status, "mock")
    assert b"sk-1234" not in body
    assert b"upstreams.mock.api_key" in body and json.loads(body)["error"]["code"] == "upstream_key_refused"


async def test_the_time_spent_on_upstreams_is_counted() -> None:
    """Overhead is what is left of the time to the first byte: sending and reading both count, in every pass."""
    ticks = iter(range(100))
    completions = Completions({"mock": FakeUpstream(two_passes)}, clock=lambda: float(next(ticks)))
    trace = CompletionTrace()
    await completions.whole(plan(request(), "two_pass"), "ex-1", trace)
    assert trace.waited_s == 4.0


async def test_a_rule_set_without_rules_still_gives_room() -> None:
    """The model is asked to go step by step."""
    upstream = FakeUpstream(two_passes)
    outcome = await ask(upstream, plan(request(), "two_pass", rules=()))
    assert outcome.text == "4" and "step by step" in upstream.bodies[0]["messages"][0]["content"]


class Addressed(FakeUpstream):
    """Remembers the calls themselves."""

    def __init__(self, script: Callable[[dict[str, Any]], Answer]) -> None:
        super().__init__(script)
        self.calls: list[Call] = []

    async def send(self, call: Call) -> FakeReply:
        self.calls.append(call)
        return await super().send(call)


@STREAMED
@pytest.mark.parametrize(("upstream_model", "expected"), [("tiny-1b", "tiny-1b"), (None, "small")])
async def test_a_call_names_its_model(upstream_model: str | None, expected: str, stream: bool) -> None:
    """An embedded upstream picks its model by the call: the upstream's own name, or the client's passing through."""
    upstream = Addressed(two_passes)
    await ask(upstream, plan(request(stream=stream), "two_pass" if upstream_model else None, (), upstream_model))
    assert {call.model for call in upstream.calls} == {expected}
    assert [call.stream for call in upstream.calls][-1] is stream


def with_fallback(body: bytes) -> RoutePlan:
    """A plan whose model is at ``mock`` and which falls back to another one at ``other``."""
    first = plan(body, "none")
    second = msgspec.structs.replace(first, upstream="other", model="large", arm="fallback", injection=None)
    return msgspec.structs.replace(first, fallbacks=(second,))


async def ask_either(first: Answer, second: Answer, *, stream: bool) -> tuple[list[bytes], CompletionTrace]:
    upstreams = {"mock": FakeUpstream(always(first)), "other": FakeUpstream(always(second))}
    completions = Completions(upstreams, clock=lambda: 0.0)
    trace = CompletionTrace()
    wanted = with_fallback(request(stream=stream))
    if stream:
        return [event async for event in completions.stream(wanted, "ex-1", trace)], trace
    return [await completions.whole(wanted, "ex-1", trace)], trace


REFUSING = {"content-type": "application/json"}


@STREAMED
@pytest.mark.parametrize(
    "trouble", [UpstreamUnreachable("gone"), FakeReply(429, [b"{}"], REFUSING), FakeReply(503, [b""], REFUSING)]
)
async def test_a_fallback_answers_when_the_first_model_cannot(trouble: Answer, stream: bool) -> None:
    """The reply, and the record of who gave it, are the fallback's."""
    out, trace = await ask_either(trouble, "4", stream=stream)
    assert trace.text == "4" and b"ex-1" in out[0]
    assert trace.plan is not None and (trace.plan.arm, trace.plan.model) == ("fallback", "large")


@STREAMED
async def test_a_request_that_is_wrong_itself_does_not_fall_back(stream: bool) -> None:
    """Another model would refuse it too, or worse: answer it."""
    with pytest.raises(UpstreamRefused):
        await ask_either(FakeReply(400, [b"{}"], REFUSING), "4", stream=stream)


@STREAMED
async def test_the_last_trouble_is_the_callers(stream: bool) -> None:
    """When nobody answers, the error is that of the last one asked."""
    with pytest.raises(UpstreamTimeout):
        await ask_either(UpstreamUnreachable("gone"), UpstreamTimeout("late"), stream=stream)


async def test_a_reply_that_has_begun_does_not_fall_back() -> None:
    """Two models' words would be mixed in one reply."""
    begun = FakeReply(200, [events(["It"])[0], events(["It"])[1], UpstreamBroken("cut")], EVENT_STREAM)
    with pytest.raises(UpstreamBroken):
        await ask_either(begun, "4", stream=True)


class Slow(FakeReply):
    """A body whose end does not come for a while after its last event."""

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in super().chunks():
            yield chunk
        await asyncio.sleep(60)


async def test_an_end_that_does_not_come_is_not_waited_for() -> None:
    """What was said is complete with ``[DONE]``; the rest of the body only frees the connection."""
    outcome = await ask(FakeUpstream(always(Slow(200, events(["4"]), EVENT_STREAM))), plan(request(stream=True)))
    assert outcome.text == "4" and outcome.events[-1] == b"data: [DONE]\n\n"

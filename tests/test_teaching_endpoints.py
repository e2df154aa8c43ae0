"""Worksheets and examples on every endpoint with a chat, streamed and not: the caller's contract stays the caller's."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from gateway.domain import RuleSet
from gateway.store.memory import MemoryStore
from gateway.teaching import Example
from tests.fakes import Answer, FakeReply, FakeUpstream, Served, completion, served
from tests.test_teaching_served import FORM, SHEET, taught

EXAMPLES = (Example(question="Lamp, 3 days", answer="ACCEPTED", shared=True),)
ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"],
          "additionalProperties": False}  # fmt: skip
ANSWERING = msgspec.structs.replace(SHEET, decide="answer")
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
EVERYWHERE = [
    pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES]),
    pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"]),
]
pytestmark = EVERYWHERE


def request(path: str, stream: bool, **more: Any) -> dict[str, Any]:
    """A question in the form of an endpoint."""
    body: dict[str, Any] = {"model": "gpt-4o-mini", "stream": stream}
    if path == RESPONSES:
        return {**body, "input": "May I return it?", "store": False, **more}
    limit = {"max_tokens": 200} if path == MESSAGES else {}
    return {**body, "messages": [{"role": "user", "content": "May I return it?"}], **limit, **more}


def contract(path: str) -> dict[str, Any]:
    """The caller's own response format."""
    if path == RESPONSES:
        return {"text": {"format": {"type": "json_schema", "name": "reply", "strict": True, "schema": ANSWER}}}
    if path == MESSAGES:
        return {"output_config": {"format": {"type": "json_schema", "schema": ANSWER}}}
    shape = {"name": "reply", "strict": True, "schema": ANSWER}
    return {"response_format": {"type": "json_schema", "json_schema": shape}}


def tool(path: str) -> dict[str, Any]:
    """A tool of the caller."""
    schema = {"type": "object", "properties": {"desk": {"type": "string"}}}
    if path == MESSAGES:
        return {"tools": [{"name": "send", "input_schema": schema}]}
    function = {"name": "send", "parameters": schema}
    inner = {"type": "function", **function} if path == RESPONSES else {"type": "function", "function": function}
    return {"tools": [inner]}


def schema_of(body: dict[str, Any]) -> Any:
    """The schema that an upstream was asked for."""
    if "input" in body:
        return body.get("text", {}).get("format", {}).get("schema")
    return body.get("response_format", {}).get("json_schema", {}).get("schema")


def clerk(filled: str, reply: str = "Refused.", *, calls: bool = False) -> FakeUpstream:
    """A model that fills in the form, and words the decision or calls the caller's tool."""

    def answer(body: dict[str, Any]) -> Answer:
        if FORM in json.dumps(body) and "right answer is" not in json.dumps(body):
            return response(body, filled) if "input" in body else filled
        if "input" in body:
            return response(body, "" if calls else reply, calls=calls)
        return chat_call(body) if calls else reply

    return FakeUpstream(answer)


def response(body: dict[str, Any], text: str, *, calls: bool = False) -> FakeReply:
    """A response of the Responses API, streamed if it was asked for so."""
    output: list[dict[str, Any]] = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    if calls:
        output = [{"type": "function_call", "call_id": "c1", "name": "send", "arguments": '{"desk": "refusals"}'}]
    made = {"id": "resp_up", "object": "response", "status": "completed", "output": output,
            "usage": {"input_tokens": 7, "output_tokens": 3}}  # fmt: skip
    if not body.get("stream"):
        return FakeReply(200, [json.dumps(made).encode()], {"content-type": "application/json"})
    sent: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**made, "status": "in_progress", "output": [], "usage": None}},
        *([] if calls else [{"type": "response.output_text.delta", "delta": text}]),
        {"type": "response.completed", "response": made},
    ]
    return streamed([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in sent])


def chat_call(body: dict[str, Any]) -> FakeReply:
    """A chat completion that calls the caller's tool."""
    function = {"name": "send", "arguments": '{"desk": "refusals"}'}
    call = {"index": 0, "id": "c1", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    if not body.get("stream"):
        made = json.loads(completion(""))
        made["choices"][0] = {"index": 0, "finish_reason": "tool_calls", "message": message}
        return FakeReply(200, [json.dumps(made).encode()], {"content-type": "application/json"})
    head = {"id": "upstream-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1b"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    return streamed([*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"])


def streamed(chunks: Sequence[bytes]) -> FakeReply:
    return FakeReply(200, chunks, {"content-type": "text/event-stream"})


async def asked(gateway: Served, path: str, body: dict[str, Any]) -> httpx.Response:
    """A reply, after its exchange is recorded."""
    reply = await gateway.client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    await gateway.recorded("resp_up") if path == RESPONSES else await gateway.exchange(reply)
    return reply


def rest_of(sent: dict[str, Any]) -> str:
    """An upstream's request apart from its stream's options."""
    return json.dumps({name: value for name, value in sent.items() if not name.startswith("stream")})


async def test_a_decision_is_worded_in_the_callers_own_format(path: str, stream: bool) -> None:
    """The form has its schema in the first call, the caller's format stands in the second; the form is hidden."""
    upstream = clerk('{"days": 40}', '{"answer":"Refused."}')
    async with served(upstream, store=taught(worksheet=SHEET)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **contract(path)))
    form, worded = upstream.bodies
    assert schema_of(form) == SHEET.schema and not form.get("stream")
    assert schema_of(worded) == ANSWER and bool(worded.get("stream")) is stream
    assert "right answer is: refuse" in json.dumps(worded) and "days" not in reply.text and "Refused." in reply.text
    assert "x-preceptor-why" not in reply.headers


async def test_a_worksheet_decides_about_the_callers_tools(path: str, stream: bool) -> None:
    """The form is filled in without tools; the second call has them, and the caller receives the model's call."""
    upstream = clerk('{"days": 40}', calls=True)
    async with served(upstream, store=taught(worksheet=SHEET)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **tool(path)))
    form, worded = upstream.bodies
    assert "tools" not in form and worded["tools"] and "right answer is: refuse" in json.dumps(worded)
    assert "send" in reply.text and "refusals" in reply.text and "days" not in reply.text


async def test_a_form_that_cannot_be_filled_in_leaves_the_request_as_it_came(path: str, stream: bool) -> None:
    """Tools, format and all; the reply's header and a count say so."""
    body = request(path, stream, **contract(path), **tool(path))
    upstream, plain = clerk("I cannot fill in forms."), clerk("")
    async with served(plain, store=MemoryStore()) as gateway:
        await asked(gateway, path, body)
    async with served(upstream, store=taught(worksheet=SHEET)) as gateway:
        reply = await asked(gateway, path, body)
        metrics = gateway.services.telemetry.text().decode()
    assert rest_of(upstream.bodies[-1]) == rest_of(plain.bodies[-1]) and len(upstream.bodies) == 2
    assert reply.headers["x-preceptor-why"] == "worksheet"
    assert 'preceptor_rules_left_out_total{task="arithmetic",why="worksheet"} 1.0' in metrics


async def test_examples_stand_before_the_conversation(path: str, stream: bool) -> None:
    """With the caller's format beside them."""
    upstream = clerk("", '{"answer":"No."}')
    async with served(upstream, store=taught(examples=EXAMPLES)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **contract(path)))
    (sent,) = upstream.bodies
    turns = [turn["content"] for turn in sent["input" if path == RESPONSES else "messages"]]
    assert turns == ["Lamp, 3 days", "ACCEPTED", "May I return it?"] and schema_of(sent) == ANSWER
    assert "No." in reply.text and "ACCEPTED" not in reply.text


async def test_examples_leave_requests_with_tools_alone(path: str, stream: bool) -> None:
    """They would teach another form of reply; the header says why."""
    upstream = clerk("", calls=True)
    async with served(upstream, store=taught(examples=EXAMPLES)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **tool(path)))
    assert "ACCEPTED" not in json.dumps(upstream.bodies) and reply.headers["x-preceptor-why"] == "tools"
    assert "refusals" in reply.text


async def test_examples_and_worksheet_together_decide_and_show(path: str, stream: bool) -> None:
    """The form is filled in first; the examples stand before the worded decision."""
    upstream = clerk('{"days": 40}')
    store = taught(worksheet=SHEET, examples=EXAMPLES)
    assert isinstance(store.active()["arithmetic"], RuleSet)
    async with served(upstream, store=store) as gateway:
        reply = await asked(gateway, path, request(path, stream))
    worded = json.dumps(upstream.bodies[-1])
    assert "ACCEPTED" in worded and "right answer is: refuse" in worded and "Refused." in reply.text


def closed(path: str) -> dict[str, Any]:
    """A format of the caller with room for a label alone."""
    shape = {"type": "object", "properties": {"answer": {"enum": ["refuse", "accept"]}}, "required": ["answer"]}
    return json.loads(json.dumps(contract(path)).replace(json.dumps(ANSWER), json.dumps(shape)))  # type: ignore[no-any-return]


def text_in(path: str, stream: bool, reply: httpx.Response) -> str:
    """The text that a client reads."""
    if not stream:
        made = reply.json()
        content = made["output"][0] if path == RESPONSES else made
        return str(made["choices"][0]["message"]["content"] if path == CHAT else content["content"][0]["text"])
    events = [json.loads(line[6:]) for line in reply.text.split("\n") if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event.get("choices", ())]
    deltas += [event["delta"] for event in events if "delta" in event]
    read = [delta if isinstance(delta, str) else delta.get("content") or delta.get("text") or "" for delta in deltas]
    return "".join(read)


@pytest.mark.parametrize("shaped", [False, True], ids=["text", "closed"])
async def test_a_decision_is_the_reply_where_a_label_was_asked_for(path: str, stream: bool, shaped: bool) -> None:
    """One call of the model, whose tokens are counted; the form is hidden, and the record holds the reply."""
    upstream = clerk('{"days": 40}')
    async with served(upstream, store=taught(worksheet=ANSWERING)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **(closed(path) if shaped else {})))
        exchange = await (gateway.recorded("resp_up") if path == RESPONSES else gateway.exchange(reply))
    (form,) = upstream.bodies
    assert schema_of(form) == SHEET.schema and "days" not in reply.text
    expected = '{"answer":"refuse"}' if shaped else "refuse"
    assert text_in(path, stream, reply) == exchange.reply == expected
    assert (exchange.status, exchange.finish_reason) == ("ok", "stop")
    assert (exchange.usage.prompt_tokens, exchange.usage.output_tokens) == (7, 3)
    assert "x-preceptor-why" not in reply.headers


@pytest.mark.parametrize("more", ["tools", "open format", "a short limit"])
async def test_a_caller_who_asks_for_more_gets_the_models_own_reply(path: str, stream: bool, more: str) -> None:
    """The decision is told to the model, as before."""
    limit = {CHAT: "max_tokens", MESSAGES: "max_tokens", RESPONSES: "max_output_tokens"}[path]
    fields = {"tools": tool(path), "open format": contract(path), "a short limit": {limit: 1}}[more]
    upstream = clerk('{"days": 40}', '{"answer":"Refused."}', calls=more == "tools")
    async with served(upstream, store=taught(worksheet=ANSWERING)) as gateway:
        reply = await asked(gateway, path, request(path, stream, **fields))
    _, worded = upstream.bodies
    assert "right answer is: refuse" in json.dumps(worded)
    assert ("refusals" if more == "tools" else "Refused.") in reply.text


async def test_where_the_list_decides_nothing_the_model_replies(path: str, stream: bool) -> None:
    """To the caller's request, with nothing about a decision in it."""
    undecided = msgspec.structs.replace(ANSWERING, decisions=ANSWERING.decisions[:1])
    upstream = clerk('{"days": 4}', "Accepted.")
    async with served(upstream, store=taught(worksheet=undecided)) as gateway:
        reply = await asked(gateway, path, request(path, stream))
    assert "right answer is" not in json.dumps(upstream.bodies[-1]) and text_in(path, stream, reply) == "Accepted."

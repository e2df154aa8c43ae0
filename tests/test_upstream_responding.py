"""Responses where an upstream has none: found out once, by settings or by a 404, and never by mistake."""

import json
from typing import Any

import pytest

from gateway.errors import BadRequest, NotFound
from gateway.settings import AnthropicSettings, OpenAISettings
from gateway.upstream.anthropic import AnthropicUpstream
from gateway.upstream.base import Call, UpstreamReply
from gateway.upstream.responding import RespondingUpstream
from tests.fakes import FakeReply, FakeUpstream, completion

BODY: dict[str, Any] = {"model": "tiny", "input": "2 + 2?", "previous_response_id": None}
NO_SUCH_PATH = [
    (404, b'{"detail":"Not Found"}'),
    (404, b"404 page not found"),
    (404, b""),
    (404, b'{"error":{"message":"Invalid URL (POST /v1/responses)","param":null,"code":null}}'),
    (404, b'{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}'),
    (405, b""),
    (501, b"{}"),
]
ABOUT_THE_REQUEST = [
    b'{"error":{"message":"The model `tiny` does not exist","param":"model","code":"model_not_found"}}',
    b'{"object":"error","message":"The model does not exist."}',
    b'{"error":{"message":"Response with id \'resp_1\' not found."}}',
]


def over(server: FakeUpstream, responses: Any = "auto") -> RespondingUpstream:
    settings = OpenAISettings(base_url="http://127.0.0.1:9/v1", responses=responses)
    return RespondingUpstream(server, "mock", settings, wall_clock=lambda: 7.5, new_token=lambda: "abc")


def chats_only(status: int = 404, body: bytes = b"") -> FakeUpstream:
    """A server that knows chats."""
    return FakeUpstream(lambda asked: "It is 4" if "messages" in asked else FakeReply(status, [body], {}))


async def ask(upstream: RespondingUpstream, *, stream: bool = False, **fields: Any) -> UpstreamReply:
    body = json.dumps({**BODY, **fields}).encode()
    return await upstream.send(Call(model="tiny", body=body, path="/responses", stream=stream, adaptable=True))


@pytest.mark.parametrize(("status", "body"), NO_SUCH_PATH)
async def test_a_missing_endpoint_is_found_out_once(status: int, body: bytes) -> None:
    """The request is asked again as a chat, and later ones at once."""
    server = chats_only(status, body)
    upstream = over(server)
    for _ in range(2):
        reply = await ask(upstream)
        made = json.loads(await reply.read())
        assert (reply.status, made["id"], made["output"][0]["content"][0]["text"]) == (200, "resp_abc", "It is 4")
    assert [call.path for call in server.calls] == ["/responses", "/chat/completions", "/chat/completions"]
    assert server.calls[-1].adaptable
    assert server.replies[0].closed


@pytest.mark.parametrize("body", ABOUT_THE_REQUEST)
async def test_a_404_about_the_request_is_handed_on(body: bytes) -> None:
    """Of an unknown model or response: the endpoint is there."""
    server = chats_only(404, body)
    reply = await ask(over(server), previous_response_id="resp_1")
    assert (reply.status, await reply.read()) == (404, body)
    assert len(server.calls) == 1


async def test_an_upstream_that_raises_not_found_has_no_endpoint_either() -> None:
    """As those with an API of their own do."""
    server = FakeUpstream(lambda asked: "It is 4" if "messages" in asked else NotFound("none here"))
    upstream = over(server)
    assert (await ask(upstream)).status == 200
    assert (await ask(upstream)).status == 200
    assert [call.path for call in server.calls] == ["/responses", "/chat/completions", "/chat/completions"]


async def test_a_chat_that_fails_proves_nothing() -> None:
    """The endpoint is asked again the next time."""
    server = FakeUpstream(lambda asked: FakeReply(500 if "messages" in asked else 404, [b""], {}))
    upstream = over(server)
    assert [(await ask(upstream)).status for _ in range(2)] == [500, 500]
    assert [call.path for call in server.calls] == ["/responses", "/chat/completions"] * 2


@pytest.mark.parametrize(("responses", "paths"), [("own", ["/responses"]), ("chat", ["/chat/completions"])])
async def test_the_configuration_may_state_it(responses: str, paths: list[str]) -> None:
    """Then nothing is tried."""
    server = chats_only()
    await ask(over(server, responses))
    assert [call.path for call in server.calls] == paths


async def test_a_stream_is_one_of_events() -> None:
    """With the headers of an event stream, cut anywhere."""
    reply = await ask(over(chats_only(), "chat"), stream=True)
    text = b"".join([piece async for piece in reply.chunks()]).decode()
    await reply.aclose()
    assert reply.headers["content-type"] == "text/event-stream"
    assert text.startswith("event: response.created\n") and "event: response.completed\n" in text
    assert text.count('"delta":') == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_stays_the_upstreams(stream: bool) -> None:
    """With its status and words."""
    refused = FakeReply(400, [b'{"error":{"message":"too long"}}'], {})
    reply = await ask(over(FakeUpstream(lambda _: refused), "chat"), stream=stream)
    assert (reply.status, await reply.read()) == (400, b'{"error":{"message":"too long"}}')


async def test_a_request_beyond_a_chat_is_refused_unsent() -> None:
    """In the words of OpenAI."""
    server = chats_only()
    with pytest.raises(BadRequest) as caught:
        await ask(over(server, "chat"), previous_response_id="resp_1")
    assert (caught.value.code, server.calls) == ("previous_response_not_found", [])


async def test_every_other_call_passes_as_it_came() -> None:
    """A chat, a stored response, a deletion."""
    server = FakeUpstream(lambda asked: FakeReply(404, [completion("4")], {}))
    upstream = over(server, "chat")
    calls = [
        Call(model="tiny", body=b'{"messages":[]}'),
        Call(model="", body=b"", path="/responses", method="GET"),
        Call(model="", body=b"", path="/responses/resp_1", method="DELETE"),
    ]
    assert [(await upstream.send(call)).status for call in calls] == [404] * 3
    assert server.calls == calls


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_with_an_api_of_its_own_is_asked_in_it(stream: bool) -> None:
    """A response becomes a chat, and the chat a message of Anthropic's; both ways back."""
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "It is 4"}], "usage": {"input_tokens": 7, "output_tokens": 3},
    }  # fmt: skip
    begun = {**message, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "It is 4"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    whole = FakeReply(200, [json.dumps(message).encode()], {"content-type": "application/json"})
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    server = FakeUpstream(lambda _: FakeReply(200, pieces, {"content-type": "text/event-stream"}) if stream else whole)
    settings = AnthropicSettings()
    upstream = RespondingUpstream(AnthropicUpstream("claude", settings, http=server), "claude", settings)
    reply = await ask(upstream, stream=stream, max_output_tokens=9)
    text = b"".join([piece async for piece in reply.chunks()]) if stream else await reply.read()
    await reply.aclose()
    data = text.decode().rpartition("data: ")[2] if stream else text
    response = json.loads(data)["response"] if stream else json.loads(data)
    assert response["output"][0]["content"][0]["text"] == "It is 4"
    assert (response["status"], response["usage"]["output_tokens"]) == ("completed", 3)
    assert [call.path for call in server.calls] == ["/messages"]
    assert server.bodies[0]["max_tokens"] == 9


async def test_a_chat_that_comes_whole_is_streamed_as_a_response() -> None:
    """A server without responses may be one that does not stream either."""
    whole = FakeReply(200, [completion("It is 4")], {"content-type": "application/json"})
    upstream = over(FakeUpstream(lambda asked: whole if "messages" in asked else "none"), responses="chat")
    told = b"".join([piece async for piece in (await ask(upstream, stream=True)).chunks()])
    assert b"response.output_text.delta" in told and b"It is 4" in told and b"response.completed" in told

"""An Anthropic upstream: a chat goes out as a message and comes back, everything else passes as it came."""

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from gateway.errors import BadRequest, NotFound, UpstreamBroken, UpstreamGarbage, UpstreamUnreachable
from gateway.settings import AnthropicSettings, Quirks
from gateway.upstream.adapted import AdaptedUpstream
from gateway.upstream.anthropic import AnthropicUpstream
from gateway.upstream.base import Call, Upstream
from gateway.upstream.quirk_memory import QuirkMemory
from optimizer.demo.loopback import loopback_server
from tests.conformance.upstream import Answer, ScriptedUpstream
from tests.fakes import FakeReply, FakeUpstream, free_port
from tests.sent_messages import STREAM, WHOLE, events, failure, message, said

HELLO = [{"role": "user", "content": "hi"}]
FOUR = message(said("It is 4"))


def chat(*, stream: bool = False, headers: Sequence[tuple[bytes, bytes]] = (), **fields: Any) -> Call:
    body = {"model": "claude-opus-5", "messages": HELLO, **fields}
    return Call(model="claude-opus-5", body=json.dumps(body).encode(), stream=stream, headers=headers)


def over(
    pieces: Sequence[bytes | Exception], status: int = 200, headers: Mapping[str, str] = WHOLE
) -> tuple[AnthropicUpstream, FakeUpstream]:
    """An upstream over a server that answers every call with these pieces, and that server."""
    server = FakeUpstream(lambda _: FakeReply(status, pieces, headers))
    return AnthropicUpstream("claude", AnthropicSettings(), http=server, wall_clock=lambda: 7.9), server


async def ask(to: Upstream, call: Call) -> tuple[int, bytes, Mapping[str, str]]:
    async with aclosing(await to.send(call)) as reply:
        return reply.status, await reply.read(), reply.headers


async def test_a_chat_goes_out_as_a_message() -> None:
    """With the default version, and comes back as a chat completion under the upstream's id and request id."""
    upstream, server = over([json.dumps(FOUR).encode()])
    status, body, headers = await ask(upstream, chat())
    reply = json.loads(body)
    assert (status, reply["id"], reply["created"]) == (200, "msg_01", 7)
    assert reply["choices"][0]["message"]["content"] == "It is 4"
    assert (headers["content-type"], headers["x-request-id"]) == ("application/json", "req_upstream")
    (sent,) = server.calls
    assert (sent.path, sent.method, list(sent.headers)) == (
        "/messages",
        "POST",
        [(b"anthropic-version", b"2023-06-01")],
    )
    assert server.bodies == [{"model": "claude-opus-5", "max_tokens": 8192, "messages": HELLO}]
    assert server.replies[0].closed


async def test_the_clients_own_version_and_betas_pass() -> None:
    """The configured version is for clients that name none."""
    upstream, server = over([json.dumps(FOUR).encode()])
    given = [(b"anthropic-version", b"2027-01-01"), (b"anthropic-beta", b"x")]
    await ask(upstream, chat(headers=given))
    assert list(server.calls[0].headers) == given


async def test_a_stream_comes_back_as_chunks() -> None:
    """Wherever the bytes are cut."""
    whole = b"".join(events(FOUR))
    upstream, _ = over([whole[:33], whole[33:190], whole[190:]], headers=STREAM)
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        told = b"".join([piece async for piece in reply.chunks()])
    pieces = [json.loads(line[6:]) for line in told.split(b"\n\n") if line and b"[DONE]" not in line]
    assert "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces) == "It is 4"
    assert told.endswith(b"data: [DONE]\n\n")


async def test_a_stream_without_a_content_type_is_known_by_its_bytes() -> None:
    """What is none is called so."""
    upstream, _ = over(events(FOUR), headers={})
    assert (await upstream.send(chat(stream=True))).chunks() is not None
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        assert [piece async for piece in reply.chunks()][-1] == b"data: [DONE]\n\n"
    upstream, _ = over([b"<html>"], headers={})
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        with pytest.raises(UpstreamGarbage, match="did not answer with a stream"):
            _ = [piece async for piece in reply.chunks()]


async def test_a_whole_message_in_place_of_a_stream_is_streamed() -> None:
    """What comes in between may be a server that does not stream."""
    upstream, _ = over([json.dumps(FOUR).encode()], headers={})
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        told = b"".join([piece async for piece in reply.chunks()])
    assert b"It is 4" in told and told.endswith(b"data: [DONE]\n\n")


async def test_a_last_event_without_its_blank_line_counts() -> None:
    """As for any stream."""
    whole = b"".join(events(FOUR)).removesuffix(b"\n\n")
    upstream, _ = over([whole], headers=STREAM)
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        assert [piece async for piece in reply.chunks()][-1] == b"data: [DONE]\n\n"


async def test_a_stream_that_breaks_off_says_so() -> None:
    """After what came."""
    upstream, _ = over([*events(FOUR)[:4], UpstreamBroken("cut")], headers=STREAM)
    async with aclosing(await upstream.send(chat(stream=True))) as reply:
        told = []
        with pytest.raises(UpstreamBroken):
            async for piece in reply.chunks():
                told.append(piece)  # noqa: PERF401  it ends in an error
    assert b'"content":"It i"' in told[-1]


async def test_a_refusal_has_openais_shape_and_the_upstreams_words() -> None:
    """And its headers for retries."""
    busy = json.dumps(failure("Overloaded", "overloaded_error")).encode()
    upstream, _ = over([busy], 529, {**WHOLE, "retry-after": "3"})
    status, body, headers = await ask(upstream, chat())
    assert status == 529
    assert json.loads(body)["error"] == {
        "message": "Overloaded", "type": "overloaded_error", "param": None, "code": None,
    }  # fmt: skip
    assert (headers["retry-after"], headers["x-request-id"]) == ("3", "req_upstream")


async def test_a_redirect_is_handed_on_as_it_came() -> None:
    """It says that the address is wrong."""
    upstream, _ = over([b""], 307, {"location": "/elsewhere"})
    assert (await ask(upstream, chat()))[0] == 307


@pytest.mark.parametrize("path", ["/messages", "/messages/count_tokens", "/messages/batches", "/files"])
async def test_anthropics_own_paths_pass_as_they_came(path: str) -> None:
    """Body, reply and status, byte for byte."""
    upstream, server = over([b"  odd  bytes "], 201)
    status, body, headers = await ask(upstream, Call(model="", body=b'{"x" :1}', path=path))
    assert (status, body, headers["request-id"], headers["x-request-id"]) == (
        201, b"  odd  bytes ", "req_upstream", "req_upstream",
    )  # fmt: skip
    assert server.raw_bodies == [b'{"x" :1}'] and server.calls[0].path == path


async def test_the_list_of_models_passes() -> None:
    """``check --connect`` asks for it."""
    upstream, server = over([b"{}"], headers={})
    assert await ask(upstream, Call(model="", body=b"", path="/models", method="GET")) == (200, b"{}", {})
    assert server.calls[0].path == "/models"


@pytest.mark.parametrize("path", ["/embeddings", "/completions", "/responses"])
async def test_what_anthropic_lacks_is_said_at_once(path: str) -> None:
    """With what to use instead."""
    upstream, server = over([])
    with pytest.raises(NotFound, match=f"'claude' has no /v1{path}"):
        await upstream.send(Call(model="", body=b"{}", path=path))
    assert server.calls == []


async def test_a_chat_beyond_messages_is_refused_before_it_is_sent() -> None:
    """By the field's name."""
    upstream, server = over([])
    with pytest.raises(BadRequest, match="'n'"):
        await upstream.send(chat(n=2))
    assert server.calls == []


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
async def test_over_a_real_socket(tail: str) -> None:
    """The key goes out as ``x-api-key``; the address may end in ``/v1`` or not."""
    server = ScriptedUpstream()
    server.play([Answer([json.dumps(FOUR).encode()], headers=WHOLE)])
    async with loopback_server(server) as url:
        root = url.removesuffix("/v1")
        settings = AnthropicSettings(base_url=root + tail, api_key="sk-ant-secret", headers={"x-team": "a"})
        async with aclosing(AnthropicUpstream("claude", settings)) as upstream:
            await upstream.open()
            assert upstream.ready() is None
            await ask(upstream, chat())
    (asked,) = server.asked
    assert asked.line == "POST /v1/messages"
    assert asked.headers["x-api-key"] == "sk-ant-secret" and "authorization" not in asked.headers
    assert (asked.headers["x-team"], asked.headers["anthropic-version"]) == ("a", "2023-06-01")


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """As any other."""
    settings = AnthropicSettings(base_url=f"http://127.0.0.1:{free_port()}")
    async with aclosing(AnthropicUpstream("claude", settings)) as upstream:
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(chat())


async def test_a_models_refusals_are_learnt_from() -> None:
    """A worksheet's schema, an effort, a temperature: what an older model refuses is left out from then on."""

    refusals = {
        "thinking": "adaptive thinking is not supported on this model",
        "output_config": "output_config.format: Extra inputs are not permitted",
        "temperature": "`temperature` is deprecated for this model.",
    }

    def script(body: dict[str, Any]) -> FakeReply:
        refused = next((words for name, words in refusals.items() if name in body), None)
        if refused is not None:
            return FakeReply(400, [json.dumps(failure(refused)).encode()], {})
        return FakeReply(200, [json.dumps(FOUR).encode()], WHOLE)

    memory = QuirkMemory(lambda: 0.0)
    server = FakeUpstream(script)
    upstream = AdaptedUpstream(
        AnthropicUpstream("claude", AnthropicSettings(), http=server), "claude", "digest", memory
    )
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    made = chat(reasoning_effort="low", temperature=0.5, response_format=format_)
    call = Call(model=made.model, body=made.body, adaptable=True, optional=("response_format",))
    assert (await ask(upstream, call))[0] == 200
    learnt = memory.quirks(("digest", "claude-opus-5"))
    assert learnt == Quirks(without=("reasoning_effort", "temperature"), json_schema=False)
    sent = len(server.calls)
    assert (await ask(upstream, call))[0] == 200
    assert len(server.calls) == sent + 1


async def test_a_format_that_a_model_refuses_is_left_out_of_messages_too() -> None:
    """A worksheet asks in Anthropic's own words then; the schema stands in its instructions as well."""

    def script(body: dict[str, Any]) -> FakeReply:
        if "output_config" in body:
            words = "output_config.format: Extra inputs are not permitted"
            return FakeReply(400, [json.dumps(failure(words)).encode()], {})
        return FakeReply(200, [json.dumps(FOUR).encode()], WHOLE)

    memory, server = QuirkMemory(lambda: 0.0), FakeUpstream(script)
    native = AnthropicUpstream("claude", AnthropicSettings(), http=server)
    upstream = AdaptedUpstream(native, "claude", "digest", memory)
    body = {"model": "haiku", "output_config": {"format": {"type": "json_schema", "schema": {}}}, "messages": HELLO}
    call = Call(
        model="haiku", path="/messages", body=json.dumps(body).encode(), adaptable=True, optional=("output_config",)
    )
    assert (await ask(upstream, call))[0] == 200
    assert memory.quirks(("digest", "haiku")) == Quirks(json_schema=False)
    theirs = Call(model="haiku", path="/messages", body=json.dumps(body).encode(), adaptable=True)
    assert (await ask(upstream, theirs))[0] == 400  # the client's own format is the client's to change

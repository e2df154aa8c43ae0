"""An Ollama upstream looks like any other, and fails like any other, whatever the server does."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import __version__
from gateway.errors import (
    BadRequest,
    NotFound,
    PreceptorError,
    UpstreamBroken,
    UpstreamGarbage,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.settings import OllamaSettings
from gateway.upstream.base import Call, Upstream
from gateway.upstream.ollama import OllamaUpstream
from optimizer.demo.loopback import loopback_server
from tests.fakes import FakeReply, FakeUpstream, free_port, read_request

MESSAGES = [{"role": "user", "content": "hi"}]
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json; charset=utf-8"}
END = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 2}
BRIEF = 0.05
"""Seconds of a time-out that a test lets run out."""
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

Pieces = Sequence[bytes | Exception]


def call(*, stream: bool = True, path: str = "/chat/completions", **fields: Any) -> Call:
    body = {"messages": MESSAGES, "prompt": "hi", "input": "hi", "stream": stream, **fields}
    return Call(model="qwen", path=path, body=json.dumps(body).encode(), stream=stream)


def line(content: str) -> bytes:
    """A line as Go writes it: everything beyond ASCII as it is, except U+2028 and U+2029."""
    text = json.dumps({"message": {"role": "assistant", "content": content}, "done": False}, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode() + b"\n"


def end() -> bytes:
    return json.dumps(END).encode() + b"\n"


def over(
    pieces: Pieces, status: int = 200, headers: dict[str, str] | None = None
) -> tuple[OllamaUpstream, FakeUpstream]:
    """An upstream over a server that answers every call with these pieces, and that server."""
    server = FakeUpstream(lambda _: FakeReply(status, pieces, headers or NDJSON))
    settings = OllamaSettings()
    return OllamaUpstream("local", settings, http=server, wall_clock=lambda: 7.9, new_token=lambda: "abc"), server


@contextlib.asynccontextmanager
async def at(url: str, **settings: Any) -> AsyncIterator[OllamaUpstream]:
    """An upstream at a real address."""
    made = OllamaUpstream("local", OllamaSettings(base_url=url.removesuffix("/v1"), **settings))
    await made.open()
    try:
        yield made
    finally:
        await made.aclose()


async def ask(to: Upstream, sent: Call) -> bytes:
    """The body of the answer; a 200 is taken for granted."""
    reply = await to.send(sent)
    try:
        async with asyncio.timeout(10):
            body = await reply.read()
    finally:
        await reply.aclose()
    assert reply.status == 200, body
    return body


def text_of(events: bytes) -> str:
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events.split(b"\n\n")[:-2]]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:stop] for start, stop in itertools.pairwise(edges)]


@given(st.lists(st.text()), st.lists(st.integers(0, 2**16)))
def test_a_stream_may_be_split_anywhere(texts: list[str], places: list[int]) -> None:
    """In the middle of a line, of an escape, of a character; any character may stand in it."""
    body = b"".join(line(text) for text in texts) + end()
    upstream, _ = over(cut(body, places))
    events = asyncio.run(ask(upstream, call()))
    assert text_of(events) == "".join(texts)
    assert events.endswith(b"data: [DONE]\n\n")


async def test_a_character_that_ends_lines_elsewhere_is_only_a_character() -> None:
    """Python's ``splitlines`` stops at U+0085, JSON does not."""
    upstream, _ = over([line("a\x85b")[:-8], line("a\x85b")[-8:], end()])
    assert text_of(await ask(upstream, call())) == "a\x85b"


async def test_a_stream_begins_before_it_has_ended() -> None:
    """The first event is handed on while the second has not been sent."""
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + b"%x\r\n%s\r\n" % (len(line("one")), line("one")))
        await go_on.wait()
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(end()), end()))

    async with loopback_server(handle) as url, at(url) as upstream:
        reply = await upstream.send(call())
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        pieces = []
        async for piece in reply.chunks():
            pieces.append(piece)
            go_on.set()
        await reply.aclose()
    assert (text_of(b"".join(pieces)), len(pieces)) == ("one", 2)


@pytest.mark.parametrize(
    ("path", "native", "answer", "kind"),
    [
        ("/chat/completions", "/api/chat", END, "chat.completion"),
        ("/completions", "/api/generate", {"response": "ho", "done": True}, "text_completion"),
        ("/embeddings", "/api/embed", {"embeddings": [[1.0]]}, "list"),
    ],
)
async def test_each_endpoint_has_its_native_one(path: str, native: str, answer: Any, kind: str) -> None:
    """Under the upstream's own name of the model; the reply's time and id come from the gateway."""
    upstream, server = over([json.dumps(answer).encode()], headers=JSON)
    reply = json.loads(await ask(upstream, call(stream=False, path=path)))
    assert (server.calls[0].path, server.bodies[0]["model"], reply["object"]) == (native, "qwen", kind)
    if path != "/embeddings":
        assert (reply["id"].split("-")[1], reply["created"]) == ("abc", 7)


async def test_headers_are_handed_on_but_not_the_content_type_or_the_query() -> None:
    """The body is another one, at another address."""
    upstream, server = over([end()])
    given_headers = [(b"content-type", b"text/plain"), (b"x-title", b"t")]
    sent = call()
    await ask(upstream, Call(model="qwen", body=sent.body, stream=True, query="a=b", headers=given_headers))
    assert (server.calls[0].headers, server.calls[0].query) == ([(b"x-title", b"t")], "")


async def test_what_needs_no_translation_goes_to_the_servers_own_v1() -> None:
    """As it came, with its method, query and headers; the answer too."""
    upstream, server = over([b'{"data": []}'], headers=JSON)
    sent = Call(model="", body=b"", path="/models", method="GET", query="a=b", headers=[(b"x-title", b"t")])
    assert await ask(upstream, sent) == b'{"data": []}'
    passed = server.calls[0]
    assert (passed.path, passed.method, passed.query, passed.headers) == ("/v1/models", "GET", "a=b", sent.headers)


async def test_a_path_that_an_old_ollama_does_not_serve_is_not_found() -> None:
    """Its plain text becomes an error that says so; a JSON 404 is an answer of its own."""
    upstream, server = over([b"404 page not found"], 404, {"content-type": "text/plain"})
    with pytest.raises(NotFound, match="/v1/responses"):
        await upstream.send(call(path="/responses"))
    assert server.replies[0].closed
    upstream, _ = over([b'{"error": {}}'], 404, JSON)
    assert (await upstream.send(call(path="/responses"))).status == 404


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (404, 'model "qwen" not found, try pulling it first', "model_not_found"),
        (400, "qwen does not support tools", None),
        (500, "llama runner process has terminated", None),
        (503, "server busy, please try again. maximum pending requests exceeded", None),
    ],
)
async def test_an_error_of_ollamas_is_a_reply(status: int, error: str, code: str | None, stream: bool) -> None:
    """Its status and words, in OpenAI's shape, with the headers that clients act on and no others."""
    headers = {**JSON, "retry-after": "7", "set-cookie": "a=b", "content-length": "99"}
    upstream, server = over([json.dumps({"error": error}).encode()], status, headers)
    reply = await upstream.send(call(stream=stream))
    assert [piece async for piece in reply.chunks()] == [await reply.read()]
    told = json.loads(await reply.read())["error"]
    assert (reply.status, told["message"], told["code"]) == (status, error, code)
    assert reply.headers == {"content-type": "application/json", "retry-after": "7"}
    assert server.replies[0].closed


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_after_a_good_status_is_a_server_error(stream: bool) -> None:
    """Ollama has sent its 200 before it looks closer; nothing has reached the client yet."""
    upstream, _ = over([b'{"error": "invalid format"}\n'])
    reply = await upstream.send(call(stream=stream))
    assert (reply.status, json.loads(await reply.read())["error"]["message"]) == (500, "invalid format")


async def test_a_wrong_base_url_is_told_from_a_missing_model() -> None:
    """A server without that path is not an Ollama's root."""
    upstream, _ = over([b"404 page not found"], 404, {"content-type": "text/plain"})
    with pytest.raises(UpstreamGarbage, match="base_url"):
        await upstream.send(call())


BEFORE: dict[str, tuple[Pieces, type[PreceptorError]]] = {
    "no JSON": ([b"<html>"], UpstreamGarbage),
    "another object": ([b'{"ok": true}\n'], UpstreamGarbage),
    "a list": ([b"[]\n"], UpstreamGarbage),
    "a number": ([b"7\n"], UpstreamGarbage),
    "an error that is none": ([b'{"error": 7}\n'], UpstreamGarbage),
    "too deep": ([b"[" * 100_000], UpstreamGarbage),
    "cut off": ([UpstreamBroken("cut")], UpstreamBroken),
    "late": ([UpstreamTimeout("late")], UpstreamTimeout),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("case", BEFORE)
async def test_what_fails_before_the_first_event_fails_the_call(case: str, stream: bool) -> None:
    """With an error of ours, and the connection given back."""
    pieces, expected = BEFORE[case]
    upstream, server = over(pieces)
    with pytest.raises(expected):
        await upstream.send(call(stream=stream))
    assert server.replies[0].closed


async def test_a_stream_without_a_line_is_broken() -> None:
    """There is nothing to tell."""
    upstream, _ = over([])
    with pytest.raises(UpstreamBroken, match="before it began"):
        await upstream.send(call())


AFTER: dict[str, tuple[Pieces, type[PreceptorError], str]] = {
    "ended within a line": ([line("two")[:9]], UpstreamBroken, "not whole JSON"),
    "cut off": ([UpstreamBroken("cut")], UpstreamBroken, "cut"),
    "late": ([UpstreamTimeout("late")], UpstreamTimeout, "late"),
    "an error": ([b'{"error": "out of memory"}\n'], UpstreamBroken, "out of memory"),
    "another object": ([b'{"ok": true}\n'], UpstreamGarbage, "not its own API"),
    "a line without end": ([b"x" * 8_000_000] * 3, UpstreamGarbage, "without an end"),
}


@pytest.mark.parametrize("case", AFTER)
async def test_what_fails_in_the_middle_breaks_the_stream(case: str) -> None:
    """What came before is handed on, no ``[DONE]`` follows, and the connection is not used again."""
    pieces, expected, words = AFTER[case]
    upstream, server = over([line("one"), *pieces])
    reply = await upstream.send(call())
    events = []
    with pytest.raises(expected, match=words):
        async for event in reply.chunks():
            events.append(event)  # noqa: PERF401  # a comprehension would lose what came before the error
    await reply.aclose()
    assert text_of(b"".join(events) + b"\n\n") == "one"
    assert server.replies[0].closed


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_that_ollama_stopped_is_complete_but_cut_short(stream: bool) -> None:
    """It says nothing when a model repeats itself for ever; that is the model's failure, not the server's."""
    upstream, _ = over([line("one")])
    body = await ask(upstream, call(stream=stream))
    assert b'"finish_reason":"length"' in body
    assert body.endswith(b"data: [DONE]\n\n") == stream


async def test_a_request_that_ollama_cannot_serve_is_not_sent() -> None:
    """It is the client's to change."""
    upstream, server = over([end()])
    with pytest.raises(BadRequest, match="one reply at a time"):
        await upstream.send(call(n=2))
    assert not server.calls


async def test_a_server_that_is_gone_is_unreachable() -> None:
    """Nobody listens."""
    async with at(f"http://127.0.0.1:{free_port()}") as upstream:
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(call())


@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_hangs_times_out(stream: bool) -> None:
    """The time-outs are those of every upstream."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    async with loopback_server(handle) as url, at(url, first_byte_timeout_s=BRIEF) as upstream:
        with pytest.raises(UpstreamTimeout):
            await upstream.send(call(stream=stream))


async def test_nothing_of_the_environment_or_of_other_callers_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads a key and an address from the environment, httpx proxies, and keeps cookies: not here."""
    for name, value in {
        "OLLAMA_API_KEY": "sk-environment",
        "OLLAMA_HOST": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    seen: list[tuple[str, dict[str, str]]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request, headers, _ = await read_request(reader)
            seen.append((request, headers))
            body = json.dumps(END).encode()
            head = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=a\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)

    async with (
        loopback_server(handle) as url,
        at(url + "/below", api_key="sk-own", headers={"X-Team": "a"}) as upstream,
    ):
        for _ in range(2):
            await ask(upstream, call(stream=False))
    assert seen[0] == seen[1]
    request, headers = seen[0]
    assert request == "POST /v1/below/api/chat HTTP/1.1"
    del headers["content-length"]
    assert headers == {
        "host": url.removeprefix("http://").removesuffix("/v1"),
        "user-agent": f"preceptor/{__version__}",
        "accept-encoding": "identity",
        "authorization": "Bearer sk-own",
        "x-team": "a",
        "content-type": "application/json",
    }


async def test_a_redirect_is_not_followed() -> None:
    """It is handed back as it is; the gateway says what it means."""
    upstream, server = over([b""], 302, {"location": "http://127.0.0.1:9/"})
    assert (await upstream.send(call())).status == 302
    assert len(server.calls) == 1


@contextlib.asynccontextmanager
async def talkative(begins: bool) -> AsyncIterator[tuple[str, asyncio.Semaphore, asyncio.Semaphore]]:
    """A server whose answer does not end: its address, a count of requests, a count of clients that went away."""
    asked, gone = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if begins:
            writer.write(STREAM_HEAD + b"%x\r\n%s\r\n" % (len(line("one")), line("one")))
        asked.release()
        assert await reader.read() == b""
        gone.release()

    async with loopback_server(handle) as url:
        yield url, asked, gone


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_is_cancelled_stops_the_generation(stream: bool) -> None:
    """Before the first byte: Ollama sees the connection close, each time, and the next call is served."""
    async with talkative(begins=False) as (url, asked, gone), at(url) as upstream:
        for _ in range(30):
            task = asyncio.create_task(upstream.send(call(stream=stream)))
            await asked.acquire()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(10):
                await gone.acquire()


@pytest.mark.parametrize("cancelled", [False, True], ids=["closed", "cancelled"])
async def test_a_stream_that_is_left_stops_the_generation(cancelled: bool) -> None:
    """After the first byte: by ``aclose``, also after whoever reads was cancelled."""
    async with talkative(begins=True) as (url, _, gone), at(url) as upstream:
        for _ in range(30):
            reply = await upstream.send(call())
            if cancelled:
                task = asyncio.create_task(reply.read())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await reply.aclose()
            async with asyncio.timeout(10):
                await gone.acquire()


async def test_it_can_always_be_called() -> None:
    """Connections are made when they are needed; a server that is not there fails the call."""
    async with at("http://127.0.0.1:9") as upstream:
        assert upstream.ready() is None

"""Bytes from both sides of the wire: clients, upstreams, event streams, request bodies."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
import msgspec
import uvicorn
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.errors import BadRequest, PreceptorError
from gateway.formats.anthropic_reply import AnthropicReader, open_anthropic_reply
from gateway.formats.anthropic_request import open_anthropic
from gateway.formats.chat import open_chat
from gateway.formats.messages import open_messages
from gateway.formats.responses import open_responses
from gateway.formats.sse import Events, data_of, with_id
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.forms import FORMS
from gateway.http_server.connection import HttpProtocol
from gateway.settings import AnthropicSettings
from gateway.upstream.anthropic_replies import ChatTranslation
from gateway.upstream.anthropic_requests import message_request
from gateway.upstream.base import Call
from tests.connections import Far, echo
from tests.conversations import guided
from tests.fuzz.budget import fuzz
from tests.test_upstream_http1_answer import ANSWERS, outcome

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"GET /\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"host: x\r\n",
        b"host: y\r\n",
        b"content-length: 3\r\n",
        b"content-length: 4\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"connection: close\r\n",
        b"expect: 100-continue\r\n",
        b"upgrade: h2c\r\n",
        b"\r\n",
        b"\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"x" * 70_000,
        b"\x00",
        b" ",
    ]
)
STREAM = st.lists(LINES | st.binary(max_size=8), max_size=30)


async def _client(pieces: list[bytes]) -> bytes:
    """What our side says to these pieces, fed without a socket."""
    config = uvicorn.Config(echo, http=HttpProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    connection, client = HttpProtocol(config, state, {}), Far()
    connection.connection_made(client)
    for piece in pieces:
        if client.closed:
            break
        connection.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    await asyncio.gather(*state.tasks, return_exceptions=True)
    return client.got


def test_clients() -> None:
    """Whatever a client sends, it gets HTTP or nothing, and no request is left under way."""

    def holds(pieces: list[bytes]) -> None:
        said = asyncio.run(_client(pieces))
        assert not said or said.startswith(b"HTTP/1.1 ")

    assert fuzz(STREAM, holds)


ANSWER = st.tuples(
    st.sampled_from(list(ANSWERS)),
    st.integers(0, 150),
    st.integers(0, 40),
    st.binary(max_size=20)
    | st.sampled_from([b"\r\n", b"\n", b"0\r\n\r\n", b"Content-Length: 1\r\n", b"HTTP/1.1 100 \r\n\r\n"]),
    st.lists(st.integers(1, 50), max_size=20),
)


def test_upstreams() -> None:
    """An answer with a hole, with noise, in any pieces, is read or is one of httpx's errors."""

    def holds(example: tuple[bytes, int, int, bytes, list[int]]) -> None:
        whole, start, cut, put, sizes = example
        rest = whole[:start] + put + whole[start + cut :]
        pieces = []
        for size in sizes:
            pieces.append(rest[:size])
            rest = rest[size:]
        with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
            asyncio.run(outcome([piece for piece in [*pieces, rest] if piece]))

    assert fuzz(ANSWER, holds)


EVENTS = st.lists(
    st.sampled_from(
        [
            b"data: ",
            b"data:",
            b"event: x\n",
            b": ping\n",
            b"\n",
            b"\r\n",
            b"\r",
            b"\n\n",
            b"[DONE]",
            b'{"id":"a"}',
            b'{"id":1}',
            b"\xef\xbb\xbf",
            b"id: 1\n",
            b"{",
            b"\xff",
        ]
    )
    | st.binary(max_size=6),
    max_size=30,
)


def test_event_streams() -> None:
    """Where pieces begin and end changes nothing, and a changed id is one or is garbage."""

    def holds(pieces: list[bytes]) -> None:
        whole, parts = Events(), Events()
        together = [*whole.feed(b"".join(pieces)), whole.end()]
        apart = [event for piece in pieces for event in parts.feed(piece)]
        assert b"".join([*apart, parts.end()]) == b"".join(together)
        for event in apart:
            with contextlib.suppress(ValueError, PreceptorError):
                if isinstance(given := json.loads(data_of(event) or b""), dict):
                    changed = data_of(with_id(event, given.get("id"), "b"))
                    assert changed is not None and json.loads(changed)["id"] == "b"

    assert fuzz(EVENTS, holds)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "user",
            "system",
            "assistant",
            "tool",
            "text",
            "image_url",
            "input_text",
            "function",
            "auto",
            "required",
            "tool_use",
            "thinking",
            "text_delta",
            "input_json_delta",
            "end_turn",
            "tool_result",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "input",
                    "thinking",
                    "signature",
                    "partial_json",
                    "stop_reason",
                    "cache_control",
                    "tool_use_id",
                    "source",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
FIELDS = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional=dict.fromkeys(
        (
            "messages",
            "input",
            "instructions",
            "system",
            "tools",
            "tool_choice",
            "stream",
            "stream_options",
            "metadata",
            "max_tokens",
            "response_format",
            "n",
            "stop",
            "cache_control",
            "output_config",
            "reasoning_effort",
        ),
        JSON,
    ),
)
BODY = FIELDS.map(lambda fields: json.dumps(fields).encode()) | st.binary(max_size=40)


def test_envelopes() -> None:
    """Any body can be looked into and taught in every form, or is the client's mistake; what is sent is JSON."""

    def holds(body: bytes) -> None:
        for opened in (open_chat, open_responses, open_messages, open_anthropic):
            with contextlib.suppress(BadRequest):
                request: Any = opened(body)
                request.system_text(), request.question(), request.opening()
                for form in FORMS.values():
                    if form.obstacle(request) is None:
                        step = form.for_request(request).first_pass(request, guided("Be kind."))
                        msgspec.json.decode(request.sealed(step.changes))

    assert fuzz(BODY, holds)


def test_chats_for_anthropic() -> None:
    """Any chat becomes a message in JSON, or is the client's mistake."""

    def holds(body: bytes) -> None:
        for model in ("claude-opus-5", "claude-sonnet-4-5"):
            with contextlib.suppress(BadRequest):
                asked = message_request(Call(model=model, body=body), AnthropicSettings())
                msgspec.json.decode(asked.body)

    assert fuzz(BODY, holds)


KINDS = st.sampled_from([
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "ping", "error", "message",
])  # fmt: skip
SENT = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        **dict.fromkeys(("message", "content_block", "delta", "usage", "error", "content", "stop_reason"), JSON),
        "index": st.integers(0, 2),
    },
)


def test_words_of_anthropics() -> None:
    """Any events are read, by a client of either kind, or are the upstream's mistake."""

    def holds(events: list[Any]) -> None:
        translation = ChatTranslation(created=0, include_usage=True)
        reader, tagged = AnthropicReader(Transcript(), None), AnthropicReader(Transcript(), TagFilter())
        for event in events:
            data = event if isinstance(event, bytes) else json.dumps(event).encode()
            with contextlib.suppress(PreceptorError):
                translation.whole(data)
            with contextlib.suppress(PreceptorError):
                open_anthropic_reply(data).sealed("id", text="4")
            with contextlib.suppress(PreceptorError):
                translation.events(data)
            for each in (reader, tagged):
                with contextlib.suppress(PreceptorError):
                    each.read(data, b"data: " + data + b"\n\n")

    assert fuzz(st.lists(SENT | st.binary(max_size=20), max_size=8), holds)

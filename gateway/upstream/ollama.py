"""``kind = "ollama"``: Ollama's own API, presented as OpenAI's to the rest of the gateway.

The ``ollama`` package speaks to the server over the wire of every other upstream: ``_Wire`` is its transport and hands
each request to an ``HttpUpstream``, which keeps the time-outs, the headers and the errors. The package's typed methods
are not used: they drop unknown parts of a tool's schema and the ids of tool calls, and read a string among the images
as the name of a local file. ``ollama_requests`` and ``ollama_replies`` translate. Paths without a translation go to the
server's own ``/v1``.
"""

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from types import MappingProxyType
from typing import Any

import httpx
import msgspec
import ollama

from gateway.errors import NotFound, UpstreamBroken, UpstreamError, UpstreamGarbage
from gateway.formats.sse import MAX_EVENT
from gateway.settings import OllamaSettings
from gateway.upstream.base import BufferedReply, Call, Upstream, UpstreamReply
from gateway.upstream.http import HttpUpstream
from gateway.upstream.ollama_replies import (
    ChatAnswer,
    EmbeddingAnswer,
    Stamp,
    StreamableAnswer,
    TextAnswer,
    refusal,
)
from gateway.upstream.ollama_requests import Asked, chat_request, completion_request, embedding_request

DEFAULT_URL = "http://127.0.0.1:11434"

_Translate = Callable[[Call, OllamaSettings], Asked]
_MakeAnswer = Callable[[Asked, Stamp], ChatAnswer | TextAnswer | EmbeddingAnswer]

_TRANSLATED: Mapping[str, tuple[_Translate, _MakeAnswer]] = {
    "/chat/completions": (chat_request, ChatAnswer),
    "/completions": (completion_request, TextAnswer),
    "/embeddings": (embedding_request, EmbeddingAnswer),
}
_JSON = {"content-type": "application/json"}
_HANDED_ON = ("retry-after", "retry-after-ms", "x-request-id")
_QUOTED = 200
"""Characters quoted from an error in the middle of a stream."""


class OllamaUpstream:
    """An Ollama server. Implements ``upstream.base.Upstream``."""

    def __init__(
        self,
        name: str,
        settings: OllamaSettings,
        *,
        http: Upstream | None = None,
        wall_clock: Callable[[], float] = time.time,
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        """``http`` speaks to the server's root; by default it is made from the settings.

        ``wall_clock`` is in seconds since the epoch; ``new_token`` makes unique letters and digits.
        """
        self._name = name
        self._settings = settings
        self._wall_clock = wall_clock
        self._new_token = new_token
        base_url = settings.base_url or DEFAULT_URL
        self._http = http or HttpUpstream.of(name, settings, base_url)
        self._client = _Client(name, base_url, self._http)

    async def open(self) -> None:
        """Start nothing: the first call makes the first connection."""

    def ready(self) -> str | None:
        return None

    async def send(self, call: Call) -> UpstreamReply:
        """Send, and wait for the whole answer or the first line of a stream.

        Raises ``BadRequest`` for a request beyond Ollama's abilities, ``NotFound`` for an unknown path, and the errors
        of every upstream.
        """
        translated = _TRANSLATED.get(call.path) if call.method == "POST" else None
        if translated is None:
            return await self._passed(call)
        translate, make_answer = translated
        asked = translate(call, self._settings)
        stamp = Stamp(token=self._new_token(), created=int(self._wall_clock()), model=call.model)
        answer = make_answer(asked, stamp)
        flight = _Flight(self._native(call, asked))
        try:
            if not isinstance(answer, StreamableAnswer) or not asked.stream:
                return BufferedReply(answer.whole(await self._client.whole(flight)), headers=_JSON)
            return await self._streamed(answer, self._client.lines(flight))
        except ollama.ResponseError as error:
            return self._refused(error, flight)

    async def aclose(self) -> None:
        await self._http.aclose()

    def _native(self, call: Call, asked: Asked) -> Call:
        headers = [(name, value) for name, value in call.headers if name != b"content-type"]
        return Call(
            model=call.model, body=asked.body, path=asked.path, stream=asked.stream, headers=headers,
            traceparent=call.traceparent,
        )  # fmt: skip

    async def _streamed(self, answer: StreamableAnswer, lines: AsyncGenerator[dict[str, Any], None]) -> UpstreamReply:
        """Wait for the first line of a stream and return the reply."""
        try:
            first = await anext(lines, None)
            if first is None:
                raise UpstreamBroken(f"upstream {self._name!r} ended its stream before it began")
            return _Streamed(self._events(answer, answer.events(first), lines), lines)
        except BaseException:
            await lines.aclose()
            raise

    async def _events(
        self, answer: StreamableAnswer, begun: bytes, lines: AsyncIterator[dict[str, Any]]
    ) -> AsyncGenerator[bytes, None]:
        yield begun
        try:
            async for line in lines:
                events = answer.events(line)
                if events:
                    yield events
        except ollama.ResponseError as error:
            reason = str(error.error)[:_QUOTED]
            raise UpstreamBroken(f"upstream {self._name!r} reported an error in the middle: {reason}") from error
        if not answer.done:
            yield answer.cut_short()

    async def _passed(self, call: Call) -> UpstreamReply:
        """Send a call that needs no translation; perhaps only a newer Ollama serves it."""
        reply = await self._http.send(msgspec.structs.replace(call, path=f"/v1{call.path}"))
        if reply.status == 404 and not _is_json(reply):
            await reply.aclose()
            raise NotFound(f"upstream {self._name!r} does not serve /v1{call.path}: a newer Ollama may.")
        return reply

    def _refused(self, error: ollama.ResponseError, flight: "_Flight") -> UpstreamReply:
        """Return Ollama's own error in OpenAI's shape, with its status and the headers for retries."""
        assert flight.reply is not None, "it answered"
        status = flight.reply.status
        if status == 404 and not _is_json(flight.reply):
            path = flight.call.path
            raise UpstreamGarbage(
                f"upstream {self._name!r} has no {path}: is its base_url the root of an Ollama, without /v1?"
            ) from error
        headers = {name: flight.reply.headers[name] for name in _HANDED_ON if name in flight.reply.headers}
        # An error with a good status: it failed after it had begun to answer.
        status = 500 if status < 300 else status
        return BufferedReply(refusal(error.error, status), status=status, headers={**headers, **_JSON})


class _Flight:
    """A request of the package's client and its reply."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.reply: UpstreamReply | None = None


class _Client(ollama.AsyncClient):
    """The package's client with raw bytes as requests and plain objects as answers.

    Neither its own headers (it reads a key from the environment) nor those of answers (cookies) get past ``_Wire``.
    """

    def __init__(self, name: str, base_url: str, http: Upstream) -> None:
        super().__init__(host=base_url, transport=_Wire(http), follow_redirects=False, trust_env=False)
        self._name = name

    async def whole(self, flight: _Flight) -> dict[str, Any]:
        """Return a whole answer. Raises ``ollama.ResponseError`` or ``UpstreamError``."""
        with self._understood(UpstreamGarbage):
            answer: dict[str, Any] = await self._request(dict, "POST", flight.call.path, **_request(flight))
            if "error" in answer:
                raise ollama.ResponseError(answer["error"])
        return answer

    async def lines(self, flight: _Flight) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate over the lines of a streamed answer. Raises ``ollama.ResponseError`` or ``UpstreamError``."""
        with self._understood(UpstreamGarbage):
            lines = await self._request(dict, "POST", flight.call.path, stream=True, **_request(flight))
            assert isinstance(lines, AsyncGenerator)
            first = await anext(lines, None)
        async with aclosing(lines):
            if first is None:
                return
            yield first
            with self._understood(UpstreamBroken):
                async for line in lines:
                    yield line

    @contextmanager
    def _understood(self, kind: type[UpstreamError]) -> Iterator[None]:
        """Map the errors of the package on an unexpected answer to ``kind``."""
        try:
            yield
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise kind(f"upstream {self._name!r} sent something that is not whole JSON of Ollama's") from error


def _request(flight: _Flight) -> dict[str, Any]:
    return {"content": flight.call.body, "extensions": {"flight": flight}}


class _Wire(httpx.AsyncBaseTransport):
    """The transport of the package's client over an ``HttpUpstream``. Errors pass through the client unchanged.

    The ``HttpUpstream`` belongs to the caller.
    """

    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        flight: _Flight = request.extensions["flight"]
        flight.reply = reply = await self._http.send(msgspec.structs.replace(flight.call, body=request.content))
        return httpx.Response(reply.status, stream=_NativeBody(reply, lines=flight.call.stream))


class _NativeBody(httpx.AsyncByteStream):
    """The body of a reply, for httpx.

    A stream is handed on in whole lines, without U+0085: httpx takes it for the end of a line, and Go's encoder escapes
    the other such characters but not U+0085.
    """

    def __init__(self, reply: UpstreamReply, *, lines: bool) -> None:
        self._reply = reply
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in self._reply.chunks():
            if not self._lines:
                yield piece
                continue
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if len(rest) > MAX_EVENT:
                raise UpstreamGarbage("the upstream sent a line without an end")
            if end:
                yield _escaped(whole + end)
        if rest:
            yield _escaped(rest)

    async def aclose(self) -> None:
        await self._reply.aclose()


def _escaped(lines: bytes) -> bytes:
    return lines.replace(b"\xc2\x85", b"\\u0085")


class _Streamed:
    """A streamed answer. Implements ``base.UpstreamReply``. Closed before its end, it stops the generation."""

    status = 200
    headers: Mapping[str, str] = MappingProxyType({"content-type": "text/event-stream"})

    def __init__(self, events: AsyncGenerator[bytes, None], lines: AsyncGenerator[Any, None]) -> None:
        self._events = events
        self._lines = lines

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self._events])

    def chunks(self) -> AsyncIterator[bytes]:
        return self._events

    async def aclose(self) -> None:
        await self._events.aclose()
        await self._lines.aclose()


def _is_json(reply: UpstreamReply) -> bool:
    return "json" in reply.headers.get("content-type", "")

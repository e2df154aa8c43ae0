"""``kind = "anthropic"``: Anthropic's own API, for its own clients as it is, for OpenAI's as chats.

``/chat/completions`` is translated by ``anthropic_requests`` and ``anthropic_replies``. Every other path is handed on
as it came, with Anthropic's headers: messages, counts of tokens, batches, files.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property

import msgspec

from gateway.errors import NotFound
from gateway.formats import sse
from gateway.formats.envelope import decode_object
from gateway.formats.replayed import message_events
from gateway.formats.sent_message import read_message
from gateway.settings import AnthropicSettings
from gateway.upstream.anthropic_replies import ChatTranslation, chat_refusal
from gateway.upstream.anthropic_requests import message_request
from gateway.upstream.base import BufferedReply, Call, Upstream, UpstreamReply
from gateway.upstream.event_stream import events_of
from gateway.upstream.http import HttpUpstream

CHAT = "/chat/completions"
KEY_HEADER = "x-api-key"
VERSION = b"anthropic-version"
_NOT_THERE = {
    "/responses": "use /v1/chat/completions or /v1/messages",
    "/completions": "use /v1/chat/completions",
    "/embeddings": "embeddings are another upstream's",
}
_OF_BODY = frozenset({"content-length", "content-type", "content-encoding", "transfer-encoding"})
"""Headers that say nothing of a translated body."""
_REQUEST_ID = "request-id"


class AnthropicUpstream:
    """Implements ``upstream.base.Upstream``."""

    def __init__(
        self,
        name: str,
        settings: AnthropicSettings,
        *,
        http: Upstream | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``http`` speaks to the server's ``/v1``; by default it is made from the settings.

        ``wall_clock`` is in seconds since the epoch.
        """
        self._name = name
        self._settings = settings
        self._wall_clock = wall_clock
        self._version = (VERSION, settings.version.encode())
        self._http = http or HttpUpstream(
            name, settings, f"{settings.base_url.rstrip('/').removesuffix('/v1')}/v1",
            api_key=settings.api_key,
            api_key_header=settings.api_key_header or KEY_HEADER,
            headers=settings.headers,
            proxy=settings.proxy,
        )  # fmt: skip

    async def open(self) -> None:
        """Start nothing: the first call makes the first connection."""

    def ready(self) -> str | None:
        return None

    async def aclose(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call) -> UpstreamReply:
        """Send and wait for the status.

        Raises ``BadRequest`` for a chat beyond Anthropic's abilities, ``NotFound`` for an endpoint that it lacks, and
        the errors of every upstream.
        """
        if call.method == "POST":
            if call.path == CHAT:
                return await self._chat(call)
            if call.path in _NOT_THERE:
                raise NotFound(f"upstream {self._name!r} has no /v1{call.path}: {_NOT_THERE[call.path]}.")
        return _Renamed(await self._http.send(self._versioned(call)))

    async def _chat(self, call: Call) -> UpstreamReply:
        asked = message_request(call, self._settings)
        native = msgspec.structs.replace(call, path="/messages", query="", body=asked.body)
        reply = await self._http.send(self._versioned(native))
        if reply.status >= 400:
            return await _refused(reply, call)
        if reply.status != 200:
            return reply
        translation = ChatTranslation(
            created=int(self._wall_clock()), include_usage=asked.include_usage, json_object=asked.json_object
        )
        return _ChatReply(reply, translation, self._name, stream=call.stream)

    def _versioned(self, call: Call) -> Call:
        """Add the version of the API unless the client named it."""
        if any(name == VERSION for name, _ in call.headers):
            return call
        return msgspec.structs.replace(call, headers=(*call.headers, self._version))


async def _refused(reply: UpstreamReply, call: Call) -> BufferedReply:
    try:
        body = chat_refusal(await reply.read(), decode_object(call.body))
    finally:
        await reply.aclose()
    return BufferedReply(body, status=reply.status, headers={**_about(reply), "content-type": "application/json"})


def _about(reply: UpstreamReply) -> Mapping[str, str]:
    """Return the headers that hold for a translated body, too, with the request id under OpenAI's name."""
    headers = {name: value for name, value in reply.headers.items() if name not in _OF_BODY}
    if _REQUEST_ID in headers:
        headers["x-request-id"] = headers[_REQUEST_ID]
    return headers


class _Renamed:
    """A reply as it came, with the request id under OpenAI's name as well. Implements ``base.UpstreamReply``."""

    def __init__(self, reply: UpstreamReply) -> None:
        self._reply = reply
        self.status = reply.status

    @cached_property
    def headers(self) -> Mapping[str, str]:
        given = self._reply.headers
        return {**given, "x-request-id": given[_REQUEST_ID]} if _REQUEST_ID in given else given

    async def read(self) -> bytes:
        return await self._reply.read()

    def chunks(self) -> AsyncIterator[bytes]:
        return self._reply.chunks()

    async def aclose(self) -> None:
        await self._reply.aclose()


class _ChatReply:
    """A reply as a chat completion. Implements ``base.UpstreamReply``."""

    status = 200

    def __init__(self, reply: UpstreamReply, translation: ChatTranslation, name: str, *, stream: bool) -> None:
        self._reply = reply
        self._translation = translation
        self._name = name
        kind = "text/event-stream" if stream else "application/json"
        self.headers: Mapping[str, str] = {**_about(reply), "content-type": kind}

    async def read(self) -> bytes:
        return self._translation.whole(await self._reply.read())

    async def chunks(self) -> AsyncIterator[bytes]:
        async for event in events_of(self._reply, self._name, _replayed):
            data = sse.data_of(event)
            chunks = b"" if data is None else self._translation.events(data)
            if chunks:
                yield chunks

    async def aclose(self) -> None:
        await self._reply.aclose()


def _replayed(body: bytes) -> Sequence[bytes]:
    """Return the events of a whole message that came in place of a stream."""
    read_message(body)
    return message_events(msgspec.json.decode(body))

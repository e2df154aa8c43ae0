"""``/responses`` for upstreams without it: asked as a chat and answered as a response.

``upstreams.NAME.responses`` decides. With ``auto`` the upstream's own endpoint is asked first; once it is not there and
a chat was answered, requests become chats until the process ends.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import NotFound
from gateway.formats import sse
from gateway.formats.chat_reply import open_completion
from gateway.formats.envelope import decode_object, decoded
from gateway.formats.replayed import completion_events
from gateway.formats.upstream_error import CONTEXT_EXCEEDED, error_words
from gateway.settings import UpstreamLimits
from gateway.upstream.base import BufferedReply, Call, Upstream, UpstreamReply, Wrapper
from gateway.upstream.event_stream import events_of
from gateway.upstream.response_events import ResponseStream
from gateway.upstream.response_replies import ResponseMarks, whole_response
from gateway.upstream.response_requests import Translated, chat_of

log = logging.getLogger(__name__)

RESPONSES = "/responses"
CHAT = "/chat/completions"
NOT_THERE = frozenset({404, 405, 501})
_OF_BODY = frozenset({"content-length", "content-type"})


class RespondingUpstream(Wrapper):
    """Implements ``upstream.base.Upstream``. Every other call goes to the upstream as it came.

    ``wall_clock`` is in seconds since the epoch; ``new_token`` makes unique letters and digits.
    """

    def __init__(
        self,
        upstream: Upstream,
        name: str,
        settings: UpstreamLimits,
        *,
        wall_clock: Callable[[], float] = time.time,
        new_token: Callable[[], str] = lambda: secrets.token_hex(24),
    ) -> None:
        super().__init__(upstream)
        self._name = name
        self._own = settings.responses == "own"
        self._as_chat = settings.responses == "chat"
        self._wall_clock = wall_clock
        self._new_token = new_token

    def send(self, call: Call) -> Coroutine[Any, Any, UpstreamReply]:
        """Send a call. No coroutine of its own: that would cost every chat something."""
        if call.path == RESPONSES and call.method == "POST" and not self._own:
            return self._respond(call)
        return self._upstream.send(call)

    async def _respond(self, call: Call) -> UpstreamReply:
        if self._as_chat:
            return await self._asked(call)
        missing = None
        try:
            reply = await self._upstream.send(call)
            if reply.status not in NOT_THERE:
                return reply
            try:
                missing = BufferedReply(await reply.read(), status=reply.status, headers=reply.headers)
            finally:
                await reply.aclose()
            if is_about_the_request(missing.body, call):
                return missing
        except NotFound:
            pass
        answer = await self._asked(call)
        if missing is not None and answer.status in NOT_THERE:
            return answer  # nothing is there at all: a wrong base_url, an unknown model
        if answer.status < 400 and not self._as_chat:
            self._as_chat = True
            log.info(
                "upstream %r has no /responses: they are asked as chats from now on", self._name,
                extra={"action": "responses.as_chats", "upstream": self._name},
            )  # fmt: skip
        return answer

    async def _asked(self, call: Call) -> UpstreamReply:
        """Ask a chat. Raises ``BadRequest`` for a request beyond one."""
        request = chat_of(call.body, stream=call.stream)
        reply = await self._upstream.send(msgspec.structs.replace(call, path=CHAT, query="", body=request.body))
        if not 200 <= reply.status < 300:
            return await _refused(reply)
        marks = ResponseMarks(token=self._new_token(), created=int(self._wall_clock()), model=call.model)
        return _ResponseReply(reply, request, marks, self._name, stream=call.stream)


def is_about_the_request(body: bytes, call: Call) -> bool:
    """Decide whether a 404 is about the model or an id in a request, and not about the path."""
    words = error_words(body)
    if words is None:
        return False
    message = words.message.lower()
    previous = decode_object(call.body).get("previous_response_id")
    id_ = decoded(previous) if previous is not None else None
    return "model" in message or words.param is not None or (isinstance(id_, str) and id_.lower() in message)


async def _refused(reply: UpstreamReply) -> BufferedReply:
    """Return a refusal; that of a prompt beyond the context gets OpenAI's code, on which clients compact."""
    try:
        body = await reply.read()
    finally:
        await reply.aclose()
    words = error_words(body)
    if 400 <= reply.status < 500 and words is not None and words.overflows:
        error = {"message": words.message, "type": words.type, "param": "input", "code": CONTEXT_EXCEEDED}
        body = msgspec.json.encode({"error": error})
    return BufferedReply(body, status=reply.status, headers=reply.headers)


class _ResponseReply:
    """A chat's reply as a response. Implements ``base.UpstreamReply``."""

    status = 200

    def __init__(
        self, reply: UpstreamReply, request: Translated, marks: ResponseMarks, name: str, *, stream: bool
    ) -> None:
        self._reply = reply
        self._request = request
        self._marks = marks
        self._name = name
        about = {key: value for key, value in reply.headers.items() if key not in _OF_BODY}
        self.headers: Mapping[str, str] = {
            **about, "content-type": "text/event-stream" if stream else "application/json",
        }  # fmt: skip

    async def read(self) -> bytes:
        return whole_response(await self._reply.read(), self._request, self._marks)

    async def chunks(self) -> AsyncIterator[bytes]:
        stream = ResponseStream(self._request, self._marks)
        async for event in events_of(self._reply, self._name, _chunks):
            data = sse.data_of(event)
            worded = b"" if data is None else stream.events(data)
            if worded:
                yield worded

    async def aclose(self) -> None:
        await self._reply.aclose()


def _chunks(body: bytes) -> Sequence[bytes]:
    """Return the events of a whole chat that came in place of a stream."""
    return [*completion_events(open_completion(body).body), sse.DONE]

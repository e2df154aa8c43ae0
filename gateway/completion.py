"""Answers a plan: sends the passes of its form upstream and hands the reply back, whole or streamed.

The API and the optimizer both answer through here, so a rule set is verified exactly as it serves. This module knows
neither HTTP on the client's side nor the store: a ``CompletionTrace`` reports the course of the exchange.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress

import msgspec

from gateway.errors import (
    NO_HEADERS,
    Overloaded,
    PreceptorError,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamRefused,
    error_body,
)
from gateway.formats import sse
from gateway.formats.envelope import Conversation, raw
from gateway.formats.reply import WholeReply
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.formats.upstream_error import error_status, error_words, openai_error
from gateway.forms import UNCHANGED, Pass
from gateway.routing.route import RoutePlan
from gateway.upstream.base import Call, Upstream, UpstreamReply

_TAIL_S = 0.05
"""Seconds that the end of a body may take after ``[DONE]``."""
_HANDED_ON = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id")
OWN_KEY_REFUSED = frozenset({401, 403})
_ELSEWHERE = frozenset({401, 403, 404, 408, 409, 429})
"""Statuses of refusals that another model may not share; other 4xx are about the request itself."""


class CompletionTrace(Transcript):
    """A transcript, the plan behind it and the time of the upstreams."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self.plan: RoutePlan | None = None
        """The plan behind the reply: the request's own, or the fallback in its place."""
        self.why = ""
        """The reason for sending the request without the parts of its rule set, found while it ran; usually empty."""
        self.waited_s = 0.0
        """Seconds spent waiting for upstreams until the reply began."""

    async def wait(self, upstream: Upstream, call: Call) -> UpstreamReply:
        """Send a call and add its time."""
        began = self._clock()
        try:
            return await upstream.send(call)
        finally:
            self.waited_s += self._clock() - began

    async def read(self, reply: UpstreamReply) -> bytes:
        """Read a whole body and add its time."""
        began = self._clock()
        try:
            return await reply.read()
        finally:
            self.waited_s += self._clock() - began


class Completions:
    """Answers plans through the upstreams. ``clock`` is monotonic, in seconds."""

    def __init__(self, upstreams: Mapping[str, Upstream], clock: Callable[[], float]) -> None:
        self._upstreams = upstreams
        self._clock = clock

    def new_trace(self) -> CompletionTrace:
        return CompletionTrace(self._clock)

    async def whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> bytes:
        """Return an unstreamed reply under the exchange's id. Raises ``UpstreamError``, ``UpstreamRefused``."""
        for attempt in (plan, *plan.fallbacks):
            trace.plan = attempt
            try:
                return await self._whole(attempt, exchange_id, trace)
            except PreceptorError as error:
                if attempt is _last(plan) or not _answerable_elsewhere(error):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def stream(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> AsyncGenerator[bytes, None]:
        """Yield the events of a streamed reply under the exchange's id, including the closing event.

        Raises ``UpstreamError`` or ``UpstreamRefused``, before the first event or in the middle.
        """
        trace.plan = plan
        if plan.fallbacks:
            return self._stream_with_fallbacks(plan, exchange_id, trace)
        return self._stream(plan, exchange_id, trace)

    async def _stream_with_fallbacks(
        self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace
    ) -> AsyncGenerator[bytes, None]:
        for attempt in (plan, *plan.fallbacks):
            trace.plan = attempt
            async with aclosing(self._stream(attempt, exchange_id, trace)) as events:
                try:
                    first = await anext(events)
                except PreceptorError as error:
                    if attempt is _last(plan) or not _answerable_elsewhere(error):
                        raise
                    continue
                yield first
                async for event in events:
                    yield event
                return

    async def _whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> bytes:
        first = step = _first_pass(plan)
        while True:
            if not step.shown:
                step = await self._after_hidden(plan, step, trace)
                continue
            trace.why = step.why
            reply = await self._ask(plan, step, trace)
            text = _cut(step.cut, reply) if step.cut is not None else None
            following = step.following()
            if following is None:
                break
            step = following
        trace.add_text(reply.text if text is None else text)
        trace.reply_id = reply.id
        trace.tool_calls = reply.tool_calls
        if step is first and text is None:
            return reply.sealed(exchange_id)
        return reply.sealed(exchange_id, text=text, usage=trace.usage)

    async def _stream(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> AsyncGenerator[bytes, None]:
        step: Pass | None = _first_pass(plan)
        while step is not None:
            if not step.shown:
                step = await self._after_hidden(plan, step, trace)
            else:
                trace.why = step.why
                async with aclosing(self._relay(plan, step, exchange_id, trace)) as relayed:
                    async for event in relayed:
                        yield event
                step = step.following()
        if plan.envelope.closing:
            yield plan.envelope.closing

    async def _after_hidden(self, plan: RoutePlan, step: Pass, trace: CompletionTrace) -> Pass:
        """Make a hidden pass and return the next pass."""
        try:
            reply = await self._ask(plan, step, trace)
        except UpstreamRefused as error:
            if step.without_answer is None or _answerable_elsewhere(error):
                raise
            return step.without_answer()
        following = step.following(reply.text or "")
        assert following is not None, "a hidden answer is never the reply"
        return following

    async def _ask(self, plan: RoutePlan, step: Pass, trace: CompletionTrace) -> WholeReply:
        """Make a pass and read its answer whole."""
        reply = await trace.wait(self._upstreams[plan.upstream], _call(plan, step, stream=False))
        try:
            await _check(reply, plan)
            opened = _opened(plan, await trace.read(reply))
        finally:
            await reply.aclose()
        trace.usage += opened.usage
        trace.finish_reason = opened.finish_reason
        return opened

    async def _relay(
        self, plan: RoutePlan, step: Pass, exchange_id: str, trace: CompletionTrace
    ) -> AsyncGenerator[bytes, None]:
        """Relay a pass of a stream, without the closing event."""
        reply = await trace.wait(self._upstreams[plan.upstream], _call(plan, step, stream=True))
        try:
            await _check(reply, plan)
            reader = plan.envelope.reader(trace, exchange_id, untouched=plan.upstream_model is None, tags=step.cut)
            async for data, event in _events(reply, plan):
                out = reader.read(data, event)
                if out is not None:
                    yield out
        finally:
            await reply.aclose()
        if not reader.finished:
            raise UpstreamBroken(f"upstream {plan.upstream!r} ended its stream before the reply was complete")


def _last(plan: RoutePlan) -> RoutePlan:
    return plan.fallbacks[-1] if plan.fallbacks else plan


def _answerable_elsewhere(error: PreceptorError) -> bool:
    """Decide whether another model may answer after this error."""
    if isinstance(error, UpstreamRefused):
        return error.status >= 500 or error.status in _ELSEWHERE
    return isinstance(error, UpstreamError | Overloaded)


def _cut(cut: TagFilter, reply: WholeReply) -> str:
    """The reply without its working."""
    text = cut.feed(reply.text or "")
    return text or (cut.end() if reply.finish_reason == "stop" else "")


def _first_pass(plan: RoutePlan) -> Pass:
    if plan.injection is None:
        return UNCHANGED
    assert isinstance(plan.envelope, Conversation), "rules are injected into conversations only"
    return plan.form.first_pass(plan.envelope, plan.guidance)


def _call(plan: RoutePlan, step: Pass, *, stream: bool) -> Call:
    return Call(
        model=plan.upstream_model or plan.model,
        body=_body(plan, step),
        path=plan.envelope.path,
        stream=stream,
        adaptable=plan.upstream_model is not None,
        optional=step.optional,
    )


def _body(plan: RoutePlan, step: Pass) -> bytes:
    """The caller's request with the changes of a pass, for the upstream's model."""
    envelope = plan.envelope
    if plan.upstream_model is None:
        return envelope.body
    counting = envelope.usage_changes() if envelope.stream and step.shown else {}
    return envelope.sealed({"model": raw(plan.upstream_model), **counting, **step.changes})


def _opened(plan: RoutePlan, body: bytes) -> WholeReply:
    """Open an unstreamed reply. Raises ``UpstreamRefused`` for an error under a good status, or ``UpstreamGarbage``."""
    try:
        return plan.envelope.open_reply(body)
    except UpstreamGarbage:
        status = error_status(body)
        if status is None:
            raise
        raise UpstreamRefused(status, refusal_body(body, status, plan.upstream), NO_HEADERS) from None


async def _events(reply: UpstreamReply, plan: RoutePlan) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield data and bytes of every event with data, up to ``[DONE]``."""
    events = sse.Events()
    pieces = reply.chunks()
    is_stream = "text/event-stream" in reply.headers.get("content-type", "")
    async for piece in pieces:
        if not is_stream and not sse.looks_like_events(piece):
            raise UpstreamGarbage(f"upstream {plan.upstream!r} did not answer with a stream")
        is_stream = True
        for event in events.feed(piece):
            data = sse.data_of(event)
            if data is not None:
                yield data, event
                if data == sse.DONE_DATA:
                    await _drained(pieces)
                    return
    rest = sse.data_of(events.end())
    if rest is not None:
        yield rest, sse.event_of(rest)


async def _drained(pieces: AsyncIterator[bytes]) -> None:
    """Read the empty end of a body, so that its connection can serve again."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(_TAIL_S):
            async for _ in pieces:
                pass


async def _check(reply: UpstreamReply, plan: RoutePlan) -> None:
    """Raise ``UpstreamRefused`` for an error status, in OpenAI's shape, with the headers of interest to clients."""
    if 200 <= reply.status < 300:
        return
    if reply.status < 400:
        raise UpstreamGarbage(f"upstream {plan.upstream!r} answered with status {reply.status}: is base_url right?")
    raise await refusal(reply, plan.upstream)


async def refusal(reply: UpstreamReply, upstream: str) -> UpstreamRefused:
    """Turn a reply with an error status into the client's error. Raises ``UpstreamError`` of the reading."""
    payload = await reply.read()
    headers = {name: reply.headers[name] for name in _HANDED_ON if name in reply.headers}
    return UpstreamRefused(reply.status, refusal_body(payload, reply.status, upstream), headers)


def refusal_body(payload: bytes, status: int, upstream: str) -> bytes:
    """Return an upstream's error in OpenAI's shape with all four keys.

    A refusal of the gateway's own key is told without the upstream's words: they may quote the key.
    """
    if status in OWN_KEY_REFUSED:
        return error_body(
            f"upstream {upstream!r} refused the gateway's key (status {status}): check upstreams.{upstream}.api_key",
            "upstream_error", None, "upstream_key_refused",
        )  # fmt: skip
    kind = UpstreamError.type if status >= 500 else "invalid_request_error"
    words = error_words(payload)
    if words is None:
        return error_body(f"upstream {upstream!r} answered with status {status}", kind)
    shape = {"message": words.message, "type": words.type or kind, "param": words.param, "code": words.code}
    return msgspec.json.encode({"error": {**shape, **openai_error(payload)}})

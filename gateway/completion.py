"""Answers a plan: sends the passes of its form upstream and hands the reply back, whole or streamed.

The API and the optimizer both answer through here, so a rule set is verified exactly as it serves. This module knows
neither HTTP on the client's side nor the store: a ``CompletionTrace`` reports the course of the exchange.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial

from gateway.domain import NO_USAGE, Usage
from gateway.errors import (
    NO_HEADERS,
    Overloaded,
    PreceptorError,
    RateLimited,
    UpstreamBroken,
    UpstreamError,
    UpstreamGarbage,
    UpstreamRefused,
)
from gateway.formats import sse
from gateway.formats.envelope import Conversation, raw
from gateway.formats.expected_tokens import expected_tokens
from gateway.formats.reply import WholeReply
from gateway.formats.tags import TagFilter
from gateway.formats.transcript import Transcript
from gateway.formats.upstream_error import error_status, refusal_body
from gateway.forms import UNCHANGED, Pass
from gateway.quotas.quotas import Claim, Quotas
from gateway.routing.classify import without_task_name
from gateway.routing.route import RoutePlan
from gateway.upstream.base import Call, Upstream, UpstreamReply
from gateway.upstream.event_stream import events_of
from gateway.upstream.refusal import refuse

_TAIL_S = 0.05
"""Seconds that the end of a body may take after ``[DONE]``."""
_ELSEWHERE = frozenset({401, 403, 404, 408, 409, 429})
"""Statuses of refusals that another model may not share; other 4xx are about the request itself."""


class CompletionTrace(Transcript):
    """A transcript, the plan behind it and the time of the upstreams."""

    __slots__ = (
        "hidden", "path", "plan", "query", "reply", "request_headers", "traceparent", "waited_s", "why", "written",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.plan: RoutePlan | None = None
        """The plan behind the reply: the request's own, or the fallback in its place."""
        self.why = ""
        """The reason for sending the request without the parts of its rule set, found while it ran; usually empty."""
        self.waited_s = 0.0
        """Seconds spent waiting for upstreams until the reply began."""
        self.request_headers: Sequence[tuple[bytes, bytes]] = ()
        """The client's headers for the upstream; a hidden pass goes without."""
        self.traceparent = b""
        """The header with the exchange's span; empty without traces."""
        self.path = ""
        """The client's path below ``/v1``."""
        self.query = ""
        """The client's query, for an upstream that is asked by the same path."""
        self.hidden: WholeReply | None = None
        """The model's last hidden answer."""
        self.written = False
        """Whether the gateway wrote the reply itself."""
        self.reply: UpstreamReply | None = None
        """The upstream's shown reply; closed by the time its headers are read."""


class Completions:
    """Answers plans through the upstreams. ``clock`` is monotonic, in seconds."""

    def __init__(self, upstreams: Mapping[str, Upstream], clock: Callable[[], float]) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self.quotas: Quotas | None = None
        """The limits of upstreams; ``None``: there are none."""

    def whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> Coroutine[None, None, bytes]:
        """Return an unstreamed reply under the exchange's id. Raises ``UpstreamError``, ``UpstreamRefused``."""
        trace.plan = plan
        if plan.fallbacks:
            return self._whole_with_fallbacks(plan, exchange_id, trace)
        return self._whole(plan, exchange_id, trace)

    async def _whole_with_fallbacks(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> bytes:
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
        first = step = first_pass(plan)
        while True:
            if not step.shown:
                step = await self._after_hidden(plan, step, trace)
                continue
            if step.reply is not None:
                (body,) = _written(plan, step.reply, exchange_id, trace)
                return body
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
        step: Pass | None = first_pass(plan)
        while step is not None:
            if not step.shown:
                step = await self._after_hidden(plan, step, trace)
            elif step.reply is not None:
                for event in _written(plan, step.reply, exchange_id, trace):
                    yield event
                break
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
        trace.hidden = reply
        following = step.following(reply.text or "")
        assert following is not None, "a hidden answer is never the reply"
        return following

    async def _sent(self, plan: RoutePlan, call: Call, trace: CompletionTrace) -> tuple[UpstreamReply, Claim | None]:
        """Send a call under its upstream's limits; return the begun reply and the claim to settle."""
        claim = self._claimed(plan)
        began = self._clock()
        try:
            return await self._upstreams[plan.upstream].send(call), claim
        except BaseException:
            _settled(claim, trace.usage, trace.usage)
            raise
        finally:
            trace.waited_s += self._clock() - began

    async def _ask(self, plan: RoutePlan, step: Pass, trace: CompletionTrace) -> WholeReply:
        """Make a pass and read its answer whole."""
        before = trace.usage
        reply, claim = await self._sent(plan, _call(plan, step, trace, stream=False), trace)
        try:
            if not 200 <= reply.status < 300:
                await refuse(reply, plan.upstream)
            began = self._clock()
            try:
                body = await reply.read()
            finally:
                trace.waited_s += self._clock() - began
            opened = _opened(plan, body)
            trace.usage = opened.usage if trace.usage is NO_USAGE else trace.usage + opened.usage
        finally:
            _settled(claim, before, trace.usage)
            await reply.aclose()
        trace.reply = reply
        trace.finish_reason = opened.finish_reason
        return opened

    async def _relay(
        self, plan: RoutePlan, step: Pass, exchange_id: str, trace: CompletionTrace
    ) -> AsyncGenerator[bytes, None]:
        """Relay a pass of a stream, without the closing event."""
        before = trace.usage
        reply, claim = await self._sent(plan, _call(plan, step, trace, stream=True), trace)
        try:
            if not 200 <= reply.status < 300:
                await refuse(reply, plan.upstream)
            trace.reply = reply
            reader = plan.envelope.reader(trace, exchange_id, untouched=plan.upstream_model is None, tags=step.cut)
            events = events_of(reply, plan.upstream, partial(_replayed, plan))
            async for event in events:
                data = sse.data_of(event)
                if data is None:
                    continue
                out = reader.read(data, event)
                if out is not None:
                    yield out
                if data == sse.DONE_DATA:
                    await _drained(events)
                    break
        finally:
            _settled(claim, before, trace.usage)
            await reply.aclose()
        if not reader.finished:
            raise UpstreamBroken(f"upstream {plan.upstream!r} ended its stream before the reply was complete")

    def _claimed(self, plan: RoutePlan) -> Claim | None:
        """Reserve a call under the limits of its upstream; ``None`` without any. Raises ``RateLimited``."""
        if not self.quotas:
            return None
        meters = self.quotas.upstream(plan.upstream)
        return self.quotas.claim(meters, sum(expected_tokens(plan.envelope))) if meters else None


def _settled(claim: Claim | None, before: Usage, after: Usage) -> None:
    """Settle a call by the tokens that it added to those of its exchange."""
    if claim is not None:
        tokens = after.prompt_tokens + after.output_tokens - before.prompt_tokens - before.output_tokens
        claim.settle(max(0, tokens), None)


def _last(plan: RoutePlan) -> RoutePlan:
    return plan.fallbacks[-1] if plan.fallbacks else plan


def _answerable_elsewhere(error: PreceptorError) -> bool:
    """Decide whether another model may answer after this error."""
    if isinstance(error, UpstreamRefused):
        return error.status >= 500 or error.status in _ELSEWHERE
    return isinstance(error, UpstreamError | Overloaded | RateLimited)


def _cut(cut: TagFilter, reply: WholeReply) -> str:
    """The reply without its working."""
    text = cut.feed(reply.text or "")
    return text or (cut.end() if reply.finish_reason == "stop" else "")


def _written(plan: RoutePlan, text: str, exchange_id: str, trace: CompletionTrace) -> Sequence[bytes]:
    """The gateway's own reply behind a hidden answer: one body, or the events of a stream."""
    assert trace.hidden is not None, "a reply is written behind a hidden answer only"
    trace.written = True
    trace.add_text(text)
    trace.reply_id = trace.hidden.id
    trace.finish_reason = "stop"
    return _conversation(plan).written(trace.hidden, exchange_id, text, trace.usage)


def _conversation(plan: RoutePlan) -> Conversation:
    assert isinstance(plan.envelope, Conversation), "rules are injected into conversations only"
    return plan.envelope


def first_pass(plan: RoutePlan) -> Pass:
    """Return the first pass of a plan, with its rules."""
    if plan.injection is None:
        return UNCHANGED
    return plan.form.first_pass(_conversation(plan), plan.guidance)


def _call(plan: RoutePlan, step: Pass, trace: CompletionTrace, *, stream: bool) -> Call:
    return Call(
        model=plan.upstream_model or plan.model,
        body=_body(plan, step),
        path=plan.envelope.path,
        stream=stream,
        adaptable=plan.upstream_model is not None,
        optional=step.optional,
        query=trace.query if trace.path == plan.envelope.path else "",
        headers=trace.request_headers if step.shown else _of_body(trace, plan),
        traceparent=trace.traceparent,
    )


def _of_body(trace: CompletionTrace, plan: RoutePlan) -> Sequence[tuple[bytes, bytes]]:
    """Return the client's headers for a hidden pass: those without which its body would read otherwise."""
    return [header for header in trace.request_headers if header[0] in plan.envelope.body_headers]


def _body(plan: RoutePlan, step: Pass) -> bytes:
    """The caller's request with the changes of a pass, for the upstream's model."""
    envelope = plan.envelope
    if plan.upstream_model is None:
        return envelope.body
    counting = envelope.usage_changes() if envelope.stream and step.shown else {}
    changes = {"model": raw(plan.upstream_model), **counting, **step.changes}
    if "metadata" in envelope.fields:
        changes = {**without_task_name(envelope, plan.task), **changes}
    return envelope.sealed(changes)


def _opened(plan: RoutePlan, body: bytes) -> WholeReply:
    """Open an unstreamed reply. Raises ``UpstreamRefused`` for an error under a good status, or ``UpstreamGarbage``."""
    try:
        return plan.envelope.open_reply(body)
    except UpstreamGarbage:
        status = error_status(body)
        if status is None:
            raise
        raise UpstreamRefused(status, refusal_body(body, status, plan.upstream), NO_HEADERS) from None


def _replayed(plan: RoutePlan, body: bytes) -> Sequence[bytes]:
    """Return the events of a whole reply that came in place of a stream."""
    return plan.envelope.replayed(_opened(plan, body).body)


async def _drained(events: AsyncIterator[bytes]) -> None:
    """Read the empty end of a body, so that its connection can serve again."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(_TAIL_S):
            async for _ in events:
                pass

"""What is sent upstream for a plan, and what the caller gets back: one pass or two, streamed or not.

The API and the optimizer both answer through here, so a rule set is verified in exactly the form in which it serves.
Knows nothing of HTTP on the client's side, and records nothing: the ``Tally`` says what happened.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing

import msgspec

from gateway.domain import Usage
from gateway.errors import UpstreamBroken, UpstreamError, UpstreamGarbage, UpstreamRefused, error_body
from gateway.pipeline import scratchpad, sse
from gateway.pipeline.envelope import raw
from gateway.pipeline.inject import with_system_text
from gateway.pipeline.outcome import Completion, open_completion
from gateway.pipeline.route import Plan
from gateway.upstream.base import Call, Reply, Upstream

_HANDED_ON = ("retry-after", "retry-after-ms", "x-should-retry", "x-request-id")
_OWN_KEY_REFUSED = frozenset({401, 403})


class Tally:
    """What is known of an exchange so far; complete when its stream has ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pieces: list[str] = []
        self.usage = Usage()
        self.finish_reason: str | None = None
        self.waited_s = 0.0
        """Seconds spent waiting for upstreams until the reply began."""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add_text(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)

    async def wait(self, upstream: Upstream, call: Call) -> Reply:
        """Send a call and count the time that the upstream took."""
        began = self._clock()
        try:
            return await upstream.send(call)
        finally:
            self.waited_s += self._clock() - began

    async def read(self, reply: Reply) -> bytes:
        """Read a whole body and count the time that the upstream took."""
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

    def tally(self) -> Tally:
        return Tally(self._clock)

    async def whole(self, plan: Plan, exchange_id: str, tally: Tally) -> bytes:
        """The body of an unstreamed reply under the exchange's id. Raises ``UpstreamError``, ``UpstreamRefused``."""
        form = _form(plan)
        if form == "none":
            completion = await self._ask(plan, _plain(plan), tally)
            tally.add_text(completion.text or "")
            return completion.sealed(exchange_id)
        if form == "tags":
            completion = await self._ask(plan, _tagged(plan), tally)
            tags = scratchpad.TagFilter()
            text = tags.feed(completion.text or "")
            working = tags.working
            if tags.replied:
                tally.add_text(text)
                return completion.sealed(exchange_id, text=text, usage=tally.usage)
        else:
            working = (await self._ask(plan, _working(plan), tally)).text or ""
        completion = await self._ask(plan, _second(plan, working), tally)
        tally.add_text(completion.text or "")
        return completion.sealed(exchange_id, usage=tally.usage)

    async def stream(self, plan: Plan, exchange_id: str, tally: Tally) -> AsyncGenerator[bytes, None]:
        """The events of a streamed reply under the exchange's id, ``[DONE]`` last.

        Raises ``UpstreamError`` or ``UpstreamRefused``, before the first event or in the middle.
        """
        form = _form(plan)
        working: str | None = None
        if form == "two_pass":
            working = (await self._ask(plan, _working(plan), tally)).text or ""
        if form == "tags":
            tags = scratchpad.TagFilter()
            async with aclosing(self._relay(plan, _tagged(plan), exchange_id, tally, tags)) as passed:
                async for event in passed:
                    yield event
            working = None if tags.replied else tags.working
        if form == "none" or working is not None:
            body = _plain(plan) if working is None else _second(plan, working)
            async with aclosing(self._relay(plan, body, exchange_id, tally, None)) as passed:
                async for event in passed:
                    yield event
        yield sse.DONE

    async def _ask(self, plan: Plan, body: bytes, tally: Tally) -> Completion:
        reply = await tally.wait(self._upstreams[plan.upstream], self._call(plan, body, stream=False))
        try:
            await _check(reply, plan)
            completion = open_completion(await tally.read(reply))
        finally:
            await reply.aclose()
        tally.usage += completion.usage
        tally.finish_reason = completion.finish_reason
        return completion

    async def _relay(
        self, plan: Plan, body: bytes, exchange_id: str, tally: Tally, tags: scratchpad.TagFilter | None
    ) -> AsyncGenerator[bytes, None]:
        """One pass of a stream, without its ``[DONE]``."""
        reply = await tally.wait(self._upstreams[plan.upstream], self._call(plan, body, stream=True))
        before = tally.usage
        finished = False
        try:
            await _check(reply, plan)
            if "text/event-stream" not in reply.headers.get("content-type", ""):
                raise UpstreamGarbage(f"upstream {plan.upstream!r} did not answer with a stream")
            async for data, event in _events(reply):
                if data == b"[DONE]":
                    finished = True
                    break
                chunk = sse.open_chunk(data)
                if chunk.error is not None:
                    raise UpstreamBroken(f"upstream {plan.upstream!r} reported an error in the middle of its stream")
                counted = chunk.counted()
                if counted is not None:
                    tally.usage = before + counted
                finished = finished or chunk.finish_reason() is not None
                out = self._handed_on(plan, chunk, data, event, tally, tags)
                if out is not None:
                    yield sse.with_id(out, chunk.id, exchange_id)
        finally:
            await reply.aclose()
        if not finished:
            raise UpstreamBroken(f"upstream {plan.upstream!r} ended its stream before the reply was complete")

    def _handed_on(
        self,
        plan: Plan,
        chunk: sse.Chunk,
        data: bytes,
        event: bytes,
        tally: Tally,
        tags: scratchpad.TagFilter | None,
    ) -> bytes | None:
        """The event as the caller receives it, or ``None`` if it is not for the caller."""
        if chunk.usage is not None and not chunk.choices and plan.upstream_model is not None:
            unfinished = tags is not None and not tags.replied
            asked = plan.envelope.include_usage and not unfinished
            return sse.with_usage(data, tally.usage) if asked else None
        text = chunk.text()
        if tags is None:
            tally.add_text(text)
            tally.finish_reason = chunk.finish_reason() or tally.finish_reason
            return event
        piece = tags.feed(text)
        tally.add_text(piece)
        tally.finish_reason = chunk.finish_reason() or tally.finish_reason
        if chunk.finish_reason() is not None:
            # A working without a reply is followed by a second pass, whose own end is the reply's.
            return sse.with_text(data, piece) if tags.replied else None
        return (sse.with_text(data, piece) if piece else None) if text else event

    def _call(self, plan: Plan, body: bytes, *, stream: bool) -> Call:
        return Call(model=plan.upstream_model or plan.model, body=body, stream=stream)


def _form(plan: Plan) -> str:
    return scratchpad.form_for(plan.envelope, plan.injection.rule_set.scratchpad) if plan.injection else "none"


def _plain(plan: Plan) -> bytes:
    """One pass: the caller's request, with the rules where there are any."""
    if plan.upstream_model is None:
        return plan.envelope.body
    if plan.injection is None:
        return _sealed(plan, None)
    return _sealed(plan, with_system_text(plan.envelope.messages, plan.injection.text))


def _working(plan: Plan) -> bytes:
    assert plan.injection is not None and plan.upstream_model is not None
    return scratchpad.working_request(plan.envelope, plan.injection, plan.upstream_model)


def _second(plan: Plan, working: str) -> bytes:
    return _sealed(plan, scratchpad.with_working(plan.envelope.messages, working))


def _tagged(plan: Plan) -> bytes:
    assert plan.injection is not None
    return _sealed(
        plan, scratchpad.tagged_messages(plan.envelope, plan.injection), scratchpad.tagged_limits(plan.envelope)
    )


def _sealed(
    plan: Plan, messages: list[msgspec.Raw] | None, limits: Mapping[str, msgspec.Raw | None] | None = None
) -> bytes:
    """The caller's request for the upstream's model; ``None`` leaves the messages as they came."""
    changes: dict[str, msgspec.Raw | None] = {"model": raw(plan.upstream_model), **(limits or {})}
    if messages is not None:
        changes["messages"] = raw(messages)
    if plan.envelope.stream and not plan.envelope.include_usage:
        options = plan.envelope.value("stream_options") or {}
        changes["stream_options"] = raw({**options, "include_usage": True})
    return plan.envelope.sealed(changes)


async def _events(reply: Reply) -> AsyncIterator[tuple[bytes, bytes]]:
    """The data and the bytes of every event that carries data."""
    events = sse.Events()
    async for piece in reply.chunks():
        for event in events.feed(piece):
            data = sse.data_of(event)
            if data is not None:
                yield data, event
    rest = sse.data_of(events.end())
    if rest is not None:
        yield rest, sse.event_of(rest)


async def _check(reply: Reply, plan: Plan) -> None:
    """Raise ``UpstreamRefused`` for an error status, in OpenAI's shape, with the headers that clients act on."""
    if 200 <= reply.status < 300:
        return
    if reply.status < 400:
        raise UpstreamGarbage(f"upstream {plan.upstream!r} answered with status {reply.status}: is base_url right?")
    payload = await reply.read()
    headers = {name: reply.headers[name] for name in _HANDED_ON if name in reply.headers}
    raise UpstreamRefused(reply.status, refusal_body(payload, reply.status, plan.upstream), headers)


def refusal_body(payload: bytes, status: int, upstream: str) -> bytes:
    """An upstream's error in OpenAI's shape with all four keys, whatever it sent.

    Where the upstream refused the gateway's own key its words are withheld: they may quote the key.
    """
    if status in _OWN_KEY_REFUSED:
        return error_body(
            f"upstream {upstream!r} refused the gateway's key (status {status}): check upstreams.{upstream}.api_key",
            "upstream_error", None, "upstream_key_refused",
        )  # fmt: skip
    kind = UpstreamError.type if status >= 500 else "invalid_request_error"
    try:
        error = msgspec.json.decode(payload).get("error")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, RecursionError):
        error = None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return error_body(f"upstream {upstream!r} answered with status {status}", kind)
    shape = {"message": None, "type": kind, "param": None, "code": None}
    return msgspec.json.encode({"error": {**shape, **error}})

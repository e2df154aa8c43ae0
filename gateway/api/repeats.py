"""Answers from kept replies, for tasks with a ``cache``: the same interface as ``Completions``, around it.

A reply that serves again keeps the id of its exchange, so feedback on it reaches that exchange. The request itself is
no exchange: nothing is recorded of it, so nothing learns from it, and no arm is measured by it.
"""

from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Protocol

from gateway.api.running import HIT, MISS, Running
from gateway.completion import CompletionTrace, first_pass
from gateway.formats.envelope import Conversation
from gateway.formats.repeatable import COMPLETE, is_repeatable
from gateway.reply_cache import KeptReply, largest
from gateway.routing.conversation import tenant_of
from gateway.routing.reply_key import reply_key
from gateway.routing.route import RoutePlan
from gateway.services import Services
from gateway.settings.caching import Caching
from gateway.upstream.quirk_memory import server_digest


class Answering(Protocol):
    """Answers plans, as ``Completions`` does."""

    def whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> Coroutine[None, None, bytes]:
        """Return an unstreamed reply."""

    def stream(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> AsyncGenerator[bytes, None]:
        """Yield the events of a streamed reply, including the closing event."""


def answering(services: Services, exchange: Running, plan: RoutePlan) -> Answering:
    """Return the kept reply to a request of a task with a cache, else the models, whose reply is kept then."""
    serving, envelope = services.serving, plan.envelope
    assert plan.task is not None and isinstance(envelope, Conversation), "only conversations have a task"
    if not (is_repeatable(envelope) and _may_be_kept(services, exchange, plan)):
        return serving.completions
    trace, holder = exchange.trace, exchange.holder
    key = reply_key(
        plan,
        first_pass(plan).changes,
        services.rules.current,
        key=None if holder is None else holder.name,
        tenant=tenant_of(envelope),
        query=f"{trace.path}?{trace.query}" if trace.query else "",
        headers=trace.request_headers,
    )
    kept = services.replies.find(plan.task, key, serving.kept_seconds[plan.task])
    if kept is not None:
        exchange.cached = HIT
        return RepeatedAnswer(exchange, kept)
    exchange.cached = MISS
    return KeepingAnswers(services, exchange, plan, key)


def _may_be_kept(services: Services, exchange: Running, plan: RoutePlan) -> bool:
    """Decide whether the text may be kept at all, and whether the model takes a temperature."""
    if not exchange.learn or exchange.record_mode(plan.task) != "all":
        return False
    model = (server_digest(services.settings.upstreams[plan.upstream]), plan.upstream_model or plan.model)
    return "temperature" not in services.quirks.quirks(model).without


class RepeatedAnswer:
    """A kept reply in place of the models. Implements ``Answering``."""

    def __init__(self, exchange: Running, kept: KeptReply) -> None:
        self._exchange, self._kept = exchange, kept

    async def whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> bytes:
        self._exchange.id = self._kept.id
        return self._kept.pieces[0]

    async def stream(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> AsyncGenerator[bytes, None]:
        self._exchange.id = self._kept.id
        for event in self._kept.pieces:
            yield event


class KeepingAnswers:
    """The models, whose complete replies are kept. Implements ``Answering`` for a single request."""

    def __init__(self, services: Services, exchange: Running, plan: RoutePlan, key: bytes) -> None:
        self._replies, self._completions = services.replies, services.serving.completions
        self._exchange, self._plan, self._key = exchange, plan, key
        self._generation = services.replies.generation
        caching = services.settings.tasks[plan.task or ""].cache
        assert isinstance(caching, Caching), "only a task with a cache keeps replies"
        self._max_bytes = int(caching.max_mb * 10**6)

    async def whole(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> bytes:
        body = await self._completions.whole(plan, exchange_id, trace)
        self._keep((body,), trace)
        return body

    async def stream(self, plan: RoutePlan, exchange_id: str, trace: CompletionTrace) -> AsyncGenerator[bytes, None]:
        pieces: list[bytes] = []
        left = largest(self._max_bytes)
        async with aclosing(self._completions.stream(plan, exchange_id, trace)) as events:
            async for event in events:
                left -= len(event)
                if left >= 0:
                    pieces.append(event)
                else:
                    pieces.clear()
                yield event
        if left >= 0:
            self._keep(pieces, trace)

    def _keep(self, pieces: Sequence[bytes], trace: CompletionTrace) -> None:
        """Keep a reply that is complete and the plan's own: no fallback's, none without the parts of its version."""
        text_or_calls = trace.text or trace.tool_calls
        if not text_or_calls or trace.plan is not self._plan or trace.why or trace.finish_reason not in COMPLETE:
            return
        self._replies.keep(
            self._plan.task or "",
            self._key,
            self._exchange.reply_id(),
            pieces,
            max_bytes=self._max_bytes,
            generation=self._generation,
        )

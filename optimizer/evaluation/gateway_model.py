"""A configured model, asked through the gateway's own request path: the verified path is the serving path.

An answer may take two calls. Each reply is kept until the answer is complete: a run killed between them does not pay
for the first call again.
"""

import asyncio
from collections.abc import Callable

import msgspec

from gateway.completion import Completions, CompletionTrace
from gateway.context import LearnerContext
from gateway.domain import RuleSet
from gateway.errors import ModelNotFound, PreceptorError
from gateway.formats.chat import open_chat
from gateway.formats.envelope import decode_object, raw
from gateway.formats.reply import WholeReply
from gateway.routing.inject import Injection, compile_rules
from gateway.routing.route import plan_for
from gateway.settings import Quirks, Settings
from gateway.upstream.base import BufferedReply, Call, Upstream, UpstreamReply
from optimizer.evaluation.answer_cache import Answer, AnswerCache, StoredPass, key_of_pass

_EXCHANGE_ID = "chatcmpl-evaluation"
_COMPILED = 8
"""Compiled rule sets in memory: the candidates of a race take turns."""


class GatewayModelClient:
    """Implements ``ModelClient`` over a gateway's context."""

    def __init__(self, name: str, context: LearnerContext, evaluations: AnswerCache) -> None:
        self.name = name
        self.identity = _identity(name, context.settings)
        self._context = context
        self._evaluations = evaluations
        self._injections: list[Injection] = []
        self._compiling = asyncio.Lock()

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        context = self._context
        if _identity(self.name, context.settings) != self.identity:
            raise PreceptorError(f"model {self.name!r} is another one since the configuration was read again")
        body = msgspec.json.encode({**decode_object(request), "model": raw(self.name)})
        injection = await self._compiled(rule_set) if rule_set is not None else None
        plan = plan_for(open_chat(body), self.name, context.settings, injection=injection)
        passes = _Passes(
            context.upstreams[plan.upstream], self._evaluations, self.identity,
            opened=plan.envelope.open_reply, clock=context.clock,
        )  # fmt: skip
        plan = msgspec.structs.replace(plan, fallbacks=())  # an equal deployment would answer under another's name
        completions = Completions({plan.upstream: passes}, context.clock)
        trace = CompletionTrace()
        await completions.whole(plan, _EXCHANGE_ID, trace)
        # The caller puts the answer before the loop comes to this: the answer is on disk before its passes go.
        asyncio.get_running_loop().call_soon(self._evaluations.drop_passes, passes.keys)
        return Answer(
            text=trace.text,
            usage=trace.usage,
            latency_s=passes.latency_s,
            finish_reason=trace.finish_reason,
            tool_calls=trace.tool_calls,
            calls=passes.paid,
            hidden=tuple(passes.texts if trace.written else passes.texts[:-1]),
        )

    async def _compiled(self, rule_set: RuleSet) -> Injection:
        """Return the compiled rule set. The last few are kept: an index of examples takes up to two seconds."""
        async with self._compiling:
            for kept in self._injections:
                if kept.rule_set is rule_set:
                    return kept
            compiled = await asyncio.to_thread(compile_rules, rule_set)
            self._injections = [compiled, *self._injections[: _COMPILED - 1]]
            return compiled


def _identity(name: str, settings: Settings) -> str:
    """Return the identity of a configured model: server, name, and the settings that shape its answers.

    Raises ``ModelNotFound``.
    """
    model = settings.models.get(name)
    if model is None:
        raise ModelNotFound(name)
    upstream = settings.upstreams[model.upstream]
    shaping = dict(upstream.shaping)
    if model.quirks != Quirks():
        shaping["quirks"] = model.quirks
    identity = f"{upstream.kind} {upstream.address} {model.model}"
    return f"{identity} {msgspec.json.encode(shaping, order='sorted').decode()}" if shaping else identity


class _Passes:
    """The upstream of one answer: a call answered in an earlier run is not repeated."""

    def __init__(
        self,
        upstream: Upstream,
        evaluations: AnswerCache,
        identity: str,
        *,
        opened: Callable[[bytes], WholeReply],
        clock: Callable[[], float],
    ) -> None:
        self.keys: list[bytes] = []
        self.texts: list[str] = []
        self.latency_s = 0.0
        self.paid = 0
        """Calls made now."""
        self._upstream = upstream
        self._evaluations = evaluations
        self._identity = identity
        self._opened = opened
        self._clock = clock

    async def open(self) -> None:
        """Opened with the context."""

    async def send(self, call: Call) -> UpstreamReply:
        key = key_of_pass(self._identity, call.path, call.body)
        kept = self._evaluations.get_pass(key)
        if kept is None:
            began = self._clock()
            self.paid += 1
            reply = await self._upstream.send(call)
            if reply.status != 200:
                return reply
            try:
                body = await reply.read()
            finally:
                await reply.aclose()
            text = self._opened(body).text  # a broken reply is not kept: the next try must ask again
            kept = StoredPass(body=body, latency_s=self._clock() - began)
            await self._evaluations.keep_pass(key, kept)
        else:
            text = self._opened(kept.body).text
        self.texts.append(text or "")
        self.keys.append(key)
        self.latency_s += kept.latency_s
        return BufferedReply(kept.body)

    def ready(self) -> str | None:
        return self._upstream.ready()

    async def aclose(self) -> None:
        """Closed with the context."""

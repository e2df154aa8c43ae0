"""The adaptation of calls to a model's quirks, between ``guarded`` and the wire.

Only calls marked ``adaptable``: their model was chosen by the configuration, so the caller cannot know its quirks. A
refusal is read, the request is sent again without the refused field, and the quirk is remembered once the model has
accepted that request. Simultaneous refusals are each mended on their own: none waits for another, and each request is
refused at most a few times, once in the life of a model.
"""

import logging
from contextlib import aclosing

import msgspec
from msgspec import Raw

from gateway.formats.upstream_error import error_words
from gateway.settings import Quirks
from gateway.upstream.base import BufferedReply, Call, Upstream, UpstreamReply, Wrapper
from gateway.upstream.quirk_memory import QuirkMemory
from gateway.upstream.quirks import REFUSED, Adaptation, described, learnt_from

log = logging.getLogger(__name__)

_TURNS = 6
"""Refusals of a request before the last is handed on; a model refuses two or three fields."""


class AdaptedUpstream(Wrapper):
    """An upstream whose calls are adapted. Implements ``upstream.base.Upstream``. ``server`` is its digest."""

    def __init__(self, upstream: Upstream, name: str, server: str, memory: QuirkMemory) -> None:
        super().__init__(upstream)
        self._name = name
        self._server = server
        self._memory = memory

    async def send(self, call: Call) -> UpstreamReply:
        """Send a call, adapted to its model. Raises the upstream's errors."""
        if not call.adaptable:
            return await self._upstream.send(call)
        adaptation = self._memory.get((self._server, call.model))
        adapted = call if adaptation is None else _applied(adaptation, call)
        reply = await self._upstream.send(adapted)
        return reply if reply.status not in REFUSED else await self._mended(call, adapted, reply)

    async def _mended(self, call: Call, sent: Call, reply: UpstreamReply) -> UpstreamReply:
        """Read a refusal, send again, and remember the quirks that the model thereby showed."""
        key = (self._server, call.model)
        quirks = self._memory.quirks(key)
        for _ in range(_TURNS):
            refusal = await _buffered(reply)
            again = _applied(Adaptation(quirks), call)
            if again.body == sent.body:  # no other call has learnt more in the meantime
                shown = _shown(refusal, sent, quirks)
                if shown is None:
                    return refusal
                again = _applied(Adaptation(shown), call)
                if again.body == sent.body:  # a fact without a cure, such as the length of the context
                    self._remember(key, shown)
                    return refusal
                quirks = shown
            sent = again
            reply = await self._upstream.send(sent)
            if reply.status not in REFUSED:
                self._remember(key, quirks)
                return reply
        return reply

    def _remember(self, key: tuple[str, str], quirks: Quirks) -> None:
        if self._memory.learn(key, quirks):
            log.info(
                "model %s of upstream %r: %s", key[1], self._name, described(self._memory.quirks(key)),
                extra={"action": "quirks.learnt", "upstream": self._name, "model": key[1]},
            )  # fmt: skip


def _applied(adaptation: Adaptation, call: Call) -> Call:
    body = adaptation.apply(call.body, call.optional)
    return call if body is call.body else msgspec.structs.replace(call, body=body)


async def _buffered(reply: UpstreamReply) -> BufferedReply:
    async with aclosing(reply):
        return BufferedReply(await reply.read(), status=reply.status, headers=reply.headers)


def _shown(refusal: BufferedReply, sent: Call, known: Quirks) -> Quirks | None:
    """Return the quirks including the one shown by a refusal; ``None`` if it shows none."""
    words = error_words(refusal.body)
    if words is None:
        return None
    return learnt_from(words, msgspec.json.decode(sent.body, type=dict[str, Raw]), known)

"""Asking for a reply in a shape that the upstream guarantees, where it can.

Whether it can is found out by asking: an upstream that refuses ``response_format`` is asked again without it, once, and
what it can is remembered beside the answers, so that neither the next question nor the next run tries again, whoever
asks for whatever shape. An upstream that takes the format and ignores it is for the reader of the reply to cope with.
"""

from collections.abc import Awaitable, Callable

from gateway.errors import UpstreamRefused
from optimizer.evaluation.answer_cache import Answer, AnswerCache, key_of

REFUSED = frozenset({400, 415, 422, 501})
"""Statuses with which an upstream may refuse a ``response_format``; the others are about something else."""
_UNKNOWN, _YES, _NO = (Answer(text=text) for text in ("unknown", "yes", "no"))
"""What the cache of answers remembers of an upstream."""

Ask = Callable[[bytes], Awaitable[Answer]]
"""Asks one model one chat body."""


async def shaped_or_free(ask: Ask, shaped: bytes, free: bytes, *, identity: str, evaluations: AnswerCache) -> Answer:
    """The reply to ``shaped``, a body with a ``response_format``, or to ``free`` if the upstream does not take that.

    ``identity`` is the model's. Raises what ``ask`` raises.
    """
    known = key_of(identity, b"response_format", None, "takes it")
    async with evaluations.exclusive(known):  # until it is known, one asks and the others wait
        taken = evaluations.get(known) or _UNKNOWN
        if taken == _UNKNOWN:
            try:
                answer = await ask(shaped)
            except UpstreamRefused as error:
                if error.status not in REFUSED:
                    raise
                evaluations.put(known, _NO)
            else:
                evaluations.put(known, _YES)
                return answer
            try:
                return await ask(free)
            except UpstreamRefused:  # so it was not the shape that it refused
                evaluations.put(known, _UNKNOWN)
                raise
    return await ask(shaped if taken == _YES else free)

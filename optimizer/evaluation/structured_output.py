"""Replies in a shape guaranteed by the upstream, if it has that feature.

An upstream that refuses ``response_format`` is asked once more without it. The discovery is kept beside the answers, so
that no later question and no later run tries again. An upstream may also ignore the format: the reader of the reply
must cope with that.
"""

from collections.abc import Awaitable, Callable

from gateway.errors import UpstreamRefused
from optimizer.evaluation.answer_cache import Answer, AnswerCache, key_of

REFUSED = frozenset({400, 415, 422, 501})
"""Statuses of an upstream's refusal of a ``response_format``; the others have other causes."""
_UNKNOWN, _YES, _NO = (Answer(text=text) for text in ("unknown", "yes", "no"))
"""Discoveries about an upstream, as answers in the cache."""

Ask = Callable[[bytes], Awaitable[Answer]]
"""Send a chat body to a model."""


async def shaped_or_free(ask: Ask, shaped: bytes, free: bytes, *, identity: str, evaluations: AnswerCache) -> Answer:
    """Return the reply to ``shaped``, a body with a ``response_format``, or to ``free`` if the upstream refuses that.

    ``identity`` is the model's. Raises the errors of ``ask``.
    """
    known = key_of(identity, b"response_format", None, "takes it")
    async with evaluations.exclusive(known):  # the first question finds out, the others wait
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
            except UpstreamRefused:  # the shape was not the cause
                evaluations.put(known, _UNKNOWN)
                raise
    return await ask(shaped if taken == _YES else free)

"""Asking the strong model for rules in a shape that its upstream guarantees, where it can.

Whether it can is found out by asking: an upstream that refuses ``response_format`` is asked again without it, once, and
what it can is remembered beside the answers, so that neither the next group nor the next run tries again. What an
upstream does that takes the format and ignores it, the tolerant ``parser`` copes with. Reasons come first in the shape,
because a model reasons in the order in which it writes. A small model that teaches itself is not asked for the shape:
its rules get worse (docs/experiments.md).
"""

import msgspec

from gateway.errors import UpstreamRefused
from optimizer.trials.evaluate import SHAPE_REFUSED, Answer, Bench, Model
from optimizer.trials.evaluations import key_of

_TEXT = {"type": "string"}
SHAPE = {
    "type": "json_schema",
    "json_schema": {
        "name": "rules",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "why": _TEXT,
                "rules": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"rule": _TEXT, "reason": _TEXT},
                        "required": ["rule", "reason"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["why", "rules"],
            "additionalProperties": False,
        },
    },
}
"""A ``response_format`` that OpenAI, vLLM, Ollama and llama.cpp take; strict wants every property required."""
_UNKNOWN, _YES, _NO = (Answer(text=text) for text in ("unknown", "yes", "no"))
"""What the cache of answers remembers of an upstream."""


async def ask_for_rules(bench: Bench, strong: Model, free: str, shaped: str | None) -> Answer:
    """One reply that holds rules: to ``shaped``, in the shape, if the upstream takes that, otherwise to ``free``.

    ``None`` asks without the shape at once. Raises what ``Bench.ask`` raises.
    """
    if shaped is None:
        return await _asked(bench, strong, free)
    known = key_of(strong.identity, msgspec.json.encode(SHAPE), None, "takes it")
    async with bench.evaluations.exclusive(known):  # until it is known, one asks and the others wait
        taken = bench.evaluations.get(known) or _UNKNOWN
        if taken == _UNKNOWN:
            try:
                answer = await _asked(bench, strong, shaped, response_format=SHAPE)
            except UpstreamRefused as error:
                if error.status not in SHAPE_REFUSED:
                    raise
                bench.evaluations.put(known, _NO)
            else:
                bench.evaluations.put(known, _YES)
                return answer
            try:
                return await _asked(bench, strong, free)
            except UpstreamRefused:  # so it was not the shape that it refused
                bench.evaluations.put(known, _UNKNOWN)
                raise
    if taken == _YES:
        return await _asked(bench, strong, shaped, response_format=SHAPE)
    return await _asked(bench, strong, free)


async def _asked(bench: Bench, strong: Model, question: str, **more: object) -> Answer:
    body = {"messages": [{"role": "user", "content": question}], **more}
    return await bench.ask(strong, msgspec.json.encode(body), None, purpose="induction")

"""Asking the strong model for rules in a shape that its upstream guarantees, where it can.

Whether it can is found out by asking: an upstream that refuses ``response_format`` is asked again without it, once, and
what it can is remembered beside the answers, so that neither the next group nor the next run tries again. What an
upstream does that takes the format and ignores it, the tolerant ``parser`` copes with. Reasons come first in the shape,
because a model reasons in the order in which it writes.
"""

import msgspec

from gateway.errors import UpstreamRefused
from optimizer.evaluate import Answer, Bench, Model
from optimizer.evaluations import key_of

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
_REFUSALS = frozenset({400, 415, 422, 501})
"""Statuses with which upstreams refuse a request for what it asks; the others are about something else."""
_PURPOSE = "induction"


async def ask_for_rules(bench: Bench, strong: Model, question: str) -> Answer:
    """One reply that holds rules, in the shape if the upstream takes it. Raises what ``Bench.ask`` raises."""
    plain = {"messages": [{"role": "user", "content": question}]}
    known = key_of(strong.identity, msgspec.json.encode(SHAPE), None, "takes it")
    async with bench.evaluations.exclusive(known):  # until it is known, one asks and the others wait
        taken = bench.evaluations.get(known)
        if taken is None:
            answer, takes = await _tried(bench, strong, plain)
            bench.evaluations.put(known, Answer(text=takes))
            return answer
    return await _asked(bench, strong, {**plain, "response_format": SHAPE} if taken.text == "yes" else plain)


async def _tried(bench: Bench, strong: Model, plain: dict[str, object]) -> tuple[Answer, str]:
    try:
        return await _asked(bench, strong, {**plain, "response_format": SHAPE}), "yes"
    except UpstreamRefused as error:
        if error.status not in _REFUSALS:
            raise
    return await _asked(bench, strong, plain), "no"


async def _asked(bench: Bench, strong: Model, body: dict[str, object]) -> Answer:
    return await bench.ask(strong, msgspec.json.encode(body), None, purpose=_PURPOSE)

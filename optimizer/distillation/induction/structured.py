"""Asking the strong model for rules in a shape that its upstream guarantees, where it can (``trials.shape``).

Where it cannot, or takes the shape and ignores it, the tolerant ``parser`` copes. Reasons come first in the shape,
because a model reasons in the order in which it writes. A small model that teaches itself is not asked for the shape:
its rules get worse (docs/experiments.md).
"""

import msgspec

from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient

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


async def ask_for_rules(evaluator: Evaluator, strong: ModelClient, free: str, shaped: str | None) -> Answer:
    """One reply that holds rules: to ``shaped``, in the shape, if the upstream takes that, otherwise to ``free``.

    ``None`` asks without the shape at once. Raises what ``Evaluator.ask`` raises.
    """
    if shaped is None:
        return await evaluator.ask(strong, _body(free), None, purpose="induction")
    return await evaluator.ask_shaped(strong, _body(shaped, response_format=SHAPE), _body(free), purpose="induction")


def _body(question: str, **more: object) -> bytes:
    return msgspec.json.encode({"messages": [{"role": "user", "content": question}], **more})

"""Asking the strong model for rules as structured output, if its upstream guarantees any.

If it does not, or ignores the schema, the tolerant ``parser`` copes. Reasons come first in the schema, because a model
reasons in the order of its writing. A small model as its own teacher is not asked for structured output: its rules get
worse (docs/experiments.md).
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
"""A ``response_format`` for OpenAI, vLLM, Ollama and llama.cpp; strict wants every property required."""


async def ask_for_rules(evaluator: Evaluator, strong: ModelClient, free: str, shaped: str | None) -> Answer:
    """Ask for rules: with ``shaped`` as structured output if the upstream offers it, otherwise with ``free``.

    Without ``shaped``, ``free`` is asked at once. Raises the errors of ``Evaluator.ask``.
    """
    if shaped is None:
        return await evaluator.consult(strong, _body(free), purpose="induction")
    return await evaluator.ask_shaped(strong, _body(shaped, response_format=SHAPE), _body(free), purpose="induction")


def _body(question: str, **more: object) -> bytes:
    return msgspec.json.encode({"messages": [{"role": "user", "content": question}], **more})

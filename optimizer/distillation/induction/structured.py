"""Asking the strong model for rules as structured output, if its upstream guarantees any.

If it does not, or ignores the schema, the tolerant ``parser`` copes. Reasons come first in the schema, because a model
reasons in the order of its writing. A small model as its own teacher is not asked for structured output: its rules get
worse (docs/experiments.md).
"""

import msgspec

from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient

_TEXT = {"type": "string"}


def _shape(*fields: str) -> dict[str, object]:
    rule = {"type": "object", "properties": dict.fromkeys(fields, _TEXT), "required": list(fields),
            "additionalProperties": False}  # fmt: skip
    schema = {
        "type": "object",
        "properties": {"why": _TEXT, "rules": {"type": "array", "items": rule}},
        "required": ["why", "rules"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "rules", "strict": True, "schema": schema}}


SHAPE = _shape("rule", "reason")
"""A ``response_format`` for OpenAI, vLLM, Ollama and llama.cpp; strict wants every property required."""
SHAPE_IF = _shape("when", "rule", "reason")
"""The same with a condition on each rule."""


async def ask_for_rules(
    evaluator: Evaluator, strong: ModelClient, free: str, shaped: str | None, *, conditions: bool = False
) -> Answer:
    """Ask for rules: with ``shaped`` as structured output if the upstream offers it, otherwise with ``free``.

    Without ``shaped``, ``free`` is asked at once. Raises the errors of ``Evaluator.ask``.
    """
    if shaped is None:
        return await evaluator.consult(strong, _body(free), purpose="induction")
    return await evaluator.ask_shaped(
        strong,
        _body(shaped, response_format=SHAPE_IF if conditions else SHAPE),
        _body(free),
        purpose="induction",
        whole=True,
    )


def _body(question: str, **more: object) -> bytes:
    return msgspec.json.encode({"messages": [{"role": "user", "content": question}], **more})

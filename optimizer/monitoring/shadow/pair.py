"""One request and the answers of a task's two models: the question, the other model, the record, the comparison.

The strong model's answer counts as the right one, as in ``evaluation.reference_answers``: the result is agreement with
that model. Asks and records nothing; ``shadows`` does, through an evaluator.
"""

from typing import Any

import msgspec

from gateway.domain import Arm, Exchange, Feedback, RuleSet
from gateway.errors import PreceptorError, UpstreamRefused
from gateway.formats.chat import only_text, open_chat
from gateway.forms import composed
from gateway.routing.conversation import bucket
from gateway.settings import Task
from gateway.store.selection import shadow_id
from optimizer.dataset.items import Item, item_of_request, parse_object
from optimizer.evaluation.evaluator import Answer, Evaluator
from optimizer.evaluation.reference_answers import with_label
from optimizer.grading.graders import Ungradable

_WEAK: frozenset[Arm] = frozenset({"weak", "canary", "holdback"})
_UNFINISHED = frozenset({"queued", "in_progress", "cancelled"})
"""Ends of a reply that its caller fetches later: the record has only its beginning."""
_BUSY = frozenset({401, 403, 404, 408, 409, 429})
"""HTTP statuses about the upstream or its load; other 4xx are about the request."""
_EMPTY: tuple[Any, ...] = (None, "", [])


def other_model(exchange: Exchange, section: Task) -> str | None:
    """Return the task's other model; ``None`` if neither of the two answered."""
    if exchange.arm == "strong":
        return section.weak
    return section.strong if exchange.arm in _WEAK else None


def in_sample(exchange: Exchange, task: str, section: Task) -> bool:
    """Decide whether an exchange is in the compared share; the answer never changes for a given share."""
    return bucket(exchange.id.encode(), f"{task} shadow") < section.shadow_share


def question(exchange: Exchange) -> Item | None:
    """Return the item to ask another model: an answered text, from a client that allows learning."""
    if exchange.status != "ok" or exchange.reply is None or exchange.finish_reason in _UNFINISHED:
        return None
    try:
        item = item_of_request(exchange.request)
        return item if _is_text(item.request) else None
    except PreceptorError:
        return None


def _is_text(request: bytes) -> bool:
    body = parse_object(request)
    spoken = body.get("modalities") in (None, ["text"])
    contents = (message.get("content") for message in body["messages"])
    return spoken and all(content in _EMPTY or only_text(content, ("text",)) for content in contents)


def injectable(rule_set: RuleSet | None, item: Item) -> RuleSet | None:
    """Return the rule set, if the gateway would inject it into such a request: some support no scratchpad."""
    if rule_set is None:
        return None
    asked = open_chat(msgspec.json.encode({**parse_object(item.request), "model": rule_set.task}))
    return rule_set if composed(rule_set).obstacle(asked) is None else None


def shadow_of(exchange: Exchange, answer: Answer, *, model: str, rules: int | None, now: float) -> Exchange:
    """Return the record of a background answer, received by no caller."""
    return Exchange(
        id=shadow_id(exchange.id),
        created=now,
        task=exchange.task,
        client_model=exchange.client_model,
        model=model,
        arm="shadow",
        rules=rules,
        stream=False,
        status="ok",
        http_status=200,
        request=exchange.request,
        reply=answer.text,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        latency_ms=answer.latency_s * 1000,
        tool_calls=answer.tool_calls,
        key=exchange.key,
        tenant=exchange.tenant,
        cluster=exchange.cluster,
    )


async def compared(
    evaluator: Evaluator, item: Item, section: Task, *, served: Exchange, shadow: Exchange, now: float
) -> Feedback | None:
    """Return the grader's verdict on the weak model's reply, by the strong model's; ``None`` without a verdict.

    ``comment`` names the model whose answer is expected. Raises the errors of ``Evaluator.graded``.
    """
    strong, weak = (served, shadow) if served.arm == "strong" else (shadow, served)
    try:
        labelled = with_label(item, section.grader, strong.model, recorded_answer(strong))
    except Ungradable:
        return None
    trial = await evaluator.graded(section.grader, labelled, recorded_answer(weak))
    if trial.ungraded:
        return None
    return Feedback(
        exchange_id=weak.id,
        created=now,
        correct=trial.correct,
        expected=labelled.expected,
        comment=labelled.labelled_by,
        source="shadow",
    )


def recorded_answer(exchange: Exchange) -> Answer:
    """Return the reply of an exchange as a model's answer."""
    return Answer(
        text=exchange.reply or "",
        tool_calls=exchange.tool_calls,
        usage=exchange.usage,
        latency_s=exchange.latency_ms / 1000,
        finish_reason=exchange.finish_reason,
    )


def is_about_the_request(error: PreceptorError) -> bool:
    """Decide whether an error is the request's own: another request may succeed."""
    return isinstance(error, UpstreamRefused) and error.status < 500 and error.status not in _BUSY

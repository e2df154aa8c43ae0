"""The strong model's answers as expected answers, for questions without a label.

With such labels, quality is agreement with the strong model and nothing else: a weak model that repeats its errors
counts as right. Each item names its labeller, and ``describe_labels`` puts that into words beside
every number.
How replies are compared with these labels is for the task's grader. Decides nothing.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from gateway.domain import Value
from gateway.settings import Grader
from optimizer.dataset.items import BadData, Item
from optimizer.evaluation.evaluator import Answer, Evaluator, ModelClient
from optimizer.grading.graders import Submission, Ungradable, grader_for, kind_of

_COMPLETE = (None, "stop", "tool_calls", "function_call")
"""Ends of a whole answer; an answer cut off or filtered labels nothing."""


class LabelledItems(Value, frozen=True):
    """Items with an expected answer, and complaints about the others."""

    items: tuple[Item, ...]
    complaints: tuple[str, ...] = ()
    calls: int = 0
    """Model calls paid for; answers from the cache are free."""
    tokens: int = 0
    """Prompt and output tokens of those calls."""


async def label_items(
    evaluator: Evaluator, strong: ModelClient, items: Sequence[Item], grader: Grader
) -> LabelledItems:
    """Label every item without an expected answer with the strong model's own.

    The answers stay in the cache: measuring the strong model on these items later is free. Raises ``BadData`` before
    any payment for a grader without labels, and the errors of ``Evaluator.ask``.
    """
    waiting = [item for item in items if item.expected is None]
    if waiting and not grader_for(grader).can_label:
        kind = kind_of(grader)
        raise BadData(f"a model's answer is no expected value for the grader {kind!r}: label the data, or use a judge")
    calls, tokens = evaluator.ledger.calls, evaluator.ledger.tokens
    complaints: list[str] = []

    async def ask(item: Item) -> Item | None:
        answer = await evaluator.ask(strong, item.request, None, purpose="answer")
        try:
            return with_label(item, grader, strong.name, answer)
        except Ungradable as error:
            complaints.append(f"item {item.id}: {strong.name}'s answer labels nothing: {error}")
            return None

    given = await evaluator.each(ask, waiting, stage="labels")
    answered = {item.id: item for item in given if item is not None}
    return LabelledItems(
        items=tuple(
            kept for item in items if (kept := answered.get(item.id) if item.expected is None else item) is not None
        ),
        complaints=tuple(complaints),
        calls=evaluator.ledger.calls - calls,
        tokens=evaluator.ledger.tokens - tokens,
    )


def with_label(item: Item, grader: Grader, model: str, answer: Answer) -> Item:
    """Return the item with a model's answer as its label.

    Raises ``Ungradable`` if the answer broke off or labels nothing.
    """
    if answer.finish_reason not in _COMPLETE:
        raise Ungradable(answer.text, f"a whole answer, it ended with {answer.finish_reason!r}")
    submission = Submission(text=answer.text, tool_calls=answer.tool_calls, request=item.request)
    expected = grader_for(grader).label(submission)
    return msgspec.structs.replace(item, expected=expected, labelled_by=model, labellers=(model,))


def describe_labels(items: Sequence[Item]) -> str:
    """Return the meaning of quality on these items in a sentence; nothing if people or data labelled all."""
    by_model = Counter(item.labelled_by for item in items if item.labelled_by)
    if not by_model:
        return ""
    models = " and ".join(sorted(by_model))
    return (
        f"{by_model.total()} of {len(items)} expected answers are {models}'s own: on them quality means agreement with"
        f" {models}, not correctness"
    )

"""Solved examples out of labelled items, for the part ``examples`` of a rule set.

An example shows a user's text to the weak model, so it carries its provenance, and only an operator's file is shared
between tenants (``Example.visible_to``). Calls no model.
"""

from collections import Counter
from collections.abc import Sequence

from gateway.teaching import Example
from optimizer.dataset.items import Item
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.redact import marks, redacted
from optimizer.grading.graders.ungradable import text_of

MOST = 5000
"""Examples of a rule set."""
PER_CLUSTER = 2
"""Examples from a single conversation, user or family of near-duplicates."""
CONFIRMATIONS = 2
"""Labellers who agree on an answer of live traffic before the answer is shown to a model."""
LONGEST = 4000
"""Characters of a question or an answer."""


def solved_examples(items: Sequence[Item]) -> tuple[Example, ...]:
    """Return the items that may be shown as solved examples, in their order, secrets redacted.

    Left out are conversations of several turns, requests with tools, long texts, answers of live traffic that
    fewer than ``CONFIRMATIONS`` labellers gave, and answers with a secret that their question does not hold: from its
    mark a small model learns to answer with a mark.
    """
    counts: Counter[str] = Counter()
    examples: list[Example] = []
    for item in items:
        if len(examples) == MOST or counts[item.unit] == PER_CLUSTER:
            continue
        example = _example(item)
        if example is not None:
            counts[item.unit] += 1
            examples.append(example)
    return tuple(examples)


def is_operators(item: Item) -> bool:
    """Tell if an item came from a data file of the operator."""
    return item.key is None and item.tenant is None and item.audit_rate == 1.0 and not item.labelled_by


def _example(item: Item) -> Example | None:
    request = read_request(item.request)
    turns = [turn for turn in request.turns if turn.role not in ("system", "developer")]
    if item.expected is None or request.tools or len(turns) != 1 or turns[0].attachments:
        return None
    shared = is_operators(item)
    if not shared and len(set(item.labellers)) < CONFIRMATIONS:
        return None
    question, answer = redacted(turns[0].text, text_of(item.expected))
    if not question.strip() or not answer.strip() or max(len(question), len(answer)) > LONGEST:
        return None
    if not marks(answer) <= marks(question):
        return None
    return Example(
        question=question, answer=answer, origin=item.id, shared=shared, key=item.key, tenant=item.tenant
    )  # fmt: skip

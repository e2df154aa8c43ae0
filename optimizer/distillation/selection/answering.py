"""The question whether a decided label can be the whole reply to a task's requests. Calls no model."""

from collections.abc import Sequence

import msgspec

from gateway.formats.chat import open_chat
from gateway.formats.envelope import decode_object, raw
from gateway.settings import ExactGrader, Grader
from gateway.settings.graders import JsonSchemaGrader
from optimizer.dataset.items import Item
from optimizer.grading.graders import Submission, Ungradable, grader_for, text_of


def label_is_the_reply(items: Sequence[Item], grader: Grader) -> bool:
    """Tell if a reply with the right label alone is right for an item at least.

    False for a grader that compares a part of the reply only: nobody knows what else the callers read.
    """
    whole = isinstance(grader, ExactGrader) or (isinstance(grader, JsonSchemaGrader) and grader.schema is None)
    return whole and any(_suffices(item, grader) for item in items)


def _suffices(item: Item, grader: Grader) -> bool:
    if item.expected is None:
        return False
    named = msgspec.json.encode({"model": raw("any"), **decode_object(item.request)})  # items hold no model
    reply = open_chat(named).label_reply(text_of(item.expected).strip())
    try:
        return reply is not None and grader_for(grader).grade(Submission(text=reply), item.expected) == 1.0
    except Ungradable:
        return False

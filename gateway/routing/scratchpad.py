"""Room in which the weak model works before it replies; the caller receives only the reply.

What to do in the room is for the rules to say; without rules the model is asked to go step by step. Two forms.
``two_pass``: the model answers under the rules first, unseen; a second request, the caller's own with that working
appended to the question, writes the reply, so the caller's prompt decides its shape. ``tags``: one request in which the
model works between tags that are cut out; if it never closes them, or writes nothing behind them, what it wrote becomes
the working of a second pass, so that working is never handed on as a reply.
"""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Changes, Conversation, raw
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.routing.inject import Injection

WORKING_TOKENS = 1024
"""Output tokens that the working may have."""

# On 9 word problems of two to four steps, Qwen2.5-Coder-1.5B (Q4): one rule 105 -> 59 output tokens, 6 -> 5 right;
# eight rules 176 -> 68 tokens, 6 -> 4 right (docs/experiments.md). Without rules nothing is shortened.
_DRAFT = "This is a draft for yourself: keep it short."
_STEP_BY_STEP = "Work through the question step by step. Do not skip a step."
_TAGS = (
    f"Write all of your working, kept short, between {OPEN_TAG} and {CLOSE_TAG}. After {CLOSE_TAG}, reply exactly"
    " as told at first; the working is not part of the reply."
)


def form_for(envelope: Conversation, wanted: Scratchpad) -> Scratchpad:
    """The form that this request can have: ``none`` where it has no room for a working, ``two_pass`` where its reply
    cannot hold tags."""
    if wanted == "none" or not envelope.has_room():
        return "none"
    return wanted if wanted == "two_pass" or envelope.has_room_in_reply() else "two_pass"


def working(envelope: Conversation, injection: Injection) -> Changes:
    """What makes the request the first of two passes: under the rules, plain text, with a bound of its own."""
    told = f"{injection.text}\n{_DRAFT}" if injection.text else _STEP_BY_STEP
    return {
        **dict.fromkeys(envelope.reply_only),
        **envelope.with_system(told),
        envelope.limits[0]: raw(WORKING_TOKENS),
    }


def with_working(envelope: Conversation, text: str) -> Changes:
    """What makes the request the second pass: the caller's own, with the working appended to the question."""
    return envelope.with_question("\n\nWorking:\n" + text)


def tagged(envelope: Conversation, injection: Injection) -> Changes:
    """What makes the request one whose reply holds its working between tags; limits grow by what that may have."""
    given = {name: envelope.value(name) for name in envelope.limits}
    return {
        **envelope.with_system(f"{injection.text or _STEP_BY_STEP}\n\n{_TAGS}"),
        **{name: raw(limit + WORKING_TOKENS) for name, limit in given.items() if isinstance(limit, int)},
    }

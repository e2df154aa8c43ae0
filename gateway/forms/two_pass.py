"""The form ``two_pass``: the model works in a first call; the caller's own prompt writes the reply in a second.

The rules stand in the first call only. The second call is the caller's request with the working appended to the
question, so the caller's prompt decides the shape of the reply.
"""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Changes, Conversation, raw
from gateway.forms.base import Form, Pass

WORKING_TOKENS = 1024
"""Output tokens that the working may have."""
STEP_BY_STEP = "Work through the question step by step. Do not skip a step."
"""The instructions of a working without rules."""

# On 9 word problems of two to four steps, Qwen2.5-Coder-1.5B (Q4): one rule 105 -> 59 output tokens, 6 -> 5 right;
# eight rules 176 -> 68 tokens, 6 -> 4 right (docs/experiments.md). Without rules nothing is shortened.
_DRAFT = "This is a draft for yourself: keep it short."


class TwoPass:
    """Implements ``Form``."""

    name: Scratchpad = "two_pass"
    description = "the model works in a first pass that the caller never sees"
    most_passes = 2
    works = True

    def for_request(self, request: Conversation) -> Form | None:
        return self if request.supports_scratchpad() else None

    def first_pass(self, request: Conversation, instructions: str) -> Pass:
        return Pass(
            changes=_working(request, instructions),
            shown=False,
            then=lambda working: reply_pass(request, working),
        )


TWO_PASS = TwoPass()


def _working(request: Conversation, instructions: str) -> Changes:
    """Turn the request into the first pass: plain text under the rules, with a limit of its own."""
    text = f"{instructions}\n{_DRAFT}" if instructions else STEP_BY_STEP
    return {
        **dict.fromkeys(request.reply_only),
        **request.with_system(text),
        request.limits[0]: raw(WORKING_TOKENS),
    }


def reply_pass(request: Conversation, working: str) -> Pass:
    """Return the second pass: the caller's request with the working appended to the question."""
    return Pass(changes=request.with_question("\n\nWorking:\n" + working))

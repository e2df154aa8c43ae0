"""The form ``two_pass``: the model works in a first call; the caller's own prompt writes the reply in a second.

The rules stand in the first call only. The second call is the caller's request with the working appended to the
question, so the caller's prompt decides the shape of the reply.
"""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Conversation, Obstacle
from gateway.forms.base import Form, Pass, first_of
from gateway.forms.guidance import Guidance

WORKING_TOKENS = 1024
"""Output tokens that the working may have."""
STEP_BY_STEP = "Work through the question step by step. Do not skip a step."
"""The instructions of a working without rules."""

OBSTACLES: frozenset[Obstacle] = frozenset({"tools", "choices", "no_question", "conversation", "background"})
"""Obstacles to any working. A forced function is none: the second pass is the caller's own request."""

# On 9 word problems of two to four steps, Qwen2.5-Coder-1.5B (Q4): one rule 105 -> 59 output tokens, 6 -> 5 right;
# eight rules 176 -> 68 tokens, 6 -> 4 right (docs/experiments.md). Without rules nothing is shortened.
_DRAFT = "This is a draft for yourself: keep it short."


class TwoPass:
    """Implements ``Form``."""

    name: Scratchpad = "two_pass"
    description = "the model works in a first pass that the caller never sees"
    most_passes = 2
    works = True

    def prepare(self) -> None:
        """Do nothing."""

    def obstacle(self, request: Conversation) -> Obstacle | None:
        return first_of(request.obstacles(), OBSTACLES)

    def for_request(self, request: Conversation) -> Form:
        return self

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        rules = guidance.instructions
        text = f"{rules}\n{_DRAFT}" if rules else STEP_BY_STEP
        return Pass(
            changes={**request.content(), **request.with_system(text), **request.hidden(WORKING_TOKENS)},
            shown=False,
            then=lambda working: reply_pass(request, guidance, working),
        )


TWO_PASS = TwoPass()


def reply_pass(request: Conversation, guidance: Guidance, working: str) -> Pass:
    """Return the second pass: the caller's request with the working appended to the question.

    Examples stand in this pass only: their bare answers would teach the model to skip the working.
    """
    return Pass(changes=guidance.shown(request).with_question("\n\nWorking:\n" + working).content())

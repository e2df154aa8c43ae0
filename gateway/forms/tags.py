"""The form ``tags``: the model works between tags in one call; the gateway cuts the tags and the working out.

An answer that never closes its tags, or ends behind them, becomes the working of a second pass: working is never handed
on as a reply. A request whose reply cannot hold tags is answered in two passes from the start.
"""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Changes, Conversation, raw
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG, TagFilter
from gateway.forms.base import Form, Pass
from gateway.forms.two_pass import STEP_BY_STEP, TWO_PASS, WORKING_TOKENS, reply_pass

_TAGS = (
    f"Write all of your working, kept short, between {OPEN_TAG} and {CLOSE_TAG}. After {CLOSE_TAG}, reply exactly"
    " as told at first; the working is not part of the reply."
)


class Tags:
    """Implements ``Form``."""

    name: Scratchpad = "tags"
    description = "the model works between tags that the gateway removes"
    most_passes = 2
    works = True

    def for_request(self, request: Conversation) -> Form | None:
        if not request.supports_scratchpad():
            return None
        return self if request.supports_tags() else TWO_PASS

    def first_pass(self, request: Conversation, instructions: str) -> Pass:
        cut = TagFilter()
        return Pass(
            changes=_tagged(request, instructions),
            cut=cut,
            then=lambda _: None if cut.replied else reply_pass(request, cut.working),
        )


TAGS = Tags()


def _tagged(request: Conversation, instructions: str) -> Changes:
    """Ask for working between tags; the caller's limits grow by the tokens of the working."""
    given = {name: request.value(name) for name in request.limits}
    return {
        **request.with_system(f"{instructions or STEP_BY_STEP}\n\n{_TAGS}"),
        **{name: raw(limit + WORKING_TOKENS) for name, limit in given.items() if isinstance(limit, int)},
    }

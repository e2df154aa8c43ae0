"""The form ``tags``: the model works between tags in one call; the gateway cuts the tags and the working out.

An answer that never closes its tags, or ends behind them, becomes the working of a second pass: working is never handed
on as a reply. A short line without any tag is a reply. Some requests are
answered in two passes from the start: their reply cannot hold tags, or their limit is too small for a working.
"""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Conversation, Obstacle
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG, TagFilter
from gateway.forms.base import Form, Pass
from gateway.forms.guidance import Guidance
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

    def prepare(self) -> None:
        """Do nothing."""

    def obstacle(self, request: Conversation) -> Obstacle | None:
        return TWO_PASS.obstacle(request)

    def for_request(self, request: Conversation) -> Form:
        return self if request.supports_tags() and _has_room(request) else TWO_PASS

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        cut = TagFilter()
        text = f"{guidance.instructions or STEP_BY_STEP}\n\n{_TAGS}"
        return Pass(
            changes={**request.content(), **request.with_system(text)},
            cut=cut,
            then=lambda _: None if cut.replied else reply_pass(request, guidance, cut.working),
        )


TAGS = Tags()


def _has_room(request: Conversation) -> bool:
    """Decide whether working and reply fit into the caller's limit together: the limit is sent as it came."""
    limits = [request.value(name) for name in request.limits]
    return all(not isinstance(limit, int) or limit >= 2 * WORKING_TOKENS for limit in limits)

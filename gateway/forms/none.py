"""The form ``none``: one pass with the rules in the system message. It fits every request."""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Conversation, Obstacle
from gateway.forms.base import Form, Pass
from gateway.forms.guidance import Guidance


class NoWorking:
    """Implements ``Form``."""

    name: Scratchpad = "none"
    description = "no scratchpad"
    most_passes = 1
    works = False

    def prepare(self) -> None:
        """Do nothing."""

    def obstacle(self, request: Conversation) -> Obstacle | None:
        return None

    def for_request(self, request: Conversation) -> Form:
        return self

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        shown = guidance.shown(request) if guidance.turns else request
        return Pass(changes={**shown.content(), **shown.with_system(guidance.instructions)})


NONE = NoWorking()

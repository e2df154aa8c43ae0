"""The form ``none``: one pass with the rules in the system message. Every request has room for it."""

from gateway.domain import Scratchpad
from gateway.formats.envelope import Conversation
from gateway.forms.base import Form, Pass


class NoWorking:
    """Implements ``Form``."""

    name: Scratchpad = "none"
    description = "no scratchpad"
    most_passes = 1
    works = False

    def for_request(self, request: Conversation) -> Form | None:
        return self

    def first_pass(self, request: Conversation, instructions: str) -> Pass:
        return Pass(changes=request.with_system(instructions))


NONE = NoWorking()

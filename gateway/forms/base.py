"""The interface of a form: the passes that answer one request. Pure: a form sends nothing itself."""

from collections.abc import Callable, Container, Sequence
from typing import Protocol

from gateway.domain import Value
from gateway.formats.envelope import Changes, Conversation, Obstacle
from gateway.formats.tags import TagFilter
from gateway.forms.guidance import Guidance


class Pass(Value, frozen=True):
    """One call of the model on the way to a reply.

    Example: ``two_pass`` begins with a hidden pass; its ``then`` receives the working and returns a shown pass.
    """

    changes: Changes
    """Changes to the caller's request."""
    shown: bool = True
    """True for the caller's reply; a hidden answer is for the form alone and is never streamed."""
    cut: TagFilter | None = None
    """Takes the working out of a shown answer while it passes by."""
    then: "Callable[[str], Pass | None] | None" = None
    """Returns the next pass, given the text of a hidden answer (empty for a shown one).

    ``None`` here or as its result: this answer is the reply.
    """
    optional: tuple[str, ...] = ()
    """Fields among the changes to be left out where the model refuses them."""
    without_answer: "Callable[[], Pass] | None" = None
    """Returns the next pass if the model refuses a hidden pass; ``None``: the caller gets the refusal."""
    reply: str | None = None
    """The reply itself, behind a hidden answer: the gateway writes it, and the model is not asked again."""
    why: str = ""
    """The reason for sending a pass without the version's parts; empty: it holds them."""

    def following(self, hidden: str = "") -> "Pass | None":
        """Return the next pass after an answer; ``None`` if that answer was the reply."""
        return self.then(hidden) if self.then is not None else None


UNCHANGED = Pass(changes={})
"""The only pass of a request to which nothing is added."""


class Form(Protocol):
    """A way of working. Rules are sent in the form of their verification or not at all."""

    @property
    def name(self) -> str:
        """The name in rule sets, files and metrics."""

    @property
    def description(self) -> str:
        """The form in plain words, for reports."""

    @property
    def most_passes(self) -> int:
        """Calls of the model per request at most."""

    @property
    def works(self) -> bool:
        """True if the model works before it replies, at a cost in time and output tokens even without rules."""

    def prepare(self) -> None:
        """Do the slow work before the first request, in a thread beside the requests."""

    def obstacle(self, request: Conversation) -> Obstacle | None:
        """Return the reason why the form does not fit a request: it is sent without the rules. ``None`` if it fits."""

    def for_request(self, request: Conversation) -> "Form":
        """Return the form for a fitting request: this form or its substitute."""

    def first_pass(self, request: Conversation, guidance: Guidance) -> Pass:
        """Return the first pass of a fitting request."""


def first_of(obstacles: Sequence[Obstacle], among: Container[Obstacle]) -> Obstacle | None:
    """Return the first obstacle of a kind that concerns a form."""
    return next((obstacle for obstacle in obstacles if obstacle in among), None)

"""Teaching material that a rule set holds beside its rules: solved examples, and a worksheet with a decision list.

Plain values. ``gateway.forms`` turns them into requests; ``optimizer`` finds them.
"""

from typing import Any, Literal

import msgspec

ExamplesMode = Literal["fixed", "nearest"]
"""The choice of examples for a request. ``fixed``: all of them in their order. ``nearest``: the most similar ones."""

MOST_NEAREST = 64
"""Examples that one request may get at most."""
DECIDED = "{result}"
"""The place of the decision in a worksheet's ``reply_line``."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its right answer, shown to the weak model as two turns before the caller's question.

    Texts of users are shown to their own tenant only: requests with an equal ``key`` and an equal ``tenant``.
    """

    question: str
    answer: str
    origin: str = ""
    """Provenance, for taking the example back: an exchange's id, or ``FILE:LINE`` of a data file."""
    shared: bool = False
    """Whether every tenant may see it: true for an operator's file, false for texts of users."""
    key: str | None = None
    """Name of the key whose exchange it was; ``None`` where clients need no key."""
    tenant: str | None = None
    """The end user behind that exchange (``conversation.tenant_of``); ``None`` if the client named nobody."""

    def visible_to(self, key: str | None, tenant: str | None) -> bool:
        """Decide whether a request of this key and this end user may see the example."""
        return self.shared or (self.key == key and self.tenant == tenant)


class DecisionRule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a decision list. Example: ``when="days > 30 && item != 'gift card'"``, ``result="refuse"``."""

    when: str
    """A condition in CEL over the worksheet's fields and ``text``; empty: always."""
    result: str
    reason: str = ""


class Worksheet(msgspec.Struct, frozen=True, kw_only=True):
    """A form for the model to fill in, and a decision list for the gateway to run on it.

    The first rule with a true condition decides. The model then answers the caller's own prompt with ``reply_line``
    behind the question, so the reply keeps the caller's form.
    """

    schema: dict[str, Any]
    """JSON schema of an object; the model fills its properties in in their order."""
    decisions: tuple[DecisionRule, ...] = ()
    reply_line: str = f"By the house rules this goes to: {DECIDED}"
    instructions: str = "Fill in this form about the message above. Use only what the message says."
    """The question to the model when it fills in the form."""

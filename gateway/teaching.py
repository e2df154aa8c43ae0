"""Teaching material that a rule set holds beside its rules: solved examples, and a worksheet with a decision list.

Plain values. ``gateway.forms`` turns them into requests; ``optimizer`` finds them.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

ExamplesMode = Literal["fixed", "nearest"]
"""The choice of examples for a request. ``fixed``: all of them in their order. ``nearest``: the most similar ones."""

Decide = Literal["state", "answer"]
"""The use of a decision. ``state``: the model is told, and replies. ``answer``: the gateway replies with it."""

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

    def shared_copy(self) -> "Example":
        """Return the example without its owner, for everybody."""
        return msgspec.structs.replace(self, shared=True, key=None, tenant=None)


class DecisionRule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a decision list. Example: ``when="days > 30 && item != 'gift card'"``, ``result="refuse"``."""

    when: str
    """A condition in CEL over the worksheet's fields and ``text``; empty: always."""
    result: str
    reason: str = ""


class Worksheet(msgspec.Struct, frozen=True, kw_only=True):
    """A form for the model to fill in, and a decision list for the gateway to run on it.

    The first rule with a true condition decides. The model then answers the caller's own prompt with ``reply_line``
    behind the question, so the reply keeps the caller's form; or the decision itself is the reply (``decide``).
    """

    schema: dict[str, Any]
    """JSON schema of an object; the model fills its properties in in their order."""
    decisions: tuple[DecisionRule, ...] = ()
    reply_line: str = (
        f"By the house rules the right answer is: {DECIDED}\nReply with {DECIDED}, in the form that was asked for."
    )
    """Names the decision twice: named once, a model of 0.5B replied with another label in 9 of 36 cases, now in 1."""
    instructions: str = "Fill in this form about the message above. Use only what the message says."
    """The question to the model when it fills in the form."""
    decide: Decide = "state"
    """``answer``: a decision is the reply, wherever the caller asks for a label alone."""


class Material(Protocol):
    """The parts of a rule set beside its rules."""

    @property
    def examples(self) -> tuple[Example, ...]: ...

    @property
    def examples_mode(self) -> ExamplesMode: ...

    @property
    def nearest(self) -> int: ...

    @property
    def worksheet(self) -> Worksheet | None: ...


def hashed_parts(conditions: Sequence[str], material: Material) -> dict[str, Any]:
    """Return the newer parts of a rule set that reach the model; empty without them, so that old hashes stay."""
    parts: dict[str, Any] = {}
    if any(conditions):
        parts["when"] = conditions
    if material.examples:
        shown = [[shot.question, shot.answer, shot.shared, shot.key, shot.tenant] for shot in material.examples]
        count = material.nearest if material.examples_mode == "nearest" else None
        parts["examples"] = [material.examples_mode, count, shown]
    if material.worksheet is not None:
        sheet = material.worksheet
        decisions = [[decision.when, decision.result] for decision in sheet.decisions]
        parts["worksheet"] = [sheet.schema, decisions, sheet.reply_line, sheet.instructions]
        if sheet.decide != "state":
            parts["decide"] = sheet.decide
    return parts

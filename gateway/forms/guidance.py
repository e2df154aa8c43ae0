"""The rules of a version as one request gets them: all without a condition, and those with a true condition."""

from collections.abc import Sequence
from types import MappingProxyType

from gateway.domain import Rule, Value
from gateway.formats.envelope import Conversation
from gateway.forms.cel import Condition, parse_condition
from gateway.forms.cel_nodes import Facts

HEADING = "Rules. Where they conflict with the text above, these rules win."


class RuleText(Value, frozen=True):
    """Rules, ready to be written into a request. Requests with the same true conditions get equal bytes."""

    rules: tuple[tuple[Condition, str], ...] = ()
    text: str = ""
    """All rules; empty without any."""
    conditional: bool = False
    """True if the text depends on the request."""

    def under(self, facts: Facts) -> str:
        """Return the rules for these facts."""
        return rendered([text for condition, text in self.rules if condition.holds(facts)])


def compile_rule_text(rules: Sequence[Rule]) -> RuleText:
    """Render rules once for many requests. Raises ``BadCondition``."""
    parsed = tuple((parse_condition(rule.when), rule.text) for rule in rules)
    return RuleText(
        rules=parsed,
        text=rendered([text for _, text in parsed]),
        conditional=any(condition.source for condition, _ in parsed),
    )


def rendered(texts: Sequence[str]) -> str:
    """Return numbered rules under a heading that puts them first; empty without any."""
    if not texts:
        return ""
    return "\n".join([HEADING, *(f"{number}. {text}" for number, text in enumerate(texts, start=1))])


class Guidance(Value, frozen=True):
    """Everything besides the request that a form needs for an answer."""

    rules: RuleText = RuleText()
    facts: Facts = MappingProxyType({})
    """Facts for conditions: ``text``, the question, and later the fields of a worksheet."""
    turns: Sequence[tuple[str, str]] = ()
    """Solved examples: questions and answers, to stand before the conversation wherever the caller's reply is asked."""
    key: str | None = None
    """Name of the caller's key."""
    tenant: str | None = None
    """The end user behind the request, as ``conversation.tenant_of`` names it."""

    @property
    def instructions(self) -> str:
        """The rules for this request; empty for none."""
        return self.rules.under(self.facts) if self.rules.conditional else self.rules.text

    def shown(self, request: Conversation) -> Conversation:
        """Return the request with the examples."""
        return request.with_turns(self.turns) if self.turns else request

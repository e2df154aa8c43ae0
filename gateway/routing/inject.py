"""A rule set as the weak model reads it, compiled once for many requests.

Rules follow the caller's own system text. Requests under equal conditions get equal bytes in one place, so the
upstream's prompt cache keeps hitting.
"""

from gateway.domain import RuleSet, Value
from gateway.formats.envelope import Conversation
from gateway.forms import Form, Guidance, compile_rule_text, composed
from gateway.routing.conversation import tenant_of


class Injection(Value, frozen=True):
    """A rule set, ready to be sent."""

    rule_set: RuleSet
    form: Form
    common: Guidance
    """The guidance of every request; complete unless it depends on the request."""
    personal: bool = False
    """True if some examples are for their own tenant only."""

    @property
    def text(self) -> str:
        """All rules, as they stand in the system message."""
        return self.common.rules.text

    def guidance(self, request: Conversation, key: str | None) -> Guidance:
        """Return the guidance for a request of a key."""
        if not (self.personal or self.common.rules.conditional):
            return self.common
        return Guidance(
            rules=self.common.rules,
            facts={"text": request.question() or ""} if self.common.rules.conditional else {},
            key=key,
            tenant=tenant_of(request) if self.personal else None,
        )


def compile_rules(rule_set: RuleSet) -> Injection:
    """Compile a rule set; with thousands of examples that takes a second or two. Raises ``BadCondition``."""
    form = composed(rule_set)
    form.prepare()
    return Injection(
        rule_set=rule_set,
        form=form,
        common=Guidance(rules=compile_rule_text(rule_set.rules)),
        personal=any(not example.shared for example in rule_set.examples),
    )

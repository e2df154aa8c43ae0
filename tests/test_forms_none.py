"""One call, with the rules in the system message."""

from gateway.forms import UNCHANGED
from gateway.forms.none import NONE
from tests.conversations import SYSTEM, USER, asked, sent


def test_every_request_has_room_for_rules_alone() -> None:
    """Tools and several choices, too."""
    request = asked(tools=[{"type": "function"}], n=2)
    assert NONE.for_request(request) is NONE


def test_the_only_pass_holds_the_rules_behind_the_callers_system_text() -> None:
    """The question stays as it is."""
    request = asked()
    step = NONE.first_pass(request, "Rules.")
    assert step.shown and step.following() is None
    assert sent(request, step)["messages"] == [
        {**SYSTEM, "content": f"{SYSTEM['content']}\n\nRules."}, USER
    ]  # fmt: skip


def test_without_rules_nothing_changes() -> None:
    """A request without a rule set, and a rule set without rules."""
    assert NONE.first_pass(asked(), "").changes == UNCHANGED.changes == {}

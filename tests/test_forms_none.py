"""One call, with the rules in the system message."""

from gateway.forms import UNCHANGED
from gateway.forms.none import NONE
from tests.conversations import SYSTEM, USER, asked, guided, sent


def test_every_request_has_room_for_rules_alone() -> None:
    """Tools and several choices, too."""
    request = asked(tools=[{"type": "function"}], n=2)
    assert NONE.obstacle(request) is None and NONE.for_request(request) is NONE


def test_the_only_pass_holds_the_rules_behind_the_callers_system_text() -> None:
    """The question stays as it is."""
    request = asked()
    step = NONE.first_pass(request, guided("Work."))
    assert step.shown and step.following() is None
    assert sent(request, step)["messages"] == [
        {**SYSTEM, "content": f"{SYSTEM['content']}\n\n{guided('Work.').instructions}"}, USER
    ]  # fmt: skip


def test_what_another_part_put_into_the_request_is_sent() -> None:
    """A worksheet's decision stands behind the question, with rules and without."""
    for guidance in (guided(), guided("Work.")):
        request = asked()
        step = NONE.first_pass(request.with_question(" It goes to: refuse."), guidance)
        assert sent(request, step)["messages"][-1]["content"] == f"{USER['content']} It goes to: refuse."


def test_without_rules_nothing_changes() -> None:
    """A request without a rule set, and a rule set without rules."""
    request = asked()
    assert request.sealed(NONE.first_pass(request, guided()).changes) == request.sealed(UNCHANGED.changes)

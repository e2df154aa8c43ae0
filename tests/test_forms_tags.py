"""Working between tags in one call."""

from typing import Any

import pytest

from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS, WORKING_TOKENS
from tests.conversations import SYSTEM, USER, asked, sent

RULES = "Rules.\n1. Work in steps."


def tagged(rules: str = RULES, **fields: Any) -> dict[str, Any]:
    """The body of the first call."""
    request = asked(**fields)
    return sent(request, TAGS.first_pass(request, rules))


@pytest.mark.parametrize("fields", [{}, {"n": 1}, {"stop": None, "logprobs": False}])
def test_a_plain_reply_can_hold_tags(fields: dict[str, Any]) -> None:
    """Absent and null mean the same."""
    assert TAGS.for_request(asked(**fields)) is TAGS


@pytest.mark.parametrize("fields", [{"response_format": {"type": "json_object"}}, {"stop": ["\n"]}, {"logprobs": True}])
def test_a_reply_that_cannot_hold_tags_is_written_in_two_passes(fields: dict[str, Any]) -> None:
    """A format, a stop sequence and a measure are about the whole text of a reply."""
    assert TAGS.for_request(asked(**fields)) is TWO_PASS


def test_a_request_without_room_is_not_answered_in_tags() -> None:
    """The same requests have no room as for two passes."""
    assert TAGS.for_request(asked(tools=[{"type": "function"}])) is None


@pytest.mark.parametrize("rules", [RULES, ""])
def test_a_tagged_request_names_both_tags_after_the_rules(rules: str) -> None:
    """Tags work without rules too; the question stays as it is."""
    system, user = tagged(rules)["messages"]
    added = system["content"].removeprefix(SYSTEM["content"] + "\n\n")
    assert added.startswith(rules or "Work")
    assert added.index(OPEN_TAG) < added.index(CLOSE_TAG)
    assert user == USER


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_is_raised_by_the_room_for_the_working(name: str) -> None:
    """The caller's limit counts for what the caller receives."""
    body = tagged(RULES, **{name: 5})
    assert body[name] == 5 + WORKING_TOKENS
    assert set(body) == {"model", "messages", name}


def test_no_limit_stays_no_limit() -> None:
    """Absent and null mean the same."""
    assert tagged(max_tokens=None)["max_tokens"] is None


def test_closed_tags_with_a_reply_behind_them_need_no_second_pass() -> None:
    """The filter of the pass lets the reply through and nothing else."""
    step = TAGS.first_pass(asked(), RULES)
    assert step.shown and step.cut is not None
    assert step.cut.feed(f"{OPEN_TAG}2 and 2{CLOSE_TAG}\n4") == "4"
    assert step.following() is None


@pytest.mark.parametrize("answer", [f"{OPEN_TAG}2 and 2", f"{OPEN_TAG}2 and 2{CLOSE_TAG}\n"])
def test_a_working_without_a_reply_is_followed_by_a_second_pass(answer: str) -> None:
    """The working stands behind the caller's question, without its tags."""
    request = asked()
    step = TAGS.first_pass(request, RULES)
    assert step.cut is not None and step.cut.feed(answer) == ""
    second = step.following()
    assert second is not None and second.shown and second.cut is None
    assert sent(request, second)["messages"] == [
        SYSTEM, {**USER, "content": USER["content"] + "\n\nWorking:\n2 and 2"}
    ]  # fmt: skip

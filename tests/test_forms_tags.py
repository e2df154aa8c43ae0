"""Working between tags in one call."""

from typing import Any

import pytest

from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.forms import Guidance
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS, WORKING_TOKENS
from tests.conversations import SYSTEM, USER, asked, guided, sent

GUIDANCE = guided("Work in steps.")


def tagged(guidance: Guidance = GUIDANCE, **fields: Any) -> dict[str, Any]:
    """The body of the first call."""
    request = asked(**fields)
    return sent(request, TAGS.first_pass(request, guidance))


@pytest.mark.parametrize("fields", [{}, {"n": 1}, {"stop": None, "logprobs": False}])
def test_a_plain_reply_can_hold_tags(fields: dict[str, Any]) -> None:
    """Absent and null mean the same."""
    assert TAGS.for_request(asked(**fields)) is TAGS


@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}},
        {"stop": ["\n"]},
        {"logprobs": True},
        {"tools": [{}], "tool_choice": "required"},
    ],
)
def test_a_reply_that_cannot_hold_tags_is_written_in_two_passes(fields: dict[str, Any]) -> None:
    """A format, a stop sequence and a measure are about the whole text of a reply."""
    assert TAGS.for_request(asked(**fields)) is TWO_PASS


def test_a_request_without_room_is_not_answered_in_tags() -> None:
    """The same requests have no room as for two passes."""
    assert TAGS.obstacle(asked(tools=[{"type": "function"}])) == "tools"


@pytest.mark.parametrize("guidance", [GUIDANCE, guided()], ids=["rules", "no rules"])
def test_a_tagged_request_names_both_tags_after_the_rules(guidance: Guidance) -> None:
    """Tags work without rules too; the question stays as it is."""
    system, user = tagged(guidance)["messages"]
    added = system["content"].removeprefix(SYSTEM["content"] + "\n\n")
    assert added.startswith(guidance.instructions or "Work")
    assert added.index(OPEN_TAG) < added.index(CLOSE_TAG)
    assert user == USER


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_counts_for_all_of_the_answer(name: str) -> None:
    """A reply is never longer than the caller allows; a limit without room for a working needs two passes."""
    assert tagged(GUIDANCE, **{name: 5000})[name] == 5000
    assert TAGS.for_request(asked(**{name: 5000})) is TAGS
    assert TAGS.for_request(asked(**{name: WORKING_TOKENS})) is TWO_PASS


def test_no_limit_stays_no_limit() -> None:
    """Absent and null mean the same."""
    assert tagged(max_tokens=None)["max_tokens"] is None


def test_closed_tags_with_a_reply_behind_them_need_no_second_pass() -> None:
    """The filter of the pass lets the reply through and nothing else."""
    step = TAGS.first_pass(asked(), GUIDANCE)
    assert step.shown and step.cut is not None
    assert step.cut.feed(f"{OPEN_TAG}2 and 2{CLOSE_TAG}\n4") == "4"
    assert step.following() is None


@pytest.mark.parametrize("answer", [f"{OPEN_TAG}2 and 2", f"{OPEN_TAG}2 and 2{CLOSE_TAG}\n"])
def test_a_working_without_a_reply_is_followed_by_a_second_pass(answer: str) -> None:
    """The working stands behind the caller's question, without its tags."""
    request = asked()
    step = TAGS.first_pass(request, GUIDANCE)
    assert step.cut is not None and step.cut.feed(answer) == ""
    second = step.following()
    assert second is not None and second.shown and second.cut is None
    assert sent(request, second)["messages"] == [
        SYSTEM, {**USER, "content": USER["content"] + "\n\nWorking:\n2 and 2"}
    ]  # fmt: skip

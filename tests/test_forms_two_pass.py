"""Working in a call of its own, and the caller's own prompt behind it."""

import json
from typing import Any

import pytest

from gateway.forms import Guidance
from gateway.forms.two_pass import TWO_PASS, WORKING_TOKENS
from tests.conversations import IMAGE_PART, SYSTEM, TEXT_PART, USER, asked, guided, sent

GUIDANCE = guided("Work in steps.")


def passes(*messages: dict[str, Any], guidance: Guidance = GUIDANCE, **fields: Any) -> list[dict[str, Any]]:
    """The bodies of both calls for a working of "2 and 2 is 4"."""
    request = asked(*messages, **fields)
    first = TWO_PASS.first_pass(request, guidance)
    second = first.following("2 and 2 is 4")
    assert second is not None and second.shown and second.cut is None
    assert not first.shown
    return [sent(request, first), sent(request, second)]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [TEXT_PART, IMAGE_PART]}],
        [{"role": "user", "content": []}],
        [{"role": "user"}],
        [USER, {"role": "assistant", "content": "It is"}],
        [USER, {"role": "tool", "tool_call_id": "t", "content": "4"}],
        [USER, SYSTEM],
    ],
)
def test_there_is_no_room_behind_anything_but_a_users_text(messages: list[dict[str, Any]]) -> None:
    """Pictures and turns that are not a user's cannot take a working."""
    assert TWO_PASS.obstacle(asked(*messages)) == "no_question"


@pytest.mark.parametrize(
    ("fields", "obstacle"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{}, {}], "tool_choice": "required"}, "tools"),
        ({"tools": [{}], "tool_choice": "auto"}, "tools"),
        ({"functions": [{"name": "f"}]}, "tools"),
        ({"n": 2}, "choices"),
    ],
)
def test_there_is_no_room_for_tools_and_several_choices(fields: dict[str, Any], obstacle: str) -> None:
    """A tool call answers for itself, and several choices would need several workings."""
    assert TWO_PASS.obstacle(asked(**fields)) == obstacle


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{}, {}], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [{}], "tool_choice": "required"},
        {"functions": [{}], "function_call": {"name": "f"}},
    ],
)
def test_a_forced_function_is_structured_output(fields: dict[str, Any]) -> None:
    """SDKs ask for objects in this way: the working comes first, the second pass is forced as the caller wished."""
    assert TWO_PASS.obstacle(asked(**fields)) is None
    first, second = passes(**fields)
    assert not {"tools", "tool_choice", "functions", "function_call"} & set(first)
    assert {name: second[name] for name in fields} == fields


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"tools": [], "functions": None}, {"n": 1}, {"n": None}, {"response_format": {"type": "json_object"}},
        {"stop": ["\n"]}, {"logprobs": True},
    ],
)  # fmt: skip
def test_there_is_room_for_a_plain_question(fields: dict[str, Any]) -> None:
    """A format, a stop sequence or a measure is the second call's, which is the caller's own request."""
    assert TWO_PASS.obstacle(asked(**fields)) is None
    assert TWO_PASS.obstacle(asked({"role": "user", "content": [TEXT_PART]}, **fields)) is None


def test_a_first_pass_is_the_callers_request_under_the_rules() -> None:
    """The caller's messages, the rules after its system text, and a limit of its own."""
    first, _ = passes(temperature=0.5, seed=3)
    assert (first["temperature"], first["seed"], first["max_tokens"]) == (0.5, 3, WORKING_TOKENS)
    system, user = first["messages"]
    assert system["content"].startswith(SYSTEM["content"] + "\n\n" + GUIDANCE.instructions + "\n")
    assert user == USER


def test_without_rules_a_first_pass_goes_step_by_step() -> None:
    """The form alone is of use, too, in the words in which it was measured."""
    system, _ = passes(guidance=guided())[0]["messages"]
    assert "step by step" in system["content"]


def test_a_first_pass_leaves_out_everything_that_shapes_the_reply() -> None:
    """A format, a stop sequence or a limit of the reply would cut the working short."""
    first, _ = passes(
        stream=True, stream_options={}, response_format={"type": "json_object"}, stop="4", logprobs=True,
        top_logprobs=1, n=1, max_tokens=3, metadata={"task": "sums"},
    )  # fmt: skip
    assert set(first) == {"model", "messages", "max_tokens"}
    assert first["max_tokens"] == WORKING_TOKENS


def test_a_second_pass_is_the_callers_own_with_the_working_behind_the_question() -> None:
    """Everything before the question is as it came, so the caller's prompt decides the shape of the reply."""
    before = [SYSTEM, USER, {"role": "assistant", "content": "?"}]
    _, second = passes(*before, USER, max_tokens=3)
    assert second["messages"] == [*before, {**USER, "content": USER["content"] + "\n\nWorking:\n2 and 2 is 4"}]
    assert second["max_tokens"] == 3


def test_the_second_answer_is_the_reply() -> None:
    """No third call follows."""
    second = TWO_PASS.first_pass(asked(), GUIDANCE).following("2 and 2 is 4")
    assert second is not None and second.following() is None


def test_bytes_before_the_question_stay() -> None:
    """Prompt caches of upstreams keep hitting."""
    request = asked()
    second = TWO_PASS.first_pass(request, GUIDANCE).following("4")
    assert second is not None
    changed = request.sealed(second.changes)
    assert json.dumps(SYSTEM, separators=(",", ":")).encode() in changed


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_first_pass_is_limited_in_the_callers_own_field(name: str) -> None:
    """A model may take only one of the two."""
    first, _ = passes(**{name: 3})  # type: ignore[arg-type]  # a field of the request
    assert {key: first[key] for key in first if key.startswith("max_")} == {name: WORKING_TOKENS}


def test_a_first_pass_leaves_no_trace_at_the_upstream() -> None:
    """A stored draft would be an orphan among the caller's chats."""
    first, second = passes(store=True, metadata={"run": "7"})
    assert first["store"] is False and "metadata" not in first
    assert second["store"] is True and second["metadata"] == {"run": "7"}
    assert "store" not in passes()[0]

"""Room to work: which request can have it, what is asked for, and that none of the working reaches the caller."""

import json
from typing import Any

import pytest

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.formats.chat import ChatRequest, open_chat
from gateway.formats.envelope import raw
from gateway.formats.tags import CLOSE_TAG, OPEN_TAG
from gateway.routing.inject import compile_rules
from gateway.routing.scratchpad import WORKING_TOKENS, form_for, tagged, with_working, working

INJECTION = compile_rules(RuleSet(task="sums", scratchpad="two_pass", rules=(Rule(text="Work in steps."),)))
SYSTEM = {"role": "system", "content": "Reply with only the number."}
USER = {"role": "user", "content": "What is 2 + 2?"}
TEXT_PART = {"type": "text", "text": "What is 2 + 2?"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def asked(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    return open_chat(bytes(raw({"model": "gpt", "messages": messages or [SYSTEM, USER], **fields})))


def sent(envelope: ChatRequest, changes: dict[str, Any]) -> dict[str, Any]:
    """The body that goes upstream with these changes."""
    body: dict[str, Any] = json.loads(envelope.sealed(changes))
    return body


@pytest.mark.parametrize(
    ("envelope", "tags", "two_pass"),
    [
        (asked(), "tags", "two_pass"),
        (asked({"role": "user", "content": [TEXT_PART]}), "tags", "two_pass"),
        (asked({"role": "user", "content": [TEXT_PART, IMAGE_PART]}), "none", "none"),
        (asked({"role": "user", "content": []}), "none", "none"),
        (asked({"role": "user"}), "none", "none"),
        (asked(USER, {"role": "assistant", "content": "It is"}), "none", "none"),
        (asked(USER, {"role": "tool", "tool_call_id": "t", "content": "4"}), "none", "none"),
        (asked(USER, SYSTEM), "none", "none"),
        (asked(tools=[{"type": "function"}]), "none", "none"),
        (asked(functions=[{"name": "f"}]), "none", "none"),
        (asked(tools=[], functions=None), "tags", "two_pass"),
        (asked(n=2), "none", "none"),
        (asked(n=1), "tags", "two_pass"),
        (asked(n=None), "tags", "two_pass"),
        (asked(response_format={"type": "json_object"}), "two_pass", "two_pass"),
        (asked(stop=["\n"]), "two_pass", "two_pass"),
        (asked(stop=None, logprobs=False), "tags", "two_pass"),
        (asked(logprobs=True), "two_pass", "two_pass"),
    ],
)
def test_the_form_that_a_request_can_have(envelope: ChatRequest, tags: Scratchpad, two_pass: Scratchpad) -> None:
    """Tools, several choices, pictures and turns that are not a user's have no room; formats and stops have no tags."""
    assert form_for(envelope, "tags") == tags
    assert form_for(envelope, "two_pass") == two_pass
    assert form_for(envelope, "none") == "none"


def test_a_first_pass_is_the_callers_request_under_the_rules() -> None:
    """The caller's messages, the rules after its system text, and a bound of its own."""
    envelope = asked(temperature=0.5, seed=3)
    body = sent(envelope, working(envelope, INJECTION))
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.5, 3, WORKING_TOKENS)
    system, user = body["messages"]
    assert system["content"].startswith(SYSTEM["content"] + "\n\n" + INJECTION.text + "\n")
    assert user == USER


def test_without_rules_a_first_pass_goes_step_by_step() -> None:
    """The form alone is of use, too, in the words in which it was measured."""
    bare = compile_rules(RuleSet(task="sums", scratchpad="two_pass"))
    system, _ = sent(asked(), working(asked(), bare))["messages"]
    assert "step by step" in system["content"]


def test_a_first_pass_leaves_out_what_shapes_the_reply() -> None:
    """A format, a stop sequence or a limit of the reply would cut the working short."""
    envelope = asked(
        stream=True, stream_options={}, response_format={"type": "json_object"}, stop="4", logprobs=True,
        top_logprobs=1, n=1, max_tokens=3, max_completion_tokens=3,
    )  # fmt: skip
    body = sent(envelope, working(envelope, INJECTION))
    assert set(body) == {"model", "messages", "max_tokens"}
    assert body["max_tokens"] == WORKING_TOKENS


def test_a_second_pass_is_the_callers_own_with_the_working_behind_the_question() -> None:
    """Everything before the question keeps its bytes, so the caller's prompt decides the shape of the reply."""
    envelope = asked(SYSTEM, USER, {"role": "assistant", "content": "?"}, USER)
    changed = open_chat(envelope.sealed(with_working(envelope, "2 and 2 is 4")))
    *before, last = changed.messages
    assert [bytes(message) for message in before] == [bytes(message) for message in envelope.messages[:-1]]
    assert json.loads(bytes(last)) == {**USER, "content": USER["content"] + "\n\nWorking:\n2 and 2 is 4"}


@pytest.mark.parametrize("rules", [(Rule(text="Work in steps."),), ()])
def test_a_tagged_request_names_both_tags_after_the_rules(rules: tuple[Rule, ...]) -> None:
    """Tags work without rules too; the question stays as it is."""
    injection = compile_rules(RuleSet(task="sums", scratchpad="tags", rules=rules))
    system, user = sent(asked(), tagged(asked(), injection))["messages"]
    added = system["content"].removeprefix(SYSTEM["content"] + "\n\n")
    assert added.startswith(injection.text or "Work")
    assert added.index(OPEN_TAG) < added.index(CLOSE_TAG)
    assert user == USER


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_is_raised_by_the_room_for_the_working(name: str) -> None:
    """The caller's limit counts for what the caller receives."""
    envelope = asked(**{name: 5})
    body = sent(envelope, tagged(envelope, INJECTION))
    assert body[name] == 5 + WORKING_TOKENS
    assert set(body) == {"model", "messages", name}


def test_no_limit_stays_no_limit() -> None:
    """Absent and null mean the same."""
    envelope = asked(max_tokens=None)
    assert sent(envelope, tagged(envelope, INJECTION))["max_tokens"] is None

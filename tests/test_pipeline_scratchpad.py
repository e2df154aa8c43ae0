"""Room to work: which request can have it, what is asked for, and that none of the working reaches the caller."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Rule, RuleSet, Scratchpad
from gateway.pipeline.envelope import Envelope, open_envelope, raw
from gateway.pipeline.inject import compile_rules
from gateway.pipeline.scratchpad import (
    CLOSE_TAG,
    OPEN_TAG,
    WORKING_TOKENS,
    TagFilter,
    form_for,
    tagged_limits,
    tagged_messages,
    with_working,
    working_request,
)

INJECTION = compile_rules(RuleSet(task="sums", scratchpad="two_pass", rules=(Rule(text="Work in steps."),)))
SYSTEM = {"role": "system", "content": "Reply with only the number."}
USER = {"role": "user", "content": "What is 2 + 2?"}
TEXT_PART = {"type": "text", "text": "What is 2 + 2?"}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}


def asked(*messages: dict[str, Any], **fields: Any) -> Envelope:
    return open_envelope(bytes(raw({"model": "gpt", "messages": messages or [SYSTEM, USER], **fields})))


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
def test_the_form_that_a_request_can_have(envelope: Envelope, tags: Scratchpad, two_pass: Scratchpad) -> None:
    """Tools, several choices, pictures and turns that are not a user's have no room; formats and stops have no tags."""
    assert form_for(envelope, "tags") == tags
    assert form_for(envelope, "two_pass") == two_pass
    assert form_for(envelope, "none") == "none"


def test_a_first_pass_is_the_callers_request_under_the_rules() -> None:
    """The caller's messages, the rules after its system text, and a bound of its own."""
    body = json.loads(working_request(asked(temperature=0.5, seed=3), INJECTION, "tiny"))
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("tiny", 0.5, 3, WORKING_TOKENS)
    system, user = body["messages"]
    assert system["content"].startswith(SYSTEM["content"] + "\n\n" + INJECTION.text + "\n")
    assert user == USER


def test_without_rules_a_first_pass_goes_step_by_step() -> None:
    """The form alone is of use, too, in the words in which it was measured."""
    bare = compile_rules(RuleSet(task="sums", scratchpad="two_pass"))
    system, _ = json.loads(working_request(asked(), bare, "tiny"))["messages"]
    assert "step by step" in system["content"]


def test_a_first_pass_leaves_out_what_shapes_the_reply() -> None:
    """A format, a stop sequence or a limit of the reply would cut the working short."""
    body = json.loads(
        working_request(
            asked(stream=True, stream_options={}, response_format={"type": "json_object"}, stop="4", logprobs=True,
                  top_logprobs=1, n=1, max_tokens=3, max_completion_tokens=3),
            INJECTION, "tiny",
        )
    )  # fmt: skip
    assert set(body) == {"model", "messages", "max_tokens"}
    assert body["max_tokens"] == WORKING_TOKENS


def test_a_second_pass_is_the_callers_own_with_the_working_behind_the_question() -> None:
    """Everything before the question keeps its bytes, so the caller's prompt decides the shape of the reply."""
    envelope = asked(SYSTEM, USER, {"role": "assistant", "content": "?"}, USER)
    *before, last = with_working(envelope.messages, "2 and 2 is 4")
    assert [bytes(message) for message in before] == [bytes(message) for message in envelope.messages[:-1]]
    assert json.loads(bytes(last)) == {**USER, "content": USER["content"] + "\n\nWorking:\n2 and 2 is 4"}


@pytest.mark.parametrize("rules", [(Rule(text="Work in steps."),), ()])
def test_a_tagged_request_names_both_tags_after_the_rules(rules: tuple[Rule, ...]) -> None:
    """Tags work without rules too; the question stays as it is."""
    injection = compile_rules(RuleSet(task="sums", scratchpad="tags", rules=rules))
    system, user = (json.loads(bytes(message)) for message in tagged_messages(asked(), injection))
    added = system["content"].removeprefix(SYSTEM["content"] + "\n\n")
    assert added.startswith(injection.text or "Work")
    assert added.index(OPEN_TAG) < added.index(CLOSE_TAG)
    assert user == USER


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_is_raised_by_the_room_for_the_working(name: str) -> None:
    """The caller's limit counts for what the caller receives."""
    limits = tagged_limits(asked(**{name: 5}))
    assert {key: msgspec.json.decode(value or b"null") for key, value in limits.items()} == {name: 5 + WORKING_TOKENS}


def test_no_limit_stays_no_limit() -> None:
    """Absent and null mean the same."""
    assert tagged_limits(asked(max_tokens=None)) == {}


PROSE = st.text(max_size=30).filter(lambda text: CLOSE_TAG not in text)


@st.composite
def split_texts(draw: st.DrawFn, text: st.SearchStrategy[str]) -> tuple[str, list[str]]:
    """A text and one way of cutting it into pieces, some of them empty."""
    whole = draw(text)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return whole, [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def filtered(pieces: list[str]) -> tuple[str, TagFilter]:
    tags = TagFilter()
    return "".join([tags.feed(piece) for piece in pieces]), tags


@given(
    split_texts(st.lists(st.sampled_from(["<", "working", ">", "/", " ", "\n", "4", OPEN_TAG, CLOSE_TAG])).map("".join))
)
def test_a_filter_does_not_mind_where_a_text_was_split(text_and_pieces: tuple[str, list[str]]) -> None:
    """Any split of the same text gives the same reply and the same working."""
    text, pieces = text_and_pieces
    (split, in_pieces), (whole, at_once) = filtered(pieces), filtered([text])
    assert split == whole
    assert (in_pieces.working, in_pieces.replied) == (at_once.working, at_once.replied)


@given(PROSE, PROSE.map(str.strip).filter(bool), st.data())
def test_nothing_from_inside_the_tags_is_let_through(working: str, reply: str, data: st.DataObject) -> None:
    """The caller receives what stands behind the closing tag, all of it and nothing else."""
    text = f"{OPEN_TAG}{working}{CLOSE_TAG}\n\n{reply}"
    _, pieces = data.draw(split_texts(st.just(text)))
    out, tags = filtered(pieces)
    assert out == reply
    assert tags.replied
    assert tags.working == working.replace(OPEN_TAG, "").strip()


@given(split_texts(PROSE))
def test_without_a_closing_tag_everything_is_working(text_and_pieces: tuple[str, list[str]]) -> None:
    """A model that forgot the tags has not replied yet."""
    text, pieces = text_and_pieces
    out, tags = filtered(pieces)
    assert (out, tags.replied, tags.working) == ("", False, text.replace(OPEN_TAG, "").strip())


def test_a_closing_tag_with_nothing_behind_it_is_no_reply() -> None:
    """An empty reply would be handed on as the answer."""
    out, tags = filtered([f"{OPEN_TAG}2 + 2 = 4{CLOSE_TAG}", "\n "])
    assert (out, tags.replied, tags.working) == ("", False, "2 + 2 = 4")

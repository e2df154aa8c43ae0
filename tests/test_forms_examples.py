"""Solved examples before the conversation, and who may see whose."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.forms.examples import ExampleSet, ExamplesForm
from gateway.forms.guidance import Guidance
from gateway.forms.none import NONE
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS
from gateway.teaching import Example
from tests.conversations import SYSTEM, USER, asked, guided, sent

SHARED = [
    Example(question="My card was stolen", answer="card_lost", shared=True),
    Example(question="Where is my refund?", answer="refund", shared=True),
    Example(question="A fee was charged abroad", answer="fee", shared=True),
]
OWNERS = st.tuples(st.sampled_from([None, "shop", "bank"]), st.sampled_from([None, "ann", "bob"]))


def turns(*examples: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"role": role, "content": content}
        for question, answer in examples
        for role, content in (("user", question), ("assistant", answer))
    ]


def test_the_most_similar_examples_come_last() -> None:
    """A model follows best what stands next to the question."""
    request = asked(SYSTEM, {"role": "user", "content": "they charged me a fee abroad"})
    form = ExamplesForm(NONE, ExampleSet(SHARED, "nearest", 2))
    body = sent(request, form.first_pass(request, Guidance()))
    system, *shown, question = body["messages"]
    assert (system, question["content"]) == (SYSTEM, "they charged me a fee abroad")
    assert shown[-2:] == turns(("A fee was charged abroad", "fee")) and len(shown) == 4


def test_fixed_examples_are_the_same_bytes_for_every_question() -> None:
    """In the order of the version, so that the upstream's prompt cache holds them."""
    form = ExamplesForm(NONE, ExampleSet(SHARED, "fixed", 2))
    requests = [asked(SYSTEM, {"role": "user", "content": text}) for text in ("a fee", "a refund")]
    first, second = (request.sealed(form.first_pass(request, Guidance()).changes) for request in requests)
    assert first.split(b"a fee")[0] == second.split(b"a refund")[0]
    shown = sent(requests[0], form.first_pass(requests[0], Guidance()))["messages"][1:7:2]
    assert [message["content"] for message in shown] == [example.question for example in SHARED]


def test_examples_stand_between_the_instructions_and_the_conversation() -> None:
    """Behind every leading system message, before what was said; rules join the first system message."""
    said = [USER, {"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3 + 3?"}]
    request = asked(SYSTEM, {"role": "developer", "content": "Be brief."}, *said)
    form = ExamplesForm(NONE, ExampleSet(SHARED[:1], "fixed", 1))
    messages = sent(request, form.first_pass(request, guided("Work.")))["messages"]
    assert messages[0]["content"].endswith("1. Work.")
    assert messages[2:] == [*turns(("My card was stolen", "card_lost")), *said]


def test_a_working_is_asked_for_without_examples() -> None:
    """Their bare answers would teach the model to skip it; the reply is asked for with them."""
    request = asked(SYSTEM, USER)
    first = ExamplesForm(TWO_PASS, ExampleSet(SHARED, "fixed", 3)).first_pass(request, guided("Work."))
    second = first.following("2 and 2 is 4")
    assert second is not None
    assert len(sent(request, first)["messages"]) == 2
    messages = sent(request, second)["messages"]
    assert len(messages) == 8 and messages[-1]["content"].endswith("Working:\n2 and 2 is 4")


@pytest.mark.parametrize(
    ("fields", "obstacle"),
    [
        ({}, None),
        ({"n": 2}, None),
        ({"response_format": {"type": "json_object"}}, None),
        ({"tools": [{}]}, "tools"),
        ({"tools": [{}], "tool_choice": "required"}, "forced_function"),
    ],
)
def test_examples_fit_requests_whose_reply_is_text(fields: dict[str, Any], obstacle: str | None) -> None:
    """An example answers in text, so a reply that calls functions would be led astray."""
    assert ExamplesForm(NONE, ExampleSet(SHARED, "fixed", 3)).obstacle(asked(**fields)) == obstacle


def test_the_obstacles_of_the_scratchpad_count_too() -> None:
    """A version is sent whole or not at all."""
    form = ExamplesForm(TWO_PASS, ExampleSet(SHARED, "fixed", 3))
    assert form.obstacle(asked(n=2)) == "choices"


def test_neighbours_need_a_question() -> None:
    """Behind a tool's result there is none; fixed examples need none."""
    request = asked(USER, {"role": "tool", "tool_call_id": "t", "content": "4"})
    assert ExamplesForm(NONE, ExampleSet(SHARED, "nearest", 2)).obstacle(request) == "no_question"
    assert ExamplesForm(NONE, ExampleSet(SHARED, "fixed", 2)).obstacle(request) is None


def test_a_substitute_of_the_scratchpad_keeps_the_examples() -> None:
    """A reply that cannot hold tags is written in two passes, under the same examples."""
    request = asked(stop=["4"])
    form = ExamplesForm(TAGS, ExampleSet(SHARED, "fixed", 3)).for_request(request)
    assert form.name == "examples+two_pass"
    plain = ExamplesForm(TAGS, ExampleSet(SHARED, "fixed", 3))
    assert plain.for_request(asked()) is plain


@given(
    st.lists(st.tuples(OWNERS, st.booleans()), max_size=12), OWNERS, st.sampled_from(["fixed", "nearest"]),
    st.integers(1, 12),
)  # fmt: skip
def test_nobody_sees_an_example_of_somebody_else(
    examples: list[tuple[tuple[str | None, str | None], bool]],
    asker: tuple[str | None, str | None],
    mode: Any,
    nearest: int,
) -> None:
    """Whoever asks: only shared examples and those of the very same key and end user are ever sent."""
    made = [
        Example(question=f"question {number}", answer=str(number), shared=shared, key=owner[0], tenant=owner[1])
        for number, (owner, shared) in enumerate(examples)
    ]
    visible = {str(number) for number, (owner, shared) in enumerate(examples) if shared or owner == asker}
    shown = [answer for _, answer in ExampleSet(made, mode, nearest).turns("question 1", *asker)]
    assert set(shown) <= visible
    assert len(shown) == (len(visible) if mode == "fixed" else min(nearest, len(visible)))

"""Questions asked again: the same asker, the same context, and a reply in between."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange
from optimizer.dataset.repeated_questions import repeated_questions

QUESTION = "How do I reset the pump of unit 7?"
LATER = 10_000.0
"""A time at which everything here can be judged."""


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def body(*messages: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages, **fields}).encode()


def made(id_: str, created: float, request: bytes, reply: str | None = "Press it.", **changes: Any) -> Exchange:
    plain = Exchange(
        id=id_, created=created, task="t", client_model="m", model="small", arm="weak", rules=None, stream=False,
        status="ok", http_status=200, request=request, reply=reply, finish_reason="stop", latency_ms=1000.0,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


FIRST = made("a", 100.0, body(user(QUESTION)))
AGAIN = made("b", 160.0, body(user(QUESTION), said("Press it."), user("how do I reset  the pump of unit 7?")))


def test_the_same_question_later_in_a_conversation_was_asked_again() -> None:
    """The later request holds the earlier reply; the order in which exchanges are given does not matter."""
    assert repeated_questions([AGAIN, FIRST], now=LATER) == {"a": "b"}


def test_other_questions_in_between_do_not_hide_it() -> None:
    """The person tried something else first."""
    between = [user(QUESTION), said("Press it."), user("And where is that?"), said("Below.")]
    other = made("m", 130.0, body(*between[:3]), "Below.")
    again = made("b", 160.0, body(*between, user(QUESTION)))
    assert repeated_questions([FIRST, other, again], now=LATER) == {"a": "b"}


def test_strangers_with_the_same_question_are_no_repetition() -> None:
    """Without a name and without the earlier reply nothing says that it is the same person."""
    assert repeated_questions([FIRST, made("b", 160.0, FIRST.request)], now=LATER) == {}
    named = [made(name, 100.0 + 60 * number, body(user(QUESTION), user=name)) for number, name in enumerate("ab")]
    assert repeated_questions(named, now=LATER) == {}
    shared = body(user(QUESTION), prompt_cache_key="our-app")
    assert repeated_questions([made("a", 100.0, shared), made("b", 160.0, shared)], now=LATER) == {}


@pytest.mark.parametrize("own", [{"user": "u"}, {"metadata": {"conversation_id": "c"}}, {"conversation": "c"}])
def test_an_asker_known_by_name_may_begin_anew(own: dict[str, Any]) -> None:
    """The same request again, or a new conversation that begins with the same question."""
    request = body(user(QUESTION), **own)
    assert repeated_questions([made("a", 100.0, request), made("b", 160.0, request)], now=LATER) == {"a": "b"}


def test_the_same_words_about_another_text_are_another_question() -> None:
    """What the instructions and earlier turns hold belongs to the question."""
    one, other = (
        body({"role": "system", "content": f"The document: {name}"}, user("Summarise the document."), user="u")
        for name in ("one", "two")
    )
    assert repeated_questions([made("a", 100.0, one), made("b", 160.0, other)], now=LATER) == {}


def test_a_retry_of_what_failed_is_no_repetition() -> None:
    """There was no reply to be dissatisfied with; but who asks again and fails was still not helped before."""
    request = body(user(QUESTION), user="u")
    failed = made("a", 100.0, request, None, status="error", http_status=502)
    gone = made("b", 110.0, request, "Pre", status="abandoned", http_status=499)
    assert repeated_questions([failed, gone, made("c", 160.0, request)], now=LATER) == {}
    answered = made("0", 50.0, request)
    assert repeated_questions([answered, failed, made("c", 160.0, request)], now=LATER) == {"0": "a"}


@pytest.mark.parametrize("created", [100.2, 101.0, 102.5, 702.0, 90.0])
def test_too_soon_and_too_late_are_no_reaction(created: float) -> None:
    """Before the reply was there, before it could be read, long after it, or before it by a clock that jumped."""
    request = body(user(QUESTION), user="u", temperature=1)
    first = made("a", 100.0, request)
    found = repeated_questions([first, made("b", created, body(user(QUESTION), user="u"))], now=LATER, within_s=600.0)
    assert "a" not in found


@pytest.mark.parametrize("fixed", [{"temperature": 0}, {"temperature": 0.0}, {"seed": 1}])
def test_a_determined_reply_is_asked_for_again_by_programs_only(fixed: dict[str, Any]) -> None:
    """An equal request would have an equal reply."""
    request = body(user(QUESTION), user="u", **fixed)
    assert repeated_questions([made("a", 100.0, request), made("b", 160.0, request)], now=LATER) == {}


def test_what_somebody_asks_all_the_time_is_a_programs_prompt() -> None:
    """A probe or a batch under one name; three times may still be a person."""
    request = body(user(QUESTION), user="u")
    asked = [made(str(number), 100.0 + 60 * number, request) for number in range(4)]
    assert repeated_questions(asked[:3], now=LATER) == {"0": "1", "1": "2"}
    assert repeated_questions(asked, now=LATER) == {}


def test_a_program_that_drives_a_conversation_on_is_not_dissatisfied() -> None:
    """The same words after every reply."""
    turns: list[dict[str, Any]] = []
    steps = []
    for number in range(5):
        turns.append(user("Go on with the next step."))
        steps.append(made(str(number), 100.0 + 60 * number, body(*turns), f"Step {number}."))
        turns.append(said(f"Step {number}."))
    assert repeated_questions(steps, now=LATER) == {}


def test_short_answers_may_be_said_twice() -> None:
    """They are no questions."""
    first = made("a", 100.0, body(user("Yes, go ahead")))
    again = made("b", 160.0, body(user("Yes, go ahead"), said("Press it."), user("Yes, go ahead")))
    assert repeated_questions([first, again], now=LATER) == {}


def test_answers_in_the_background_and_clients_that_opted_out_do_not_count() -> None:
    """The first were asked by the gateway itself, of the second nothing is known."""
    request = body(user(QUESTION), user="u")
    shadow = made("b", 160.0, request, arm="shadow")
    assert repeated_questions([made("a", 100.0, request), shadow, made("c", 170.0, b"{}", None)], now=LATER) == {}


def test_an_exchange_is_judged_when_no_more_can_come() -> None:
    """So that what comes later changes nothing."""
    assert repeated_questions([FIRST, AGAIN], now=700.0, within_s=600.0) == {}
    assert repeated_questions([FIRST, AGAIN], now=701.0, within_s=600.0) == {"a": "b"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["user", "role", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "id"]), inner, max_size=3)
    ),
    max_leaves=10,
)
FIELDS = ["model", "messages", "input", "instructions", "prompt", "metadata", "user", "conversation"]


@given(
    st.lists(st.binary(max_size=30) | st.dictionaries(st.sampled_from(FIELDS), JSON).map(json.dumps).map(str.encode))
)
def test_no_recorded_bytes_raise(requests: list[bytes]) -> None:
    """Whatever was sent."""
    repeated_questions([made(str(number), number, request) for number, request in enumerate(requests)], now=LATER)

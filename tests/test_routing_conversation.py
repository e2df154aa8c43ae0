"""Conversations keep their place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats.chat import open_chat
from gateway.formats.envelope import Conversation
from gateway.formats.responses import open_responses
from gateway.routing.conversation import (
    bucket,
    cluster_of,
    conversation_key,
    tenant_digest,
    tenant_in,
    tenant_of,
)
from optimizer.dataset.recorded_request import read_request

FIRST = {"role": "user", "content": "What is 2 + 2?"}
LATER = [FIRST, {"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3 + 3?"}]


def chat(messages: Any, **fields: Any) -> Conversation:
    return open_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode())


def response(given: Any, **fields: Any) -> Conversation:
    return open_responses(json.dumps({"model": "m", "input": given, **fields}).encode())


def test_a_later_turn_has_the_key_of_the_first() -> None:
    """What was said since does not matter, nor does a system prompt that names the time."""
    told = [{"role": "system", "content": "It is 9:00."}, FIRST]
    assert conversation_key(chat([FIRST])) == conversation_key(chat(LATER)) == conversation_key(chat(told))
    assert conversation_key(response([FIRST])) == conversation_key(response(LATER))
    assert conversation_key(chat([FIRST])) != conversation_key(chat(LATER[2:]))


@pytest.mark.parametrize("role", ['"role": "user", ', '"role":"user",', ' "name": "ann", "role": "user", '])
def test_the_first_user_s_message_is_seen_however_it_is_written(role: str) -> None:
    """Spaces and the order of fields differ between clients."""
    system = '{"role": "system", "content": "It is %s."}'
    first, other = ("{" + role + f'"content": "{text}"}}' for text in ("Hello", "Goodbye"))
    bodies = [(system % "9:00", first), (system % "9:01", first), (system % "9:00", other)]
    keys = [
        conversation_key(open_chat(f'{{"model":"m","messages":[{before}, {after}]}}'.encode()))
        for before, after in bodies
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("text", ["{}" + "x" * 5000, "x" * 5000 + "{}"], ids=["text first", "instructions first"])
def test_long_instructions_in_a_message_do_not_make_requests_one_conversation(text: str) -> None:
    """Many clients send the instructions and a text in a single message: both ends of it count."""
    first, second = (chat([{"role": "user", "content": text.format(word)}]) for word in ("one", "two"))
    assert conversation_key(first) != conversation_key(second)
    assert len(conversation_key(first)) < 1100


def test_a_cluster_is_a_hash_of_the_key() -> None:
    """Equal for the turns of a conversation, short, and without its words."""
    clusters = [cluster_of(conversation_key(chat(messages))) for messages in ([FIRST], LATER, LATER[2:])]
    assert clusters[0] == clusters[1] != clusters[2]
    assert len(clusters[0]) == 16 and int(clusters[0], 16) >= 0


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"user": "ann"}, "ann"),
        ({"safety_identifier": "ann", "user": "bob"}, "ann"),
        ({"safety_identifier": "", "user": "bob", "metadata": {"user_id": "cat"}}, "bob"),
        ({"user": 7, "metadata": {"user_id": "cat"}}, "cat"),
        ({}, None), ({"user": None}, None), ({"metadata": 7}, None), ({"metadata": {"user_id": 7}}, None),
    ],
)  # fmt: skip
def test_the_tenant_is_a_hash_of_the_first_name_given(fields: dict[str, Any], user: str | None) -> None:
    """Odd values name nobody."""
    expected = tenant_digest([user]) if user is not None else None
    assert tenant_of(chat([FIRST], **fields)) == expected
    assert tenant_in(json.dumps(fields).encode()) == expected
    assert read_request(json.dumps({"messages": [FIRST], **fields}).encode()).tenant == expected


def test_an_unreadable_request_has_no_tenant() -> None:
    """As recorded by an earlier version, or by nobody."""
    assert tenant_in(b"") is tenant_in(b"[]") is tenant_in(b"\xff") is None


@pytest.mark.parametrize("field", ["prompt_cache_key", "conversation", "previous_response_id"])
def test_the_client_s_own_key_wins(field: str) -> None:
    """It knows what belongs together."""
    one, other = response("Hello", **{field: "k1"}), response("Goodbye", **{field: "k1"})
    assert conversation_key(one) == conversation_key(other) != conversation_key(response("Hello", **{field: "k2"}))
    assert conversation_key(response("Hello", **{field: None})) == conversation_key(response("Hello"))


@pytest.mark.parametrize(
    "request_",
    [chat([{"role": "assistant", "content": "Hi"}]), chat([{"role": "user"}]), chat([{}]), response([]), response(None),
     response([{"type": "item_reference", "id": "x"}])],
)  # fmt: skip
def test_odd_requests_have_a_key(request_: Conversation) -> None:
    """They are the upstream's to judge."""
    assert isinstance(conversation_key(request_), bytes)


@given(st.binary(), st.text())
def test_a_place_is_between_nothing_and_one(key: bytes, salt: str) -> None:
    """And always the same."""
    assert 0 <= bucket(key, salt) < 1
    assert bucket(key, salt) == bucket(key, salt)


def test_places_are_spread_evenly_and_independently() -> None:
    """Of 10,000 conversations, a tenth lies below 0.1, and a tenth of those below 0.1 by another salt."""
    keys = [str(number).encode() for number in range(10_000)]
    below = [key for key in keys if bucket(key, "one") < 0.1]
    both = [key for key in below if bucket(key, "other") < 0.1]
    assert 900 < len(below) < 1100
    assert 70 < len(both) < 130

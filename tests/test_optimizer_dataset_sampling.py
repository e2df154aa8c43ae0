"""What enters a cycle: no one voice fills it, and it is recent without forgetting."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Exchange, Feedback
from gateway.store.base import Graded
from optimizer.dataset.recorded_request import read_request
from optimizer.dataset.sampling import (
    PER_CONVERSATION,
    cap_per_key,
    conversation_names,
    sample_exchanges,
    spread_over_time,
)


def asked(*turns: str, **fields: Any) -> bytes:
    """A chat: a system prompt, then user and model in turn."""
    messages = [{"role": "system", "content": "Be brief."}]
    messages += [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
    return json.dumps({"messages": messages, **fields}).encode()


def graded(request: bytes, number: int, reply: str | None = "5", *, key: str | None = None) -> Graded:
    exchange = Exchange(
        id=f"x{number}", created=float(number), task="t", client_model="m", model="small", arm="weak", rules=None,
        stream=False, status="ok", http_status=200, request=request, reply=reply, key=key,
    )  # fmt: skip
    return Graded(exchange=exchange, feedback=Feedback(exchange_id=exchange.id, created=float(number), expected=1))


def by_tenant(*sizes: int | None, unnamed: int = 0) -> list[Graded]:
    """So many exchanges of tenant 0, 1, ...; the later ones are newer. Newest first."""
    users = [{"user": f"u{tenant}"} for tenant, size in enumerate(sizes) for _ in range(size or 0)]
    users = [*({} for _ in range(unnamed)), *users]
    made = [graded(asked(f"Question {number}", **user), number) for number, user in enumerate(users)]
    return made[::-1]


def count(found: tuple[Graded, ...], user: str) -> int:
    return sum(read_request(one.exchange.request).tenant == read_request(asked("x", user=user)).tenant for one in found)


def test_one_tenant_that_floods_brings_its_share_and_no_more() -> None:
    """Two thousand crafted failures, all newer than what honest people said: a quarter of what comes in."""
    flood = by_tenant(60, 60, 60, 2000)
    found = sample_exchanges(flood, most=600, tenant_share=0.25)
    assert count(found.graded, "u3") == 60 == len(found.graded) / 4
    assert len(found.graded) + found.left_out == 2180


def test_a_key_that_invents_tenants_brings_its_share_and_no_more() -> None:
    """Whoever holds a key names any tenant: two thousand rotating names are still one key."""
    honest = [
        graded(asked(f"Question {number}", user=f"u{number}"), number, key=f"k{number % 3}") for number in range(90)
    ]
    flood = [graded(asked(f"Crafted {number}", user=f"m{number}"), number, key="mallory") for number in range(90, 2090)]
    sample = sample_exchanges([*honest, *flood][::-1], most=600, tenant_share=0.25)
    assert sum(pair.exchange.key == "mallory" for pair in sample.graded) == 30 == len(sample.graded) / 4


def test_a_flood_beside_a_crowd_without_names_is_bounded_by_what_a_cycle_takes() -> None:
    """And stays bounded when the newest are taken, which are the flood's."""
    found = sample_exchanges(by_tenant(2000, unnamed=400), most=200, tenant_share=0.25)
    assert len(found.graded) == 200 and count(found.graded, "u0") <= 0.5 * 200
    many = sample_exchanges(by_tenant(30, 30, 2000, unnamed=400), most=200, tenant_share=0.25)
    assert len(many.graded) == 200 and count(many.graded, "u2") <= 0.25 * 200


def test_a_tenant_that_is_alone_is_not_capped() -> None:
    """There is nobody to protect from it; and of two, neither has the majority."""
    assert len(sample_exchanges(by_tenant(50), most=600, tenant_share=0.25).graded) == 50
    assert len(sample_exchanges(by_tenant(20, 500), most=600, tenant_share=0.25).graded) == 40


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 30), st.integers(1, 80))
def test_no_tenant_has_more_than_its_share(sizes: list[int], unnamed: int, most: int) -> None:
    """Of what a cycle would take, whatever the others bring; and somebody is always left."""
    found = sample_exchanges(by_tenant(*sizes, unnamed=unnamed), most=most, tenant_share=0.25).graded
    share = max(0.25, 1 / (len(sizes) + bool(unnamed)))
    if most > 2 * (len(sizes) + 1):
        assert found
    assert len(found) <= most
    for tenant in range(len(sizes)):
        peers = sorted(sizes, reverse=True)[min(len(sizes), max(2, int(1 / share + 1e-9) - 1)) - 1]
        assert count(found, f"u{tenant}") <= max(share * min(most, sum(sizes) + unnamed) + 1e-6, peers)


@pytest.mark.parametrize("small", [1, 4, 30])
def test_a_small_voice_silences_nobody(small: int) -> None:
    """A fourth key with an exchange or two must not cut three teams down to as many: nobody could learn any more."""
    sample = sample_exchanges(by_tenant(40, 40, 40, small), most=600, tenant_share=0.25)
    assert len(sample.graded) == 120 + small
    flooded = sample_exchanges(by_tenant(40, 40, 40, 2000), most=600, tenant_share=0.25)
    assert count(flooded.graded, "u3") == 40


def test_one_conversation_brings_a_few_of_its_newest_turns() -> None:
    """However long somebody talks, it is one case."""
    turns = ["How many?", "5", *(word for number in range(20) for word in (f"No, with {number}?", "5"))]
    talk = [graded(asked(*turns[: 2 * number + 1]), number) for number in range(20)][::-1]
    other = graded(asked("How many?", "5", "But why?"), 99)
    alone = graded(asked("Who?"), 100)
    found = sample_exchanges([alone, other, *talk], most=600, tenant_share=0.25)
    assert found.graded == (alone, other, *talk[: PER_CONVERSATION - 1])


def test_turns_of_one_conversation_are_known_by_how_they_go_on() -> None:
    """Not by a shared beginning: examples given as turns, or a template, make strangers no conversation."""
    first, second = asked("Hi, a question"), asked("Hi, a question", "Yes?", "What is 2?")
    shot = ("2 + 2?", "4")
    shots = [asked(*shot, "3 + 3?"), asked(*shot, "5 + 5?")]
    long = [asked("word " * 5000 + str(number)) for number in range(2)]
    named = [asked(str(number), metadata={"conversation_id": "c"}) for number in range(2)]
    instructed = [b'{"messages": [{"role": "system", "content": "Be brief."}]}']
    requests = [first, second, *shots, *long, *named, *instructed]
    names = conversation_names([read_request(request) for request in requests])
    assert names[0] == names[1] and names[6] == names[7]
    assert len(set(names)) == 7


def test_what_holds_no_reply_is_not_taken() -> None:
    """A client that opted out teaches nothing, and costs nobody a place."""
    found = sample_exchanges([graded(b"{}", 1, reply=None), graded(asked("x"), 0)], most=9, tenant_share=0.25)
    assert [one.exchange.id for one in found.graded] == ["x0"] and found.left_out == 0
    assert sample_exchanges([], most=9, tenant_share=0.25).graded == ()


@given(st.lists(st.integers(), max_size=60, unique=True), st.integers(1, 20))
def test_a_spread_is_the_newest_half_and_some_of_all_that_is_older(values: list[int], most: int) -> None:
    """In order, nothing twice, never more than asked for."""
    found = spread_over_time(values, most)
    assert len(found) == min(most, len(values)) == len(set(found))
    assert found == [value for value in values if value in found]
    assert found[: (most + 1) // 2] == values[: (most + 1) // 2]


def test_a_spread_reaches_back() -> None:
    """Half of a hundred: the newest twenty-five, then every third."""
    found = spread_over_time(range(100), 50)
    assert found[:26] == list(range(26)) and found[-1] == 97


def test_a_cap_keeps_the_first_of_each_key() -> None:
    """In their order."""
    assert cap_per_key("abcdef", "xxyxyx", 2) == ["a", "b", "c", "e"]

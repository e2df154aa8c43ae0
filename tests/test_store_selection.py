"""The exchanges meant by a request from outside, and those that fit into memory."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.conversation import tenant_digest
from gateway.store.selection import Selection, fitting, selects, shadow_id, size_of
from tests.test_store_sql import EXCHANGE


def test_each_part_of_a_selection_selects() -> None:
    """Ids, a key, and an end user; an empty selection takes nothing, least of all what has no key."""
    owned = msgspec.structs.replace(EXCHANGE, key="team", tenant=tenant_digest(["ann"]))
    for selection in (Selection(ids=frozenset({EXCHANGE.id})), Selection(key="team"), Selection(user="ann")):
        assert selects(selection, owned)
    assert not selects(Selection(), owned) and not selects(Selection(), EXCHANGE)
    assert not selects(Selection(key="other", user="bob"), owned)


def test_the_recorded_tenant_is_believed_before_the_request() -> None:
    """Only where none was recorded the request is read."""
    named = msgspec.structs.replace(EXCHANGE, request=b'{"user":"ann"}')
    assert selects(Selection(user="ann"), named)
    assert not selects(Selection(user="ann"), msgspec.structs.replace(named, tenant=tenant_digest(["bob"])))


def test_a_shadow_is_named_after_its_exchange() -> None:
    """So that there is one at most."""
    assert shadow_id("chatcmpl-1") == "shadow-chatcmpl-1"


def test_the_largest_are_left_out_first() -> None:
    """In their order; of equals the later one goes."""
    assert fitting([("a", 5), ("huge", 90), ("b", 5), ("c", 5)], 100) == ["a", "b", "c"]
    assert fitting([("a", 5), ("b", 5), ("c", 5)], 10) == ["a", "b"]
    assert fitting([("a", 5)], 4) == []


@given(st.lists(st.integers(0, 100)), st.integers(0, 2000))
def test_what_is_kept_fits_and_nothing_kept_is_larger_than_what_is_not(sizes: list[int], most: int) -> None:
    """And everything is kept if it fits."""
    kept = fitting(list(enumerate(sizes)), most)
    left = [size for place, size in enumerate(sizes) if place not in kept]
    assert sum(sizes[place] for place in kept) <= most
    assert not left or max((sizes[place] for place in kept), default=0) <= min(left)
    assert sum(sizes) > most or kept == list(range(len(sizes)))


def test_the_size_of_an_exchange_is_that_of_its_texts() -> None:
    """A missing reply has none."""
    sized = msgspec.structs.replace(EXCHANGE, request=b"123", reply="45")
    assert size_of(sized) == 5 and size_of(msgspec.structs.replace(sized, reply=None)) == 3

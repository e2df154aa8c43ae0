"""The exchanges meant by a request from outside."""

import msgspec

from gateway.routing.conversation import tenant_digest
from gateway.store.selection import Selection, selects, shadow_id
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

"""What the handlers share: ids that no two exchanges have, and parts that no handler can replace."""

import dataclasses

import pytest

from gateway.services import new_exchange_id
from tests.fakes import services, settings


def test_an_exchange_s_id_looks_like_a_completion_s_and_is_unique() -> None:
    """Clients know the form; it needs no escaping in a URL or a header."""
    ids = {new_exchange_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(made.startswith("chatcmpl-") and made.replace("-", "").isalnum() for made in ids)


async def test_services_are_fixed_once_they_are_built() -> None:
    """What changes while a gateway runs changes inside one of them."""
    made = services(settings(), {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.store = made.store  # type: ignore[misc]  # which is the point

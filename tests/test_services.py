"""What the handlers share: ids that no two exchanges have, and parts that no handler can replace."""

import dataclasses

import pytest

from gateway.issued_keys import IssuedKey
from gateway.services import new_exchange_id
from gateway.settings.keys import digest
from tests.fakes import CONFIG, services, settings


def test_an_exchange_s_id_looks_like_a_completion_s_and_is_unique() -> None:
    """Clients know the form; it needs no escaping in a URL or a header."""
    ids = {new_exchange_id("chatcmpl-") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(made.startswith("chatcmpl-") and made.replace("-", "").isalnum() for made in ids)


async def test_what_a_configuration_makes_is_replaced_whole_or_not_at_all() -> None:
    """A request that has read it sees one configuration from its beginning to its end."""
    made = services(settings(), {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.serving.settings = settings()  # type: ignore[misc]  # which is the point
    assert made.settings is made.serving.settings


async def test_the_keys_are_those_of_the_configuration_and_those_made_by_command() -> None:
    """Built once, and anew for another configuration or after a command."""
    made = services(settings(CONFIG + f'[keys.team]\nhash = "{digest("x" * 16)}"\n'), {})
    assert [holder.name for holder in made.keys.holders] == ["team"]
    made.take_keys({"other": IssuedKey(hash=digest("y" * 16))})
    assert {holder.name for holder in made.keys.holders} == {"team", "other"}
    made.serving = dataclasses.replace(made.serving, settings=settings())
    for call in made.on_reload:
        call()
    assert [holder.name for holder in made.keys.holders] == ["other"]

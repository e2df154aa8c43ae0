"""Keys made by command: none is lost, and a change reaches a running gateway by itself."""

import asyncio
import threading

import pytest

from gateway import issued_keys
from gateway.errors import Conflict, NotFound, StoreError
from gateway.issued_keys import IssuedKey
from gateway.settings import Key
from gateway.settings.keys import digest
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeUpstream, asked, served

NEW = IssuedKey(hash=digest("secret"), owner="payments")


def test_two_changes_at_once_are_both_kept() -> None:
    """However many people make keys."""
    store = MemoryStore()

    def make(number: int) -> None:
        issued_keys.issue(store, f"team-{number}", IssuedKey(hash=digest(str(number))), {})

    threads = [threading.Thread(target=make, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(issued_keys.read(store)) == 20


def test_a_revoked_key_is_neither_turned_nor_made_again() -> None:
    """Whoever holds the old secret must not come back."""
    store = MemoryStore()
    issued_keys.issue(store, "team", NEW, {})
    issued_keys.revoke(store, "team", {}, now=5.0)
    with pytest.raises(Conflict, match="revoked"):
        issued_keys.rotate(store, "team", b"r" * 32, old_until=issued_keys.day_after(0, 7), now=6.0)
    with pytest.raises(Conflict, match="already"):
        issued_keys.issue(store, "team", NEW, {})
    assert issued_keys.read(store)["team"].revoked == 5.0
    with pytest.raises(NotFound):
        issued_keys.revoke(store, "nobody", {}, now=7.0)


def test_a_revoked_key_of_the_configuration_may_get_another_secret() -> None:
    """The hash is what is right no more, not the name."""
    store = MemoryStore()
    issued_keys.revoke(store, "team", {"team": Key(hash=digest("leaked"))}, now=1.0)
    issued = issued_keys.read(store)
    for secret, count in (("leaked", 0), ("another", 1)):
        ring = issued_keys.keyring({"team": Key(hash=digest(secret))}, issued, lambda: 2.0)
        assert ring and len(list(ring.holders)) == count


def test_keys_in_a_form_of_another_version_are_no_keys_missing() -> None:
    """A gateway without its keys would be open: it must not start."""
    store = MemoryStore()
    store.put_note(issued_keys.NOTE, b"[]")
    with pytest.raises(StoreError, match="keys in the store"):
        issued_keys.read(store)
    store.put_note(issued_keys.NOTE, b'{"team": {"owner": "x", "of": "a later version"}}')
    assert set(issued_keys.read(store)) == {"team"}


async def test_a_key_made_or_revoked_elsewhere_is_in_effect_by_itself() -> None:
    """Without a restart; the gateway stays closed when the last key is gone."""
    async with served(FakeUpstream(lambda body: "4"), CONFIG) as gateway:

        async def status(secret: str) -> int:
            headers = {"authorization": f"Bearer {secret}"}
            reply = await gateway.client.post("/v1/chat/completions", json=asked(), headers=headers)
            return reply.status_code

        assert await status("anything") == 200
        store = gateway.services.store
        await asyncio.to_thread(issued_keys.issue, store, "team", NEW, {})
        await gateway.until(lambda: bool(gateway.services.keys))
        assert [await status("secret"), await status("wrong")] == [200, 401]
        await asyncio.to_thread(issued_keys.revoke, store, "team", {}, now=1.0)
        await gateway.until(lambda: not list(gateway.services.keys.holders))
        assert [await status("secret"), await status("anything")] == [401, 401]

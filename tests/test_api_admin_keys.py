"""``/admin/keys``: keys over HTTP."""

from typing import Any

import httpx

from gateway.settings.keys import digest
from gateway.store import trail
from tests.fakes import CONFIG, FakeUpstream, Served, asked, served

BOSS = "boss-0123456789abcdef"
TEXT = CONFIG + f'[keys.boss]\nhash = "{digest(BOSS)}"\nrole = "admin"\n'


def shown(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def post(gateway: Served, path: str, body: dict[str, Any]) -> httpx.Response:
    return await gateway.client.post(f"/admin/keys/{path}", json=body, headers=shown(BOSS))


async def test_a_key_lives_from_new_to_revoked() -> None:
    """Each step holds for the next request of this gateway, and the list never shows a secret."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:

        async def status(key: str) -> int:
            return (await gateway.client.post("/v1/chat/completions", json=asked(), headers=shown(key))).status_code

        made = {"name": "team", "owner": "payments", "expires": "2999-01-31", "tasks": ["arithmetic"]}
        first = (await post(gateway, "new", made)).json()["key"]
        second = (await post(gateway, "rotate", {"name": "team", "keep_days": 1})).json()["key"]
        assert [await status(key) for key in (first, second)] == [200, 200]
        listed = await gateway.client.get("/admin/keys", headers=shown(BOSS))
        assert [(key["name"], key["state"]) for key in listed.json()["keys"]] == [
            ("boss", "valid"), ("team", "rotating"),
        ]  # fmt: skip
        assert not any(secret in listed.text for secret in (first, second, digest(first), digest(second)))
        assert (await post(gateway, "revoke", {"name": "team"})).json() == {"name": "team", "state": "revoked"}
        assert [await status(key) for key in (first, second, BOSS)] == [401, 401, 200]


async def test_bad_input_is_named_and_changes_nothing() -> None:
    """400 for a body that does not fit, 404 for an unknown key, 409 for a name in use."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:
        replies = [
            await post(gateway, path, body)
            for path, body in (
                ("new", {}), ("new", {"name": "a b"}), ("new", {"name": "a", "role": "boss"}),
                ("new", {"name": "a", "expires": "soon"}), ("new", {"name": "boss"}),
                ("rotate", {"name": "nobody"}), ("revoke", {"name": "nobody"}),
            )
        ]  # fmt: skip
        assert [reply.status_code for reply in replies] == [400, 400, 400, 400, 409, 404, 404]
        assert len((await gateway.client.get("/admin/keys", headers=shown(BOSS))).json()["keys"]) == 1


async def test_a_key_s_limits_hold_from_its_first_request() -> None:
    """They are a part of its making."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:
        made = {"name": "team", "limits": {"requests_per_minute": 2}, "budget": {"usd": 5.0, "per": "day"}}
        key = (await post(gateway, "new", made)).json()["key"]
        replies = [
            await gateway.client.post("/v1/chat/completions", json=asked(), headers=shown(key)) for _ in range(3)
        ]
        assert [reply.status_code for reply in replies] == [200, 200, 429]
        assert (await post(gateway, "new", {"name": "b", "budget": {"usd": -1}})).status_code == 400


async def test_the_audit_log_names_the_key_that_acted() -> None:
    """Not the way that it took."""
    async with served(FakeUpstream(lambda body: "4"), TEXT) as gateway:
        await post(gateway, "new", {"name": "team"})
        deeds = list(trail.deeds(gateway.services.store))
    assert [(deed.by, deed.what, deed.subject) for deed in deeds] == [("key boss", "key made", "team")]

"""``/admin`` over a real socket: who gets in, and that decisions take effect on the next request."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.store.memory import MemoryStore
from tests.fakes import CONFIG, FakeUpstream, MoodyStore, Served, asked, served

KEY = "an-admin-key-for-tests"
ADMIN = {"authorization": f"Bearer {KEY}"}
CONFIGURED = CONFIG.replace("port = 0", f'port = 0\nadmin_key = "{KEY}"')
READ = ["tasks", "rules?task=arithmetic", "rules/show?task=arithmetic", "rules/diff?task=arithmetic&from=1&to=2",
        "rules/history?task=arithmetic", "injection"]  # fmt: skip
WRITE: dict[str, dict[str, Any]] = {
    "rules/activate": {"task": "arithmetic", "version": 1},
    "rules/rollback": {"task": "arithmetic"},
    "rules/share": {"task": "arithmetic", "share": 0.5},
    "injection": {"on": False},
}


def stocked(kind: type[MemoryStore] = MemoryStore) -> MemoryStore:
    """Two versions, the second one live."""
    store = kind()
    for text in ("First.", "Second."):
        store.publish(RuleSet(task="arithmetic", rules=(Rule(text=text),)))
    for version in (1, 2):
        store.activate(Activation(task="arithmetic", version=version, created=1.0, by="test"))
    return store


@contextlib.asynccontextmanager
async def administered(store: MemoryStore, text: str = CONFIGURED) -> AsyncIterator[Served]:
    async with served(FakeUpstream(lambda body: "4"), text, store) as gateway:
        yield gateway


async def post(gateway: Served, path: str, body: Any, headers: dict[str, str] = ADMIN) -> Any:
    return await gateway.client.post(f"/admin/{path}", json=body, headers=headers)


async def rules_in_use(gateway: Served) -> str:
    """What the next request is served with."""
    reply = await gateway.client.post("/v1/chat/completions", json=asked())
    assert reply.status_code == 200
    return str(reply.headers["x-preceptor-rules"])


@pytest.mark.parametrize("text", [CONFIG, CONFIGURED], ids=["off", "on"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", f"Bearer {KEY}x", f"Basic {KEY}", f"Bearer {KEY[:-1]}", "Bearer é"]
)
async def test_nobody_gets_in_without_the_key(text: str, header: str | None) -> None:
    """401 in OpenAI's shape on every path, and nothing is read or decided; without a configured key nobody has one."""
    store = stocked()
    headers = {} if header is None else {"authorization": header.encode()}
    async with administered(store, text) as gateway:
        replies = [await gateway.client.get(f"/admin/{path}", headers=headers) for path in READ]  # type: ignore[arg-type]
        replies += [await post(gateway, path, body, headers) for path, body in WRITE.items()]  # type: ignore[arg-type]
        if text == CONFIG:
            replies.append(await gateway.client.get("/admin/tasks", headers=ADMIN))
    for reply in replies:
        assert reply.status_code == 401
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert KEY not in reply.text
    assert len(store.history("arithmetic")) == 2 and store.injecting()


async def test_a_decision_is_in_effect_on_the_next_request() -> None:
    """Activate, roll back, switch off and on: no waiting for anybody."""
    async with administered(stocked()) as gateway:
        used = [await rules_in_use(gateway)]
        for path, body in (
            ("rules/activate", {"task": "arithmetic", "version": 1, "why": "the second was rude"}),
            ("rules/activate", {"task": "arithmetic", "version": 2}),
            ("rules/rollback", {"task": "arithmetic"}),
            ("injection", {"on": False}),
            ("injection", {"on": True}),
            ("rules/activate", {"task": "arithmetic", "version": None}),
        ):
            reply = await post(gateway, path, body)
            assert reply.status_code == 200, reply.text
            used.append(await rules_in_use(gateway))
        history = (await gateway.client.get("/admin/rules/history?task=arithmetic", headers=ADMIN)).json()["history"]
    assert used == ["2", "1", "2", "1", "none", "1", "none"]
    assert [(entry["by"], entry["why"]) for entry in history[2:4]] == [
        ("admin key", "the second was rude"), ("admin key", "activated by hand")
    ]  # fmt: skip


async def test_everything_that_a_page_about_rules_needs_is_there() -> None:
    """Tasks with what serves them, versions, one version, differences."""
    async with administered(stocked()) as gateway:
        found = [(await gateway.client.get(f"/admin/{path}", headers=ADMIN)).json() for path in READ]
    tasks, versions, shown, diff, _, injection = found
    assert (tasks[0]["task"], tasks[0]["rules"], tasks[0]["canary"]) == ("arithmetic", 2, None)
    assert (versions["active"], [one["version"] for one in versions["rule_sets"]]) == (2, [1, 2])
    assert shown["rules"][0]["text"] == "Second." and len(shown["hash"]) == 64
    assert {"-First.", "+Second."} <= set(diff["diff"])
    assert injection == {"on": True, "environment": True}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("rules/activate", {"task": "arithmetic"}, 400), ("rules/activate", {"task": "arithmetic", "version": "1"}, 400),
     ("rules/activate", {"task": "arithmetic", "version": 9}, 404),
     ("rules/activate", {"task": "x", "version": 1}, 404),
     ("rules/share", {"task": "arithmetic", "share": 2}, 400),
     ("rules/share", {"task": "arithmetic", "share": 0.5}, 409), ("rules/rollback", {"task": "x"}, 404),
     ("rules/rollback", {"task": "arithmetic", "more": 1}, 400), ("injection", {}, 400), ("injection", [], 400)],
)  # fmt: skip
async def test_a_wrong_body_decides_nothing(path: str, body: Any, status: int) -> None:
    """It is told what is wrong."""
    store = stocked()
    async with administered(store) as gateway:
        reply = await post(gateway, path, body)
    assert reply.status_code == status and reply.json()["error"]["message"]
    assert len(store.history("arithmetic")) == 2 and store.injecting()


@pytest.mark.parametrize(
    "path",
    [
        "rules",
        "rules/show?task=arithmetic&version=x",
        "rules/show?task=x",
        "rules/diff?task=arithmetic&from=1",
        "nothing",
    ],
)
async def test_a_wrong_question_is_told_so(path: str) -> None:
    """400 or 404 in OpenAI's shape, never 500."""
    async with administered(stocked()) as gateway:
        reply = await gateway.client.get(f"/admin/{path}", headers=ADMIN)
    assert reply.status_code in (400, 404)
    assert json.loads(reply.content)["error"]["type"] == "invalid_request_error"


async def test_a_lost_database_is_said() -> None:
    """503, and requests go on with what was live."""
    store = stocked(MoodyStore)
    assert isinstance(store, MoodyStore)
    async with administered(store) as gateway:
        before = await rules_in_use(gateway)
        store.down = True
        reply = await post(gateway, "rules/activate", {"task": "arithmetic", "version": 1})
        assert reply.status_code == 503
        assert await rules_in_use(gateway) == before == "2"
        store.down = False  # what was recorded meanwhile can be stored: the gateway ends without a wait for it

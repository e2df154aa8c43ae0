"""Decisions at the console: carried out once, by whoever was first, by those who may."""

from typing import Any

import httpx
import pytest

from gateway.domain import Activation, Rule, RuleSet
from gateway.settings.keys import digest
from gateway.store.history import active_decisions
from tests.consoles import CONFIG, NOW, console, sent, signed_in, stocked, token_in
from tests.fakes import Served

READER, APPROVER = "a-key-that-may-look-at-all", "a-key-that-may-decide-about-rules"
KEYS = CONFIG + (
    f'[keys.looker]\nhash = "{digest(READER)}"\nrole = "read"\n'
    f'[keys.berta]\nhash = "{digest(APPROVER)}"\nrole = "approve"\n'
)


def seen(served: Served, task: str) -> int:
    """The length of a task's history."""
    return len(served.services.store.history(task))


async def decided(served: Served, client: httpx.AsyncClient, task: str, what: str, **form: Any) -> httpx.Response:
    """Send a decision, as the task's page does."""
    values = {"what": what, "seen": seen(served, task), "version": "", **form}
    return await sent(client, f"/ui/tasks/{task}/decide", values, on="/ui")


async def test_a_trial_is_held_goes_on_grows_and_goes_live() -> None:
    """Each is an entry in the history, with who and why."""
    async with console() as served:
        client, store = await signed_in(served), served.services.store
        for what, holds in (("hold", True), ("go-on", False)):
            assert (await decided(served, client, "refund-policy", what)).status_code == 303
            assert (active_decisions(store.history("refund-policy")).hold is not None) is holds
        await decided(served, client, "refund-policy", "more", version=1)
        now = active_decisions(store.history("refund-policy"))
        assert now.canary is not None and now.canary.share == 0.95
        await decided(served, client, "refund-policy", "live", version=1, why="it is plainly better")
        entry = store.history("refund-policy")[-1]
        assert (entry.kind, entry.version, entry.by) == ("live", 1, "console, admin key")
        assert entry.why == "it is plainly better"
        page = (await client.get("/ui/tasks/refund-policy?did=live")).text
        assert "The next request follows this decision" in page


async def test_a_trial_ends_and_a_live_version_goes_back() -> None:
    """The version before serves again."""
    async with console() as served:
        client, store = await signed_in(served), served.services.store
        await decided(served, client, "refund-policy", "back", back="trial")
        assert active_decisions(store.history("refund-policy")).canary is None
        await decided(served, client, "ticket-desk", "back")
        live = active_decisions(store.history("ticket-desk")).live
        assert live is not None and live.version == 2
        assert (await client.get("/ui/tasks/ticket-desk")).text.count("Version 2 is live") == 2


async def test_a_waiting_version_goes_on_trial() -> None:
    """With the first share of the roll-out."""
    store = stocked()
    store.publish(RuleSet(task="meeting-notes", rules=(Rule(text="Three points."),), decided_by="cycle"))
    async with console(store) as served:
        client = await signed_in(served)
        assert "waits: written by cycle, never tested" in (await client.get("/ui/tasks/meeting-notes")).text
        await decided(served, client, "meeting-notes", "trial", version=1)
        now = active_decisions(store.history("meeting-notes"))
        assert now.canary is not None and now.canary.share == 0.05


async def test_the_second_of_two_people_hears_who_was_first() -> None:
    """Nothing is doubled."""
    async with console(text=KEYS) as served:
        client = await signed_in(served, APPROVER)
        before = seen(served, "refund-policy")
        first = await decided(served, client, "refund-policy", "back")
        second = await decided(served, client, "refund-policy", "live", version=1, seen=before)
        assert first.status_code == 303 and second.status_code == 409
        assert "Console, berta decided meanwhile: the trial of version 1 is over" in second.text
        assert seen(served, "refund-policy") == before + 1


async def test_a_button_pressed_twice_decides_once() -> None:
    """The second press comes from a page that is behind."""
    async with console() as served:
        client = await signed_in(served)
        page = (await client.get("/ui/tasks/refund-policy/trial")).text
        form = {"token": token_in(page), "what": "hold", "version": "1", "seen": seen(served, "refund-policy")}
        replies = [await client.post("/ui/tasks/refund-policy/decide", data=form) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [303, 409]


@pytest.mark.parametrize(
    ("what", "form"), [("dance", {}), ("live", {}), ("live", {"version": "x"}), ("hold", {"seen": ""})]
)
async def test_a_decision_that_is_none_is_refused(what: str, form: dict[str, Any]) -> None:
    """400, and nothing changes."""
    async with console() as served:
        client = await signed_in(served)
        before = seen(served, "refund-policy")
        assert (await decided(served, client, "refund-policy", what, **form)).status_code == 400
        assert seen(served, "refund-policy") == before


async def test_an_unknown_version_is_refused() -> None:
    """404, in words."""
    async with console() as served:
        client = await signed_in(served)
        reply = await decided(served, client, "ticket-desk", "live", version=99)
        assert reply.status_code == 404 and seen(served, "ticket-desk") == 6


async def test_a_role_that_may_not_decides_nothing() -> None:
    """The server refuses, whatever the page showed."""
    posts: dict[str, dict[str, Any]] = {
        "/ui/tasks/ticket-desk/decide": {"what": "back", "seen": 6, "version": ""},
        "/ui/tasks/ticket-desk/labels": {"id": "chatcmpl-ticket-desk-00010", "verdict": "right", "seen": 0},
        "/ui/tasks/ticket-desk/rules/3": {"rule-0": "Be brief.", "seen": 3},
        "/ui/switch": {"on": "", "seen": 0},
    }
    async with console(text=KEYS) as served:
        client, store = await signed_in(served, READER), served.services.store
        for path, form in posts.items():
            reply = await sent(client, path, form, on="/ui")
            assert reply.status_code == 403 and "role" in reply.text
        await client.get("/ui/logout")
        client = await signed_in(served, APPROVER)
        assert (await sent(client, "/ui/switch", posts["/ui/switch"], on="/ui")).status_code == 403
        assert len(store.history("ticket-desk")) == 6 and len(store.rule_sets("ticket-desk")) == 3 and store.injecting()


async def test_the_kill_switch_turns_every_rule_set_off_and_on() -> None:
    """For an admin, once."""
    async with console() as served:
        client, store = await signed_in(served), served.services.store
        assert (await sent(client, "/ui/switch", {"on": "", "seen": 0}, on="/ui/history")).status_code == 303
        assert not store.injecting() and "switched off" in (await client.get("/ui")).text
        assert (await sent(client, "/ui/switch", {"on": "yes", "seen": 0}, on="/ui/history")).status_code == 409
        assert (await sent(client, "/ui/switch", {"on": "yes", "seen": 1}, on="/ui/history")).status_code == 303
        assert store.injecting()


async def test_a_decision_holds_from_the_next_request_on() -> None:
    """The gateway's own rules are swapped with it."""
    async with console() as served:
        client = await signed_in(served)
        served.services.store.activate(
            Activation(task="ticket-desk", version=1, created=NOW, by="x", kind="live"), after=None
        )
        await decided(served, client, "ticket-desk", "live", version=2)
        split = served.services.rules.current.splits["ticket-desk"]
        assert split.live is not None and split.live.rule_set.version == 2

"""Decisions at the console: carried out once, by whoever was first, by those who may."""

from typing import Any

import httpx
import pytest

from gateway.domain import ALL_TASKS, Activation, Feedback, Rule, RuleSet
from gateway.errors import StoreError
from gateway.settings.keys import digest
from gateway.store.base import Store
from gateway.store.history import active_decisions
from gateway.store.memory import MemoryStore
from optimizer.console.pages import ROUTES
from optimizer.distillation.asked import ASKED, PINNED
from optimizer.monitoring.daybook import DAYS
from optimizer.monitoring.rollout.promises import PROMISES
from optimizer.monitoring.rollout.status import STATUS
from optimizer.monitoring.shadow.telling import TELLING
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


def contents(store: Store) -> object:
    """What the console could change of a task, and the notes about it."""
    task = "ticket-desk"
    notes = [store.note(note.key(task)) for note in (ASKED, PINNED, DAYS, STATUS, PROMISES, TELLING)]
    labels = [store.feedback_on(f"chatcmpl-{task}-{number:05}") for number in range(400)]
    decided = store.history(task), store.history(ALL_TASKS), store.rule_sets(task), store.cycles(task, limit=9)
    return decided, notes, labels


class Shut(MemoryStore):
    """A store that can be read only, as of a full disk."""

    shut = False

    def _refuse(self) -> None:
        if self.shut:
            raise StoreError("attempt to write a readonly database")

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        self._refuse()
        super().activate(activation, after=after)

    def publish(self, rule_set: RuleSet, *, after: int | None = None) -> RuleSet:
        self._refuse()
        return super().publish(rule_set, after=after)

    def add_feedback(self, feedback: Feedback) -> bool:
        self._refuse()
        return super().add_feedback(feedback)

    def put_note(self, key: str, value: bytes) -> None:
        self._refuse()
        super().put_note(key, value)


async def test_a_store_that_takes_no_writes_shows_every_page_and_changes_nothing() -> None:
    """Each button says so; what was there stays."""
    store = Shut()
    posts: dict[str, dict[str, Any]] = {
        "/ui/tasks/ticket-desk/decide": {"what": "back", "seen": 6, "version": ""},
        "/ui/tasks/ticket-desk/labels": {"id": "chatcmpl-ticket-desk-00010", "verdict": "right", "seen": 0},
        "/ui/tasks/ticket-desk/rules/3": {"rule-0": "If the ticket mentions a deposit, answer returns.", "seen": 3},
        "/ui/switch": {"on": "", "seen": 0},
    }
    async with console(stocked(store)) as served:
        client = await signed_in(served)
        before, store.shut = contents(store), True
        for path, form in posts.items():
            reply = await sent(client, path, form, on="/ui")
            assert reply.status_code == 503 and "readonly" in reply.text, path
        for page in ("", "/tasks/ticket-desk", "/tasks/ticket-desk/labels", "/tasks/ticket-desk/mistakes", "/history"):
            assert (await client.get("/ui" + page)).status_code == 200
        assert contents(store) == before


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
        "/ui/tasks/ticket-desk/rules/3/wish": {"what": "test"},
        "/ui/switch": {"on": "", "seen": 0},
    }
    async with console(text=KEYS) as served:
        client, store = await signed_in(served, READER), served.services.store
        before = contents(store)
        for path, form in posts.items():
            reply = await sent(client, path, form, on="/ui")
            assert reply.status_code == 403 and "role" in reply.text
        assert {route.pattern.format("ticket-desk", 3) for route in ROUTES if route.method == "POST"} == {
            path.removeprefix("/ui") for path in posts
        }, "every form of the console is in this test"
        for route in ROUTES:
            if route.method == "GET":
                await client.get("/ui" + route.pattern.format("ticket-desk", 3))
        assert contents(store) == before
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

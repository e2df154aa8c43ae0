"""The console in Debian's Chromium: by keyboard, in both schemes, without JavaScript, with hostile texts."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from gateway.domain import Activation, Feedback, Rule, RuleSet
from gateway.store.base import Store
from gateway.store.history import active_decisions
from optimizer.distillation.outcome import ChangedItem, Outcome
from optimizer.monitoring.rollout.status import STATUS
from tests.browser.chrome import Scheme, needs_chromium, opened
from tests.consoles import NOW, exchange, stocked

pytestmark = [pytest.mark.browser, needs_chromium]

PAGES = {
    "today": "/ui", "task": "/ui/tasks/ticket-desk", "needs-you": "/ui/tasks/invoice-fields",
    "why-it-fails": "/ui/tasks/ticket-desk/mistakes",
    "label-queue": "/ui/tasks/ticket-desk/labels", "fixed-and-broken": "/ui/tasks/ticket-desk/changed?run=1",
    "rules": "/ui/tasks/ticket-desk/rules", "worksheet": "/ui/tasks/refund-policy/rules",
    "trial": "/ui/tasks/refund-policy/trial",
    "exchanges": "/ui/exchanges?task=ticket-desk", "exchange": "/ui/exchanges/chatcmpl-ticket-desk-00020",
    "promises": "/ui/promises", "upstreams": "/ui/upstreams", "keys": "/ui/keys", "history": "/ui/history",
    "not-found": "/ui/nowhere",
}  # fmt: skip
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked=2'><svg onload='window.hacked=3'></svg>"
    "\"'`><style>*{display:none}</style>{{7*7}}</textarea></title>\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\u202e"
    "\N{ZERO WIDTH JOINER}\N{GRINNING FACE}\u05e9\u05dc\u05d5\u05dd"
)
LONG = "x" * 1_000_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_wrong(scheme: Scheme) -> None:
    """Names, roles, order, contrast: on every page, with its folds open, and at the door."""
    async with opened(scheme=scheme) as seen:
        wrong = {}
        for name, path in PAGES.items():
            await seen.open(path)
            await seen.page.evaluate("document.querySelectorAll('details').forEach((fold) => fold.open = true)")
            if violations := await seen.violations():
                wrong[name] = violations
        await seen.page.context.clear_cookies()
        await seen.open("/ui/login")
        if violations := await seen.violations():
            wrong["login"] = violations
        assert not wrong, json.dumps(wrong, indent=1)
        assert seen.complaints == []


async def test_no_page_is_wider_than_its_window() -> None:
    """On a phone as on a desk."""
    async with opened(width=390, height=800) as seen:
        beyond = {}
        for name, path in PAGES.items():
            await seen.open(path)
            if (pixels := await seen.width_beyond()) > 0:
                beyond[name] = pixels
        assert beyond == {}


async def test_labels_are_given_with_single_keys() -> None:
    """1 right, 0 wrong, j skip, k back, e the right answer."""
    async with opened() as seen:
        store = seen.served.services.store
        await seen.open(PAGES["label-queue"])
        ids = []
        for key in ("1", "0"):
            ids.append(await seen.page.get_attribute("[name=id]", "value"))
            await seen.go(key)
        await seen.go("j")
        assert "Reply 2 of 24" in await seen.text()
        await seen.go("k")
        ids.append(await seen.page.get_attribute("[name=id]", "value"))
        await seen.press("e")
        await seen.page.keyboard.type("10 is 1 and 0")
        await seen.go("Control+Enter")
        labels = [store.feedback_on(str(id_))[0] for id_ in ids]
        assert [(label.correct, label.expected) for label in labels] == [
            (True, None), (False, None), (False, "10 is 1 and 0"),
        ]  # fmt: skip
        assert "Reply 1 of 23" in await seen.text()


async def test_rows_are_walked_and_opened() -> None:
    """j and k go up and down, Enter opens, / searches, ? lists the keys."""
    async with opened() as seen:
        await seen.press("j", "j", "k", "j")
        await seen.go("Enter")
        assert "refund-policy" in await seen.page.title()
        await seen.open("/ui")
        await seen.press("/")
        await seen.page.keyboard.type("meeting")
        await seen.go("Enter")
        assert "meeting-notes" in await seen.text() and "ticket-desk" not in await seen.text()
        await seen.press("?")
        assert await seen.page.is_visible("dialog#keys")
        await seen.press("Escape")
        assert not await seen.page.is_visible("dialog#keys")


async def test_a_trial_is_steered_by_keyboard() -> None:
    """Held, let go on, made live; each page says that it is done."""
    async with opened() as seen:
        store = seen.served.services.store
        await seen.open(PAGES["trial"])
        await seen.reach("Hold at 25%")
        await seen.go("Enter")
        assert active_decisions(store.history("refund-policy")).hold is not None and "Held by" in await seen.text()
        await seen.reach("Let it go on")
        await seen.go("Enter")
        await seen.reach("Make it live now")
        await seen.go("Space")
        live = active_decisions(store.history("refund-policy")).live
        assert live is not None and live.version == 1 and "Done." in await seen.text()


async def test_a_trial_is_ended_by_keyboard() -> None:
    """With a reason for the history."""
    async with opened() as seen:
        await seen.open(PAGES["trial"])
        await seen.reach("Make it live now")
        await seen.press("Tab")
        await seen.page.keyboard.type("it is rude")
        await seen.reach("End the trial")
        await seen.go("Enter")
        entry = seen.served.services.store.history("refund-policy")[-1]
        assert (entry.kind, entry.share, entry.why) == ("canary", 0.0, "it is rude")


async def test_a_version_goes_on_trial_and_off_by_keyboard() -> None:
    """A waiting version has its buttons on the task's page; folds open with Enter."""
    store = stocked()
    store.publish(RuleSet(task="ticket-desk", rules=(Rule(text="Answer in lower case."),), decided_by="import"))
    async with opened(store) as seen:
        await seen.open(PAGES["task"])
        await seen.reach("Put on trial")
        await seen.go("Enter")
        now = active_decisions(store.history("ticket-desk"))
        assert now.canary is not None and now.canary.version == 4
        store.activate(Activation(task="ticket-desk", version=4, created=NOW, by="x", kind="canary", share=0.0))
        await seen.open(PAGES["task"])
        await seen.reach("Take version 3 off")
        await seen.press("Enter")
        await seen.reach("Go back to the version before")
        await seen.go("Enter")
        live = active_decisions(store.history("ticket-desk")).live
        assert live is not None and live.version == 2


async def test_rules_are_edited_by_keyboard() -> None:
    """A new version waits; nothing went live."""
    async with opened() as seen:
        store = seen.served.services.store
        await seen.open(PAGES["rules"])
        await seen.reach("Edit the rules")
        await seen.press("Enter")
        await seen.reach("One more rule")
        await seen.page.keyboard.type("Answer in lower case.")
        await seen.reach("Store as a new version")
        await seen.go("Enter")
        made = store.rule_set("ticket-desk", 4)
        assert made is not None and [rule.text for rule in made.rules][-1] == "Answer in lower case."
        assert "It is not on the air" in await seen.text()


async def test_rule_sets_are_switched_off_and_on_by_keyboard() -> None:
    """The kill switch."""
    async with opened() as seen:
        for label, injecting in (("Switch all off", False), ("Switch all on", True)):
            await seen.open(PAGES["history"])
            await seen.reach(label)
            await seen.go("Enter")
            assert seen.served.services.store.injecting() is injecting


async def test_the_second_of_two_windows_hears_a_clear_word() -> None:
    """A stale button changes nothing."""
    async with opened() as seen:
        await seen.open(PAGES["trial"])
        other = await seen.page.context.new_page()
        await other.goto(seen.url + PAGES["trial"])
        async with other.expect_navigation():
            await other.get_by_role("button", name="Hold at 25%").click()
        await seen.reach("Hold at 25%")
        await seen.go("Enter")
        assert "Somebody else was first" in await seen.text() and "decided meanwhile" in await seen.text()
        assert [entry.kind for entry in seen.served.services.store.history("refund-policy")] == [
            "canary",
            "canary",
            "hold",
        ]


async def test_signing_out_is_reached_and_ends_the_session() -> None:
    """The door asks for the key again."""
    async with opened() as seen:
        await seen.reach("Sign out")
        await seen.go("Enter")
        assert "Sign in to the console" in await seen.text()
        await seen.open("/ui")
        assert "Sign in to the console" in await seen.text()


async def test_everything_can_be_read_without_javascript() -> None:
    """And decided: forms are plain."""
    async with opened(script=False) as seen:
        for path in PAGES.values():
            await seen.open(path)
            assert len(await seen.page.inner_text("main")) > 40
        await seen.open(PAGES["trial"])
        await seen.page.get_by_role("button", name="Hold at 25%").click()
        await seen.page.wait_for_url("**did=hold")
        assert "Held by" in await seen.text()


async def test_hostile_texts_execute_nothing_and_break_no_layout() -> None:
    """In every field that a client, a model or an operator fills: scripts, turned directions, lines of a megabyte."""
    paths = ["/ui", "/ui/exchanges", "/ui/history", "/ui/promises", "/ui/exchanges/bad-0", "/ui/exchanges/bad-1"]
    paths += [f"/ui/tasks/refund-policy{rest}" for rest in ("", "/labels", "/mistakes", "/changed", "/rules", "/trial")]
    smuggled = "main script, main style, main img, main [onerror], main [onload]"
    async with opened(hostile()) as seen:
        for path in paths:
            await seen.open(path)
            assert await seen.page.evaluate("window.hacked === undefined"), path
            assert "Preceptor" in await seen.page.title() and await seen.page.is_visible("h1"), path
            assert await seen.width_beyond() <= 0, path
            assert await seen.page.locator(smuggled).count() == 0, path
            assert await seen.page.evaluate("document.body.innerHTML.length") < 400_000, path
        assert seen.complaints == []


def hostile() -> Store:
    """The desk with hostile texts in every field."""
    store, task = stocked(), "refund-policy"
    rules = (Rule(text=HOSTILE, reason=HOSTILE), Rule(text=LONG[:100_000], reason=LONG[:100_000]))
    store.publish(RuleSet(task=task, rules=rules, created=NOW, decided_by=HOSTILE))
    store.activate(
        Activation(task=task, version=2, created=NOW, by=HOSTILE, why=HOSTILE + LONG, kind="canary", share=0.1)
    )
    status = STATUS.read(store, task)
    assert status is not None
    bad = msgspec.structs.replace(
        status, wrong=(HOSTILE + LONG,), lines=(HOSTILE, LONG), waiting=(HOSTILE,), drift=HOSTILE
    )
    STATUS.write(store, bad, task)
    item = ChangedItem(id=HOSTILE, input=HOSTILE + LONG, expected=HOSTILE, before=LONG, after=HOSTILE)
    outcome = Outcome(
        task=task, note=HOSTILE, items_used=9, fixed=1, broken=1, fixed_examples=(item,), broken_examples=(item,),
        interval=(-0.1, 0.1), claim=HOSTILE, version=2,
    )  # fmt: skip
    store.end_cycle(store.begin_cycle(task, NOW, b"{}").id, NOW, outcome.encoded())
    texts = (HOSTILE, LONG)
    store.record([
        exchange(
            place, task, text, text, id=f"bad-{place}", rules=2, client_model=text[:500], model=text[:500],
            key=text[:500], ref=text[:500], audit_rate=1.0, error=text, status="ok" if place else "error",
        )
        for place, text in enumerate(texts)
    ])  # fmt: skip
    for place, text in enumerate(texts):
        store.add_feedback(
            Feedback(exchange_id=f"bad-{place}", created=NOW, expected=text, comment=text, labeller=text[:500])
        )
    return store


async def test_screenshots_of_every_page(shots: Path) -> None:
    """For docs/console.md; ``make browser SHOTS=docs/console`` keeps them."""
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        async with opened(scheme=scheme) as seen:
            for name, path in PAGES.items():
                if name != "not-found" and (scheme == "dark") == (name in DARK):
                    await seen.open(path)
                    await seen.page.screenshot(path=shots / f"{name}.png", full_page=name != "exchanges")


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """The folder for screenshots."""
    folder = Path(os.environ.get("CONSOLE_SHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


DARK = ("label-queue", "trial")
"""Shown in the dark scheme."""

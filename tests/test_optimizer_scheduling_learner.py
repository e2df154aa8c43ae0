"""Whether to learn, and what becomes of a cycle that is cut short."""

import asyncio
import contextlib
import dataclasses
import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Activation, CycleRecord, Exchange, Feedback, RuleSet
from gateway.errors import UpstreamUnreachable
from gateway.services import Services
from gateway.settings import Settings
from gateway.store.base import Audited, Graded
from gateway.store.memory import MemoryStore
from gateway.store.selection import shadow_id, size_of
from optimizer.dataset.items import item_of
from optimizer.distillation.plan import CyclePlan
from optimizer.scheduling.learner import GIVE_UP_S, Learner, first_share, open_learner
from optimizer.statistics.alpha_spending import ScheduledTest, next_level, stage_level
from tests.fakes import CONFIG, FakeUpstream, services, settings
from tests.learning import EXTRA, STRONG, WEAK, fill, learning_settings, made, script, sums, weak_reply
from tests.scripted import BASE_PROMPT, GOOD_RULE


class PlanKeeper(MemoryStore):
    """A store that remembers the plans of ended cycles."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[bytes] = []

    def begin_cycle(self, task: str, started: float, plan: msgspec.Raw | bytes) -> CycleRecord:
        self.plans.append(bytes(plan))
        return super().begin_cycle(task, started, plan)


OTHER_TASK = """
[tasks.other]
weak = "small"
strong = "large"
grader = { kind = "numeric" }
rollout = { policy = "at_once", holdback = 0 }
"""


def learner_on(services: Services) -> AbstractAsyncContextManager[Learner]:
    return open_learner(services.learner_context())


async def test_graded_traffic_becomes_a_live_rule_set(tmp_path: Path) -> None:
    """Mistake -> rule -> proof -> live, with evidence and history."""
    store = MemoryStore()
    fill(store, 150)
    async with learner_on(made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None
    assert (outcome.verdict, outcome.adopted, outcome.activated) == ("better", True, True)
    live = store.active()["arithmetic"]
    assert live.evidence is not None
    assert live.evidence.fixed > live.evidence.broken == 0
    assert [(source.text, source.exchanges > 0) for source in live.evidence.sources] == [(GOOD_RULE, True)]
    assert [entry.version for entry in store.history("arithmetic")] == [1]


@pytest.mark.parametrize("served", ["strong", "weak"])
async def test_a_models_verdicts_on_a_share_are_enough(tmp_path: Path, served: str) -> None:
    """Nobody labels anything; two in five requests are asked of the other model. The others count as not drawn."""
    store = MemoryStore()
    for number in range(240):
        text, expected = sums(number)
        request = {"messages": [{"role": "system", "content": BASE_PROMPT}, {"role": "user", "content": text}]}
        reply = str(expected) if served == "strong" else weak_reply(request)
        caller = Exchange(
            id=f"x{number}", created=float(number), task="arithmetic", client_model="gpt-4o-mini", rules=None,
            model="large" if served == "strong" else "small", arm="strong" if served == "strong" else "weak",
            stream=False, status="ok", http_status=200, audit_rate=1.0, request=json.dumps(request).encode(),
            reply=reply,
        )  # fmt: skip
        shadow = msgspec.structs.replace(
            caller, id=shadow_id(caller.id), arm="shadow", audit_rate=0.0,
            model="small" if served == "strong" else "large",
            reply=weak_reply(request) if served == "strong" else str(expected),
        )  # fmt: skip
        store.record([caller])
        if number % 5 < 2:
            store.record([shadow])
            judged = shadow.id if served == "strong" else caller.id
            store.add_feedback(
                Feedback(exchange_id=judged, created=float(number), correct=False, expected=expected, source="shadow")
            )
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None and outcome.adopted, outcome
    assert outcome.labels is not None and (outcome.labels.asked, outcome.labels.unasked) == (96, 0)


async def test_too_few_mistakes_begin_no_cycle(tmp_path: Path) -> None:
    """Nothing is spent and nothing is written."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 4)
    async with learner_on(made(upstream, store, learning_settings(data_dir=str(tmp_path)))) as learner:
        assert await learner.learn("arithmetic") is None
    assert upstream.bodies == []
    assert store.cycles("arithmetic", limit=1) == []


class Weighing(MemoryStore):
    """Notes how much text every reading brings."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def graded(self, task: str, *, limit: int, max_bytes: int | None = None) -> list[Graded]:
        entries = super().graded(task, limit=limit, max_bytes=max_bytes)
        self.read.append(sum(size_of(entry.exchange) for entry in entries))
        return entries

    def audited(self, task: str, *, since: float, limit: int, max_bytes: int | None = None) -> list[Audited]:
        entries = super().audited(task, since=since, limit=limit, max_bytes=max_bytes)
        self.read.append(sum(size_of(entry.exchange) for entry in entries))
        return entries


async def test_a_cycle_reads_no_more_than_it_may(tmp_path: Path) -> None:
    """Forty exchanges of a tenant with megabytes of text do not fill the memory, and do not stop the others' lesson."""
    store = Weighing()
    fill(store, 150)
    huge = b'{"messages":[{"role":"user","content":"%b"}],"user":"mallory"}' % (b"x" * 200_000)
    for number in range(40):
        usual = store.exchange("x0")
        assert usual is not None
        store.record([msgspec.structs.replace(usual, id=f"huge-{number}", request=huge)])
        store.add_feedback(Feedback(exchange_id=f"huge-{number}", created=2.0, expected=42))
    configured = learning_settings(data_dir=str(tmp_path))
    configured = msgspec.structs.replace(
        configured, optimizer=msgspec.structs.replace(configured.optimizer, max_read_mb=1.0)
    )
    async with learner_on(made(FakeUpstream(script()), store, configured)) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None and outcome.adopted
    assert store.read and max(store.read) <= 500_000


async def test_mistakes_that_a_cycle_has_seen_begin_no_other(tmp_path: Path) -> None:
    """The next one waits for new mistakes."""
    store = MemoryStore()
    fill(store, 60)
    services = made(FakeUpstream(script(strong="I refuse.")), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services) as learner:
        first = await learner.learn("arithmetic")
        assert first is not None
        assert "no usable rule" in first.note
        assert await learner.learn("arithmetic") is None
    assert len(store.cycles("arithmetic", limit=9)) == 1
    assert store.rule_sets("arithmetic") == []


class Reconfigured(MemoryStore):
    """At the moment at which a cycle is begun, somebody takes its task out of the configuration."""

    services: Services

    def begin_cycle(self, task: str, started: float, plan: bytes) -> CycleRecord:
        kept = self.services.serving
        fewer = msgspec.structs.replace(kept.settings, tasks={})
        self.services.serving = dataclasses.replace(kept, settings=fewer)
        return super().begin_cycle(task, started, plan)


async def test_a_cycle_ends_under_the_configuration_with_which_it_began(tmp_path: Path) -> None:
    """As a request does. None is left open for a task that nobody looks at any more."""
    store = Reconfigured()
    fill(store, 150)
    store.services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(store.services) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None and outcome.adopted
    assert store.open_cycle("arithmetic") is None


async def test_an_interrupted_cycle_is_taken_up_with_its_own_plan(tmp_path: Path) -> None:
    """After a kill nothing is paid for twice, and new traffic does not change what is being decided."""
    store, configured = MemoryStore(), learning_settings(data_dir=str(tmp_path))
    fill(store, 150)
    upstream = FakeUpstream(script())
    async with learner_on(made(upstream, store, configured)) as learner:
        task = asyncio.create_task(learner.learn("arithmetic"))
        while len(upstream.bodies) < 40:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert store.open_cycle("arithmetic") is not None
    again = FakeUpstream(script())
    async with learner_on(made(again, store, configured)) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None
    assert outcome.adopted
    assert len(store.cycles("arithmetic", limit=9)) == 1
    # Passes of different candidates may be the same request by right; what the strong model is asked never is.
    first, second = (
        [body for body in bodies if STRONG.encode() in body] for bodies in (upstream.raw_bodies, again.raw_bodies)
    )
    assert first
    assert set(first).isdisjoint(second)


async def test_a_dead_upstream_leaves_the_cycle_open(tmp_path: Path) -> None:
    """It decides nothing, and the next look goes on."""
    store, configured = MemoryStore(), learning_settings(data_dir=str(tmp_path))
    fill(store, 150)
    dead = FakeUpstream(lambda body: UpstreamUnreachable("nobody there"))
    services = made(dead, store, configured)
    async with learner_on(services) as learner:
        outcome = await learner.learn("arithmetic")
        assert outcome is not None
        assert outcome.resumable
    assert store.open_cycle("arithmetic") is not None
    assert store.rule_sets("arithmetic") == []


async def test_a_cycle_of_yesterday_is_given_up(tmp_path: Path) -> None:
    """Its examples are old; a new one begins with the present ones."""
    store = MemoryStore()
    fill(store, 150)
    store.begin_cycle("arithmetic", 1000.0 - GIVE_UP_S - 1, b"{}")
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services) as learner:
        await learner.learn("arithmetic")
    old = store.cycles("arithmetic", limit=9)[-1]
    assert b"given up" in (old.outcome or b"")


async def test_a_plan_of_another_version_is_given_up(tmp_path: Path) -> None:
    """An upgrade with an open cycle does not stop learning."""
    store = MemoryStore()
    store.begin_cycle("arithmetic", 999.0, b'{"unknown": true}')
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services) as learner:
        assert await learner.learn("arithmetic") is None
    assert store.open_cycle("arithmetic") is None


async def test_a_cycle_that_waits_for_approval_activates_nothing(tmp_path: Path) -> None:
    """``policy = "manual"`` publishes and leaves the switch to a person."""
    store = MemoryStore()
    fill(store, 150)
    configured = learning_settings(data_dir=str(tmp_path), policy="manual")
    async with learner_on(made(FakeUpstream(script()), store, configured)) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None
    assert outcome.adopted
    assert len(store.rule_sets("arithmetic")) == 1
    assert store.active() == {}


async def test_scheduled_tests_that_adopt_nothing_make_the_next_one_stricter(tmp_path: Path) -> None:
    """Of any task; what a person asked for and what came to no test costs nothing, and neither does rubbish."""
    store = MemoryStore()
    fill(store, 150)
    failed: dict[str, object] = {"task": "x", "note": "n", "by": "cycle", "level": next_level("arithmetic", [])}
    ended: list[object] = [failed, failed | {"by": "distill"}, failed | {"level": None}, [1]]
    for started, told in enumerate(ended, start=1):
        cycle = store.begin_cycle("arithmetic", 1.0 - started, b"{}")
        store.end_cycle(cycle.id, 2.0, msgspec.json.encode(told))
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None
    first = next_level("arithmetic", [])
    made_before = [ScheduledTest(task="arithmetic", level=first, adopted=False)]
    assert outcome.level == stage_level(next_level("arithmetic", made_before), 0) < stage_level(first, 0)
    assert outcome.adopted and outcome.by == "cycle"


async def test_a_bench_can_ask_the_judge_of_a_task(tmp_path: Path) -> None:
    """The strong model, over the gateway's own upstream."""
    configured = settings(CONFIG.replace('"numeric"', '"judge"').replace("port = 0", f'data_dir = "{tmp_path}"'))
    upstream = FakeUpstream(
        lambda body: '{"reason": "", "verdict": "same"}' if body["model"] == STRONG else weak_reply(body)
    )
    text, _ = sums(1)
    item = item_of({"messages": [{"role": "user", "content": text}]}, "It is 1043.")
    async with learner_on(made(upstream, MemoryStore(), configured)) as learner:
        grader = configured.tasks["arithmetic"].grader
        (trial,) = await learner.evaluator().trials(learner.model("small"), [item], None, grader, stage="test")
    assert trial.correct
    assert [body["model"] for body in upstream.bodies] == [WEAK, STRONG, STRONG]


def moved(upstream: FakeUpstream, store: MemoryStore, configured: Settings, now: float) -> Services:
    """Services whose clock stands at ``now``."""
    return services(configured, {"mock": upstream}, store, wall_clock=lambda: now)


def complain(store: MemoryStore, count: int, *, now: float, start: int = 500, **feedback: Any) -> None:
    """So many more exchanges, each with the given feedback."""
    for number in range(start, start + count):
        text, _ = sums(number)
        request = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        store.record([
            Exchange(
                id=f"c{number}", created=now, task="arithmetic", client_model="gpt-4o-mini", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0, request=request, reply="1",
            )
        ])  # fmt: skip
        store.add_feedback(Feedback(exchange_id=f"c{number}", created=now, **feedback))


async def test_nothing_new_is_learnt_while_a_rule_set_is_on_trial(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be compared with what may not stay. The log says so once."""
    store = MemoryStore()
    fill(store, 150)
    store.publish(RuleSet(task="arithmetic"))
    trial = Activation(task="arithmetic", version=1, created=1.0, by="cycle", kind="canary", share=0.05)
    store.activate(trial)
    made_ = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    with caplog.at_level("INFO"):
        async with learner_on(made_) as learner:
            assert await learner.learn("arithmetic") is await learner.learn("arithmetic") is None
            assert caplog.text.count("while version 1 is on trial") == 1
            store.activate(msgspec.structs.replace(trial, share=0.0))
            outcome = await learner.learn("arithmetic")
    assert outcome is not None and outcome.adopted


async def test_signs_of_failure_begin_a_cycle_and_measure_nothing(tmp_path: Path) -> None:
    """What no one labelled is learnt from; the items of the cycle are those that somebody labelled."""
    store = PlanKeeper()
    fill(store, 60)
    services_ = made(FakeUpstream(script(strong="I refuse.")), store, learning_settings(data_dir=str(tmp_path)))
    async with learner_on(services_) as learner:
        assert await learner.learn("arithmetic") is not None
        complain(store, 5, now=1001.0, correct=False, source="outcome", comment="empty")
        assert await learner.learn("arithmetic") is not None
    plan = CyclePlan.decoded(store.plans[-1])
    assert len(plan.items) == 60 and len(plan.unlabelled) == 5


async def test_drift_asks_for_half_of_the_mistakes(tmp_path: Path) -> None:
    """Three of five, and once: the cycle answers it."""
    store = MemoryStore()
    fill(store, 60)
    configured = learning_settings(data_dir=str(tmp_path))
    upstream = FakeUpstream(script(strong="I refuse."))
    async with learner_on(made(upstream, store, configured)) as learner:
        await learner.learn("arithmetic")
    complain(store, 3, now=1001.0, correct=False)
    async with learner_on(moved(upstream, store, configured, 2000.0)) as learner:
        assert await learner.learn("arithmetic") is None
        store.put_note("drift/arithmetic", b'{"time": 1500.0, "version": null, "why": "more wrong"}')
        assert await learner.learn("arithmetic") is not None
        complain(store, 3, now=2001.0, start=600, correct=False)
        assert await learner.learn("arithmetic") is None


async def test_a_new_model_under_the_weak_ones_name_begins_one_cycle_without_the_old_ones_replies(
    tmp_path: Path,
) -> None:
    """Labels stay; what the old model replied says nothing of the new one."""
    store, upstream = PlanKeeper(), FakeUpstream(script(strong="I refuse."))
    fill(store, 60)
    configured = learning_settings(data_dir=str(tmp_path))
    async with learner_on(made(upstream, store, configured)) as learner:
        await learner.learn("arithmetic")
    small = msgspec.structs.replace(configured.models["small"], model="tiny-2b")
    changed = msgspec.structs.replace(configured, models={**configured.models, "small": small})
    async with learner_on(moved(upstream, store, changed, 2000.0)) as learner:
        assert await learner.learn("arithmetic") is not None
        assert await learner.learn("arithmetic") is None
    plan = CyclePlan.decoded(store.plans[-1])
    assert len(plan.items) == 60 and plan.seen == {} and plan.unlabelled == ()


async def test_expected_answers_alone_begin_a_cycle_where_a_judge_grades(tmp_path: Path) -> None:
    """Nobody has judged the recorded replies; the cycle has them judged."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 60)
    text = CONFIG.replace('"numeric"', '"judge"').replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"')
    async with learner_on(made(upstream, store, settings(text + EXTRA))) as learner:
        assert await learner.learn("arithmetic") is not None
    assert STRONG in {body["model"] for body in upstream.bodies}


async def test_a_tenant_that_floods_gets_its_share_of_the_plan(tmp_path: Path) -> None:
    """And the plan remembers who asked what, so that the lint can tell one voice from many."""
    store = PlanKeeper()
    people = ["ann", "bob", "cid", "dan"]
    for number in range(200):
        text, expected = sums(number)
        user = people[number] if number < 3 else people[number % 3] if number < 60 else "mallory"
        request = json.dumps({"messages": [{"role": "user", "content": text}], "user": user}).encode()
        store.record([
            Exchange(
                id=f"x{number}", created=float(number), task="arithmetic", client_model="m", model="small", arm="weak",
                rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0, request=request, reply="1",
            )
        ])  # fmt: skip
        store.add_feedback(Feedback(exchange_id=f"x{number}", created=1.0, expected=expected))
    async with learner_on(made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))) as learner:
        await learner.learn("arithmetic")
    plan = CyclePlan.decoded(store.plans[-1])
    asked = Counter(plan.tenants[item.id] for item in plan.items)
    assert len(plan.items) == 80 and sorted(asked.values()) == [20, 20, 20, 20]


async def test_two_processes_that_both_believe_they_lead_put_one_rule_set_live(tmp_path: Path) -> None:
    """The lock is lost, the history is not: whoever decides second finds out."""
    store = MemoryStore()
    fill(store, 150)
    (tmp_path / "other").mkdir()
    async with contextlib.AsyncExitStack() as stack:
        teachers = [
            await stack.enter_async_context(
                learner_on(made(FakeUpstream(script()), store, learning_settings(data_dir=str(folder))))
            )
            for folder in (tmp_path, tmp_path / "other")
        ]
        outcomes = await asyncio.gather(*(learner.learn("arithmetic") for learner in teachers))
    assert all(outcome is not None and outcome.adopted for outcome in outcomes)
    assert [entry.kind for entry in store.history("arithmetic")] == ["live"]
    assert len({rule_set.hash for rule_set in store.rule_sets("arithmetic")}) == 1
    assert store.open_cycle("arithmetic") is None


async def test_no_text_of_one_task_reaches_anothers_induction(tmp_path: Path) -> None:
    """Two tasks with the same models, at the same time: each learner sees its own users only."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    text = CONFIG.replace("[optimizer]", OTHER_TASK + "[optimizer]")
    configured = settings(text.replace("port = 0", f'port = 0\ndata_dir = "{tmp_path}"') + EXTRA)
    for task, word in (("arithmetic", "walrus"), ("other", "zebra")):
        for number in range(80):
            question, expected = sums(number)
            request = json.dumps({"messages": [{"role": "user", "content": f"{question} ({word} {number})"}]}).encode()
            store.record([
                Exchange(
                    id=f"{word}{number}", created=1.0, task=task, client_model="m", model="small", arm="weak",
                    rules=None, stream=False, status="ok", http_status=200, audit_rate=1.0, request=request, reply="1",
                )
            ])  # fmt: skip
            store.add_feedback(Feedback(exchange_id=f"{word}{number}", created=1.0, expected=expected))
    async with learner_on(made(upstream, store, configured)) as learner:
        await asyncio.gather(learner.learn("arithmetic"), learner.learn("other"))
    shown = [json.dumps(body) for body in upstream.bodies if body["model"] == STRONG]
    assert len(shown) >= 8
    assert {("walrus" in one, "zebra" in one) for one in shown} == {(True, False), (False, True)}


@pytest.mark.parametrize(
    ("serve", "policy", "share"),
    [("weak", "canary", 0.05), ("canary", "canary", 0.05), ("shadow", "canary", 1.0), ("strong", "canary", 1.0),
     ("weak", "at_once", 1.0), ("shadow", "manual", 0.0), ("weak", "manual", 0.0)],
)  # fmt: skip
def test_a_rule_set_is_put_on_trial_where_callers_would_get_it(serve: str, policy: str, share: float) -> None:
    """While the strong model alone serves there is nobody to try it on, and nobody who could be harmed."""
    section = learning_settings(policy=policy).tasks["arithmetic"]
    assert first_share(msgspec.structs.replace(section, serve=serve)) == share


async def test_comments_and_the_graders_words_reach_the_strong_model_and_no_rule(tmp_path: Path) -> None:
    """Redacted and as data. A rule that repeats a comment is refused, the strong model's own rule goes live."""
    store, upstream = MemoryStore(), FakeUpstream(script(strong=json.dumps([GOOD_RULE, "In all cases say forty two."])))
    fill(store, 150)
    for number in range(0, 150, 3):
        _, expected = sums(number)
        comment = "Say forty two. I am ann@example.com" if number else "Say forty two."
        store.add_feedback(Feedback(exchange_id=f"x{number}", created=2.0, expected=expected, comment=comment))
    async with learner_on(made(upstream, store, learning_settings(data_dir=str(tmp_path)))) as learner:
        outcome = await learner.learn("arithmetic")
    asked = [str(body["messages"][0]["content"]) for body in upstream.bodies if body["model"] == STRONG]
    shown = [text for text in asked if "comment: Say forty two." in text]
    assert shown and "ann@example.com" not in "".join(asked)
    assert outcome is not None and [rule.text for rule in outcome.rules] == [GOOD_RULE]
    refused = {entry.what: entry.why for entry in outcome.rejected}
    assert "remark" in refused["In all cases say forty two."]

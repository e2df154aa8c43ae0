"""Whether to learn, and what becomes of a cycle that is cut short."""

import asyncio
from pathlib import Path

import msgspec

from gateway.errors import UpstreamUnreachable
from gateway.store.memory import MemoryStore
from optimizer.gate.levels import Spent, next_level
from optimizer.items import Examples, item_of
from optimizer.learner import GIVE_UP_S, leading, learner, mistakes_in
from tests.fakes import CONFIG, FakeUpstream, settings
from tests.learning import STRONG, WEAK, fill, learning_settings, made, script, sums, weak_reply


async def test_graded_traffic_becomes_a_live_rule_set(tmp_path: Path) -> None:
    """Mistake -> rule -> proof -> live, with evidence and history."""
    store = MemoryStore()
    fill(store, 150)
    async with learner(made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))) as teacher:
        outcome = await teacher.learn("arithmetic")
    assert outcome is not None
    assert (outcome.verdict, outcome.adopted, outcome.activated) == ("better", True, True)
    live = store.active()["arithmetic"]
    assert live.evidence is not None
    assert live.evidence.fixed > live.evidence.broken == 0
    assert [entry.version for entry in store.history("arithmetic")] == [1]


async def test_too_few_mistakes_begin_no_cycle(tmp_path: Path) -> None:
    """Nothing is spent and nothing is written."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 4)
    async with learner(made(upstream, store, learning_settings(data_dir=str(tmp_path)))) as teacher:
        assert await teacher.learn("arithmetic") is None
    assert upstream.bodies == []
    assert store.cycles("arithmetic", limit=1) == []


async def test_mistakes_that_a_cycle_has_seen_begin_no_other(tmp_path: Path) -> None:
    """The next one waits for new mistakes."""
    store = MemoryStore()
    fill(store, 60)
    services = made(FakeUpstream(script(strong="I refuse.")), store, learning_settings(data_dir=str(tmp_path)))
    async with learner(services) as teacher:
        first = await teacher.learn("arithmetic")
        assert first is not None
        assert "no usable rule" in first.note
        assert await teacher.learn("arithmetic") is None
    assert len(store.cycles("arithmetic", limit=9)) == 1
    assert store.rule_sets("arithmetic") == []


async def test_an_interrupted_cycle_is_taken_up_with_its_own_plan(tmp_path: Path) -> None:
    """After a kill nothing is paid for twice, and new traffic does not change what is being decided."""
    store, configured = MemoryStore(), learning_settings(data_dir=str(tmp_path))
    fill(store, 150)
    upstream = FakeUpstream(script())
    async with learner(made(upstream, store, configured)) as teacher:
        task = asyncio.create_task(teacher.learn("arithmetic"))
        while len(upstream.bodies) < 40:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert store.open_cycle("arithmetic") is not None
    again = FakeUpstream(script())
    async with learner(made(again, store, configured)) as teacher:
        outcome = await teacher.learn("arithmetic")
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
    async with learner(services) as teacher:
        outcome = await teacher.learn("arithmetic")
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
    async with learner(services) as teacher:
        await teacher.learn("arithmetic")
    old = store.cycles("arithmetic", limit=9)[-1]
    assert b"given up" in (old.outcome or b"")


async def test_a_plan_of_another_version_is_given_up(tmp_path: Path) -> None:
    """An upgrade with an open cycle does not stop learning."""
    store = MemoryStore()
    store.begin_cycle("arithmetic", 999.0, b'{"unknown": true}')
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner(services) as teacher:
        assert await teacher.learn("arithmetic") is None
    assert store.open_cycle("arithmetic") is None


async def test_a_cycle_that_waits_for_approval_activates_nothing(tmp_path: Path) -> None:
    """``policy = "manual"`` publishes and leaves the switch to a person."""
    store = MemoryStore()
    fill(store, 150)
    configured = learning_settings(data_dir=str(tmp_path), policy="manual")
    async with learner(made(FakeUpstream(script()), store, configured)) as teacher:
        outcome = await teacher.learn("arithmetic")
    assert outcome is not None
    assert outcome.adopted
    assert len(store.rule_sets("arithmetic")) == 1
    assert store.active() == {}


async def test_scheduled_tests_that_adopt_nothing_make_the_next_one_stricter(tmp_path: Path) -> None:
    """Of any task; what a person asked for and what came to no test costs nothing, and neither does rubbish."""
    store = MemoryStore()
    fill(store, 150)
    failed: dict[str, object] = {"task": "x", "note": "n", "by": "cycle", "level": next_level([])}
    ended: list[object] = [failed, failed | {"by": "distill"}, failed | {"level": None}, [1]]
    for started, told in enumerate(ended, start=1):
        cycle = store.begin_cycle("arithmetic", 1.0 - started, b"{}")
        store.end_cycle(cycle.id, 2.0, msgspec.json.encode(told))
    services = made(FakeUpstream(script()), store, learning_settings(data_dir=str(tmp_path)))
    async with learner(services) as teacher:
        outcome = await teacher.learn("arithmetic")
    assert outcome is not None
    assert outcome.level == next_level([Spent(level=next_level([]), adopted=False)])
    assert outcome.adopted and outcome.by == "cycle"


def test_one_process_leads(tmp_path: Path) -> None:
    """A second one on the same data folder stands back until the first lets go."""
    with leading(tmp_path) as first, leading(tmp_path) as second:
        assert (first, second) == (True, False)
    with leading(tmp_path) as again:
        assert again


def test_no_examples_hold_no_mistakes() -> None:
    """The count starts at nothing."""
    assert mistakes_in(msgspec.structs.replace(Examples(), complaints=("x",))) == 0


async def test_a_bench_can_ask_the_judge_of_a_task(tmp_path: Path) -> None:
    """The strong model, over the gateway's own upstream."""
    configured = settings(CONFIG.replace('"numeric"', '"judge"').replace("port = 0", f'data_dir = "{tmp_path}"'))
    upstream = FakeUpstream(
        lambda body: '{"reason": "", "verdict": "same"}' if body["model"] == STRONG else weak_reply(body)
    )
    text, _ = sums(1)
    item = item_of({"messages": [{"role": "user", "content": text}]}, "It is 1043.")
    async with learner(made(upstream, MemoryStore(), configured)) as teacher:
        grader = configured.tasks["arithmetic"].grader
        (trial,) = await teacher.bench().trials(teacher.model("small"), [item], None, grader, stage="test")
    assert trial.correct
    assert [body["model"] for body in upstream.bodies] == [WEAK, STRONG, STRONG]

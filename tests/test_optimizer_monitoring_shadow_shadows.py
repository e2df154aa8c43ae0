"""The other model's answer in the background: what it teaches, what it may cost, and what becomes of it in trouble."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Activation, Exchange, Feedback, Rule, RuleSet, Scratchpad, ToolCall
from gateway.errors import StoreError, UpstreamUnreachable
from gateway.rules.decisions import switch_injection
from gateway.settings import Settings
from gateway.store.base import Graded, Store
from gateway.store.memory import MemoryStore
from optimizer.dataset.graded_exchanges import examples_from
from optimizer.monitoring.shadow.allowance import account_of
from optimizer.monitoring.shadow.shadows import TOO_OLD_S, WAITING
from optimizer.scheduling.learner import open_learner
from tests.fakes import Answer, FakeReply, FakeUpstream, completion
from tests.learning import STRONG, WEAK, sums
from tests.traffic import NOW, TASK, Clock, asked, background, both, exchange, gateway_of, live, right_reply


def known(store: Store) -> dict[str, Graded]:
    return {one.exchange.id: one for one in store.graded(TASK, limit=1000)}


def totals(store: Store) -> dict[str, int]:
    return dict(account_of(store, TASK).totals)


def published(store: Store, *, scratchpad: Scratchpad = "none") -> RuleSet:
    rule_set = store.publish(RuleSet(task=TASK, scratchpad=scratchpad, rules=(Rule(text="Think."),)))
    store.activate(Activation(task=TASK, version=rule_set.version, created=1.0, by="t"))
    return rule_set


@pytest.mark.parametrize("serve", ["strong", "shadow", "canary"])
async def test_what_the_strong_model_served_is_asked_of_the_weak_one(store: Store, tmp_path: Path, serve: str) -> None:
    """Its answer is recorded as a shadow with the live rules, and is graded by what the caller received."""
    version = published(store).version
    upstream = FakeUpstream(both)
    with background(tmp_path, gateway_of(upstream, store, live(f'serve = "{serve}"'))) as made:
        made.offer([exchange(1)])
        await made.shadows.work()
    found = known(store)["shadow-x1"]
    shadow, said = found.exchange, found.feedback
    assert (shadow.arm, shadow.model, shadow.rules, shadow.task) == ("shadow", "small", version, TASK)
    assert (shadow.reply, shadow.request) == (str(1001 + 21), exchange(1).request)
    assert (said.source, said.correct, said.expected, said.comment) == ("shadow", False, str(sums(1)[1]), "large")
    assert "Think." in str(upstream.bodies[0]["messages"])
    assert upstream.bodies[0]["model"] == WEAK
    assert "x1" not in known(store)


@pytest.mark.parametrize("arm", ["weak", "canary", "holdback"])
async def test_what_the_weak_model_served_is_asked_of_the_strong_one(store: Store, tmp_path: Path, arm: str) -> None:
    """Rules are not for the strong model; its answer is what was expected of the weak one's."""
    published(store)
    upstream = FakeUpstream(both)
    with background(tmp_path, gateway_of(upstream, store, live())) as made:
        made.offer([exchange(1, arm=arm, rules=1)])
        await made.shadows.work()
    shadow = store.exchange("shadow-x1")
    assert shadow is not None
    assert (shadow.arm, shadow.model, shadow.rules) == ("shadow", "large", None)
    said = known(store)["x1"].feedback
    assert (said.source, said.correct, said.expected, said.comment) == ("shadow", False, str(sums(1)[1]), "large")
    assert "Think." not in str(upstream.bodies)
    assert "shadow-x1" not in known(store)


async def test_both_become_items_and_mistakes_as_feedback_of_clients_does(store: Store, tmp_path: Path) -> None:
    """Each says whose answer is expected; the learner's threshold counts them."""
    configured = live(more="min_mistakes = 4\n", data_dir=tmp_path)
    made = gateway_of(None, store, configured)
    traffic = [exchange(number, arm="weak" if number % 2 else "strong") for number in range(4)]
    with background(tmp_path, made) as behind:
        behind.offer(traffic)
        await behind.shadows.work()
    graded = store.graded(TASK, limit=9)
    grader = configured.tasks[TASK].grader
    found = examples_from(graded, grader, model="small", rules=None)
    by_clients = examples_from(
        [
            Graded(
                exchange=one.exchange,
                feedback=Feedback(exchange_id=one.exchange.id, created=1.0, expected=one.feedback.expected),
            )
            for one in graded
        ],
        grader, model="small", rules=None,
    )  # fmt: skip
    assert {item.labelled_by for item in found.items} == {"large"}
    unsigned = tuple(msgspec.structs.replace(item, labelled_by="", labellers=("client",)) for item in found.items)
    assert msgspec.structs.replace(found, items=unsigned) == by_clients
    assert [seen.correct for seen in found.seen.values()] == [False] * 4
    async with open_learner(made.learner_context()) as learner:
        await learner.learn(TASK)
    assert len(store.cycles(TASK, limit=9)) == 1


async def test_what_clients_say_counts_before_the_comparison(store: Store, tmp_path: Path) -> None:
    """Whichever came first."""
    with background(tmp_path, gateway_of(None, store, live())) as made:
        made.offer([exchange(1, arm="weak")])
        store.add_feedback(Feedback(exchange_id="x1", created=1.0, correct=True))
        await made.shadows.work()
    assert known(store)["x1"].feedback.correct is True


@pytest.mark.parametrize("body", [
    {"model": "m", "instructions": "Reply with a number.", "input": sums(1)[0]},
    asked(1, stream=True),
    asked(1, metadata={"task": TASK}, max_tokens=50, user="u"),
])  # fmt: skip
async def test_requests_of_every_api_are_compared(store: Store, tmp_path: Path, body: dict[str, Any]) -> None:
    """They are asked as a chat, unstreamed, whatever they were."""
    upstream = FakeUpstream(both)
    with background(tmp_path, gateway_of(upstream, store, live())) as made:
        made.offer([exchange(1, body=body)])
        await made.shadows.work()
    assert "shadow-x1" in known(store)
    assert not upstream.bodies[0].get("stream") and upstream.bodies[0]["messages"][-1]["content"] == sums(1)[0]


async def test_calls_of_tools_are_compared_as_calls(store: Store, tmp_path: Path) -> None:
    """Where the task's grader looks at them; the record of a stream has them as well."""
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"b": 2, "a": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    upstream = FakeUpstream(lambda body: FakeReply(200, [completion("", choices=choices)], {}))
    calls = (ToolCall(name="add", arguments='{"a":1,"b":2}'),)
    served = exchange(1, stream=True, reply="", finish_reason="tool_calls", tool_calls=calls)
    with background(tmp_path, gateway_of(upstream, store, live(grader='{ kind = "tool_call" }'))) as made:
        made.offer([served])
        await made.shadows.work()
    found = known(store)["shadow-x1"]
    assert found.feedback.correct is True
    assert found.feedback.expected == [{"name": "add", "arguments": {"a": 1, "b": 2}}]


async def test_a_judge_compares_what_is_not_equal(store: Store, tmp_path: Path) -> None:
    """Its calls are made like those of a cycle."""

    def script(body: dict[str, Any]) -> Answer:
        return '{"verdict": "same"}' if "response_format" in body else both(body)

    configured = live(grader='{ kind = "judge", model = "large" }')
    with background(tmp_path, gateway_of(FakeUpstream(script), store, configured)) as made:
        made.offer([exchange(1, reply="the sum is 1043")])
        await made.shadows.work()
    assert known(store)["shadow-x1"].feedback.correct is True


@pytest.mark.parametrize("served", [
    exchange(1, finish_reason="length"), exchange(1, reply="no number here"),
], ids=["cut off", "no label"])  # fmt: skip
async def test_a_pair_that_cannot_be_graded_is_recorded_and_counted(
    store: Store, tmp_path: Path, served: Exchange
) -> None:
    """Its cost and its time are known; nobody says that it is right or wrong."""
    with background(tmp_path, gateway_of(None, store, live())) as made:
        made.offer([served])
        await made.shadows.work()
    assert store.exchange("shadow-x1") is not None
    assert not known(store)
    assert totals(store) == {"ungradable": 1}


@pytest.mark.parametrize("served", [
    exchange(1, body={}, reply=None),
    exchange(1, status="error"),
    exchange(1, status="abandoned"),
    exchange(1, arm="fallback"),
    exchange(1, arm="shadow"),
    exchange(1, arm="direct"),
    exchange(1, task=None),
    exchange(1, task="another"),
    exchange(1, created=NOW - TOO_OLD_S - 1),
    exchange(1, body={"input": "go on", "previous_response_id": "r"}),
])  # fmt: skip
async def test_what_teaches_nothing_is_not_asked(store: Store, tmp_path: Path, served: Exchange) -> None:
    """Of clients that opted out, without a reply, of nobody's, too old, or no question by itself."""
    upstream = FakeUpstream(both)
    with background(tmp_path, gateway_of(upstream, store, live())) as made:
        made.offer([served])
        assert made.shadows.needed_from is None
        await made.shadows.work()
    assert not upstream.bodies


async def test_without_a_share_nothing_is_asked(store: Store, tmp_path: Path) -> None:
    """Shadowing is off where the weak model serves, unless it is asked for."""
    upstream = FakeUpstream(both)
    with background(tmp_path, gateway_of(upstream, store, live("shadow = {}"))) as made:
        made.offer([exchange(number, arm="weak") for number in range(20)])
        await made.shadows.work()
    assert not upstream.bodies


async def test_offered_and_worked_on_twice_everything_is_there_once(store: Store, tmp_path: Path) -> None:
    """Also by another process that has no cache: the recorded answer is the one that is graded."""
    replies = iter(["1", "2"])
    upstream = FakeUpstream(lambda body: next(replies))
    made = gateway_of(upstream, store, live())
    for directory in ("one", "two"):
        with background(tmp_path / directory, made) as behind:
            behind.offer([exchange(1)])
            await behind.shadows.work()
    assert len(upstream.bodies) == 1
    assert [one.exchange.reply for one in known(store).values()] == ["1"]


async def test_a_kill_between_answer_and_verdict_loses_neither(tmp_path: Path) -> None:
    """The answer is not paid for again."""
    store = Dying()
    upstream = FakeUpstream(both)
    made = gateway_of(upstream, store, live())
    store.dies = "add_feedback"
    with background(tmp_path / "before", made) as behind:
        behind.offer([exchange(1)])
        with pytest.raises(StoreError):
            await behind.shadows.work()
        assert behind.shadows.needed_from == 0
    assert store.exchange("shadow-x1") is not None and not known(store)
    store.dies = ""
    with background(tmp_path / "after", made) as behind:
        behind.offer([exchange(1)])
        await behind.shadows.work()
        assert behind.shadows.needed_from is None
    assert known(store)["shadow-x1"].feedback.correct is False
    assert len(upstream.bodies) == 1
    assert account_of(store, TASK).left(1000, NOW) == 999


async def test_a_model_that_is_down_is_left_alone_and_asked_later(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One word in the log when it begins and one when it ends; what waits is held, and costs nothing of the budget."""
    down = True
    upstream = FakeUpstream(lambda body: UpstreamUnreachable("nobody there") if down else both(body))
    caplog.set_level("INFO")
    with background(tmp_path, gateway_of(upstream, store, live())) as made:
        made.offer([exchange(number) for number in range(9)])
        for _ in range(3):
            await made.shadows.work()
        assert len(upstream.bodies) <= 3 * 4 * 2
        assert made.shadows.needed_from == 0
        account = account_of(store, TASK)
        assert "nobody there" in account.wrong and account.left(1000, NOW) == 1000
        down = False
        await made.shadows.work()
        assert made.shadows.needed_from is None
    assert len(known(store)) == 9
    assert account_of(store, TASK).wrong == ""
    assert [one.message for one in caplog.records if one.name == "optimizer.monitoring.shadow.shadows"] == [
        "nothing is compared with small now: nobody there", "replies are compared with small again",
    ]  # fmt: skip


async def test_what_waited_for_an_hour_is_given_up(store: Store, tmp_path: Path) -> None:
    """So that a model which is down for hours holds neither memory nor the reader's place."""
    clock = Clock()
    upstream = FakeUpstream(lambda body: UpstreamUnreachable("nobody there"))
    with background(tmp_path, gateway_of(upstream, store, live(), clock)) as made:
        made.offer([exchange(1)])
        await made.shadows.work()
        clock.now += TOO_OLD_S + 1
        await made.shadows.work()
        assert made.shadows.needed_from is None
    assert totals(store) == {"given_up": 1} and account_of(store, TASK).wrong == ""


async def test_a_model_that_is_down_does_not_stop_the_other(store: Store, tmp_path: Path) -> None:
    """The strong one is away; what it served before is still asked of the weak one."""
    upstream = FakeUpstream(lambda body: UpstreamUnreachable("gone") if body["model"] == STRONG else both(body))
    with background(tmp_path, gateway_of(upstream, store, live('serve = "canary"'))) as made:
        made.offer([exchange(1, arm="weak"), exchange(2)])
        await made.shadows.work()
        assert made.shadows.needed_from == 0
    assert list(known(store)) == ["shadow-x2"]


async def test_a_request_that_the_other_model_refuses_is_not_asked_again(store: Store, tmp_path: Path) -> None:
    """It may be too long for it; the model itself is well."""
    refusal = b'{"error": {"message": "too long", "type": "invalid_request_error", "param": null, "code": null}}'

    def script(body: dict[str, Any]) -> Answer:
        return FakeReply(400, [refusal], {}) if sums(1)[0] in str(body) else both(body)

    with background(tmp_path, gateway_of(FakeUpstream(script), store, live())) as made:
        made.offer([exchange(1), exchange(2)])
        await made.shadows.work()
        assert made.shadows.needed_from is None
    assert totals(store) == {"refused": 1, "compared": 1}


async def test_a_bug_of_ours_costs_one_comparison(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log with its traceback."""

    def script(body: dict[str, Any]) -> Answer:
        if sums(1)[0] in str(body):
            raise ZeroDivisionError("bug")
        return both(body)

    with background(tmp_path, gateway_of(FakeUpstream(script), store, live())) as made:
        made.offer([exchange(1), exchange(2)])
        await made.shadows.work()
    assert totals(store) == {"failed": 1, "compared": 1}
    assert "ZeroDivisionError" in caplog.text


async def test_no_more_than_the_calls_of_a_day_are_made(store: Store, tmp_path: Path) -> None:
    """A restart does not forget them; after a day there are new ones."""
    clock = Clock()
    upstream = FakeUpstream(both)
    made = gateway_of(upstream, store, live("shadow = { share = 1, calls_per_day = 5 }"), clock)
    for number in range(3):
        with background(tmp_path, made) as behind:
            behind.offer([exchange(4 * number + one) for one in range(4)])
            await behind.shadows.work()
            await behind.shadows.work()
            assert behind.shadows.needed_from is None
    assert len(upstream.bodies) == 5 == len(known(store))
    assert totals(store) == {"compared": 5, "given_up": 7}
    clock.now += 25 * 3600
    with background(tmp_path, made) as behind:
        behind.offer([exchange(99, created=clock.now)])
        await behind.shadows.work()
    assert len(upstream.bodies) == 6


async def test_no_more_than_a_hundred_wait(tmp_path: Path) -> None:
    """Of more the oldest are given up, and the reader may go on."""
    with background(tmp_path, gateway_of(None, MemoryStore(), live())) as made:
        made.offer([exchange(number) for number in range(WAITING + 7)])
        assert made.shadows.needed_from == 7


async def test_while_rules_are_switched_off_the_weak_model_gets_none(store: Store, tmp_path: Path) -> None:
    """What is compared is what callers would get."""
    published(store)
    switch_injection(store, False, now=2.0, by="t")
    with background(tmp_path, gateway_of(None, store, live())) as made:
        made.offer([exchange(1)])
        await made.shadows.work()
    assert known(store)["shadow-x1"].exchange.rules is None


async def test_rules_that_need_room_are_not_recorded_where_there_is_none(store: Store, tmp_path: Path) -> None:
    """A request with tools is answered without a scratchpad, and without the rules that were made for it."""
    published(store, scratchpad="two_pass")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with background(tmp_path, gateway_of(None, store, live())) as made:
        made.offer([exchange(1, body=asked(1, tools=tools)), exchange(2)])
        await made.shadows.work()
    assert [known(store)[id_].exchange.rules for id_ in ("shadow-x1", "shadow-x2")] == [None, 1]


async def test_a_task_that_is_configured_otherwise_now_is_forgotten(store: Store, tmp_path: Path) -> None:
    """After a reload nothing is asked of a model that the task does not have any more."""
    upstream = FakeUpstream(both)
    made = gateway_of(upstream, store, live())
    with background(tmp_path, made) as behind:
        behind.offer([exchange(1)])
        made.serving = dataclasses.replace(made.serving, settings=Settings())
        await behind.shadows.work()
        assert behind.shadows.needed_from is None
    assert not upstream.bodies


class Dying(MemoryStore):
    """A store in memory whose process dies at one of its writes."""

    dies = ""

    def add_feedback(self, feedback: Feedback) -> bool:
        if self.dies == "add_feedback":
            raise StoreError("killed")
        return super().add_feedback(feedback)


def test_the_script_of_these_tests_is_what_it_says() -> None:
    """The strong model is right, the weak one is not."""
    assert right_reply(asked(3)) == str(sums(3)[1]) != both(asked(3) | {"model": WEAK})
    assert json.loads(exchange(3).request) == asked(3)

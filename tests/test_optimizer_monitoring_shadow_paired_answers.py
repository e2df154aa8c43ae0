"""Both versions answer a labelled request anew: each judgement once, within the budget, and callers first."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Activation, Feedback, Rule, RuleSet
from gateway.errors import UpstreamRefused, UpstreamUnreachable
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.monitoring.rollout.answer_pairs import PAIRS, AnswerPair, PairBook
from optimizer.monitoring.shadow.both_versions import CALLS
from optimizer.monitoring.shadow.paired_answers import PairedAnswers
from tests.fakes import Answer, FakeUpstream
from tests.learning import sums
from tests.traffic import NOW, TASK, Clock, background, exchange, gateway_of, live

KNOWING = "Work on it first."
"""The rule that lets the weak model of these tests answer right."""


def upstream(calls: list[dict[str, Any]] | None = None) -> FakeUpstream:
    """A weak model that is right under the rule and wrong without it."""

    def answer(body: dict[str, Any]) -> Answer:
        if calls is not None:
            calls.append(body)
        told = " ".join(str(message["content"]) for message in body["messages"] if message["role"] == "system")
        words = body["messages"][-1]["content"].split("?")[0].split()
        right = int(words[2]) + 2 * int(words[-1])
        return str(right if KNOWING in told else right + 1)

    return FakeUpstream(answer)


def versions(store: Store, *history: Activation) -> None:
    """Two versions and a history; labels are looked at from the first on."""
    PAIRS.write(store, PairBook(position=0), TASK)
    store.publish(RuleSet(task=TASK, rules=(Rule(text="Be brief."),)))
    store.publish(RuleSet(task=TASK, rules=(Rule(text=KNOWING),)))
    for entry in history:
        store.activate(entry)


def decided(kind: str, version: int | None, share: float = 1.0) -> Activation:
    return Activation(task=TASK, version=version, created=NOW - 60, by="t", kind=kind, share=share)  # type: ignore[arg-type]


def label(store: Store, number: int, source: str = "shadow", *, right: bool = False, **fields: Any) -> None:
    store.add_feedback(
        Feedback(
            exchange_id=f"x{number}", created=fields.pop("created", NOW), correct=right, expected=sums(number)[1],
            source=source, **fields,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def without_pairs() -> Settings:
    settings = live()
    section = settings.tasks[TASK]
    rollout = msgspec.structs.replace(section.rollout, pairs=False)
    return msgspec.structs.replace(settings, tasks={TASK: msgspec.structs.replace(section, rollout=rollout)})


async def work(
    store: Store, folder: Path, settings: Settings | None = None, answers: FakeUpstream | None = None,
    clock: Clock | None = None,
) -> tuple[AnswerPair, ...]:  # fmt: skip
    made = gateway_of(answers or upstream(), store, settings or live(), clock)
    with background(folder, made) as behind:
        await PairedAnswers(made.learner_context(), evaluator=behind.evaluator, model=behind.model).work()
    book = PAIRS.read(store, TASK)
    return book.pairs if book is not None else ()


async def test_a_label_compares_a_trial_with_what_is_live(store: Store, tmp_path: Path) -> None:
    """Whichever of them served the request; each label once, also after a restart."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="canary", rules=2), exchange(2, arm="weak", rules=1, cluster="talk")])
    label(store, 1, right=True)
    label(store, 2)
    await work(store, tmp_path)
    pairs = await work(store, tmp_path)
    assert [(pair.number, pair.difference, pair.version, pair.against) for pair in pairs] == [
        (1, -1, 2, 1),
        (2, -1, 2, 1),
    ]
    assert [(pair.on_challenger, pair.at_random, pair.unit) for pair in pairs] == [
        (True, True, "x1"),
        (False, True, "talk"),
    ]


async def test_both_answers_are_asked_for_in_the_same_way(store: Store, tmp_path: Path) -> None:
    """What was served is asked again: neither version has the better chances."""
    calls: list[dict[str, Any]] = []
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="weak", rules=1)])
    label(store, 1)
    await work(store, tmp_path, answers=upstream(calls))
    assert len(calls) == 2
    assert {tuple(sorted(set(body) - {"messages"})) for body in calls} == {tuple(sorted(set(calls[0]) - {"messages"}))}


async def test_a_complaint_counts_on_an_audited_reply_alone(store: Store, tmp_path: Path) -> None:
    """It is no label at random; praise, and complaints about replies outside of the sample, compare nothing."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([
        exchange(1, arm="canary", rules=2), exchange(2, arm="weak", rules=1), exchange(3, arm="weak", audit_rate=0.0),
        exchange(4, arm="canary", rules=2), exchange(5, arm="holdback"),
    ])  # fmt: skip
    for number in (1, 2, 3, 5):
        label(store, number, "client", key="team")
    label(store, 4, "client", right=True)
    pairs = await work(store, tmp_path)
    assert [(pair.unit, pair.on_challenger, pair.at_random, pair.key) for pair in pairs] == [
        ("x1", True, False, "team"), ("x2", False, False, "team"),
    ]  # fmt: skip


async def test_a_complaint_that_cannot_be_answered_again_is_said_to_be_one(store: Store, tmp_path: Path) -> None:
    """Without an expected answer, about a picture, or with pairs switched off. Such a label at random says nothing."""
    picture = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    }
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="canary", rules=2), exchange(2, arm="canary", rules=2, body=picture, reply="no")])
    store.add_feedback(Feedback(exchange_id="x1", created=NOW, correct=False))
    label(store, 2, "client")
    label(store, 2, "label")
    assert [pair.difference for pair in await work(store, tmp_path)] == [None, None]
    store.record([exchange(3, arm="weak", rules=1)])
    label(store, 3, "client")
    pairs = await work(store, tmp_path, without_pairs())
    assert [pair.difference for pair in pairs] == [None] * 3


@pytest.mark.parametrize("refused", [True, False])
async def test_a_refused_request_compares_nothing_and_a_dead_model_waits(
    store: Store, tmp_path: Path, refused: bool
) -> None:
    """The label is looked at again at the next tick, for an hour at most."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="weak", rules=1)])
    label(store, 1)
    error = UpstreamRefused(400, b"{}", {}) if refused else UpstreamUnreachable("nobody there")
    if refused:
        assert await work(store, tmp_path, answers=FakeUpstream(lambda body: error)) == ()
        assert await work(store, tmp_path) == ()
        return
    with pytest.raises(UpstreamUnreachable):
        await work(store, tmp_path, answers=FakeUpstream(lambda body: error))
    assert len(await work(store, tmp_path)) == 1
    store.record([exchange(2, arm="weak", rules=1)])
    label(store, 2)
    assert len(await work(store, tmp_path, clock=Clock(NOW + 7200))) == 1


async def test_the_budget_of_the_day_bounds_the_calls(store: Store, tmp_path: Path) -> None:
    """What is left over waits; a day later there is more."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(number, arm="weak", rules=1) for number in range(5)])
    for number in range(5):
        label(store, number)
    few = live("shadow = { share = 1, calls_per_day = 5 }")
    assert len(await work(store, tmp_path, few)) == 2
    account = CALLS.read(store, TASK)
    assert account is not None and account.left(5, NOW) == 1


async def test_a_live_version_leaves_half_of_the_calls_to_what_comes(store: Store, tmp_path: Path) -> None:
    """Its labels beyond that compare nothing; a trial on the same day finds calls left."""
    versions(store, decided("live", 2))
    store.record([exchange(number, arm="weak", rules=2) for number in range(6)])
    for number in range(5):
        label(store, number)
    few = live("shadow = { share = 1, calls_per_day = 8 }")
    assert [pair.version for pair in await work(store, tmp_path, few)] == [2, 2]
    store.activate(decided("canary", 1, 0.25))
    label(store, 5)
    assert [pair.version for pair in await work(store, tmp_path, few)] == [2, 2, 1]


async def test_versions_that_would_send_the_same_need_not_be_asked(store: Store, tmp_path: Path) -> None:
    """A request without room for the scratchpad of the one, where the other is no rules."""
    store.publish(RuleSet(task=TASK, rules=(Rule(text=KNOWING),), scratchpad="tags"))
    store.activate(decided("canary", 1, 0.25))
    asked = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    body = {"model": "m", "messages": [{"role": "user", "content": sums(1)[0]}], **asked}
    store.record([exchange(1, arm="weak", body=body, reply="1")])
    label(store, 1)
    calls: list[dict[str, Any]] = []
    assert [pair.difference for pair in await work(store, tmp_path, answers=upstream(calls))] == [0]
    assert calls == []


async def test_where_nothing_is_compared_labels_pass_by(store: Store, tmp_path: Path) -> None:
    """Without live rules, or while only the strong model serves: later comparisons begin with later labels."""
    store.record([exchange(1, arm="weak")])
    label(store, 1)
    assert await work(store, tmp_path) == ()
    versions(store, decided("canary", 2, 0.25))
    store.record([exchange(2, arm="weak")])
    label(store, 2)
    assert await work(store, tmp_path, live('serve = "shadow"')) == ()


async def test_a_reply_that_a_person_calls_right_is_its_own_right_answer(store: Store, tmp_path: Path) -> None:
    """Otherwise the queue would tell of the wrong replies of an arm only."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="canary", rules=2, reply=str(sums(1)[1])), exchange(2, arm="weak", rules=1)])
    store.add_feedback(Feedback(exchange_id="x1", created=NOW, correct=True, source="label"))
    store.add_feedback(Feedback(exchange_id="x2", created=NOW, correct=True, source="client"))
    assert [(pair.unit, pair.difference) for pair in await work(store, tmp_path)] == [("x1", -1)]


async def test_a_right_program_is_no_test_of_another_program(store: Store, tmp_path: Path) -> None:
    """Where a reply cannot stand for the right answer, a label without one compares nothing."""
    versions(store, decided("live", 1), decided("canary", 2, 0.25))
    store.record([exchange(1, arm="canary", rules=2)])
    store.add_feedback(Feedback(exchange_id="x1", created=NOW, correct=True, source="label"))
    assert await work(store, tmp_path, live(grader='{ kind = "python_tests" }')) == ()

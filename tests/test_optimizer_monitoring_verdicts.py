"""The verdict on an expected answer: given once, stored beside the feedback, and never the end of a process."""

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Feedback
from gateway.errors import UpstreamUnreachable
from gateway.settings import Settings
from gateway.store.base import Store
from optimizer.monitoring.verdicts import PATIENCE_S, UNDER_WAY, Verdicts
from tests.fakes import FakeUpstream
from tests.learning import sums
from tests.traffic import NOW, TASK, Clock, background, exchange, gateway_of, live

JUDGE = '{ kind = "judge" }'


def fails(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    """A user's grader that raises."""
    raise OverflowError("too large")


def quotes(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    """A user's grader that raises, and quotes."""
    raise ValueError(f"cannot read {expected}")


def dawdles(reply: str, expected: Any, request: dict[str, Any]) -> bool:
    """A user's grader that takes its time."""
    time.sleep(0.5)
    return True


def say(store: Store, number: int, expected: Any, **fields: Any) -> None:
    store.add_feedback(Feedback(exchange_id=f"x{number}", created=NOW, expected=expected, **fields))


async def graded(
    store: Store, folder: Path, settings: Settings, upstream: FakeUpstream | None = None, clock: Clock | None = None,
    slow_s: float = 60,
) -> None:  # fmt: skip
    made = gateway_of(upstream, store, settings, clock)
    with background(folder, made) as behind:
        await Verdicts(made.learner_context(), evaluator=behind.evaluator, slow_s=slow_s).work()


def verdicts(store: Store) -> dict[str, float | None]:
    return {entry.exchange.id: entry.feedback.verdict for entry in store.graded(TASK, limit=9)}


async def test_an_expected_answer_gets_a_verdict_that_every_reader_sees(store: Store, tmp_path: Path) -> None:
    """As the README teaches feedback: the expected answer alone. Who observes the exchange finds it right or wrong."""
    store.record([exchange(1), exchange(2)])
    say(store, 1, sums(1)[1])
    say(store, 2, -1)
    await graded(store, tmp_path, live())
    assert verdicts(store) == {"x1": 1.0, "x2": 0.0}
    assert {row.id: row.correct for row in store.observed(TASK, since=0, limit=9)} == {"x1": True, "x2": False}
    assert store.ungraded(limit=9) == []
    assert UNDER_WAY.read(store) == {}


async def test_a_judgement_that_contradicts_itself_is_seen_and_its_own_word_counts(
    store: Store, tmp_path: Path
) -> None:
    """A reply that is called right beside another expected answer; no judge is asked for that."""
    store.record([exchange(1)])
    say(store, 1, -1, correct=True)
    await graded(store, tmp_path, live())
    assert verdicts(store) == {"x1": 0.0}
    assert [row.correct for row in store.observed(TASK, since=0, limit=9)] == [True]
    assert [one.exchange_id for one in store.disputed(TASK, limit=9)] == ["x1"]


async def test_no_judge_is_asked_where_a_client_says_right_or_wrong(store: Store, tmp_path: Path) -> None:
    """Judges cost money."""
    store.record([exchange(1)])
    say(store, 1, -1, correct=True)
    await graded(store, tmp_path, live(grader='{ kind = "judge" }'))
    assert verdicts(store) == {"x1": None} and store.ungraded(limit=9) == []


@pytest.mark.parametrize("name", ["fails", "dawdles"])
async def test_a_grader_that_fails_or_takes_too_long_gives_no_verdict_and_holds_nothing_up(
    store: Store, tmp_path: Path, name: str
) -> None:
    """It is not asked again."""
    store.record([exchange(1), exchange(2)])
    say(store, 1, 3)
    grader = f'{{ kind = "python", call = "tests.test_optimizer_monitoring_verdicts:{name}" }}'
    await graded(store, tmp_path, live(grader=grader), slow_s=0.05)
    assert verdicts(store) == {"x1": None}
    assert store.ungraded(limit=9) == []


@pytest.mark.parametrize("expected", ["no number", {"a": 1}, 10**400])
async def test_an_expected_answer_that_fits_no_reply_gets_no_verdict(
    store: Store, tmp_path: Path, expected: Any
) -> None:
    """The judgements behind it are graded all the same."""
    store.record([exchange(1), exchange(2)])
    say(store, 1, expected)
    say(store, 2, sums(2)[1])
    await graded(store, tmp_path, live())
    assert verdicts(store)["x2"] == 1.0
    assert verdicts(store)["x1"] in (None, 0.0)
    assert store.ungraded(limit=9) == []


GRADERS = {
    "numeric": '{ kind = "numeric" }',
    "regex": '{ kind = "regex" }',
    "json_schema": '{ kind = "json_schema" }',
    "tool_call": '{ kind = "tool_call" }',
    "python": '{ kind = "python", call = "tests.test_optimizer_monitoring_verdicts:quotes" }',
}


@pytest.mark.parametrize("kind", GRADERS)
async def test_no_expected_answer_stands_in_the_log(
    store: Store, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client's text outlives its days there, and nobody can have it forgotten."""
    store.record([exchange(1)])
    say(store, 1, "(my secret")
    with caplog.at_level("DEBUG"):
        await graded(store, tmp_path, live(grader=GRADERS[kind]))
    assert "no verdict on x1" in caplog.text
    assert "my secret" not in caplog.text


async def test_a_task_that_is_gone_and_a_request_without_a_reply_get_no_verdict(store: Store, tmp_path: Path) -> None:
    """Nobody can say by which grader, or of what."""
    store.record([exchange(1, task="gone"), exchange(2, status="error", reply=None)])
    say(store, 1, 3)
    say(store, 2, 3)
    await graded(store, tmp_path, live())
    assert store.ungraded(limit=9) == []


async def test_a_judge_that_is_away_is_asked_later_but_not_for_ever(store: Store, tmp_path: Path) -> None:
    """The step says what is wrong; after hours the judgement goes without a verdict."""
    clock = Clock()
    store.record([exchange(1), exchange(2)])
    say(store, 1, "four")
    say(store, 2, "five")
    down = FakeUpstream(lambda body: UpstreamUnreachable("nobody there"))
    with pytest.raises(UpstreamUnreachable):
        await graded(store, tmp_path, live(grader=JUDGE), down, clock)
    assert len(store.ungraded(limit=9)) == 2
    clock.now += PATIENCE_S
    with pytest.raises(UpstreamUnreachable):
        await graded(store, tmp_path, live(grader=JUDGE), down, clock)
    assert len(store.ungraded(limit=9)) == 1


async def test_a_judgement_that_ends_the_process_twice_is_graded_no_more(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An expression that never returns holds the interpreter until the parent kills the process."""
    store.record([exchange(1), exchange(2)])
    say(store, 1, sums(1)[1])
    say(store, 2, sums(2)[1])
    UNDER_WAY.write(store, {"x1": 1})
    await graded(store, tmp_path, live())
    assert verdicts(store) == {"x1": 1.0, "x2": 1.0}
    store.record([exchange(3)])
    say(store, 3, sums(3)[1])
    UNDER_WAY.write(store, {"x3": 2})
    await graded(store, tmp_path, live())
    assert verdicts(store)["x3"] is None
    assert any("ended the process" in message for message in caplog.messages)

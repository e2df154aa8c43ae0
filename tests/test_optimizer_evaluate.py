"""The bench: answers cached, paid once, bounded, and never made up when the upstream fails."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import Measured, Rule, RuleSet, ToolCall
from gateway.errors import UpstreamTimeout
from gateway.settings.graders import PythonGrader, ToolCallGrader
from optimizer.evaluate import Answer, Bench, Trial, measured
from optimizer.items import item_of
from optimizer.ledger import BudgetSpent
from tests.scripted import GRADER, Weak, bench, question, questions

RULES = RuleSet(task="t", rules=(Rule(text="Mind what is doubled."),))


async def answers(desk: Bench, weak: Weak, count: int, rule_set: RuleSet | None = None) -> list[Trial]:
    return await desk.trials(weak, questions(count), rule_set, GRADER, stage="test")


async def test_items_are_answered_in_their_order_and_graded(tmp_path: Path) -> None:
    """Under no rules the hard ones are wrong, under the right rule none."""
    desk, weak, items = bench(tmp_path), Weak(), questions(20)
    without = await answers(desk, weak, 20)
    assert [trial.item for trial in without] == items
    assert [trial.correct for trial in without] == [number >= 15 for number in range(20)]
    assert all(trial.correct for trial in await answers(desk, weak, 20, RULES))


async def test_what_was_answered_once_is_free_for_ever(tmp_path: Path) -> None:
    """In the same run and, from disk, in the next one; an empty rule set is no rule set."""
    desk, weak = bench(tmp_path), Weak()
    first = await answers(desk, weak, 10)
    assert await answers(desk, weak, 10, RuleSet(task="t")) == first
    assert (weak.total, desk.ledger.calls, desk.ledger.tokens) == (10, 10, 540)
    desk.evaluations.close()
    again = bench(tmp_path)
    assert await answers(again, weak, 10) == first
    assert (weak.total, again.ledger.calls) == (10, 0)


async def test_identical_concurrent_calls_are_made_once(tmp_path: Path) -> None:
    """Ten at once, one call."""
    desk, weak, item = bench(tmp_path, concurrency=10), Weak(), question(1, hard=True)
    trials = await desk.trials(weak, [item] * 10, None, GRADER, stage="test")
    assert len(trials) == 10 and weak.total == 1


async def test_the_request_is_repeatable_and_bounded_unless_it_says_otherwise(tmp_path: Path) -> None:
    """Temperature 0 and a limit on the output, as defaults."""
    desk, weak = bench(tmp_path), Weak()
    item = question(1, hard=False)
    await desk.ask(weak, item.request, None, purpose="answer")
    own = {**json.loads(item.request), "temperature": 0.5, "max_completion_tokens": 9}
    await desk.ask(weak, json.dumps(own).encode(), None, purpose="answer")
    sent = [json.loads(request) for request, _ in weak.calls]
    assert (sent[0]["temperature"], sent[0]["max_tokens"]) == (0, 256)
    assert sent[1] == own


async def test_no_more_calls_than_allowed_are_under_way(tmp_path: Path) -> None:
    """Three here."""
    desk, weak = bench(tmp_path, concurrency=3), Weak()
    under_way, most = 0, 0

    class Slow(Weak):
        async def answer(self, request, rule_set):  # type: ignore[no-untyped-def]  # same as in Weak
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return await weak.answer(request, rule_set)

    await answers(desk, Slow(), 20)
    assert most == 3


async def test_a_failure_is_tried_once_more(tmp_path: Path) -> None:
    """The second try counts."""
    desk, weak = bench(tmp_path, concurrency=1), Weak()
    failures = iter([True])

    def fail(call: int) -> None:
        if next(failures, False):
            raise UpstreamTimeout("too slow")

    weak.before = fail
    assert len(await answers(desk, weak, 3)) == 3
    assert desk.ledger.calls == 4


async def test_a_failing_upstream_decides_nothing_and_stops_the_run(tmp_path: Path) -> None:
    """It raises; what was answered before is kept, and no other item is begun."""
    desk, weak = bench(tmp_path, concurrency=2), Weak()

    def fail(call: int) -> None:
        if call > 5:
            raise UpstreamTimeout("too slow")

    weak.before = fail
    with pytest.raises(UpstreamTimeout):
        await answers(desk, weak, 50)
    assert weak.total == 5 and desk.ledger.calls <= 5 + 2 * 2
    weak.before = lambda call: None
    await answers(desk, weak, 50)
    assert max(weak.calls.values()) == 1


async def test_the_budget_ends_a_run_and_keeps_what_was_paid_for(tmp_path: Path) -> None:
    """Seven calls are made, and asking again pays for none of them."""
    desk, weak = bench(tmp_path, calls=7), Weak()
    with pytest.raises(BudgetSpent):
        await answers(desk, weak, 20)
    assert weak.total == desk.ledger.calls == 7
    assert len(await answers(desk, weak, 7)) == 7


async def test_a_cancelled_run_keeps_what_was_paid_for(tmp_path: Path) -> None:
    """Whatever had been answered is not asked again."""
    weak = Weak()
    desk = bench(tmp_path, concurrency=3)
    run = asyncio.create_task(answers(desk, weak, 30))
    weak.before = lambda call: run.cancel() and None if call == 11 else None  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        await run
    desk.evaluations.close()
    weak.before = lambda call: None
    await answers(bench(tmp_path), weak, 30)
    assert set(weak.calls.values()) == {1} and weak.total == 30


def loud(reply: str, expected: int, request: dict[str, Any]) -> bool:
    """A user's own grader that breaks on some questions."""
    number = int(request["messages"][-1]["content"].split()[2])
    if number % 2:
        raise ValueError(f"{number} is odd")
    return int(reply) == expected


async def test_an_answer_that_cannot_be_graded_is_wrong_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on, and the log says how many there were."""
    desk, own = bench(tmp_path), PythonGrader(call=f"{__name__}:loud")
    trials = await desk.trials(Weak(), questions(20)[14:], RULES, own, stage="test")
    assert [trial.correct for trial in trials] == [True, False] * 3
    assert [trial.ungraded[-20:] for trial in trials if trial.ungraded] == [
        f"ValueError: {1000 + 7 * number} is odd"[-20:] for number in (15, 17, 19)
    ]
    (record,) = caplog.records
    assert record.message.startswith("3 of 6 answers could not be graded: grader ")


async def test_a_grader_sees_the_calls_that_an_answer_asks_for(tmp_path: Path) -> None:
    """As the caller would receive them."""

    class Calling(Weak):
        async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
            return Answer(text="", tool_calls=(ToolCall(name="add", arguments='{"a": 1}'),))

    item = item_of({"messages": [{"role": "user", "content": "add"}]}, {"name": "add", "arguments": {"a": 1}})
    for _ in range(2):  # the second answer comes from the cache
        (trial,) = await bench(tmp_path).trials(Calling(), [item], None, ToolCallGrader(), stage="test")
        assert trial.correct


async def test_progress_is_told_of_every_item(tmp_path: Path) -> None:
    """Cached ones too."""
    told: list[tuple[str, int, int]] = []
    desk = bench(tmp_path, progress=lambda stage, done, total: told.append((stage, done, total)))
    await answers(desk, Weak(), 5)
    assert told == [("test", done, 5) for done in range(1, 6)]


async def test_means_over_trials(tmp_path: Path) -> None:
    """Accuracy, tokens, seconds; of nothing, zeros."""
    assert measured(await answers(bench(tmp_path), Weak(), 20)) == Measured(
        accuracy=0.25, n=20, output_tokens=4.0, latency_s=0.25
    )
    assert measured([]) == Measured(accuracy=0.0, n=0)

"""Arms, and two of them compared."""

import pytest

from gateway.domain import RuleSet, Usage
from gateway.settings.sections import Price
from optimizer.evaluation.evaluator import Answer, Trial
from optimizer.migration.arms import SHOWN, ArmName, ArmResult, arm_result, compare, differing, needed
from optimizer.statistics.paired_test import Pairs
from tests.scripted import questions

ITEMS = questions(100)


def run(name: ArmName, right: set[int], *, n: int = 100, price: Price = Price()) -> ArmResult:  # noqa: B008  frozen
    trials = [
        Trial(
            item=item,
            answer=Answer(text=f"{name} {number}", usage=Usage(prompt_tokens=100, output_tokens=10), latency_s=number),
            correct=number in right,
        )
        for number, item in enumerate(ITEMS[:n])
    ]
    return arm_result(name, "m", RuleSet(task="t", version=3), trials, price, calls_per_month=2000)


def test_an_arm_is_told_in_quality_time_tokens_and_money() -> None:
    """Shares with an interval, means of tokens, median and 95th percentile of time, USD per thousand and per month."""
    arm = run("weak", set(range(80)), price=Price(input=1, output=100)).arm
    assert (arm.accuracy, arm.n, arm.rules) == (0.8, 100, 3)
    assert arm.interval[0] < 0.8 < arm.interval[1]
    assert (arm.prompt_tokens, arm.output_tokens, arm.latency_s) == (100, 10, 49.5)
    assert arm.latency_p95_s == pytest.approx(94.05)
    assert (arm.usd_per_thousand, arm.usd_per_month) == pytest.approx((1.1, 2.2))


def test_without_a_price_no_money_is_told() -> None:
    """Zero would be a claim."""
    assert run("weak", set()).arm.usd_per_thousand is None


@pytest.mark.parametrize(
    ("strong", "candidate", "verdict"),
    [
        (range(100), range(100), "non-inferior"),
        (range(95), range(93), "cannot tell"),
        (range(90), range(50), "worse"),
        (range(50), range(90), "better"),
        (range(50), range(50, 100), "cannot tell"),
    ],
)
def test_the_candidate_may_lose_the_margin_and_no_more(strong: range, candidate: range, verdict: str) -> None:
    """Shown by the interval, not by the difference: two points lost on a hundred examples show nothing."""
    result = compare(run("strong", set(strong)), run("weak", set(candidate)), margin=0.05)
    assert result.verdict == verdict
    assert result.pairs.n == 100


def test_how_many_examples_it_takes_depends_on_how_many_pairs_differ() -> None:
    """Said where nothing could be shown."""
    assert needed(Pairs(both=80, fixed=10, broken=10), 0.05) == 628
    assert needed(Pairs(both=100), 0.05) < 100


def test_what_differs_is_shown_with_every_arms_reply() -> None:
    """The first of them; an arm that did not run differs from nothing."""
    runs = [run("strong", set(range(100))), run("weak", set(range(50)))]
    lost = differing(runs, right="strong", wrong="weak")
    assert (lost.count, len(lost.shown)) == (50, SHOWN)
    assert lost.shown[0].replies == {"strong": "strong 50", "weak": "weak 50"}
    assert lost.shown[0].right == ("strong",)
    assert differing(runs, right="weak + rules", wrong="weak").count == 0

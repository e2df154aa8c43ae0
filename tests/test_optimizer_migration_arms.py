"""Arms, and two of them compared."""

import msgspec
import pytest

from gateway.domain import RuleSet, Usage
from gateway.settings.models import Price
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


def test_the_examples_still_needed_grow_with_differing_pairs_and_with_the_loss_seen() -> None:
    """A loss of two points leaves three of a margin of five: that takes nearly three times as many."""
    assert needed(Pairs(both=80, fixed=10, broken=10), 0.05) == 628
    assert needed(Pairs(both=80, fixed=9, broken=11), 0.05) == 1741
    assert needed(Pairs(both=100), 0.05) == 63


def test_a_loss_beyond_the_margin_is_not_shown_harmless_by_any_number_of_examples() -> None:
    """The note says so instead of a number."""
    assert needed(Pairs(both=80, fixed=7, broken=13), 0.05) is None
    comparison = compare(run("strong", set(range(90))), run("weak", {*range(80), *range(90, 96)}), margin=0.1)
    assert comparison.verdict == "cannot tell" and "takes about" in comparison.note
    comparison = compare(run("strong", set(range(60))), run("weak", {*range(46), *range(60, 68)}), margin=0.05)
    assert comparison.verdict == "cannot tell" and "the loss seen is 6.0 points" in comparison.note


def test_an_arm_knows_how_often_it_agrees_with_its_own_earlier_answers() -> None:
    """Those are the only label of some examples."""
    trials = [
        Trial(item=msgspec.structs.replace(item, labelled_by=labeller), answer=Answer(text=""), correct=number < 7)
        for number, (item, labeller) in enumerate(zip(ITEMS[:10], ["m"] * 9 + ["n"], strict=True))
    ]
    arm = arm_result("strong", "m", None, trials, Price(), calls_per_month=None).arm
    assert (arm.own_reference, arm.self_agreement) == (9, 7)


def test_what_differs_is_shown_with_every_arms_reply() -> None:
    """The first of them; an arm that did not run differs from nothing."""
    runs = [run("strong", set(range(100))), run("weak", set(range(50)))]
    lost = differing(runs, right="strong", wrong="weak")
    assert (lost.count, len(lost.shown)) == (50, SHOWN)
    assert lost.shown[0].replies == {"strong": "strong 50", "weak": "weak 50"}
    assert lost.shown[0].right == ("strong",)
    assert differing(runs, right="weak + rules", wrong="weak").count == 0

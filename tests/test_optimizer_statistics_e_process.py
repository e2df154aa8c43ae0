"""Evidence under constant watching: exact where it can be enumerated, honest at every look, quick about great harm."""

import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.e_process import (
    ArmOutcome,
    EProcess,
    above,
    blocks,
    excess,
    harm,
    log_e_value,
    lower_bound,
    upper_bound,
)

COUNT = st.integers(0, 40)
CHANCE = st.floats(0.01, 0.99)
NEVER = 1e-300
"""An alpha that no test here reaches, where the whole stream is to be looked at."""


def averaged(successes: int, failures: int, p0: float, steps: int = 4000) -> float:
    """The e-value by its definition: likelihood ratios to ``p0``, averaged over chances above it."""
    total = 0.0
    for step in range(steps):
        chance = p0 + (1 - p0) * (step + 0.5) / steps
        total += (chance / p0) ** successes * ((1 - chance) / (1 - p0)) ** failures
    return total / steps


def stream(
    randomness: random.Random, challengers: int, *, share: float, wrong: Callable[[bool, int], float]
) -> Iterator[ArmOutcome[bool]]:
    """Outcomes until so many are the challenger's, the chance to be wrong given by arm and position."""
    for position in itertools.count():
        if not challengers:
            return
        challenger = randomness.random() < share
        yield ArmOutcome(challenger, randomness.random() < wrong(challenger, position))
        challengers -= challenger


def constant(incumbent: float, challenger: float) -> Callable[[bool, int], float]:
    return lambda is_challenger, _: challenger if is_challenger else incumbent


def quantile(numbers: Sequence[float], share: float) -> float:
    return sorted(numbers)[math.ceil(share * len(numbers)) - 1]


@given(st.integers(0, 15), st.integers(0, 15), st.floats(0.1, 0.9))
def test_the_e_value_is_the_average_likelihood_ratio(successes: int, failures: int, p0: float) -> None:
    """The sum of binomial ratios equals the integral it stands for."""
    assert math.exp(log_e_value(successes, failures, p0)) == pytest.approx(averaged(successes, failures, p0), rel=1e-3)


@pytest.mark.parametrize(
    ("successes", "failures", "p0"),
    [(500_000, 500_000, 0.5), (501_200, 498_800, 0.5), (999_000, 1_000, 0.99), (1_000, 999_000, 0.0009), (5, 0, 1e-9)],
)
def test_the_e_value_is_exact_up_to_a_million(successes: int, failures: int, p0: float) -> None:
    """Against scipy's binomial distribution, on both sides of its mode."""
    stats = pytest.importorskip("scipy.stats")
    trials = successes + failures + 1
    reference = stats.binom.logcdf(successes, trials, p0) - stats.binom.logpmf(successes, trials, p0)
    assert log_e_value(successes, failures, p0) == pytest.approx(reference - math.log(failures + 1), abs=1e-7)


@given(st.integers(0, 30), CHANCE, st.floats(0, 1))
def test_what_a_true_null_makes_of_one_is_one_at_most(n: int, p0: float, part: float) -> None:
    """The expectation over all outcomes of n trials: 1 at ``p0``, no more below it."""

    def expected(chance: float) -> float:
        return sum(
            math.comb(n, s) * chance**s * (1 - chance) ** (n - s) * math.exp(log_e_value(s, n - s, p0))
            for s in range(n + 1)
        )

    assert expected(p0) == pytest.approx(1, rel=1e-9)
    assert expected(part * p0) <= 1 + 1e-9


@given(COUNT, COUNT, CHANCE)
def test_one_more_trial_is_a_fair_bet_at_the_null(successes: int, failures: int, p0: float) -> None:
    """Which is why it may be looked at after every trial."""
    now, win, lose = (
        math.exp(log_e_value(successes + more, failures + less, p0)) for more, less in ((0, 0), (1, 0), (0, 1))
    )
    assert p0 * win + (1 - p0) * lose == pytest.approx(now, rel=1e-9)


@given(COUNT, COUNT, CHANCE, CHANCE)
def test_more_successes_and_a_lower_null_are_more_evidence(s: int, f: int, one: float, other: float) -> None:
    """And a failure is less."""
    low, high = sorted((one, other))
    assert log_e_value(s + 1, f, low) > log_e_value(s, f, low) > log_e_value(s, f + 1, low)
    assert log_e_value(s, f, low) >= log_e_value(s, f, high) - 1e-9


@pytest.mark.parametrize("p0", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_peeking_after_every_trial_refutes_a_true_null_in_at_most_alpha_of_all_runs(p0: float, alpha: float) -> None:
    """Computed exactly, for 200 looks."""
    chances, refuted = {0: 1.0}, 0.0
    for trials in range(1, 201):
        following: dict[int, float] = {}
        for successes, chance in chances.items():
            following[successes + 1] = following.get(successes + 1, 0.0) + chance * p0
            following[successes] = following.get(successes, 0.0) + chance * (1 - p0)
        gone = {s for s in following if above(s, trials - s, p0=p0, alpha=alpha).reached}
        refuted += sum(following[s] for s in gone)
        chances = {s: chance for s, chance in following.items() if s not in gone}
    assert 0 < refuted <= alpha


@given(COUNT, COUNT, st.sampled_from([0.1, 0.05, 0.01]))
def test_bounds_are_where_the_e_value_reaches_its_threshold(successes: int, failures: int, alpha: float) -> None:
    """Below the lower bound everything is refuted, above it nothing; the upper one is its mirror image."""
    low, high = lower_bound(successes, failures, alpha), upper_bound(successes, failures, alpha)
    n = successes + failures
    assert 0 <= low <= (successes / n if n else 0) and (successes / n if n else 1) <= high <= 1
    if low:
        assert above(successes, failures, p0=low - 1e-9, alpha=alpha).reached
    assert not above(successes, failures, p0=low + 1e-9, alpha=alpha).reached
    assert high == pytest.approx(1 - lower_bound(failures, successes, alpha))


def test_evidence_says_what_was_found() -> None:
    """18 of 20 agree: more than half is shown at 1%, three quarters are not."""
    shown, not_shown = above(18, 2, p0=0.5, alpha=0.01), above(18, 2, p0=0.75, alpha=0.01)
    assert (shown.n, shown.discordant, shown.against, shown.threshold) == (20, 20, 18, 100)
    assert shown.reached and shown.e_value == pytest.approx(524, rel=0.01)
    assert not not_shown.reached and lower_bound(18, 2, 0.01) == pytest.approx(0.57, abs=0.01)
    assert math.isfinite(above(100_000, 0, p0=0.01, alpha=0.01).e_value)
    assert above(0, 0, p0=0.5, alpha=0.05) == EProcess(n=0, discordant=0, against=0, log_e=0.0, alpha=0.05)


@given(st.lists(st.tuples(st.booleans(), st.integers()), max_size=60))
def test_blocks_are_cut_as_soon_as_both_arms_are_in(pairs: list[tuple[bool, int]]) -> None:
    """All but an unfinished rest is in them, in order; no block could have been cut earlier."""
    outcomes = [ArmOutcome(*pair) for pair in pairs]
    found = list(blocks(outcomes))
    assert all(min(len(block.challenger), len(block.incumbent)) == 1 for block in found)
    used = outcomes[: sum(len(block.challenger) + len(block.incumbent) for block in found)]
    assert [value for block in found for value in block.challenger] == [seen.value for seen in used if seen.challenger]
    assert [value for block in found for value in block.incumbent] == [
        seen.value for seen in used if not seen.challenger
    ]
    assert len({seen.challenger for seen in outcomes[len(used) :]}) < 2


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=9),
    st.lists(st.floats(0, 1), min_size=9, max_size=9),
)
def test_a_challenger_that_is_no_worse_makes_no_evidence_of_harm(
    arms: list[tuple[bool, float]], rates: list[float]
) -> None:
    """Expectation over all outcomes, for any order of the arms and rates that change from block to block."""
    chances: list[float] = []
    cuts = blocks(ArmOutcome(challenger, part) for challenger, part in arms)
    for block, rate in zip(cuts, rates, strict=False):
        chances += [0.0] * (len(block.challenger) + len(block.incumbent))
        for at in range(len(chances) - len(block.challenger) - len(block.incumbent), len(chances)):
            challenger, part = arms[at]
            chances[at] = rate * part if challenger else rate
    expected = 0.0
    for outcome in itertools.product((True, False), repeat=len(chances)):
        chance = math.prod(p if wrong else 1 - p for wrong, p in zip(outcome, chances, strict=True))
        seen = [ArmOutcome(arm, wrong) for (arm, _), wrong in zip(arms, outcome, strict=False)]
        expected += chance * harm(seen, alpha=NEVER).e_value if chance else 0.0
    assert expected <= 1 + 1e-9


def test_a_wrong_answer_of_the_challenger_is_evidence_and_one_of_the_incumbent_the_opposite() -> None:
    """With everything else equal."""
    calm = [ArmOutcome(challenger, False) for challenger in (False, False, True)]
    rather = [*calm, ArmOutcome(False, False), ArmOutcome(True, True)]
    hardly = [*calm, ArmOutcome(False, True), ArmOutcome(True, False)]
    assert harm(rather, alpha=0.01).log_e > harm(calm, alpha=0.01).log_e > harm(hardly, alpha=0.01).log_e
    assert harm(rather, alpha=0.01).against == 1 and harm(hardly, alpha=0.01).against == 0
    assert harm([], alpha=0.01) == EProcess(n=0, discordant=0, against=0, log_e=0.0, alpha=0.01)


def test_a_comparison_ends_at_its_alarm() -> None:
    """Whatever comes after it, also for who looks late: the evidence of the alarm stays as it was."""
    bad = [ArmOutcome(position % 5 == 4, position % 5 == 4) for position in range(200)]
    found = harm(bad, alpha=0.01)
    assert found.reached and found.n < 10
    recovered = [*bad, *[ArmOutcome(position % 5 == 4, False) for position in range(2000)]]
    assert harm(recovered, alpha=0.01) == found


def test_an_equal_challenger_is_hardly_ever_accused_though_everything_gets_harder() -> None:
    """400 runs watched at every outcome, errors rising from 5 to 40% in both arms half-way: at most 5% alarms."""
    randomness = random.Random(5)
    runs = [
        harm(stream(randomness, 40, share=0.1, wrong=lambda _, at: 0.05 if at < 200 else 0.4), alpha=0.05).reached
        for _ in range(400)
    ]
    assert sum(runs) <= 0.05 * len(runs)


def test_twenty_points_of_harm_are_noticed_after_a_few_dozen_answers() -> None:
    """Errors of 5% become 25%, 5% of the traffic, alpha 1%: half of the alarms by 40 answers, 95% of them by 90."""
    randomness = random.Random(6)
    found = [harm(stream(randomness, 200, share=0.05, wrong=constant(0.05, 0.25)), alpha=0.01) for _ in range(150)]
    assert all(evidence.reached for evidence in found)
    delays = [evidence.n for evidence in found]
    assert statistics.median(delays) <= 40 and quantile(delays, 0.95) <= 90


def amounts(randomness: random.Random, challengers: int, *, times: float) -> Iterator[ArmOutcome[float]]:
    """Log-normal latencies, the challenger's ``times`` as long, a quarter of the traffic."""
    for challenger, _ in stream(randomness, challengers, share=0.25, wrong=constant(0, 0)):
        yield ArmOutcome(challenger, randomness.lognormvariate(0, 0.5) * (times if challenger else 1))


def test_an_arm_within_the_ratio_is_hardly_ever_called_slow() -> None:
    """400 runs of an arm exactly 1.5 times as slow, where 1.5 is allowed: at most 5% alarms."""
    randomness = random.Random(7)
    runs = [excess(amounts(randomness, 60, times=1.5), ratio=1.5, alpha=0.05).reached for _ in range(400)]
    assert sum(runs) <= 0.05 * len(runs)


def test_an_arm_that_takes_three_times_as_long_is_found_out_soon() -> None:
    """Where 1.5 times is allowed, at alpha 1%: half of the alarms by 30 answers."""
    randomness = random.Random(8)
    found = [excess(amounts(randomness, 150, times=3.0), ratio=1.5, alpha=0.01) for _ in range(150)]
    assert all(evidence.reached for evidence in found)
    assert statistics.median(evidence.n for evidence in found) <= 30


def test_equal_amounts_are_no_excess() -> None:
    """Ties speak for the challenger, and one comparison is one block."""
    found = excess([ArmOutcome(at % 2 == 1, 100.0) for at in range(40)], ratio=1.0, alpha=0.05)
    assert (found.n, found.discordant, found.against, found.reached) == (20, 20, 0, False)


@pytest.mark.parametrize("arms", ["CI", "CCI", "ICC", "CCCI", "IIIC", "IIIIC"])
def test_equal_arms_exceed_each_other_in_half_of_the_blocks(arms: str) -> None:
    """Whatever the size of the block: counted over all orders that its amounts can have."""
    orders = list(itertools.permutations(range(len(arms))))
    exceeded = sum(
        excess(
            (ArmOutcome(arm == "C", float(rank)) for arm, rank in zip(arms, order, strict=True)), ratio=1, alpha=0.05
        ).against
        for order in orders
    )
    assert exceeded == len(orders) / 2

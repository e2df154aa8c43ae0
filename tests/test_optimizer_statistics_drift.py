"""The drift detector: its promise about false alarms, exactly and in the long run, and how soon it notices."""

import functools
import itertools
import math
import random
import statistics
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.drift import DriftDetector


def watch(drift: DriftDetector, outcomes: Iterable[bool]) -> DriftDetector:
    return functools.reduce(DriftDetector.after, outcomes, drift)


def until_alarm(randomness: random.Random, drift: DriftDetector, chance: float, *, patience: int = 2000) -> int:
    """Outcomes from this state to the alarm, at most ``patience``."""
    for waited in range(patience):
        if drift.noticed:
            return waited
        drift = drift.after(randomness.random() < chance)
    return patience


@given(st.floats(0.01, 0.9), st.floats(0, 1), st.integers(1, 8))
def test_without_drift_the_statistic_is_expected_to_count_outcomes(baseline: float, part: float, n: int) -> None:
    """At the baseline its expectation is n, below it no more: that is where the run length comes from."""

    def expected(chance: float) -> float:
        return sum(
            chance ** sum(outcomes) * (1 - chance) ** (n - sum(outcomes))
            * watch(DriftDetector(baseline=baseline, alpha=1e-300), outcomes).statistic
            for outcomes in itertools.product((True, False), repeat=n)
        )  # fmt: skip

    assert expected(baseline) == pytest.approx(n, rel=1e-9)
    assert expected(part * baseline) <= n * (1 + 1e-9)


@given(st.lists(st.booleans(), max_size=30), st.floats(0.01, 0.9))
def test_a_wrong_answer_raises_the_statistic_above_what_a_right_one_leaves(past: list[bool], baseline: float) -> None:
    """From every state."""
    drift = watch(DriftDetector(baseline=baseline, alpha=1e-300), past)
    assert drift.after(True).statistic > drift.after(False).statistic
    assert drift.after(True).n == len(past) + 1


@pytest.mark.parametrize(("rate", "least"), [(0.1, 200), (0.05, 1500)])
def test_false_alarms_are_as_rare_as_promised(rate: float, least: int) -> None:
    """Baseline 10%, alpha 1/200: on average 200 outcomes and more to a false alarm, and far more below the baseline."""
    randomness = random.Random(11)
    drift = DriftDetector(baseline=0.1, alpha=1 / 200)
    assert statistics.mean(until_alarm(randomness, drift, rate) for _ in range(60)) >= least


def test_twenty_points_of_drift_are_noticed_soon_wherever_they_begin() -> None:
    """From 5 to 25% wrong, a false alarm in 10,000 outcomes: half of the alarms by 40, 95% of them by 90 outcomes."""
    randomness = random.Random(12)
    delays = []
    for _ in range(200):
        drift = watch(DriftDetector(baseline=0.05, alpha=1e-4), (randomness.random() < 0.05 for _ in range(100)))
        if not drift.noticed:
            delays.append(until_alarm(randomness, drift, 0.25))
    assert len(delays) > 190
    assert statistics.median(delays) <= 40 and sorted(delays)[math.ceil(0.95 * len(delays)) - 1] <= 90


def test_an_alarm_stays() -> None:
    """Right answers after it do not take it back, and the state says when it was."""
    noticed = watch(DriftDetector(baseline=0.05, alpha=1e-3), [True] * 20)
    assert noticed.noticed and noticed.n < 20
    assert watch(noticed, [False] * 1000) == noticed

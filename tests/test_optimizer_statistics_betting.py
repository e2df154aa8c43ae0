"""Bets on means: fair while the hypothesis holds, at every look; and they win where it does not."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.betting import BETS, INSTALMENT, Capital, Score, arm_range, arm_score

COIN = [Score(1.0, -1.0, 1.0), Score(-1.0, -1.0, 1.0)]


@pytest.mark.parametrize("instalments", [True, False])
@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("bets", [BETS, (0.25, 0.9)])
def test_a_fair_game_brings_nothing_on_average(bets: tuple[float, ...], above: bool, instalments: bool) -> None:
    """Over all courses of eight outcomes, with the mean exactly at the hypothesis, a capital of 1 stays 1."""
    start = Capital(null=0.0, above=above, instalments=instalments, bets=bets, first=0.9)
    ends = [math.exp(start.after(course).log_e()) for course in itertools.product(COIN, repeat=8)]
    assert sum(ends) / len(ends) == pytest.approx(1.0)


@given(st.lists(st.floats(-1, 1), max_size=40), st.integers(0, 40), st.booleans())
def test_outcomes_may_come_in_any_portions(values: list[float], cut: int, instalments: bool) -> None:
    """Nothing depends on how often somebody looks; what is unfinished counts as if it had come."""
    scores = [Score(value, -1.0, 1.0) for value in values]
    start = Capital(null=0.0, instalments=instalments)
    whole = start.after(scores)
    parts = start.after(scores[:cut]).after(scores[cut:])
    assert parts.log_e() == pytest.approx(whole.log_e())
    assert parts.n == whole.n == len(values)
    assert start.after(scores[:cut]).log_e(scores[cut:]) == pytest.approx(whole.log_e())


def test_a_mean_above_the_hypothesis_is_noticed_and_its_opposite_is_not() -> None:
    """Sixty outcomes of which three in four speak against it."""
    scores = [COIN[number % 4 == 0] for number in range(60)]
    assert Capital(null=0.0).after(scores).log_e() > math.log(100)
    assert Capital(null=0.0, above=False).after(scores).log_e() < 0


def test_a_game_that_ends_soon_wins_sooner_with_nearly_all_of_its_capital_at_once() -> None:
    """On 34 outcomes of which every fourth speaks for it, as of two versions that err independently."""
    scores = [COIN[number % 4 == 0] for number in range(34)]
    slow = Capital(null=0.0, instalments=True)
    soon = Capital(null=0.0, instalments=True, first=0.9, bets=(0.25, 0.5, 0.9))
    sooner = soon.after(scores).log_e() - slow.after(scores).log_e()
    assert sooner == pytest.approx(math.log(0.9 / 0.49 * 5 / 3), abs=0.3)


def test_harm_after_a_long_good_time_is_noticed_nearly_as_soon() -> None:
    """Instalments begin the bet again: without them thousands of good outcomes would have to be made up for."""
    randomness = random.Random(1)
    good = [COIN[randomness.random() < 0.55] for _ in range(20 * INSTALMENT)]
    bad = [COIN[randomness.random() < 0.25] for _ in range(200)]
    assert Capital(null=0.0, instalments=True).after(good).after(bad).log_e() > math.log(100)
    assert Capital(null=0.0).after(good).after(bad).log_e() < 0


@pytest.mark.parametrize("first", [Capital(null=0.0).first, 0.9])
def test_instalments_never_spend_more_than_the_capital(first: float) -> None:
    """However many come, however much is put in at first."""
    capital = Capital(null=0.0, instalments=True, first=first)
    for _ in range(400):
        capital = capital.after([Score(0.0, -1.0, 1.0)] * INSTALMENT)
    assert 0 < capital.cash < (1 - first) / 2
    assert capital.log_e() == pytest.approx(0.0, abs=1e-6)


@given(
    st.floats(0.01, 0.99), st.floats(0.001, 0.999), st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_a_score_estimates_the_difference_of_the_arms_whatever_the_share(
    share: float, centre: float, challenger: float, incumbent: float
) -> None:
    """The arm is a coin: on average the score is the challenger's rate less the incumbent's, and within its range."""
    low, high = arm_range(share, centre)
    scores = [arm_score(True, challenger, share, centre), arm_score(False, incumbent, share, centre)]
    assert share * scores[0] + (1 - share) * scores[1] == pytest.approx(challenger - incumbent)
    assert all(low - 1e-9 <= score <= high + 1e-9 for score in scores)

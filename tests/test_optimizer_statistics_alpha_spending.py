"""The account of scheduled tests: many tasks with nothing to gain stay as they are, real gains keep it open."""

import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.alpha_spending import USELESS, ScheduledTest, next_level
from optimizer.statistics.paired_test import LEVEL

RUNS, TESTS = 400, 40


def stream(seed: int, *, useful: float, shift: float = 3.0) -> tuple[int, int]:
    """Useless and useful adoptions of a scheduler that tests so many candidates, the given share of them useful."""
    dice, normal = random.Random(seed), NormalDist()
    made: list[ScheduledTest] = []
    useless = found = 0
    for _ in range(TESTS):
        helps = dice.random() < useful
        p_value = 1 - normal.cdf(dice.gauss(shift if helps else 0.0, 1.0))
        level = next_level(made)
        adopted = p_value <= level
        made.append(ScheduledTest(level=level, adopted=adopted))
        useless += adopted and not helps
        found += adopted and helps
    return useless, found


def test_where_nothing_can_be_gained_hardly_any_scheduler_ever_adopts() -> None:
    """Forty tests at 5% each would adopt something in 87% of cases."""
    assert sum(stream(seed, useful=0.0)[0] > 0 for seed in range(RUNS)) / RUNS <= USELESS


@pytest.mark.parametrize("useful", [0.1, 0.5])
def test_at_most_one_in_ten_adopted_rule_sets_is_useless(useful: float) -> None:
    """Whether gains are rare or common; and most clear gains are found where they are common."""
    ends = [stream(seed, useful=useful) for seed in range(RUNS // 4)]
    assert sum(useless / max(1, useless + found) for useless, found in ends) / len(ends) <= USELESS
    if useful == 0.5:
        assert sum(found for _, found in ends) > 0.7 * useful * TESTS * len(ends)


def test_the_first_test_is_nearly_as_lax_as_one_alone_and_an_adoption_pays_for_the_next() -> None:
    """What fails makes the next stricter, at first by half and later by less."""
    first = next_level([])
    assert 0.04 < first < LEVEL
    failed = [ScheduledTest(level=first, adopted=False)]
    second = next_level(failed)
    assert second < first / 2
    assert next_level([*failed, ScheduledTest(level=second, adopted=True)]) == LEVEL


@given(st.lists(st.builds(ScheduledTest, level=st.floats(0.0, 0.05), adopted=st.booleans()), max_size=40))
def test_a_level_is_always_one_that_a_gate_can_hold(made: list[ScheduledTest]) -> None:
    """Between nothing and the gate's own, also after tests at levels that nobody would have given."""
    assert 0.0 <= next_level(made) <= LEVEL

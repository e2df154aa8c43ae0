"""The accounts of scheduled tests: tasks with nothing to gain stay as they are, real gains keep an account open."""

import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.alpha_spending import (
    OPENING,
    STAGES,
    START,
    USELESS,
    ScheduledTest,
    next_level,
    repeated_level,
    stage_level,
)
from optimizer.statistics.paired_test import LEVEL

RUNS, TESTS = 400, 40


def stream(seed: int, *, useful: float, tasks: int = 1, shift: float = 4.0) -> tuple[int, int]:
    """Useless and useful adoptions of a scheduler that tests so many candidates, the given share of them useful."""
    dice, normal = random.Random(seed), NormalDist()
    made: list[ScheduledTest] = []
    useless = useful_ones = 0
    for turn in range(TESTS):
        helps, task = dice.random() < useful, f"task {turn % tasks}"
        p_value = 1 - normal.cdf(dice.gauss(shift if helps else 0.0, 1.0))
        level = next_level(task, made)
        adopted = p_value <= level
        made.append(ScheduledTest(task=task, level=level, adopted=adopted))
        useless += adopted and not helps
        useful_ones += adopted and helps
    return useless, useful_ones


@pytest.mark.parametrize("tasks", [1, 10])
def test_where_nothing_can_be_gained_hardly_any_scheduler_ever_adopts(tasks: int) -> None:
    """Forty tests at 5% each would adopt something in 87% of cases."""
    assert sum(stream(seed, useful=0.0, tasks=tasks)[0] > 0 for seed in range(RUNS)) / RUNS <= USELESS


@pytest.mark.parametrize("useful", [0.1, 0.5])
def test_at_most_one_in_ten_adopted_rule_sets_is_useless(useful: float) -> None:
    """Whether gains are rare or common; and most clear gains are adopted where they are common."""
    ends = [stream(seed, useful=useful) for seed in range(RUNS // 4)]
    assert sum(useless / max(1, useless + real) for useless, real in ends) / len(ends) <= USELESS
    if useful == 0.5:
        assert sum(real for _, real in ends) > 0.7 * useful * TESTS * len(ends)


def test_a_test_without_an_adoption_makes_the_next_stricter_and_an_adoption_pays_for_it() -> None:
    """The first test of an installation takes half of its account."""
    first = next_level("a", [])
    assert first == pytest.approx(OPENING * START / 2, rel=0.02)
    failed = [ScheduledTest(task="a", level=first, adopted=False)]
    assert next_level("a", failed) < 0.6 * first
    assert next_level("a", [*failed, ScheduledTest(task="a", level=0.001, adopted=True)]) > first


def test_a_hopeless_task_starves_no_other() -> None:
    """After fifty tests of one task, another opens with its third of the reserve."""
    made: list[ScheduledTest] = []
    for _ in range(50):
        made.append(ScheduledTest(task="hopeless", level=next_level("hopeless", made), adopted=False))
    assert next_level("other", made) == pytest.approx(next_level("other", made[:1]))
    assert next_level("other", made) > 50 * next_level("hopeless", made)


def test_a_new_name_gives_nothing_back() -> None:
    """A task that is renamed again and again never has more than the whole reserve."""
    made: list[ScheduledTest] = []
    for name in range(60):
        made.append(ScheduledTest(task=f"name {name}", level=next_level(f"name {name}", made), adopted=False))
    levels = [test.level for test in made]
    assert levels == sorted(levels, reverse=True) and sum(levels) < START


def test_a_candidate_carried_on_makes_no_new_test() -> None:
    """Its stages cost what they take, and together no more than its level."""
    assert sum(STAGES) == 1.0
    assert [stage_level(0.04, stage) for stage in (0, 1, 5)] == [0.02, 0.01, 0.0]
    begun = [ScheduledTest(task="a", level=0.005, adopted=False)]
    carried = [*begun, ScheduledTest(task="a", level=0.0025, adopted=False, begins=False)]
    anew = [*begun, ScheduledTest(task="a", level=0.0025, adopted=False)]
    assert next_level("a", begun) > next_level("a", carried) > next_level("a", anew)


def test_the_same_items_are_tested_again_at_half_the_level() -> None:
    """However often a person repeats a test, a useless change passes in at most 10%."""
    assert [repeated_level(earlier) for earlier in (0, 1, 2)] == [LEVEL, LEVEL / 2, LEVEL / 4]
    assert sum(repeated_level(earlier) for earlier in range(50)) <= 2 * LEVEL


@given(
    st.lists(
        st.builds(
            ScheduledTest, level=st.floats(0.0, 0.05), adopted=st.booleans(), task=st.sampled_from("abc"),
            begins=st.booleans(),
        ),
        max_size=40,
    )
)  # fmt: skip
def test_a_level_is_always_one_that_a_gate_can_hold(made: list[ScheduledTest]) -> None:
    """Between nothing and the gate's own, also after tests at levels that nobody would have given."""
    assert 0.0 <= next_level("a", made) <= LEVEL

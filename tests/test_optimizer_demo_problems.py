"""The demo's workload."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from optimizer.demo.problems import problems


@given(st.integers(0, 10**6))
def test_the_same_seed_makes_the_same_problems(seed: int) -> None:
    """A run can be repeated."""
    assert list(islice(problems(seed), 30)) == list(islice(problems(seed), 30))


@given(st.integers(0, 10**6))
def test_problems_differ_and_have_positive_whole_answers(seed: int) -> None:
    """No problem is asked twice, so those that measure the result decided nothing."""
    made = list(islice(problems(seed), 200))
    assert len({problem.question for problem in made}) == 200
    assert all(int(problem.answer) > 0 for problem in made)

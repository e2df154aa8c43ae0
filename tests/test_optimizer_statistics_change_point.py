"""The estimate of a change's beginning: near the truth, and one of two stretches with a higher share later."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.change_point import rise_in


@pytest.mark.parametrize(("before", "after", "within"), [(0.05, 0.4, 12), (0.1, 0.9, 3)])
def test_the_estimate_is_near_the_change(before: float, after: float, within: int) -> None:
    """In nine of ten runs of 120 outcomes, 80 of them before the change."""
    randomness = random.Random(3)
    misses = [
        abs(rise_in([randomness.random() < (before if number < 80 else after) for number in range(120)]).place - 80)
        for _ in range(200)
    ]
    assert sum(miss <= within for miss in misses) >= 180


@given(st.lists(st.booleans(), max_size=60))
def test_the_share_of_wrong_answers_is_higher_behind_the_change(wrong: list[bool]) -> None:
    """Or there is none: an empty row, one outcome, a share that falls."""
    place = rise_in(wrong).place
    assert place == 0 or sum(wrong[place:]) * place > sum(wrong[:place]) * (len(wrong) - place)


def test_a_clean_change_is_found_exactly() -> None:
    """Also at the very end."""
    assert rise_in([False] * 9 + [True]).place == 9
    assert rise_in([False] * 5 + [True] * 5).place == 5
    assert rise_in([True] * 5 + [False] * 5).place == rise_in([]).place == 0


@pytest.mark.parametrize(("share", "later", "sure"), [(0.05, 0.05, 0), (0.3, 0.3, 0), (0.02, 0.45, 90)])
def test_a_rise_is_sure_after_a_few_wrong_answers_and_seldom_without_one(share: float, later: float, sure: int) -> None:
    """Of 100 rows: 80 outcomes before the change, 60 after it."""
    randomness = random.Random(5)
    rows = [
        rise_in([randomness.random() < (share if number < 80 else later) for number in range(140)]) for _ in range(100)
    ]
    found = sum(row.sure for row in rows)
    assert found >= sure and (sure or found == 0)

"""An interval that holds at every look."""

import math
import random

import pytest

from optimizer.statistics.normal_mixture import half_width


@pytest.mark.parametrize("n", [10, 100, 1000, 10_000])
def test_it_is_wider_than_for_one_look_and_not_by_much(n: int) -> None:
    """The price of looking as often as one likes."""
    assert 1.5 < half_width(n) / (1.96 / math.sqrt(n)) < 2.2


def test_it_hardly_ever_leaves_the_mean_out() -> None:
    """At any of a thousand looks, in at most a twentieth of 200 runs; one for one look does in a third of them."""
    widths = [half_width(n) for n in range(1, 1001)]
    out = once = 0
    for seed in range(200):
        randomness, total, ever, ever_once = random.Random(seed), 0.0, False, False
        for n in range(1, 1001):
            total += randomness.gauss(0.0, 1.0)
            ever |= abs(total / n) > widths[n - 1] and n >= 10
            ever_once |= abs(total / n) > 1.96 / math.sqrt(n) and n >= 10
        out, once = out + ever, once + ever_once
    assert out <= 10 and once > 60

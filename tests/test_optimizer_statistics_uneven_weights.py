"""Uneven weights: the spread under no change is no smaller than it would be if the heavy losses had been drawn."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.uneven_weights import spread_without_change


@given(st.integers(1, 40), st.integers(0, 40))
def test_light_gains_without_heavy_losses_are_weak_evidence(gains: int, losses: int) -> None:
    """Never below the spread that was seen; with no loss at all, far above it."""
    sums = [1.0] * gains + [-1.0] * min(losses, gains - 1)
    spread = spread_without_change(sums, 10.0)
    assert spread >= math.fsum(total * total for total in sums)
    assert len(sums) > gains or spread > 8 * gains


def test_what_was_seen_outweighs_the_unseen() -> None:
    """A hundred heavy losses and gains: a quarter of one more hardly matters."""
    sums = [3.0] * 60 + [-3.0] * 40
    assert spread_without_change(sums, 3.0) == pytest.approx(900, rel=0.02)

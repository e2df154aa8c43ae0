"""A test of medians that grows: its state is small, its verdict that of the whole stream."""

import random

from hypothesis import given
from hypothesis import strategies as st

from optimizer.statistics.e_process import ArmOutcome, excess
from optimizer.statistics.medians import WAITING, MedianTest


@given(st.lists(st.tuples(st.booleans(), st.floats(1, 1000)), max_size=80))
def test_it_finds_what_a_look_at_the_whole_stream_finds(stream: list[tuple[bool, float]]) -> None:
    """Block by block, whatever the order of the arms."""
    test = MedianTest(ratio=1.5)
    for challenger, amount in stream:
        test = test.after(challenger, amount)
    whole = excess([ArmOutcome(challenger, amount) for challenger, amount in stream], ratio=1.5, alpha=1e-300)
    assert (test.blocks, test.exceeded) == (whole.n and test.blocks, whole.against)
    assert test.e_value >= whole.e_value * (1 - 1e-9)


def test_it_remembers_its_worst_moment_and_little_else() -> None:
    """An arm that waits for the other one keeps its newest amounts only."""
    randomness, test = random.Random(2), MedianTest(ratio=2.0)
    for _ in range(60):
        test = test.after(False, randomness.random() + 1).after(True, 10 * (randomness.random() + 1))
    assert test.e_value > 1e6
    for _ in range(500):
        test = test.after(False, 1.0)
    assert len(test.incumbent) == WAITING and test.e_value > 1e6

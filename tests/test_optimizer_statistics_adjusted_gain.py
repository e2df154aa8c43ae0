"""The promised gain: below the measured one, and honest among the cases that are published."""

import random

import pytest

from optimizer.statistics.adjusted_gain import AdjustedGain, LookState, adjusted_gain, least_lead, state_of
from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.paired_test import Gate, mcnemar


def published(gate: Gate, outcomes: list[int]) -> tuple[float, AdjustedGain] | None:
    """The measured and the adjusted gain of a run over differences, if the gate adopts."""
    paired = [
        PairedOutcome(cluster=str(place), before=float(change < 0), after=float(change > 0))
        for place, change in enumerate(outcomes)
    ]
    states, finding = [], None
    for look, upto in enumerate(gate.looks(), start=1):
        seen = PairedSample(outcomes=tuple(paired[:upto]))
        states.append(state_of(seen, needed=gate.needed(look), level=gate.level, futile_below=gate.futile_below(look)))
        finding = gate.judge(look, seen)
        if finding is not None:
            break
    if finding is None or finding.verdict != "better":
        return None
    later = [
        LookState(
            weight=gate.looks()[place], total=0.0, squares=0.0, flips=0, clusters=0, needed=gate.needed(place + 1),
            level=gate.level, futile_below=gate.futile_below(place + 1),
        )
        for place in range(len(states), 4)
    ]  # fmt: skip
    return finding.change, adjusted_gain(states, later)


def test_a_gain_right_above_a_boundary_promises_little_and_a_clear_one_nearly_all() -> None:
    """At the last look of 100 items: 9 fixed and 1 broken is the least lead; 40 and none is beyond doubt."""
    gate = Gate(planned=100, margin=0.05, futility=False)
    close = published(gate, [0] * 71 + [1] * 4 + [-1] + [1] * 5 + [0] * 19)
    assert close is not None and close[0] == pytest.approx(0.08)
    assert close[1].gain < 0.05 and close[1].interval[0] < 0 < close[0] <= close[1].interval[1]
    clear = published(gate, [1, 1, 0, 0, 0] * 20)
    assert clear is not None and clear[1].gain > 0.75 * clear[0] and clear[1].interval[0] > 0


@pytest.mark.parametrize("change", [0.0, 0.05, 0.15])
def test_the_interval_holds_the_truth_among_published_gains(change: float) -> None:
    """Seeded, 50 items, 20% of the pairs differ; the table of all sizes: ``tests/bench/distillation/promises``."""
    randomness, gate, held, runs = random.Random(3), Gate(planned=50, margin=0.05), 0, 0
    fixed, broken = (0.2 + change) / 2, (0.2 - change) / 2
    while runs < 40:
        draws = (randomness.random() for _ in range(50))
        result = published(gate, [1 if draw < fixed else -1 if draw > 1 - broken else 0 for draw in draws])
        if result is not None:
            runs, held = runs + 1, held + (result[1].interval[0] <= change <= result[1].interval[1])
            assert 0 <= result[1].gain <= result[0]
    assert held / runs >= 0.9


def test_the_least_lead_is_what_the_gate_asks_for() -> None:
    """Of 10 discordant pairs, 9 must be fixed: 8 to 2 has a z of 1.90, but p = 0.055."""
    assert least_lead(10, 1.74, 0.05) == 8 and mcnemar(8, 2) > 0.05
    assert least_lead(20, 1.74, 0.05) == 10
    assert least_lead(0, 1.74, 0.05) > 0 and least_lead(3, 1.74, 0.05) > 3


def test_looks_of_an_earlier_stage_only_had_to_be_passed() -> None:
    """A candidate carried on is compared with those carried on, not with those adopted before."""
    early = LookState(weight=100, total=8, squares=20, flips=20, clusters=100, needed=2.6, level=0.005, counts=False)
    last = LookState(weight=200, total=24, squares=40, flips=40, clusters=200, needed=2.8, level=0.0025)
    carried = adjusted_gain([early, last])
    assert adjusted_gain([last]).gain <= carried.gain <= 0.12
    assert carried.interval[0] < carried.gain < carried.interval[1]


def test_the_upper_end_is_no_lower_than_without_the_choice() -> None:
    """Five fixed of 38, none broken, right at the boundary: a true gain of 15 points or 20 is not excluded."""
    look = LookState(
        weight=38.0, total=5.0, squares=5.0, flips=5, clusters=38, needed=2.01, level=0.05, futile_below=0.3
    )
    adjusted = adjusted_gain([look])
    low, high = adjusted.interval
    assert low < 0 and high > 0.2

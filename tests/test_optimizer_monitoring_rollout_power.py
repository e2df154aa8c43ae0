"""What a comparison could have seen by now, and how long the rest takes."""

from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import Comparison, CostLimits, begun
from optimizer.monitoring.rollout.power import DAY_S, power_of
from tests.rollouts import START, judged, looking, observed, pair

TRIAL = Pairing(subject="trial", version=2, began=START, challenger="canary", incumbent="weak", against=1)


def paired(count: int) -> Comparison:
    pairs = [pair(number, (number % 20 == 0) - (number % 20 == 10)) for number in range(count)]
    return begun(TRIAL, CostLimits(), [], "small").after(looking(pairs=pairs), 0.25)


def test_enough_pairs_rule_out_the_harm_that_must_not_go_unnoticed() -> None:
    """In words: what would have been seen by now."""
    power = power_of(paired(900), 0.05, 9 * DAY_S)
    assert power.enough and power.labelled
    assert str(power).endswith("points up would have been seen by now, in 900 pairs of answers")


def test_until_then_the_days_are_told() -> None:
    """By the traffic so far; a few hours of it are not taken for days."""
    power = power_of(paired(60), 0.05, 2 * DAY_S)
    assert not power.enough and power.days is not None and 2 < power.days < 40
    assert "harm from 5 points up takes about" in str(power) and "more at this traffic" in str(power)
    assert power_of(paired(60), 0.05, 0.0).days is not None
    nothing = power_of(paired(0), 0.05, DAY_S)
    assert str(nothing).endswith("cannot be said yet") and not nothing.enough


def test_without_labels_only_signs_of_failure_speak() -> None:
    """That is said, and it is no label."""
    rows = [
        observed(at, START + at, *(("canary", 2) if at % 2 else ("weak", 1)), bad=True if at % 40 == 0 else None)
        for at in range(900)
    ]
    power = power_of(begun(TRIAL, CostLimits(), [], "small").after(looking(rows), 0.5), 0.05, DAY_S)
    assert not power.labelled and "by signs of failure alone" in str(power)
    one_arm = [row for row in rows if row.arm == "canary"]
    assert not power_of(begun(TRIAL, CostLimits(), [], "small").after(looking(one_arm), 0.5), 0.05, DAY_S).enough


def test_complaints_rule_out_that_they_become_more_frequent() -> None:
    """They measure no rate; how much more frequent is a harm, depends on how much was wrong before."""
    labels = [
        judged(observed(at, START + at, *(("canary", 2) if at % 4 == 0 else ("weak", 1)), bad=True, source="client",
                        audit_rate=1.0))
        for at in range(600)
    ]  # fmt: skip
    complained = begun(TRIAL, CostLimits(), [], "small").after(looking(labels=labels), 0.25)
    power = power_of(complained, 0.05, 3 * DAY_S)
    assert power.enough and "times as frequent would have been seen by now, in 600 complaints" in str(power)
    few = begun(TRIAL, CostLimits(), [], "small").after(looking(labels=labels[:20]), 0.25)
    assert not power_of(few, 0.05, 3 * DAY_S).enough and power_of(few, 0.05, 3 * DAY_S).days


def test_who_wants_nothing_ruled_out_waits_for_nothing() -> None:
    """A harm of everything."""
    assert power_of(paired(0), 1.0, DAY_S).enough

"""Labels of a model, corrected by people: the copy of an error is no gain, and good labels help."""

import random

import pytest

from optimizer.statistics.cluster_sums import PairedOutcome, PairedSample
from optimizer.statistics.prediction_powered import TwiceLabelled, corrected


def outcome(place: int, change: float) -> PairedOutcome:
    return PairedOutcome(cluster=str(place), before=float(change < 0), after=float(change > 0))


def twice(model: list[int], person: list[int | None]) -> list[TwiceLabelled]:
    """Items with the change that each label sees: 1 fixed, -1 broken, 0 neither."""
    return [
        TwiceLabelled(by_model=outcome(place, seen), by_person=None if truth is None else outcome(place, truth))
        for place, (seen, truth) in enumerate(zip(model, person, strict=True))
    ]


def test_the_sums_stand_for_all_items_and_labels_of_people_decide() -> None:
    """A model that sees a gain everywhere, people who see none: no gain."""
    sample = PairedSample(outcomes=corrected(twice([1] * 40, [0] * 10 + [None] * 30)))
    assert sample.change == 0.0 and sample.weight == pytest.approx(40)
    alike = PairedSample(outcomes=corrected(twice([1, 0] * 20, [1, 0] * 10 + [None] * 20)))
    assert alike.change == pytest.approx(0.5) and alike.weight == pytest.approx(40) and alike.clusters == 40


def test_without_a_person_there_is_nothing_to_correct_by() -> None:
    """The caller must ask before."""
    with pytest.raises(ValueError, match="no item is labelled by a person"):
        corrected(twice([1, 0], [None, None]))


def test_a_rule_that_copies_a_models_errors_shows_no_gain() -> None:
    """The model is wrong on 20% and the rule follows it there: agreement rises by 18 points, the truth falls by 6."""
    randomness, adopted, changes, runs = random.Random(5), 0, 0.0, 200
    for _ in range(runs):
        model, person = [], []
        for place in range(250):
            draw = randomness.random()
            seen, truth = (1, -1) if draw < 0.12 else (1, 1) if draw < 0.18 else (0, 0)
            model.append(seen)
            person.append(truth if place % 5 < 2 else None)
        sample = PairedSample(outcomes=corrected(twice(model, person)))
        adopted += sample.z > 1.74
        changes += sample.change / runs
    assert adopted / runs <= 0.05 and changes == pytest.approx(-0.06, abs=0.01)


def test_good_labels_of_a_model_narrow_the_interval() -> None:
    """Nearly as if people had labelled all items; labels by dice only cost nothing."""
    randomness = random.Random(6)
    truth = [randomness.choice((1, 0, 0, 0, -1)) for _ in range(200)]
    some: list[int | None] = [change if place < 60 else None for place, change in enumerate(truth)]

    def width(model: list[int]) -> float:
        low, high = PairedSample(outcomes=corrected(twice(model, some))).interval
        return high - low

    people_only = PairedSample(outcomes=tuple(outcome(place, change) for place, change in enumerate(truth[:60])))
    alone = people_only.interval[1] - people_only.interval[0]
    assert width(truth) < 0.7 * alone
    assert width([randomness.choice((1, 0, -1)) for _ in range(200)]) < 1.2 * alone

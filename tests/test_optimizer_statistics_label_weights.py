"""Weights of a sample with labels from two sources: unbiased where they can be, a clear refusal where not."""

import random

import pytest

from optimizer.statistics.label_weights import LEAST_ASKED, Origin, label_weights


def origins(**counts: int) -> list[Origin]:
    """So many items of each origin, in this order."""
    names: tuple[Origin, ...] = ("unasked", "asked", "drawn", "none", "later")
    assert counts.keys() <= set(names)
    return [name for kind, count in counts.items() for name in names if name == kind for _ in range(count)]


def test_without_a_label_that_was_asked_for_nothing_can_be_shown() -> None:
    """Corrections of wrong replies alone: chosen by outcome."""
    weighed = label_weights(origins(unasked=25, none=225))
    assert weighed.problem == "labels were chosen by outcome: nothing can be shown" and weighed.ask == 40
    assert (weighed.unasked, weighed.asked, weighed.missing) == (25, 0, 225)
    assert label_weights(origins(none=12)).problem == "there are too few labels"


@pytest.mark.parametrize("sample", [origins(unasked=30), origins(asked=30), origins(unasked=29, asked=1)])
def test_a_complete_sample_counts_every_item_once(sample: list[Origin]) -> None:
    """Whoever labelled it."""
    weighed = label_weights(sample)
    assert weighed.weights == (1.0,) * 30 and not weighed.problem and weighed.worth == pytest.approx(30)
    assert label_weights([]).weights == ()


def test_each_label_that_was_asked_for_stands_for_those_without() -> None:
    """Twenty of a hundred, in the queue's order: five each."""
    weighed = label_weights(origins(unasked=10, asked=20, none=80))
    assert weighed.weights == (1.0,) * 10 + (5.0,) * 20 + (0.0,) * 80
    assert sum(weighed.weights) == 110 and weighed.worth < 30 and not weighed.problem


def test_items_passed_over_in_the_queue_are_few_or_nothing_is_shown() -> None:
    """Whoever skips every second item may skip the hard ones."""
    few = [*origins(asked=9, none=1), *origins(asked=10)]
    many = origins(asked=1, none=1) * 20
    assert not label_weights(few).problem and label_weights(few).skipped == 1
    assert "19 were passed over" in label_weights(many).problem and label_weights(many).ask == 19


def test_too_few_labels_of_the_queue_ask_for_the_rest() -> None:
    """Nine are not enough, unless they are all."""
    short = label_weights(origins(asked=LEAST_ASKED - 1, none=20))
    assert short.problem and short.ask == 20
    assert not label_weights(origins(asked=3)).problem


def test_the_weighted_change_is_unbiased_when_users_label_wrong_replies_only() -> None:
    """Half of the wrong replies are labelled by users, forty others by the queue: the mean over runs is the truth."""
    randomness, total, runs = random.Random(4), 0.0, 400
    for _ in range(runs):
        drawn: list[Origin] = []
        changes, truth = [], 0.0
        for place in range(200):
            wrong = randomness.random() < 0.2
            change = (randomness.random() < 0.5) if wrong else -(randomness.random() < 0.125)
            truth += change / 200
            changes.append(change)
            drawn.append("unasked" if wrong and randomness.random() < 0.5 else "asked" if place < 60 else "none")
        weighed = label_weights(drawn)
        estimate = sum(weight * change for weight, change in zip(weighed.weights, changes, strict=True)) / 200
        total += (estimate - truth) / runs
    assert abs(total) < 0.01


def test_a_models_labels_lie_anywhere_and_pass_nothing_over() -> None:
    """The strong model answers a drawn tenth: it was not asked about the rest."""
    weighed = label_weights(origins(none=9, drawn=1) * 20)
    assert not weighed.problem and weighed.skipped == 0 and weighed.asked == 20
    assert set(weighed.weights) == {0.0, 10.0}
    mixed = label_weights([*origins(asked=10, drawn=5, none=1), *origins(asked=1, none=30, drawn=2)])
    assert (mixed.skipped, mixed.stands_for) == (1, 49 / 19)
    after = label_weights(origins(asked=1, drawn=1, later=3) * 10)  # nor did the queue pass over what came later
    assert (after.skipped, after.problem) == (0, "") and set(after.weights) == {2.5, 0.0}


def test_items_passed_over_are_represented_by_nobody() -> None:
    """19 of 20 answered and 180 not reached: each stands for ten, and the one passed over for ten losses."""
    weighed = label_weights([*origins(asked=4, none=1), *origins(asked=15, none=180)])
    assert not weighed.problem and weighed.stands_for == 10.0 and weighed.skipped == 1
    assert sum(weighed.weights) == 190.0

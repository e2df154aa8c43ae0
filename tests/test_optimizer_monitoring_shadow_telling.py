"""Requests that two versions answer differently: what a label of one of them says, and their place in the queue."""

import random

import pytest

from optimizer.monitoring.shadow.telling import MOST, PEOPLE_S, TellingBook, telling_first
from tests.bench.live.harm import played

NOW = 1_000_000.0


def book(differ: int, agree: int) -> TellingBook:
    """A book after so many requests."""
    made = TellingBook(people_at=NOW).begun("2 against 1", NOW)
    for number in range(differ + agree):
        made = made.looked_at(f"x{number}", f"u{number}", equal=number >= differ)
    return made


def test_a_label_brings_its_share_of_the_equal_answers_along() -> None:
    """However few are labelled, as many count as equal for each that differs as there are."""
    made, counted = book(differ=20, agree=90), []
    for number in range(20):
        made, equal = made.with_label(f"x{number}", usable=True)
        counted.append(equal)
    assert sum(counted) == 90 and set(counted) == {4, 5}
    assert made.waiting == ()


def test_a_label_without_the_right_answer_brings_nothing() -> None:
    """The request waits no more: somebody looked."""
    made, equal = book(differ=2, agree=9).with_label("x1", usable=False)
    assert (equal, made.waiting, made.labelled) == (0, ("x0",), 0)
    assert made.with_label("x7", usable=True) == (made, 0)


def test_a_comparison_of_answers_without_a_verdict_counts_as_nothing() -> None:
    """Its conversation is not looked at again."""
    made = TellingBook().looked_at("x1", "talk", equal=None)
    assert (made.agreed, made.differed, made.waiting, made.recent) == (0, 0, (), ("talk",))


def test_another_comparison_begins_anew_and_a_clock_that_went_back_now() -> None:
    """Somebody who labels is remembered."""
    made = book(differ=3, agree=3)
    assert made.begun("2 against 1", NOW - 50).until == NOW - 50
    other = made.begun("3 against 1", NOW)
    assert (other.waiting, other.agreed, other.people_at) == ((), 0, NOW)


@pytest.mark.parametrize(("at", "expected"), [(None, False), (NOW - 60, True), (NOW - PEOPLE_S - 1, False)])
def test_nobody_is_expected_who_has_not_labelled_lately(at: float | None, expected: bool) -> None:
    assert TellingBook(people_at=at).expects_people(NOW) is expected


def test_the_newest_wait_if_nobody_labels() -> None:
    made = book(differ=MOST + 5, agree=0)
    assert len(made.waiting) == MOST and made.waiting[-1] == f"x{MOST + 4}"


def test_two_of_three_places_in_the_queue_are_for_telling_requests() -> None:
    """The third keeps the audit sample measured; afterwards the queue is as ever."""
    assert telling_first([1, 2, 3, 4, 5], [10, 20, 30, 40]) == [1, 2, 10, 3, 4, 20, 5, 30, 40]
    assert telling_first([], [10, 20]) == [10, 20] and telling_first([1, 2, 3], []) == [1, 2, 3]


def test_the_measured_difference_is_the_true_one_however_few_are_labelled() -> None:
    """A version that breaks 8 points and fixes 2, and answers a tenth differently without an effect."""
    dice, total, n = random.Random(3), 0, 0
    made = TellingBook().begun("2 against 1", NOW)
    for number in range(4000):
        draw = dice.random()
        difference = 1 if draw < 0.08 else -1 if draw < 0.1 else 0
        made = made.looked_at(f"x{number}", f"u{number}", equal=difference == 0 and draw > 0.2)
        if f"x{number}" in made.waiting and dice.random() < 0.2:
            made, equal = made.with_label(f"x{number}", usable=True)
            total, n = total + difference, n + 1 + equal
    assert total / n == pytest.approx(0.06, abs=0.015)


def test_fifty_labels_a_day_take_harm_of_twenty_points_off_the_air_within_two_days() -> None:
    """A thousand requests a day, a person who works on the queue once a day; the whole table is in the benchmark."""
    found = [played("queue", 20.0, 30.0, "now", 3600.0, seed).days for seed in range(5)]
    assert all(days is not None and days <= 2 for days in found)

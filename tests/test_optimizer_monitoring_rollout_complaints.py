"""Complaints compare arms as long as they do not depend on the arm; where they do, nothing follows from them."""

import random

from optimizer.monitoring.rollout.complaints import Complaints, accepted
from optimizer.monitoring.rollout.evidence import Stream, UnitOutcome


def with_pairs(*pairs: tuple[float, bool], key: str | None = None, start: Complaints | None = None) -> Complaints:
    """After pairs of (difference, on the challenger's reply), at equal shares."""
    complaints = start or Complaints()
    for number, (difference, on_challenger) in enumerate(pairs):
        outcome = UnitOutcome(f"{key}{number}", difference, 1.0)
        complaints = complaints.with_pair(outcome, on_challenger=on_challenger, share=0.5, key=key, now=1.0)
    return complaints


def test_labels_for_wrong_replies_alone_show_harm_and_nothing_else() -> None:
    """Half of the mistakes are reported, none of what is right: equal arms stay equal, a harmful one is seen."""
    for harm, expected in ((0.0, False), (0.2, True)):
        randomness, complaints = random.Random(3), Complaints()
        for number in range(2000):
            luck, on_challenger = randomness.random(), randomness.random() < 0.25
            mine, theirs = luck < 0.1 + harm, luck < 0.1
            if (mine if on_challenger else theirs) and randomness.random() < 0.5:
                outcome = UnitOutcome(f"u{number}", float(mine) - float(theirs), 1.0)
                complaints = complaints.with_pair(outcome, on_challenger=on_challenger, share=0.25, key=None, now=1.0)
        assert (complaints.paired.e_value > 1000) == expected
        assert not complaints.biased


def test_both_arms_complaints_are_taken_at_equal_rates() -> None:
    """With a quarter on the challenger a third of the others' is left; always the same of them."""
    units = [f"u{number}" for number in range(3000)]
    assert all(accepted(unit, True, 0.25) for unit in units)
    share = sum(accepted(unit, False, 0.25) for unit in units) / len(units)
    assert 0.3 < share < 0.37
    assert [accepted(unit, False, 0.25) for unit in units] == [accepted(unit, False, 0.25) for unit in units]


def test_who_labels_only_one_arm_is_found_out() -> None:
    """Requests on which both versions fail are complained of on either arm alike, unless somebody chooses the arm."""
    assert with_pairs(*[(0.0, True)] * 12).biased
    assert not with_pairs(*[(0.0, True), (0.0, False)] * 6).biased
    assert not with_pairs(*[(1.0, True)] * 12).biased


def test_lies_that_contradict_both_versions_are_no_evidence() -> None:
    """A false label makes both wrong."""
    assert with_pairs(*[(0.0, True)] * 4).paired.e_value <= 1.0


def test_one_of_several_keys_does_not_decide_alone() -> None:
    """Where several keys send requests, one of them counts for two thirds at most."""
    several = Complaints().with_traffic({"a": 50, "b": 50})
    alone = with_pairs(*[(1.0, True)] * 40, key="a", start=several)
    assert alone.paired.n == 3
    both = with_pairs(*[(1.0, True)] * 5, key="b", start=alone)
    assert both.paired.n > 5 and both.takes("a")
    single = with_pairs(*[(1.0, True)] * 40, key="a", start=Complaints().with_traffic({"a": 100}))
    assert single.paired.n == 40


def test_complaints_that_cannot_be_answered_again_count_if_both_arms_have_some() -> None:
    """Among audited replies; of one arm alone they say nothing."""
    fine = [UnitOutcome(f"fine{number}", 0.0, 1.0, number % 2 == 0) for number in range(100)]
    complaints = Complaints(unpaired=Stream().after(fine, 1.0))
    for number in range(20):
        outcome = UnitOutcome(f"u{number}", 1.0, 1.0, True, 0.5, again=True)
        complaints = complaints.with_unpaired(outcome, key=None, now=1.0)
    assert complaints.one_sided and complaints.on == (0, 20)
    for number in range(2):
        outcome = UnitOutcome(f"i{number}", 1.0, 1.0, False, 0.5, again=True)
        complaints = complaints.with_unpaired(outcome, key=None, now=1.0)
    assert not complaints.one_sided and complaints.unpaired.e_value > 10


def test_complaints_that_do_not_become_more_frequent_rule_that_out() -> None:
    """Each conversation once."""
    randomness, complaints = random.Random(1), Complaints()
    for number in range(800):
        complaints = complaints.with_complaint(f"u{number}", randomness.random() < 0.25, 0.25)
        complaints = complaints.with_complaint(f"u{number}", True, 0.25)
    assert complaints.n == 800 and complaints.ruled_out is not None and complaints.ruled_out <= 1.5
    assert len(complaints.recent) <= 200


def test_the_traffic_of_the_busiest_keys_is_known() -> None:
    """Bounded, whatever the number of keys."""
    complaints = Complaints()
    for number in range(100):
        complaints = complaints.with_traffic({f"k{number}": number + 1})
    assert len(complaints.traffic) == 50 and complaints.traffic["k99"] == 100
    assert complaints.with_traffic({}) is complaints

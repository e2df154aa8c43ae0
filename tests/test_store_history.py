"""What a history of decisions comes to."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import Activation, RuleSet
from gateway.errors import PreceptorError
from gateway.store.history import active_decisions, previous, taken_off, traffic_split


def entry(version: int | None) -> Activation:
    return Activation(task="t", version=version, created=0.0, by="test")


def decided(version: int | None, **changes: Any) -> Activation:
    return msgspec.structs.replace(entry(version), **changes)


def test_a_version_that_was_rolled_back_from_is_not_returned_to() -> None:
    """After 1, 2, back to 1, another roll-back goes to no rules and not to 2."""
    assert previous([entry(1), entry(2), entry(1)]) is None


def ended(version: int) -> Activation:
    return decided(version, kind="canary", share=0.0)


def on_trial(version: int) -> Activation:
    return decided(version, kind="canary", share=0.05)


@pytest.mark.parametrize(
    ("history", "off"),
    [
        ([entry(1), entry(2), entry(3), entry(1)], {2, 3}),  # rolled back from
        ([entry(1), entry(None)], {1}),
        ([entry(1), on_trial(2), ended(2)], {2}),  # a trial that was ended
        ([entry(1), entry(2)], set()),  # replaced
        ([entry(1), on_trial(2), entry(3)], set()),
        ([entry(1), entry(1), entry(2), entry(1), entry(3)], {2}),  # activated twice, and only replaced in the end
        ([entry(1), entry(2), entry(1), entry(2), entry(3)], set()),  # put back
        ([on_trial(2), ended(2), on_trial(2)], set()),
        ([on_trial(2), ended(2), entry(2), entry(3)], set()),
        ([entry(1), entry(2), entry(1), entry(2), entry(1)], {2}),  # and taken off once more
    ],
)
def test_what_was_taken_off_is_what_somebody_objected_to_last(history: list[Activation], off: set[int]) -> None:
    """Not what was only replaced, and not what was put back since."""
    assert taken_off(history) == off


@given(st.lists(st.sampled_from([kind(version) for version in (1, 2, 3) for kind in (entry, on_trial, ended)])))
def test_what_serves_was_not_taken_off(history: list[Activation]) -> None:
    """Live or on trial, whatever happened before."""
    now = active_decisions(history)
    assert not taken_off(history) & {one.version for one in (now.live, now.canary) if one is not None}


@given(st.lists(st.one_of(st.none(), st.integers(1, 4)), max_size=12))
def test_rolling_back_again_and_again_ends_at_no_rules(versions: list[int | None]) -> None:
    """Whatever happened before, roll-back never runs in a circle."""
    history = [entry(version) for version in versions]
    for _ in range(5):
        try:
            history.append(entry(previous(history)))
        except PreceptorError:
            break
    assert not history or history[-1].version is None


def test_a_trial_stands_beside_what_is_live_until_something_goes_live() -> None:
    """Its share is the newest one; a live decision ends it, whatever it decides."""
    trial = [decided(2, kind="canary", share=0.05), decided(2, kind="canary", share=0.25)]
    now = active_decisions([entry(1), *trial])
    assert (now.live, now.canary) == (entry(1), trial[1])
    assert active_decisions([entry(1), *trial, entry(1)]).canary is None


def test_a_share_of_nothing_ends_a_trial() -> None:
    """What was live stays live."""
    now = active_decisions([entry(1), decided(2, kind="canary", share=0.05), decided(2, kind="canary", share=0.0)])
    assert (now.live, now.canary) == (entry(1), None)


def test_rolling_back_passes_over_trials_and_shares() -> None:
    """Only what was live can be live again."""
    trial = decided(3, kind="canary", share=0.5)
    assert previous([entry(1), entry(2), trial, decided(None, kind="share", share=0.1)]) == 1


def test_lanes_hold_the_rule_sets_and_shares_in_effect() -> None:
    """A decision for no rules leaves the split empty."""
    first, second = (RuleSet(task="t", version=version) for version in (1, 2))
    history = [entry(1), decided(2, kind="canary", share=0.25), decided(None, kind="share", share=0.1)]
    splits = traffic_split(active_decisions(history), {1: first, 2: second})
    assert (splits.live, splits.canary, splits.canary_share, splits.weak_share) == (first, second, 0.25, 0.1)
    assert splits.audit_rate is None
    assert traffic_split(active_decisions([decided(None, kind="audit", share=0.5)]), {}).audit_rate == 0.5
    assert traffic_split(active_decisions([entry(1), entry(None)]), {1: first}).live is None


def test_a_hold_ends_with_its_trial() -> None:
    """A larger share, an end, another live version: each begins without it."""
    held = [entry(1), decided(2, kind="canary", share=0.25), decided(2, kind="hold")]
    assert active_decisions(held).hold is not None
    for after in (decided(2, kind="canary", share=0.5), decided(2, kind="hold", share=0.0), entry(2)):
        assert active_decisions([*held, after]).hold is None

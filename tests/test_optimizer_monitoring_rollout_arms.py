"""Which exchanges are compared, and what counts as bad."""

import msgspec
import pytest

from gateway.domain import Source
from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.arms import (
    Pairing,
    challenger_share,
    holdback_share,
    live_before,
    pairings,
    share_began,
    trial_began,
)
from tests.rollouts import START, entry, observed, section

TRIAL = Pairing(subject="trial", version=2, began=START, challenger="canary", incumbent="weak")
PAST = Pairing(subject="past", version=2, began=START, challenger="weak", incumbent=None, before=1)
STRONG = Pairing(subject="strong", version=2, began=START, challenger="weak", incumbent="strong")


def test_a_trial_is_compared_with_what_is_live_and_what_is_live_with_the_past_and_with_no_rules() -> None:
    """And under ``canary`` the weak model with the strong one; where nobody gets the weak one's replies, nothing is."""
    history = [entry("live", 1, START), entry("live", 2, START + 1), entry("canary", 3, START + 2, share=0.05)]
    found = pairings(history, section())
    assert [(one.subject, one.version, one.challenger, one.incumbent) for one in found] == [
        ("trial", 3, "canary", "weak"),
        ("holdback", 2, "weak", "holdback"),
        ("past", 2, "weak", None),
    ]
    assert found[2].before == 1
    assert pairings(history, section("canary"))[-1].subject == "strong"
    assert pairings(history, section("shadow")) == pairings(history, section("strong")) == pairings([], section()) == []


def test_a_trial_begins_with_its_first_share_and_a_new_trial_of_the_same_version_begins_anew() -> None:
    """Steps do not interrupt it; its end, or another version that goes live, does."""
    steps = [entry("canary", 1, 1.0, share=0.05), entry("canary", 1, 2.0, share=0.25)]
    assert trial_began(steps) == 1.0
    assert trial_began([*steps, entry("canary", 1, 3.0, share=0.0), entry("canary", 1, 4.0, share=0.05)]) == 4.0
    assert trial_began([*steps, entry("live", 1, 3.0), entry("canary", 1, 4.0, share=0.05)]) == 4.0


def test_a_share_begins_where_there_was_none() -> None:
    """Growing is no beginning."""
    assert share_began([]) == 0.0
    shares = [entry("share", None, 1.0, share=0.25), entry("share", None, 2.0, share=0.0)]
    assert share_began(shares[:1]) == 0.0
    assert share_began([*shares, entry("share", None, 3.0, share=0.05), entry("share", None, 4.0, share=0.25)]) == 3.0


def test_before_the_first_version_there_were_no_rules() -> None:
    """After it, what was live last."""
    assert live_before([entry("live", 1, 5.0)]) == (None, 0.0)
    assert live_before([entry("live", 1, 5.0), entry("canary", 3, share=0.1), entry("live", 2)]) == (1, 5.0)


def test_the_past_begins_where_what_was_live_went_live() -> None:
    """Older requests without rules are another past; its own trial belongs to it."""
    past = msgspec.structs.replace(PAST, since=START - 100)
    assert past.precedes(observed(1, START - 99, "weak", None), "small")
    assert not past.precedes(observed(1, START - 101, "weak", None), "small")
    assert past.precedes(observed(1, START - 101, "canary", 1), "small")
    assert not past.precedes(observed(1, START - 99, "canary", 2), "small")


def test_an_arm_is_compared_whole() -> None:
    """Requests without room for the rules count; those of another version, or of another model, do not."""
    assert TRIAL.side(observed(1, START, "canary", 2), "small") is True
    assert TRIAL.side(observed(1, START, "canary", None), "small") is True
    assert TRIAL.side(observed(1, START, "canary", 1), "small") is None
    assert TRIAL.side(observed(1, START, "weak", 1), "small") is False
    assert TRIAL.side(observed(1, START, "weak", 1, model="another"), "small") is None
    assert TRIAL.side(observed(1, START, "holdback"), "small") is None
    assert STRONG.side(observed(1, START, "strong", model="large"), "small") is False


def test_the_past_is_the_same_model_with_what_was_live_before() -> None:
    """At most a week of it."""
    assert PAST.precedes(observed(1, START - 1, "weak", 1), "small")
    assert not PAST.precedes(observed(1, START, "weak", 1), "small")
    assert not PAST.precedes(observed(1, START - 8 * 86400, "weak", 1), "small")
    assert not PAST.precedes(observed(1, START - 1, "weak", 2), "small")
    assert not PAST.precedes(observed(1, START - 1, "weak", 1, model="another"), "small")
    assert PAST.side(observed(1, START - 1, "weak", 1), "small") is None


@pytest.mark.parametrize(
    ("bad", "source", "status", "of_trial", "of_past"),
    [
        (None, "outcome", "ok", False, False),
        (True, "outcome", "ok", True, True),
        (True, "client", "ok", False, False),
        (True, "shadow", "ok", False, False),
        (None, "outcome", "error", True, None),
        (True, "outcome", "abandoned", None, None),
    ],
)
def test_what_is_bad(
    bad: bool | None, source: Source, status: str, of_trial: bool | None, of_past: bool | None
) -> None:
    """Errors and signs of failure, which are looked for in every reply; a label is given by choice and counts apart."""
    exchange = observed(1, START, bad=bad, source=source, status=status)
    assert (TRIAL.bad(exchange), PAST.bad(exchange)) == (of_trial, of_past)


def test_labels_are_what_was_asked_for_whatever_the_outcome_was() -> None:
    """A person who labels the sample, the strong model on its share; no client's choice, no client that hung up."""
    assert TRIAL.wrong(observed(1, START, bad=True, source="label")) is True
    assert TRIAL.wrong(observed(1, START, bad=False, source="shadow")) is False
    assert TRIAL.wrong(observed(1, START, bad=True, source="client")) is None
    assert STRONG.wrong(observed(1, START, bad=True, source="shadow")) is None
    assert STRONG.wrong(observed(1, START, bad=True, source="label")) is True
    assert TRIAL.wrong(observed(1, START, bad=True, source="outcome")) is None
    assert TRIAL.wrong(observed(1, START)) is None
    assert TRIAL.wrong(observed(1, START, bad=True, source="label", status="abandoned")) is None


def test_the_shares_of_both_arms_are_known() -> None:
    """By the history and the configuration: of the trial, of the hold-back, of the weak model."""
    history = [entry("live", 1), entry("canary", 2, share=0.25)]
    by_subject = {pairing.subject: pairing for pairing in pairings(history, section("canary"))}
    now, half = active_decisions(history), section("canary", holdback=0.5, steps=(0.5, 1.0))
    assert challenger_share(by_subject["trial"], half, now) == 0.25
    assert challenger_share(by_subject["holdback"], half, now) == pytest.approx(0.375 / 0.875)
    assert challenger_share(by_subject["strong"], half, now) == pytest.approx(0.1875 / 0.6875)
    assert challenger_share(by_subject["past"], half, now) == 0.0
    assert challenger_share(by_subject["holdback"], section(holdback=0.0), now) == 0.0


def test_the_hold_back_of_a_new_version_is_decided_and_ends() -> None:
    """Until then and afterwards it is as configured; without live rules nothing is held back."""
    history = [entry("live", 1), entry("holdback", None, share=0.1)]
    assert holdback_share(section(), active_decisions(history)) == 0.1
    assert holdback_share(section(), active_decisions([*history, entry("holdback", None, share=0.0)])) == 0.02
    assert holdback_share(section(), active_decisions([*history, entry("live", 2)])) == 0.02
    assert holdback_share(section(), active_decisions([*history, entry("live", None)])) == 0.0

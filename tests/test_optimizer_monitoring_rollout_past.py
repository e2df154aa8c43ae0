"""The past beside the present: by conversation, each part once."""

from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.past import PAST, Past, past_of
from tests.rollouts import START, observed

PAIRING = Pairing(subject="past", version=2, began=START, challenger="weak", incumbent=None, before=1)


def test_the_past_is_counted_by_conversation() -> None:
    """With the mean of its turns, and the tokens of its first."""
    rows = [observed(at, START - 50 + at, "weak", 1, cluster=f"c{at // 2}", bad=at == 0, tokens=at) for at in range(6)]
    past, seen, bad = past_of(PAIRING, rows, "small")
    assert (past.rates, past.tokens, seen, bad) == ((0.5, 0.0, 0.0), (1.0, 2.0, 4.0), 6, 1)


def test_a_long_past_is_dealt_by_twos_and_a_short_one_singly() -> None:
    """At most 800 conversations, for 400 of the present."""
    rows = [observed(at, START - 2000 + at, "weak", 1) for at in range(PAST + 100)]
    past, _, _ = past_of(PAIRING, rows, "small")
    assert (len(past.rates), past.each) == (PAST, 2)
    assert past_of(PAIRING, rows[:300], "small")[0].each == 1


def test_every_part_of_the_past_is_dealt_once() -> None:
    """Under names of its own; then nothing is left."""
    past = Past(rates=(0.5, 0.0, 1.0), tokens=(7.0, 8.0, 9.0), each=2)
    dealt, rest = past.dealt()
    assert (dealt.names, dealt.rates, dealt.tokens) == (["past 3", "past 2"], (0.5, 0.0), (7.0, 8.0))
    last, none = rest.dealt()
    assert (last.names, last.rates, none.rates) == (["past 1"], (1.0,), ())
    assert none.dealt() == (([], (), ()), none)
    assert past.share == 1 / 3

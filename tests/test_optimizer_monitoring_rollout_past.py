"""The past beside the present: by conversation, each part once."""

import msgspec

from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.past import PAST, Past, past_of
from tests.rollouts import START, observed

PAIRING = Pairing(subject="past", version=2, began=START, challenger="weak", incumbent=None, before=1)


def test_the_past_is_counted_by_conversation() -> None:
    """With the mean of its turns, and the tokens of its first."""
    rows = [observed(at, START - 50 + at, "weak", 1, cluster=f"c{at // 2}", bad=at == 0, tokens=at) for at in range(6)]
    past, seen, bad, complained = past_of(PAIRING, rows, "small")
    assert not complained and past.since == START - 50
    assert (past.rates, past.tokens, seen, bad) == ((0.5, 0.0, 0.0), (1.0, 2.0, 4.0), 6, 1)


def test_a_long_past_is_dealt_by_twos_and_a_short_one_singly() -> None:
    """At most 800 conversations, for 400 of the present."""
    rows = [observed(at, START - 2000 + at, "weak", 1) for at in range(PAST + 100)]
    past = past_of(PAIRING, rows, "small").past
    assert (len(past.rates), past.each) == (PAST, 2)
    assert past_of(PAIRING, rows[:300], "small")[0].each == 1


def test_every_part_of_the_past_is_dealt_once() -> None:
    """Under names of its own; then nothing is left."""
    past = Past(rates=(0.5, 0.0, 1.0), complaints=(0.0, 1.0, 0.0), tokens=(7.0, 8.0, 9.0), each=2)
    dealt, rest = past.dealt(0.0)
    assert (dealt.names, dealt.rates, dealt.tokens) == (["past 3", "past 2"], (0.5, 0.0), (7.0, 8.0))
    assert (dealt.complaints, rest.complaints) == ((0.0, 1.0), (0.0,))
    last, none = rest.dealt(9.0)
    assert (rest.until, none.until) == (None, 9.0)
    assert (last.names, last.rates, none.rates) == (["past 1"], (1.0,), ())
    assert none.dealt(0.0) == (([], (), (), ()), none)
    assert past.share == 1 / 3


def test_complaints_of_the_past_count_if_there_were_any() -> None:
    """Where nobody complained, people may begin to with the activation: that is no fault of the rules."""
    rows = [observed(at, START - 50 + at, "weak", 1, bad=at < 3, source="client", audit_rate=1.0) for at in range(9)]
    assert past_of(PAIRING, rows, "small")[0].complaints == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert past_of(PAIRING, rows[1:], "small")[0].complaints == ()
    turns = [msgspec.structs.replace(row, cluster=f"c{at % 5}") for at, row in enumerate(rows)]
    seen = past_of(PAIRING, turns, "small")
    assert seen.past.complaints == (1.0, 1.0, 1.0, 0.0, 0.0) and seen.complained == ["c0", "c1", "c2"]
    outside = [msgspec.structs.replace(row, audit_rate=0.0) for row in rows]
    assert past_of(PAIRING, outside, "small")[0].complaints == ()

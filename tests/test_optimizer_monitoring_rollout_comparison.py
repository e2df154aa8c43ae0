"""A comparison counts every exchange, label and pair once, however late it is known and however often it is seen."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.monitoring.rollout.arms import PAST_S, Pairing
from optimizer.monitoring.rollout.comparison import SETTLED_S, Comparison, CostLimits, Look, begun
from optimizer.statistics.betting import BETS, Capital, Score
from tests.rollouts import START, judged, looking, observed, pair

TRIAL = Pairing(subject="trial", version=2, began=START, challenger="canary", incumbent="weak", against=1)
OF_PAST = Pairing(subject="past", version=2, began=START, challenger="weak", incumbent=None, before=1)
LATER = START + 1000


def new() -> Comparison:
    return begun(TRIAL, CostLimits(latency=3, tokens=3), [], "small")


def looked(state: Comparison, look: Look, share: float = 0.25) -> Comparison:
    return state.after(look, share)


def test_a_reply_counts_when_its_signs_of_failure_had_their_time() -> None:
    """Also a bad one: otherwise the first ones counted would be the bad ones."""
    rows = [observed(1, START, "canary", 2, bad=True), observed(2, START, "weak", 1)]
    early = looked(new(), looking(rows, START + SETTLED_S))
    assert early.bad.n == 0 and early.challenger.seen == 0
    late = looked(early, looking(rows, START + SETTLED_S + 1))
    assert (late.challenger.seen, late.challenger.bad, late.incumbent.seen, late.bad.n) == (1, 1, 1, 2)


def test_only_a_trial_bets_nearly_all_of_its_capital_at_once() -> None:
    """It ends within days; and differences are bet on by losses that it waits to rule out."""
    on_trial = new()
    live = begun(msgspec.structs.replace(TRIAL, subject="holdback"), CostLimits(), [], "small")
    assert {stream.harm.first for stream in (on_trial.bad, on_trial.labels, on_trial.pairs)} == {0.9}
    assert min(on_trial.pairs.harm.bets) == 0.25 and on_trial.bad.harm.bets == BETS
    assert live.pairs.harm == live.bad.harm and live.bad.harm.first < 0.5


def test_a_trial_that_was_noted_before_goes_on_with_its_bets() -> None:
    """Notes of an earlier version name neither bets nor the first part: five bets, half of the capital."""
    noted = msgspec.json.decode(b'{"null":0,"instalments":true,"n":1,"staked":[0,0,0,0,0],"cash":0.5}', type=Capital)
    assert noted.bets == BETS and len(noted.after([Score(1.0, -1.0, 1.0)]).staked) == 5


def test_a_look_that_left_rows_out_counts_the_older_half_before_it_is_pushed_out() -> None:
    """At a rate at which rows do not stay for long."""
    rows = [observed(at, START + at / 1000, "weak", 1) for at in range(10)]
    assert looked(new(), looking(rows, START + 1, full=True)).incumbent.seen == 5


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, True])), max_size=30), st.integers(1, 4))
def test_looking_again_changes_nothing(given_rows: list[tuple[bool, bool | None]], times: int) -> None:
    """Nor does a process that is killed between two looks, and reads what was noted."""
    rows = [
        observed(at, START + at, "canary" if canary else "weak", 2 if canary else 1, bad=bad)
        for at, (canary, bad) in enumerate(given_rows)
    ]
    once = again = looked(new(), looking(rows))
    for _ in range(times):
        again = looked(msgspec.json.decode(msgspec.json.encode(again), type=Comparison), looking(rows))
    assert again == once
    assert once.challenger.seen + once.incumbent.seen == len(rows)


def test_a_sign_of_failure_that_comes_late_corrects_the_reply() -> None:
    """The question was asked again ten minutes later: it is the same reply, and it is bad now."""
    rows = [observed(1, START, "canary", 2), observed(2, START, "weak", 1)]
    state = looked(new(), looking(rows))
    state = looked(state, looking([observed(1, START, "canary", 2, bad=True), rows[1]]))
    assert (state.challenger.seen, state.challenger.bad, state.bad.n) == (1, 1, 2)
    assert state.bad.open["x00000001 c"].mean == 1.0


def test_labels_count_apart_from_signs_and_complaints_apart_from_labels() -> None:
    """A client that says "wrong" chose to; what was asked for whatever the outcome was measures."""
    labels = [
        judged(observed(1, START, "canary", 2, bad=True, source="client", audit_rate=0.1)),
        judged(observed(2, START, "canary", 2, bad=True, source="label")),
        judged(observed(3, START, "weak", 1, bad=False, source="shadow")),
        judged(observed(4, START, "canary", 2, bad=True, source="client")),
        judged(observed(5, START - 9, "canary", 2, bad=True, source="label")),
        judged(observed(6, START, "canary", 3, bad=True, source="label")),
    ]
    state = looked(new(), looking(labels=labels))
    assert (state.challenger.labelled, state.challenger.wrong, state.challenger.complaints) == (1, 1, 1)
    assert (state.incumbent.labelled, state.incumbent.wrong, state.labels.n) == (1, 0, 2)
    assert (state.bad.n, state.complaints.n) == (0, 1)


def test_pairs_count_for_the_version_that_they_compare() -> None:
    """At random they measure; of a complaint they show which version is at fault; without one it counts as it is."""
    pairs = [
        pair(1, 1), pair(2, 0), pair(3, -1), pair(4, 1, version=7), pair(5, 1, at=START - 5),
        pair(6, 1, at_random=False), pair(7, 1, at_random=False, against=None), pair(8, None, at_random=False),
        pair(9, None),
    ]  # fmt: skip
    state = looked(new(), looking(pairs=pairs), 0.5)
    assert (state.paired.n, state.paired.against, state.paired.for_, state.pairs.n) == (3, 1, 1, 3)
    assert (state.complaints.paired.n, state.complaints.on) == (1, (0, 1))
    assert state.pair_base == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_no_conversations_are_shared_out_nothing_is_compared(share: float) -> None:
    """Counts go on; there is no coin that dealt the arms."""
    rows = [observed(1, START, "canary", 2, bad=True)]
    labels = [judged(observed(2, START, "canary", 2, bad=True, source="label"))]
    state = looked(new(), looking(rows, labels=labels), share)
    assert (state.challenger.bad, state.challenger.wrong, state.bad.n, state.labels.n) == (1, 1, 0, 0)


def test_a_conversation_gives_one_latency_however_many_turns_it_has() -> None:
    """Its replies are alike: ten of them are one amount."""
    rows = [observed(at, START + at, "canary", 2, cluster="long", latency_ms=9000.0) for at in range(10)]
    state = looked(new(), looking([observed(99, START, "weak", 1, cluster="other"), *rows]))
    assert state.latency is not None and (state.latency.blocks, state.latency.challenger) == (1, ())
    assert begun(TRIAL, CostLimits(), [], "small").latency is None


def test_the_past_is_dealt_out_to_the_present_until_it_is_used_up() -> None:
    """Then nothing more is compared; the latency of the past says nothing of the present's load."""
    past = [observed(at, START - 100 + at, "weak", 1, bad=at % 10 == 0) for at in range(30)]
    state = begun(OF_PAST, CostLimits(latency=3, tokens=3), past, "small")
    assert (state.incumbent.seen, state.incumbent.bad, state.limits.latency) == (30, 3, None)
    rows = [observed(5000 + at, START + at, "weak", 2) for at in range(50)]
    state = state.after(looking(rows), 0.0)
    assert state.bad.n == 60 and state.challenger.seen == 50
    assert state.tokens is not None and state.tokens.blocks > 0
    later = begun(OF_PAST, CostLimits(), past, "small")
    row = observed(99, START + PAST_S + 1, "weak", 2)
    assert later.after(looking([row], START + 2 * PAST_S), 0.0).challenger.seen == 0


def test_complaints_after_an_activation_are_compared_with_those_before() -> None:
    """By conversation: a complaint turns the reply that counted as right."""
    given = {"source": "client", "audit_rate": 1.0}
    past = [observed(at, START - 100 + at, "weak", 1, bad=at % 10 == 0, **given) for at in range(60)]  # type: ignore[arg-type]
    rows = [observed(500 + at, START + at, "weak", 2, audit_rate=1.0) for at in range(40)]
    state = begun(OF_PAST, CostLimits(), past, "small").after(looking(rows), 0.0)
    assert state.labels.n == 80
    complaints = [judged(msgspec.structs.replace(row, correct=False, source="client")) for row in rows]
    worse = state.after(looking(rows, labels=complaints), 0.0)
    assert worse.labels.n == 80 and worse.labels.e_value > 1000 > state.labels.e_value
    silent = [msgspec.structs.replace(row, correct=None, source=None) for row in past]
    begins = begun(OF_PAST, CostLimits(), silent, "small").after(looking(rows), 0.0)
    assert begins.after(looking(rows, labels=complaints), 0.0).labels.n == 0


def test_complaints_count_against_the_past_as_they_do_against_the_present() -> None:
    """Once for a conversation, only in conversations that were compared, and late ones on either side."""
    given = {"source": "client", "audit_rate": 1.0}
    past = [observed(at, START - 100 + at, "weak", 1, bad=at % 10 == 0, **given) for at in range(60)]  # type: ignore[arg-type]
    rows = [observed(500 + at, START + at, "weak", 2, audit_rate=1.0, cluster=f"c{at // 2}") for at in range(200)]
    state = begun(OF_PAST, CostLimits(), past, "small").after(looking(rows), 0.0)
    assert state.labels.n == 120 and state.past.until == START + 118
    uncompared = [judged(msgspec.structs.replace(row, correct=False, source="client")) for row in rows[120:]]
    assert state.after(looking(rows, labels=uncompared), 0.0).labels == state.labels
    twice = [judged(msgspec.structs.replace(row, correct=False, source="client")) for row in rows[:2]]
    later = state.after(looking(rows, START + 9000, labels=twice), 0.0)
    assert later.labels.n == 120 and later.labels.now > state.labels.now
    assert later.after(looking(rows, START + 9999, labels=twice), 0.0).labels.now == later.labels.now
    of_the_past = judged(msgspec.structs.replace(past[5], correct=False, source="client"))
    known = judged(past[10])
    late = later.after(looking(rows, START + 20_000, labels=[of_the_past, known]), 0.0)
    assert late.labels.n == 121 and late.labels.now < later.labels.now


def test_a_clock_that_goes_back_blinds_nobody() -> None:
    """A trial that seems to begin in the future begins now; it stays the same trial when the clock is put right."""
    state = looked(new(), looking([], START - 500))
    rows = [observed(1, START - 490, "canary", 2), observed(2, START - 480, "weak", 1)]
    state = looked(state, looking(rows, START - 400))
    assert (state.bad.n, state.began, state.pairing.began) == (2, START - 500, START)

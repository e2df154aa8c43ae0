"""A comparison counts every exchange once, whenever its worth became known and however often it is looked at."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.base import Observed
from optimizer.monitoring.rollout.arms import PAST_S, Pairing
from optimizer.monitoring.rollout.comparison import PAST, SETTLED_S, STREAM, Comparison, CostLimits, begun, harmed
from tests.rollouts import START, observed

TRIAL = Pairing(subject="trial", version=2, began=START, challenger="canary", incumbent="weak")
OF_PAST = Pairing(subject="past", version=2, began=START, challenger="weak", incumbent=None, before=1)
LATER = START + 1000


def looked(state: Comparison, rows: list[Observed], now: float = LATER, *, full: bool = False) -> Comparison:
    return state.after(rows, weak="small", now=now, full=full)


LIMITS = CostLimits(latency=3, tokens=3)


def new(limits: CostLimits = LIMITS) -> Comparison:
    return begun(TRIAL, limits, [], "small")


def test_a_reply_counts_when_its_signs_of_failure_had_their_time() -> None:
    """Also a bad one: otherwise the first ones counted would be the bad ones."""
    rows = [observed(1, START, "canary", 2, bad=True), observed(2, START, "weak", 1)]
    early = looked(new(), rows, START + SETTLED_S)
    assert early.outcomes == "" and early.challenger.seen == 0
    assert looked(early, rows, START + SETTLED_S + 1).outcomes == "Ci"


def test_a_look_that_left_rows_out_counts_the_older_half_before_it_is_pushed_out() -> None:
    """At a rate at which rows do not stay for long."""
    rows = [observed(at, START + at / 1000, "weak", 1) for at in range(10)]
    assert looked(new(), rows, START + 1, full=True).outcomes == "iiiii"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, True, False])), max_size=30), st.integers(1, 4))
def test_looking_again_changes_nothing(given_rows: list[tuple[bool, bool | None]], times: int) -> None:
    """Nor does a process that is killed between two looks, and reads what was noted."""
    rows = [
        observed(at, START + at, "canary" if canary else "weak", 2 if canary else 1, bad=bad, source="client")
        for at, (canary, bad) in enumerate(given_rows)
    ]
    once = again = looked(new(), rows)
    for _ in range(times):
        again = looked(msgspec.json.decode(msgspec.json.encode(again), type=Comparison), rows)
    assert again == once
    assert once.challenger.seen + once.incumbent.seen == len(rows)


def test_a_late_verdict_goes_to_the_end_of_the_stream() -> None:
    """What was counted as good stays where it was: evidence is only ever continued."""
    first = [observed(1, START, "canary", 2), observed(2, START, "weak", 1)]
    state = looked(new(), first)
    late = [observed(1, START, "canary", 2, bad=True, source="client"), first[1], observed(3, START, "weak", 1)]
    state = looked(state, late)
    assert (state.outcomes, state.labels) == ("ciCi", "C")
    assert (state.challenger.seen, state.challenger.bad, state.challenger.labelled) == (1, 1, 1)


def test_contradictory_feedback_on_one_exchange_counts_once() -> None:
    """The first word that was seen; a flood of others changes nothing."""
    state = new()
    for at in range(50):
        state = looked(state, [observed(1, START, "canary", 2, bad=at % 2 == 0, source="client")], LATER + at)
    assert (state.labels, state.outcomes) == ("C", "C")


def test_a_long_comparison_begins_anew_with_less_alpha() -> None:
    """What was found stays in the totals; together the stretches have no more than alpha."""
    rows = [observed(at, START + at / 100, "weak", 1) for at in range(STREAM)]
    state = looked(new(), rows)
    assert (state.stretch, state.outcomes, state.incumbent.seen) == (2, "", STREAM)
    assert state.guardrails(0.06)[0].evidence.alpha == 0.01
    assert sum(1 / (k * (k + 1)) for k in range(1, 10_000)) < 1


def test_latency_and_tokens_beyond_the_limit_are_harm_and_without_a_limit_they_are_not() -> None:
    """Three times is allowed here; the challenger takes ten times."""
    rows = [
        observed(at, START + at, *(("canary", 2) if at % 5 == 0 else ("weak", 1)),
                 latency_ms=5000.0 if at % 5 == 0 else 500.0, tokens=200 if at % 5 == 0 else 20)
        for at in range(200)
    ]  # fmt: skip
    reached = {rail.name for rail in looked(new(), rows).guardrails(0.01) if rail.evidence.reached}
    assert reached == {"latency", "output tokens"}
    assert len(looked(new(CostLimits()), rows).guardrails(0.01)) == 2
    allowed = looked(new(CostLimits(latency=12, tokens=12)), rows)
    assert not any(rail.evidence.reached for rail in allowed.guardrails(0.01))


def test_the_past_is_dealt_out_to_the_present_until_it_is_used_up() -> None:
    """Several of the past for one of the present, each once; then nothing more is compared."""
    past = [observed(at, START - 2000 + at, "weak", 1, bad=at % 10 == 0) for at in range(PAST)]
    state = begun(OF_PAST, CostLimits(latency=3, tokens=3), past, "small")
    assert (state.incumbent.seen, state.limits.latency) == (PAST, None)
    rows = [observed(5000 + at, START + at / 10, "weak", 2) for at in range(450)]
    state = looked(state, rows)
    assert state.outcomes.lower() == "iic" * 400
    assert state.outcomes.count("I") == PAST / 10 and state.past.outcomes == ""


def test_little_past_is_dealt_one_by_one() -> None:
    """Thirty outcomes are compared with thirty."""
    past = [observed(at, START - 100 + at, "weak", 1) for at in range(30)]
    rows = [observed(5000 + at, START + at, "weak", 2) for at in range(50)]
    assert looked(begun(OF_PAST, CostLimits(), past, "small"), rows).outcomes == "ic" * 30


def test_the_past_says_something_for_a_day() -> None:
    """Later exchanges are not compared with it."""
    past = [observed(at, START - 100 + at, "weak", 1) for at in range(30)]
    state = begun(OF_PAST, CostLimits(), past, "small")
    assert looked(state, [observed(99, START + PAST_S + 1, "weak", 2)], START + 2 * PAST_S).outcomes == ""


def test_a_clock_that_goes_back_blinds_nobody() -> None:
    """A trial that seems to begin in the future begins now; it stays the same trial when the clock is put right."""
    state = looked(new(), [], START - 500)
    rows = [observed(1, START - 490, "canary", 2), observed(2, START - 480, "weak", 1)]
    state = looked(state, rows, START - 400)
    assert (state.outcomes, state.began, state.pairing.began) == ("ci", START - 500, START)


def test_harmed_requests_are_those_beyond_what_the_other_arm_would_have_had() -> None:
    """Ten of a hundred would have been bad anyway."""
    assert harmed(30, 100, 10, 100) == 20
    assert harmed(5, 100, 10, 100) == harmed(5, 100, 0, 0) == 0
    rows = [observed(at, START, *(("canary", 2) if at < 4 else ("weak", 1)), bad=at in (0, 1, 4)) for at in range(8)]
    assert looked(new(), rows).guardrails(0.01)[0].why == "2 of 4 (50%) against 1 of 4 (25%): about 1 requests harmed"

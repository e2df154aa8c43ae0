"""A stream of outcomes by conversation: each conversation says one thing, and nothing is ever wiped."""

import math
import random

import msgspec
import pytest

from optimizer.monitoring.rollout.evidence import OPEN, QUIET_S, RISK, Stream, UnitOutcome


def stream_of(outcomes: list[UnitOutcome], every: int = 50) -> Stream:
    stream = Stream()
    for at in range(0, len(outcomes), every):
        portion = outcomes[at : at + every]
        stream = stream.after(portion, portion[-1].at)
    return stream


def test_the_turns_of_a_conversation_count_once() -> None:
    """With their mean, whenever they come; a hundred turns that fail together are one failure."""
    once = Stream().after([UnitOutcome("a", 1.0, 1.0, True), UnitOutcome("b", 0.0, 2.0, False)], 3.0)
    often = Stream().after(
        [*[UnitOutcome("a", 1.0, 1.0, True)] * 100, *[UnitOutcome("b", 0.0, 2.0, False)] * 100], 3.0
    )  # fmt: skip
    assert often.e_value == once.e_value and often.n == once.n == 2
    mixed = once.after([UnitOutcome("a", 0.0, 4.0, True)], 5.0)
    assert mixed.now < once.now and mixed.open["a c"].mean == 0.5


def test_a_late_turn_changes_the_outcome_and_not_the_bet() -> None:
    """The bet was made when the conversation began."""
    stream = Stream().after([UnitOutcome("a", 0.0, 1.0, True, 0.25)], 1.0)
    later = stream.after([UnitOutcome(f"x{number}", 1.0, 2.0, False, 0.5) for number in range(40)], 2.0)
    late = later.after([UnitOutcome("a", 1.0, 3.0, True, 0.75)], 3.0)
    before, after = stream.open["a c"], late.open["a c"]
    assert (before.weight, before.centre, before.low, before.high) == (
        after.weight, after.centre, after.low, after.high,
    )  # fmt: skip
    assert after.mean == 0.5


def test_a_correction_turns_a_right_reply_into_a_wrong_one() -> None:
    """It is no further reply; of a conversation that is complete it is one of its own."""
    stream = (
        Stream()
        .after([UnitOutcome("a", 0.0, 1.0, True)], 1.0)
        .after([UnitOutcome("a", 1.0, 2.0, True, again=True)], 2.0)
    )
    assert (stream.open["a c"].n, stream.open["a c"].mean) == (1, 1.0)
    quiet = stream.after([], 2.0 + QUIET_S)
    assert (quiet.complete, quiet.open) == (1, {})
    again = quiet.after([UnitOutcome("a", 1.0, 9999.0, True, again=True)], 9999.0)
    assert (again.complete, again.open["a c"].mean) == (1, 1.0)


def test_only_so_many_conversations_are_open() -> None:
    """The quietest are complete; a clock that went back completes what lies in its future."""
    stream = Stream().after([UnitOutcome(f"u{at}", 0.0, float(at), True) for at in range(OPEN + 5)], float(OPEN + 5))
    assert (stream.complete, len(stream.open)) == (5, OPEN) and "u0 c" not in stream.open
    assert stream.after([], 0.0).complete == OPEN + 5


def test_conversations_that_hang_together_raise_no_alarm() -> None:
    """Five turns on average with a correlation of 0.6: 40 streams without harm, at 5% hardly one alarms."""
    alarms = 0
    for seed in range(40):
        randomness, outcomes = random.Random(seed), list[UnitOutcome]()
        for number in range(600):
            challenger, chance = randomness.random() < 0.25, randomness.betavariate(0.067, 0.6)
            outcomes += [
                UnitOutcome(f"u{number}", float(randomness.random() < chance), 60.0 * number, challenger, 0.25)
                for _ in range(randomness.randint(1, 9))
            ]
        alarms += stream_of(outcomes).e_value >= 1 / 0.05
    assert alarms <= 3


@pytest.mark.parametrize(("harm", "found"), [(0.2, True), (0.0, False)])
def test_harm_is_found_and_what_is_harmless_rules_harm_out(harm: float, found: bool) -> None:
    """A thousand conversations, a quarter on trial, a tenth wrong before."""
    randomness = random.Random(8)
    outcomes = []
    for number in range(1500):
        challenger = randomness.random() < 0.25
        wrong = randomness.random() < 0.1 + harm * challenger
        outcomes.append(UnitOutcome(f"u{number}", float(wrong), 60.0 * number, challenger, 0.25))
    stream = stream_of(outcomes)
    assert (stream.e_value > 1000) == found
    assert (stream.ruled_out is not None and stream.ruled_out <= 0.1) == (not found)
    measured = stream.change()
    assert measured is not None and measured[1][0] < harm < measured[1][1]


def test_an_interval_given_at_an_alarm_holds_the_harm() -> None:
    """The alarm chose the moment: an interval for one look would leave the truth out in a twelfth of such runs."""
    held = 0
    for seed in range(60):
        randomness, stream = random.Random(seed), Stream()
        for look in range(100):
            outcomes = [
                UnitOutcome(f"{look} {number}", float(randomness.random() < (0.32 if arm else 0.2)), 0.0, arm)
                for number in range(15)
                for arm in [randomness.random() < 0.5]
            ]
            stream = stream.after(outcomes, (look + 1) * 2 * QUIET_S)
            if stream.e_value >= 300:
                break
        measured = stream.change()
        held += measured is not None and measured[1][0] <= 0.12 <= measured[1][1]
    assert held >= 59


def test_what_it_takes_to_rule_out_a_harm_is_estimated_from_what_came() -> None:
    """Less the more came; nothing once it is ruled out; unknown where the harm is what one sees."""
    pairs = [
        UnitOutcome(f"u{number}", float((number % 20 == 0) - (number % 20 == 10)), 60.0 * number)
        for number in range(900)
    ]
    few, many = stream_of(pairs[:40]), stream_of(pairs[:200])
    assert few.to_rule_out(0.05) is not None and many.to_rule_out(0.05) is not None
    assert few.to_rule_out(0.05) > many.to_rule_out(0.05) > 0  # type: ignore[operator]
    whole = stream_of(pairs)
    assert whole.to_rule_out(0.05) == 0.0 and whole.ruled_out is not None and whole.ruled_out <= 0.05
    assert stream_of([UnitOutcome(f"u{number}", 1.0, 60.0 * number) for number in range(20)]).to_rule_out(0.05) is None
    assert Stream().to_rule_out(0.05) is None and Stream().change() is None


def test_a_harm_that_is_there_is_hardly_ever_ruled_out() -> None:
    """60 streams of pairs with exactly 5 points of harm."""
    wrong = 0
    for seed in range(60):
        randomness = random.Random(seed)
        pairs = []
        for number in range(400):
            luck = randomness.random()
            pairs.append(UnitOutcome(f"u{number}", 1.0 if luck < 0.1 else -1.0 if luck < 0.15 else 0.0, 60.0 * number))
        stream = stream_of(pairs)
        wrong += stream.ruled_out is not None and stream.ruled_out <= 0.05
    assert wrong <= 60 * RISK + 3


def test_a_stream_survives_its_note() -> None:
    """As JSON; what is remembered of it stays small."""
    stream = stream_of([UnitOutcome(f"u{at}", float(at % 3 == 0), 7.0 * at, at % 2 == 0) for at in range(2000)])
    noted = msgspec.json.encode(stream)
    assert msgspec.json.decode(noted, type=Stream) == stream and len(noted) < 60_000
    assert math.isfinite(stream.e_value)

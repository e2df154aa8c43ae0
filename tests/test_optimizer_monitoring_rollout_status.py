"""Where a roll-out stands, in numbers and in words."""

from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.comparison import ArmCounts
from optimizer.monitoring.rollout.decide import Assessment, Harm, decide
from optimizer.monitoring.rollout.labels import ModelAgreement
from optimizer.monitoring.rollout.state import RolloutState
from optimizer.monitoring.rollout.status import benefit_of, rollout_status
from tests.rollouts import START, entry, observed, section


def test_the_benefit_of_rules_is_measured_by_labels_if_there_are_any_on_both_sides() -> None:
    """With an interval; by signs of failure else; not at all on a handful."""
    labelled = benefit_of(
        ArmCounts(seen=1000, bad=50, labelled=500, wrong=50), ArmCounts(seen=100, bad=20, labelled=50, wrong=20)
    )
    assert labelled is not None and labelled.of == "labelled replies"
    assert abs(labelled.change - 0.3) < 1e-9 and 0.1 < labelled.interval[0] < 0.3 < labelled.interval[1] < 0.5
    plain = benefit_of(ArmCounts(seen=1000, bad=50), ArmCounts(seen=100, bad=20, labelled=2))
    assert plain is not None and plain.of == "replies" and abs(plain.change - 0.15) < 1e-9
    assert benefit_of(ArmCounts(seen=1000), ArmCounts(seen=9)) is None
    nothing = benefit_of(ArmCounts(seen=10), ArmCounts(seen=10))
    assert nothing is not None and nothing.change == 0 and nothing.interval[0] < 0 < nothing.interval[1]


def test_the_lines_say_what_serves_what_is_compared_what_is_awaited_and_what_is_wrong() -> None:
    """In this order; nothing that is not known."""
    history = [entry("live", 1), entry("canary", 2, share=0.05)]
    arms = [("canary", 2), ("weak", 1), ("weak", 1), ("holdback", None)]
    rows = [observed(at, START + at / 10, *arms[at % 4], bad=at % 4 == 3) for at in range(60)]  # type: ignore[arg-type]
    task = section()
    memory = RolloutState().after(task, history, lambda version: None, rows, full=False, now=START + 100)
    course = decide("t", task, history, memory.comparisons, memory.steps, memory.agreement, START + 100)
    made = rollout_status(
        task, active_decisions(history), memory.comparisons, ModelAgreement(agreed=9, differed=1), None, course,
        history[-1], ["the clock went back"], START + 100,
    )  # fmt: skip
    text = "\n".join(made.lines)
    assert "version 1 is live, version 2 is on trial with 5%" in text
    assert "version 2, on trial, against those without the trial: bad 0 of 15 against 0 of 30" in text
    assert "agreement with the strong model: 9 of 10" in text
    assert "what rules change: +100.0 points of good replies" in text
    assert "waits for 5 more exchanges" in text and made.lines[-1] == "the clock went back"
    assert (made.live, made.canary, made.weak_share) == (1, 2, 1.0)


def test_harm_is_among_what_is_wrong() -> None:
    """Also where nobody may roll back."""
    course = Assessment(harm=(Harm(subject="trial", version=1, why="bad replies"),))
    made = rollout_status(section(), active_decisions([]), [], ModelAgreement(), None, course, None, [], START)
    assert made.wrong == ("harm: bad replies",) and made.agreement is None


def test_it_is_said_when_the_past_has_no_labels_left() -> None:
    """Then wrong replies can hide."""
    history = [entry("live", 1), entry("live", 2, START)]
    past = [observed(at, START - 50 + at, "weak", 1, bad=False, source="client") for at in range(2)]
    rows = [*past, *(observed(2 + at, START + at, "weak", 2, bad=False, source="client") for at in range(8))]
    memory = RolloutState().after(section(), history, lambda version: None, rows, full=False, now=START + 100)
    course = decide("t", section(), history, memory.comparisons, memory.steps, memory.agreement, START + 100)
    made = rollout_status(
        section(),
        active_decisions(history),
        memory.comparisons,
        ModelAgreement(),
        None,
        course,
        history[-1],
        [],
        START + 100,
    )
    assert any("are used up" in line for line in made.lines)

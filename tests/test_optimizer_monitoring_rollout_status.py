"""Where a roll-out stands, in numbers and in words."""

import msgspec

from gateway.store.history import active_decisions
from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import Comparison, CostLimits, begun
from optimizer.monitoring.rollout.decide import Assessment, Harm, decide
from optimizer.monitoring.rollout.labels import ModelAgreement
from optimizer.monitoring.rollout.promises import Promise, ledger_entry
from optimizer.monitoring.rollout.state import RolloutState
from optimizer.monitoring.rollout.status import benefit_of, rollout_status
from tests.rollouts import START, entry, judged, looking, observed, of_subject, pair, section

HELD = Pairing(subject="holdback", version=2, began=START, challenger="weak", incumbent="holdback")


def compared(**look: object) -> Comparison:
    return begun(HELD, CostLimits(), [], "small").after(looking(**look), 0.9)  # type: ignore[arg-type]


def test_the_benefit_of_rules_is_measured_by_pairs_then_by_labels_then_by_signs() -> None:
    """With an interval and the number of conversations; not at all on a handful."""
    rows = [
        observed(at, START + at / 10, *(("holdback", None) if at % 10 == 0 else ("weak", 2)), bad=at % 20 == 0 or None)
        for at in range(400)
    ]
    labels = [
        judged(observed(at, START, row.arm, row.rules, bad=at % 20 == 0, source="label")) for at, row in enumerate(rows)
    ]
    pairs = [pair(at, -1 if at % 4 == 0 else 0, against=1) for at in range(100)]
    by_pairs = benefit_of(compared(rows=rows, labels=labels, pairs=pairs))
    assert by_pairs is not None and (by_pairs.of, by_pairs.against, by_pairs.units) == ("pairs of answers", 1, 100)
    assert by_pairs.change == 0.25 and 0.1 < by_pairs.interval[0] < 0.25 < by_pairs.interval[1] < 0.4
    agreed = benefit_of(compared(rows=rows, pairs=[msgspec.structs.replace(one, by_model=True) for one in pairs]))
    assert agreed is not None and agreed.of == "pairs of answers, labelled by the other model"
    by_labels = benefit_of(compared(rows=rows, labels=labels))
    assert by_labels is not None and by_labels.of == "labelled conversations" and by_labels.against is None
    assert by_labels.interval[0] < 0.5 < by_labels.interval[1]
    by_signs = benefit_of(compared(rows=rows))
    assert by_signs is not None and "by signs" in by_signs.of and by_signs.change > 0
    assert benefit_of(compared(rows=rows[:9])) is None


def test_equal_answers_count_for_whoever_labelled_those_that_differ() -> None:
    """A model's labels measure agreement with it, however many equal answers count along."""
    told = [msgspec.structs.replace(pair(at, -1, against=1), by_model=True, equal=4) for at in range(20)]
    benefit = benefit_of(compared(pairs=told))
    assert benefit is not None and (benefit.units, benefit.change) == (100, 0.2)
    assert benefit.of == "pairs of answers, labelled by the other model"


def test_the_lines_say_what_serves_what_is_compared_what_is_awaited_and_what_is_wrong() -> None:
    """In this order; nothing that is not known."""
    history = [entry("live", 1), entry("canary", 2, share=0.05), entry("holdback", None, share=0.1)]
    arms = [("canary", 2), ("weak", 1), ("weak", 1), ("holdback", None)]
    rows = [observed(at, START + at / 10, *arms[at % 4], bad=at % 4 == 3 or None) for at in range(60)]  # type: ignore[arg-type]
    task, agreement = section(), ModelAgreement(agreed=9, differed=1)
    state = RolloutState().after(task, history, lambda version: None, looking(rows, START + 100))
    assessment = decide("t", task, history, state.comparisons, state.steps, state.agreement, START + 100)
    promise = Promise(version=1, made_at=START, against=None, change=0.1, interval=(0.0, 0.2), items=50)
    made = rollout_status(
        task, active_decisions(history), msgspec.structs.replace(state, agreement=agreement), assessment,
        [ledger_entry(promise, None)], history[-1], ["the clock went back"], START + 100,
    )  # fmt: skip
    text = "\n".join(made.lines)
    assert (
        "version 1 is live, version 2 is on trial with 5%" in text and "10% of the conversations get no rules" in text
    )
    assert "version 2, on trial, against those without the trial: bad 0 of 15 against 0 of 30" in text
    assert "agreement with the strong model: 9 of 10" in text
    assert "points of replies without a sign of failure" in text and "points of right replies" not in text
    assert "version 1 promised +10.0 points" in text
    assert "waits for 5 more exchanges" in text and made.lines[-1] == "the clock went back"
    assert (made.live, made.canary, made.weak_share) == (1, 2, 1.0)
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made


def test_agreement_with_a_model_is_never_called_right() -> None:
    """A rule that copies its errors gains by its labels, and loses in truth."""
    history, task = [entry("live", 2)], section()
    rows = [observed(at, START + at / 10, "weak", 2) for at in range(20)]
    pairs = [pair(at, -1 if at % 4 == 0 else 0, against=None) for at in range(1, 60)]
    by_model = [msgspec.structs.replace(one, by_model=True) for one in pairs]
    for made, what in ((by_model, "agreement with the other model"), (pairs, "right replies")):
        state = RolloutState().after(task, history, lambda version: None, looking(rows, START + 100, pairs=made))
        assessment = decide("t", task, history, state.comparisons, state.steps, state.agreement, START + 100)
        status = rollout_status(task, active_decisions(history), state, assessment, [], None, [], START + 100)
        assert any(f"points of {what}" in line for line in status.lines), status.lines


def test_harm_is_among_what_is_wrong_and_so_is_evidence_that_was_refused() -> None:
    """Also where nobody may roll back."""
    harm = Assessment(harm=(Harm(subject="trial", version=1, why="bad replies"),))
    made = rollout_status(section(), active_decisions([]), RolloutState(), harm, [], None, [], START)
    assert made.wrong == ("harm: bad replies",) and made.agreement is None
    history = [entry("canary", 2, share=0.25)]
    look = looking(pairs=[pair(at, None, at_random=False, against=None) for at in range(40)])
    state = RolloutState().after(section(), history, lambda version: None, look)
    assessment = decide("t", section(), history, state.comparisons, state.steps, state.agreement, START)
    made = rollout_status(section(), active_decisions(history), state, assessment, [], history[-1], [], START)
    assert any("refused: complaints" in line and "one arm only" in line for line in made.wrong)


def test_labels_that_clients_chose_to_give_are_said_to_show_no_gain() -> None:
    """As long as nobody was asked for others."""
    history = [entry("canary", 2, share=0.25)]
    complaint = judged(observed(1, START, "canary", 2, bad=True, source="client", audit_rate=1.0))
    rows = [observed(1, START, "canary", 2)]
    state = RolloutState().after(section(), history, lambda version: None, looking(rows, labels=[complaint]))
    assessment = decide("t", section(), history, state.comparisons, state.steps, state.agreement, START)
    made = rollout_status(section(), active_decisions(history), state, assessment, [], history[-1], [], START)
    assert of_subject(state.comparisons, "trial").challenger.complaints == 1
    assert any("labels came for wrong replies only" in line for line in made.lines)
    assert "complaints 1 against 0" in "\n".join(made.lines)

"""A look at a store: what was decided is a row, what is known is a note, and two that look do not decide twice."""

import logging

import msgspec
import pytest

from gateway.domain import Activation, Arm, Evidence, Exchange, Feedback, Measured, RuleSet, Source
from gateway.rules.decisions import switch_injection
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.store.history import active_decisions
from gateway.store.memory import MemoryStore
from optimizer.monitoring.rollout.answer_pairs import PAIRS, PairBook
from optimizer.monitoring.rollout.evidence import QUIET_S
from optimizer.monitoring.rollout.evidence_path import PATHS
from optimizer.monitoring.rollout.promises import PROMISES
from optimizer.monitoring.rollout.status import RolloutStatus
from optimizer.monitoring.rollout.watch import look, review
from tests.fakes import CONFIG, services, settings
from tests.rollouts import START, pair

TASK = "arithmetic"


class Racing(MemoryStore):
    """A store in which a person decides just before the watch does."""

    def activate(self, activation: Activation, *, after: int | None = None) -> None:
        if activation.by == "watch":
            super().activate(decided("live", None, by="person"))
        super().activate(activation, after=after)


def configured(rollout: str = 'policy = "canary"', serve: str = "weak") -> Settings:
    """The fakes' configuration with another roll-out."""
    text = CONFIG.replace('policy = "at_once", holdback = 0', rollout)
    return settings(text.replace('strong = "large"', f'strong = "large"\nserve = "{serve}"'))


def decided(kind: str, version: int | None, created: float = START, *, share: float = 1.0, by: str = "") -> Activation:
    return Activation(task=TASK, version=version, created=created, by=by, kind=kind, share=share)  # type: ignore[arg-type]


def stored(store: Store, *history: Activation) -> None:
    """A store with two versions, the second with evidence, and a history."""
    measured = Measured(accuracy=0.98, n=200, output_tokens=3)
    evidence = Evidence(
        verdict="better", before=measured, after=measured, fixed=1, broken=0, items_used=200, p_value=0.01,
        interval=(0, 1),
    )  # fmt: skip
    store.publish(RuleSet(task=TASK))
    store.publish(RuleSet(task=TASK, evidence=evidence))
    for one in history:
        store.activate(one)


def asked(
    store: Store, number: int, created: float, arm: Arm, rules: int | None, *, wrong: bool | None = None,
    source: Source = "outcome",
) -> None:  # fmt: skip
    """One exchange, and what is known of it: a sign of failure, or a label."""
    store.record([
        Exchange(
            id=f"x{number}", created=created, task=TASK, client_model="m", model="small", arm=arm, rules=rules,
            stream=False, status="ok", http_status=200, reply="1", latency_ms=100.0,
            audit_rate=float(source == "label"),
        )
    ])  # fmt: skip
    if wrong or (wrong is not None and source != "outcome"):
        given = Feedback(exchange_id=f"x{number}", created=created, correct=not wrong, source=source, comment="empty")
        store.add_feedback(given)


def broken_trial(store: Store) -> None:
    """Rules on trial that are always wrong, where others never are."""
    stored(store, decided("live", 1, START - 5000), decided("canary", 2, share=0.25))
    for at in range(120):
        trial = at % 4 == 0
        asked(store, at, START + at, "canary" if trial else "weak", 2 if trial else 1, wrong=trial)


def describe(store: Store) -> RolloutStatus:
    note = store.note(f"live/{TASK}")
    assert note is not None
    return msgspec.json.decode(note, type=RolloutStatus)


async def test_a_harmful_trial_is_ended_by_one_row_that_says_why(caplog: pytest.LogCaptureFixture) -> None:
    """And the note says the same."""
    store = MemoryStore()
    broken_trial(store)
    made = services(configured(), {}, store, wall_clock=lambda: START + 200)
    with caplog.at_level(logging.WARNING):
        await review(made.learner_context(), TASK)
    last = store.history(TASK)[-1]
    assert (last.kind, last.version, last.share, last.by, last.created) == ("canary", 2, 0.0, "watch", START + 200)
    assert "30 of 30 (100%) against 0 of 90 (0%)" in last.why
    assert "the trial of version 2 is over" in caplog.text
    found = describe(store)
    assert found.decision == last and found.canary is None and found.wrong[0].startswith("harm: ")
    await review(made.learner_context(), TASK)
    assert len(store.history(TASK)) == 3, "it is decided once"


def test_each_look_of_a_trial_is_a_point_of_its_path() -> None:
    """People see how the evidence came about, also after the end."""
    store = MemoryStore()
    broken_trial(store)
    for at in (200, 205):
        look(store, configured('policy = "canary", rollback = false'), TASK, START + at)
    book = PATHS.read(store, TASK)
    assert book is not None
    (path,) = [path for path in book.paths if path.subject == "trial"]
    (point,) = path.points
    assert (path.version, point.at, point.seen) == (2, START + 200, 120)
    assert point.e_values["bad replies"] >= path.limits["bad replies"]


def test_two_that_believe_they_lead_do_not_decide_twice() -> None:
    """Who comes second finds another history, and looks again next time."""
    store = Racing()
    broken_trial(store)
    look(store, configured(), TASK, START + 200)
    assert [one.by for one in store.history(TASK)] == ["", "", "person"]
    assert store.note(f"watch/{TASK}") is None
    look(store, configured(), TASK, START + 205)
    assert [one.by for one in store.history(TASK)] == ["", "", "person"], "the person ended the trial"


def test_a_process_that_dies_before_its_notes_has_decided_all_the_same() -> None:
    """Nothing is counted twice and nothing is decided twice after it."""
    store = MemoryStore()
    broken_trial(store)
    look(store, configured(), TASK, START + 200)
    store.put_note(f"watch/{TASK}", b"")
    look(store, configured(), TASK, START + 205)
    assert active_decisions(store.history(TASK)).canary is None and len(store.history(TASK)) == 3


def test_without_rollback_the_log_is_told_once_and_the_note_for_as_long_as_it_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A person decides."""
    store, only_say = MemoryStore(), configured('policy = "canary", rollback = false')
    broken_trial(store)
    with caplog.at_level(logging.WARNING):
        for at in range(3):
            look(store, only_say, TASK, START + 200 + at)
    assert len(store.history(TASK)) == 2 and describe(store).wrong[0].startswith("harm: ")
    assert len([one for one in caplog.records if getattr(one, "action", "") == "rollout.harm"]) == 1


def test_a_trial_without_harm_goes_on_to_its_next_step() -> None:
    """After enough exchanges and enough looks."""
    store = MemoryStore()
    stored(store, decided("canary", 2, share=0.05))
    for at in range(200):
        trial = at % 4 == 0
        asked(store, at, START + at * 5, "canary" if trial else "weak", 2 if trial else None)
    for at in range(6):
        look(store, configured(), TASK, START + 1000 + 150 * at)
    assert [(one.share, one.by) for one in store.history(TASK)] == [(0.05, ""), (0.25, "watch")]
    assert "no harm in 50 exchanges" in store.history(TASK)[-1].why


def test_a_kill_switch_stops_the_watch_too() -> None:
    """Nobody gets rules, so nothing can be said of them."""
    store = MemoryStore()
    broken_trial(store)
    switch_injection(store, False, now=START, by="person")
    look(store, configured(), TASK, START + 200)
    assert len(store.history(TASK)) == 2 and "switched off" in describe(store).lines[0]


def test_a_task_without_rules_is_left_alone() -> None:
    """Ten thousand of them cost one short query each."""
    store = MemoryStore()
    look(store, configured(), TASK, START)
    assert store.note(f"live/{TASK}") is None and store.note(f"watch/{TASK}") is None


def test_drift_is_noted_once_for_the_learner() -> None:
    """With its time and its version."""
    store = MemoryStore()
    stored(store, decided("live", 2))
    for at in range(60):
        asked(store, at, START + at, "weak", 2, wrong=at % 2 == 0, source="label")
    look(store, configured(), TASK, START + 90)
    look(store, configured(), TASK, START + 90 + QUIET_S)
    noted = store.note(f"drift/{TASK}")
    assert noted is not None
    drifted = msgspec.json.decode(noted)
    assert (drifted["time"], drifted["version"]) == (START + 90 + QUIET_S, 2)
    store.put_note(f"drift/{TASK}", b"seen")
    look(store, configured(), TASK, START + 95 + QUIET_S)
    assert store.note(f"drift/{TASK}") == b"seen" and describe(store).drift_noticed == START + 90 + QUIET_S


def test_agreement_is_measured_where_the_weak_model_only_shadows() -> None:
    """From the first comparison on, without rules and without a history."""
    store = MemoryStore()
    for at in range(30):
        asked(store, at, START + at, "shadow", None)
        store.add_feedback(Feedback(exchange_id=f"x{at}", created=START, correct=at > 0, source="shadow"))
    look(store, configured(serve="shadow"), TASK, START + 100)
    assert (describe(store).agreed, describe(store).differed) == (29, 1)
    assert "29 of 30, at least" in "\n".join(describe(store).lines)


def test_a_clock_that_went_back_is_said() -> None:
    """What was stored lies in the future."""
    store = MemoryStore()
    broken_trial(store)
    look(store, configured(), TASK, START - 500)
    assert any("the clock went back" in one for one in describe(store).wrong)


def test_a_version_that_goes_live_is_measured_on_more_conversations_for_a_fortnight() -> None:
    """The hold-back is a decision in the history; its end is another; a pause of the watch measures nothing."""
    store, settings_ = MemoryStore(), configured('policy = "canary"')
    stored(store, decided("live", 2, by="watch"))
    look(store, settings_, TASK, START + 10)
    for day in range(1, 30):
        for hour in range(24):
            look(store, settings_, TASK, START + 10 + 86400 * day + 3600 * hour)
    entries = [entry for entry in store.history(TASK) if entry.kind == "holdback"]
    assert [(entry.share, entry.by) for entry in entries] == [(0.1, "watch"), (0.0, "watch")]
    assert 13.9 < (entries[1].created - START) / 86400 < 15.1
    assert active_decisions(store.history(TASK)).holdback is None


@pytest.mark.parametrize("rollout", ['policy = "manual"', 'policy = "canary", holdback = 0', "holdback_first = 0.01"])
def test_who_wants_no_hold_back_or_decides_alone_gets_none(rollout: str) -> None:
    """And a share above the first one stays."""
    store = MemoryStore()
    stored(store, decided("live", 2, by="person" if "manual" in rollout else "watch"))
    look(store, configured(rollout), TASK, START + 10)
    assert len(store.history(TASK)) == 1


def test_what_a_version_promised_is_measured_by_pairs_of_answers() -> None:
    """The ledger has a line for every version with evidence, from its trial on."""
    store = MemoryStore()
    stored(store, decided("canary", 2, share=0.25))
    look(store, configured(), TASK, START + 10)
    ledger = PROMISES.read(store, TASK)
    assert ledger is not None and [(entry.promise.version, entry.measured) for entry in ledger] == [(2, None)]
    book = PairBook()
    for number in range(120):
        book = book.with_pair(pair(number, -1 if number % 2 else 0, version=2, against=None))
    PAIRS.write(store, book, TASK)
    look(store, configured(), TASK, START + 20)
    ledger = PROMISES.read(store, TASK)
    assert ledger is not None and ledger[0].measured is not None
    assert (ledger[0].measured.change, ledger[0].measured.units, ledger[0].verdict) == (0.5, 120, "held")
    assert "version 2 promised" in "\n".join(describe(store).lines)


def test_a_label_counts_however_late_it_comes() -> None:
    """A thousand younger exchanges, and days, do not hide it; the same word again is no news."""
    store = MemoryStore()
    stored(store, decided("live", 1, START - 9000), decided("canary", 2, START - 5000, share=0.25))
    asked(store, 0, START, "canary", 2, source="label")
    asked(store, 1, START, "weak", 1, source="label")
    for at in range(2, 1100):
        asked(store, at, START + 100 + at, "weak", 1)
    look(store, configured(), TASK, START + 5000)
    for number in (0, 1):
        given = Feedback(exchange_id=f"x{number}", created=START + 5 * 86400, correct=False, source="label")
        store.add_feedback(given)
        look(store, configured(), TASK, START + 5 * 86400 + number)
        store.add_feedback(given)
        look(store, configured(), TASK, START + 5 * 86400 + 10 + number)
    trial = next(found for found in describe(store).comparisons if found.subject == "trial")
    assert (trial.challenger.labelled, trial.incumbent.labelled) == (1, 1)


def test_a_task_that_was_gone_for_a_month_goes_on_where_it_was() -> None:
    """It was taken out of the configuration in the middle of a trial: nothing was watched, so no time has passed."""
    store = MemoryStore()
    stored(store, decided("canary", 2, share=0.05))
    for at in range(60):
        asked(store, at, START + at, "canary" if at % 2 else "weak", 2 if at % 2 else None)
    look(store, configured(), TASK, START + 100)
    look(store, configured(), TASK, START + 30 * 86400)
    trial = next(found for found in describe(store).comparisons if found.subject == "trial")
    assert trial.challenger.seen == 30 and len(store.history(TASK)) == 1
    assert "more minutes" in describe(store).waiting[0]

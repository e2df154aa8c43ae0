"""Decisions about rule sets, as entries in a history."""

from collections.abc import Callable

import pytest

from gateway.domain import ALL_TASKS, Activation, Rule, RuleSet
from gateway.errors import Conflict, NotFound, PreceptorError
from gateway.rules.decisions import (
    describe,
    hold_trial,
    put_live,
    put_on_trial,
    roll_back,
    set_audit_rate,
    set_share,
    switch_injection,
    take_off,
    version_name,
)
from gateway.store.memory import MemoryStore


class Meddled(MemoryStore):
    """Somebody else decides between the look at the history and the decision."""

    def history(self, task: str) -> list[Activation]:
        found = super().history(task)
        self.activate(Activation(task=task, version=1, created=9.0, by="somebody"))
        return found


def store(kind: type[MemoryStore] = MemoryStore) -> MemoryStore:
    made = kind()
    for text in ("First.", "Second."):
        made.publish(RuleSet(task="t", rules=(Rule(text=text),)))
    return made


def trial(made: MemoryStore, version: int, share: float) -> None:
    made.activate(Activation(task="t", version=version, created=2.0, by="cycle", kind="canary", share=share))


def test_a_roll_back_ends_a_trial_first() -> None:
    """What was live stays live; a second roll-back takes that off, too; then there is nothing left."""
    made = store()
    put_live(made, "t", 1, now=1.0, by="ann", why="because")
    trial(made, 2, 0.25)
    assert describe(roll_back(made, "t", now=3.0, by="ann")) == "the trial of version 2 is over"
    assert made.active()["t"].version == 1 and made.traffic_splits()["t"].canary is None
    assert describe(roll_back(made, "t", now=4.0, by="ann")) == "no rules are live"
    with pytest.raises(PreceptorError, match="nothing to roll back"):
        roll_back(made, "t", now=5.0, by="ann")


def test_a_roll_back_goes_by_what_it_saw() -> None:
    """Where somebody else decided at the same moment, nothing is decided on top of it."""
    made = store(Meddled)
    made.activate(Activation(task="t", version=2, created=1.0, by="ann"))
    with pytest.raises(Conflict):
        roll_back(made, "t", now=2.0, by="watch")


def test_a_decision_about_an_older_history_is_refused() -> None:
    """A page that is behind, or a second person, decides nothing."""
    made = store()
    put_live(made, "t", 1, now=1.0, by="ann", why="", after=0)
    put_on_trial(made, "t", 2, 0.1, now=2.0, by="ann", why="", after=1)
    late: list[Callable[[], Activation]] = [
        lambda: put_live(made, "t", 2, now=3.0, by="ben", why="", after=1),
        lambda: put_on_trial(made, "t", 2, 0.5, now=3.0, by="ben", why="", after=1),
        lambda: roll_back(made, "t", now=3.0, by="ben", after=1),
        lambda: hold_trial(made, "t", True, now=3.0, by="ben", after=1),
    ]
    for decide in late:
        with pytest.raises(Conflict):
            decide()
    assert len(made.history("t")) == 2


def test_a_trial_is_held_and_goes_on() -> None:
    """Without a trial there is nothing to hold."""
    made = store()
    with pytest.raises(Conflict, match="no trial"):
        hold_trial(made, "t", True, now=1.0, by="ann")
    trial(made, 2, 0.25)
    assert describe(hold_trial(made, "t", True, now=3.0, by="ann")) == "the trial of version 2 is held"
    assert describe(hold_trial(made, "t", False, now=4.0, by="ann")) == "the trial of version 2 goes on"


def test_a_version_that_is_not_there_cannot_go_live() -> None:
    """The history stays as it was."""
    made = store()
    with pytest.raises(NotFound):
        put_live(made, "t", 7, now=1.0, by="ann", why="")
    assert made.history("t") == []


def test_the_kill_switch_is_for_every_task_and_goes_both_ways() -> None:
    """It changes no task's own history, and moves the revision that gateways follow."""
    made = store()
    put_live(made, "t", 1, now=1.0, by="ann", why="")
    before = made.revision()
    switch_injection(made, False, now=2.0, by="ann")
    assert not made.injecting() and made.revision() > before
    switch_injection(made, True, now=3.0, by="ann")
    assert made.injecting() and len(made.history("t")) == 1 and len(made.history(ALL_TASKS)) == 2


def test_decisions_are_told_in_words() -> None:
    """For histories and logs."""
    made = store()
    assert (
        describe(set_share(made, "t", 0.25, now=1.0, by="watch", why=""))
        == "the weak model gets 25% of the conversations"
    )
    assert describe(switch_injection(made, False, now=1.0, by="ann")) == "injection is off"
    drawn = set_audit_rate(made, "t", 0.1, now=1.0, by="sweep", why="")
    assert describe(drawn) == "10% of the exchanges are drawn into the audit sample"
    assert made.traffic_splits()["t"].audit_rate == 0.1
    trial(made, 2, 0.05)
    assert describe(made.history("t")[-1]) == "version 2 is on trial with 5% of the conversations"
    assert (version_name(None), version_name(3)) == ("no rules", "version 3")


def test_versions_are_taken_off_and_the_newest_other_one_serves() -> None:
    """A trial ends; the place of the live version goes to the one before, or to no rules."""
    made = store()
    for version in (1, 2):
        put_live(made, "t", version, now=1.0, by="ann", why="")
    made.publish(RuleSet(task="t", rules=(Rule(text="Third."),)))
    trial(made, 3, 0.25)
    assert take_off(made, "t", {7}, now=2.0, by="forget", why="gone") == []
    assert [describe(one) for one in take_off(made, "t", {2, 3}, now=3.0, by="forget", why="gone")] == [
        "the trial of version 3 is over", "version 1 is live",
    ]  # fmt: skip
    assert made.active()["t"].version == 1
    take_off(made, "t", {1}, now=4.0, by="forget", why="gone")
    assert "t" not in made.active(), "what was taken off before does not come back"

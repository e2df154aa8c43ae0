"""A person's wishes about rules: a version is put to the gate, and a pinned rule stays in every candidate."""

from pathlib import Path

import pytest

from gateway.domain import Rule, RuleSet
from gateway.store.memory import MemoryStore
from optimizer.distillation.asked import ASKED, PINNED, AskedTest, asked_version, pin, pinned_rules, settle, unpin
from optimizer.distillation.outcome import ChangedItem, within
from optimizer.distillation.selection.parts import lean
from optimizer.distillation.selection.race import CandidateRace
from optimizer.scheduling.learner import open_learner
from tests.fakes import FakeUpstream
from tests.learning import fill, learning_settings, made, script
from tests.scripted import GOOD_RULE, GRADER, Weak, evaluator, questions

GOOD, IDLE, OWN = Rule(text=GOOD_RULE), Rule(text="Be polite."), Rule(text="Always answer in short words.")


def test_a_version_waits_until_its_test_is_over() -> None:
    """The newest wish counts; one for a version that is gone is none."""
    store = MemoryStore()
    assert asked_version(store, "t") is None
    version = store.publish(RuleSet(task="t", rules=(OWN,))).version
    ASKED.write(store, AskedTest(version=version, by="console, anna", at=1.0), "t")
    found = asked_version(store, "t")
    assert found is not None and found.rules == (OWN,)
    settle(store, "t", version + 1)
    assert asked_version(store, "t") is not None
    settle(store, "t", version)
    assert asked_version(store, "t") is None
    ASKED.write(store, AskedTest(version=99, by="x", at=1.0), "t")
    assert asked_version(store, "t") is None


def test_a_pin_keeps_the_name_of_whoever_set_it_first() -> None:
    """Until it is taken out."""
    store = MemoryStore()
    pin(store, "t", [OWN], "anna")
    pin(store, "t", [OWN, GOOD], "ben")
    assert PINNED.read(store, "t") == {OWN.id: "anna", GOOD.id: "ben"}
    unpin(store, "t", OWN.id)
    assert pinned_rules(store, "t", [OWN, IDLE, GOOD]) == (GOOD,)
    assert pinned_rules(store, "other", [GOOD]) == ()


async def test_a_pinned_rule_is_in_every_candidate_whatever_it_brings(tmp_path: Path) -> None:
    """A rule without an effect goes, a pinned one stays; new rules join it."""
    for pinned, rules in (((), {GOOD}), ((OWN,), {OWN, GOOD})):
        race = CandidateRace(
            evaluator(tmp_path / str(len(pinned))), Weak(), GRADER, "t", questions(20), spare=10_000, pinned=pinned
        )
        incumbent = RuleSet(task="t", version=1, rules=(OWN,))
        selected = await race.best_of(incumbent, [GOOD, IDLE], 4)
        best, _ = await lean(race, selected.best)
        assert set(best.rule_set.rules) == rules
        tried = [score.rule_set for score in (selected.best, *selected.others) if score.rule_set != incumbent]
        assert all(set(pinned) <= set(candidate.rules) for candidate in tried)


def test_a_rule_that_contradicts_a_pinned_one_is_left_out(tmp_path: Path) -> None:
    """The person's word counts."""
    always, never = Rule(text="Always answer in German."), Rule(text="Never answer in German.")
    race = CandidateRace(evaluator(tmp_path), Weak(), GRADER, "t", questions(6), pinned=[always])
    assert race.candidate("none", (never, GOOD)).rules == (always, GOOD)


@pytest.mark.parametrize(("rule", "adopted"), [(GOOD, True), (IDLE, False)], ids=["helps", "does nothing"])
async def test_a_version_by_a_person_goes_through_the_gate_like_any_other(
    tmp_path: Path, rule: Rule, adopted: bool
) -> None:
    """No rules are looked for; what passes is published with its evidence, under the person's name."""
    store, upstream = MemoryStore(), FakeUpstream(script())
    fill(store, 150)
    version = store.publish(RuleSet(task="arithmetic", rules=(rule,), decided_by="console, anna")).version
    ASKED.write(store, AskedTest(version=version, by="console, anna", at=1.0), "arithmetic")
    services = made(upstream, store, learning_settings(data_dir=str(tmp_path)))
    async with open_learner(services.learner_context()) as learner:
        outcome = await learner.learn("arithmetic")
    assert outcome is not None and outcome.adopted is adopted and outcome.items_used and outcome.level is not None
    assert not any("mistake" in str(body).lower() and body["model"] == "big" for body in upstream.bodies)
    assert asked_version(store, "arithmetic") is None and outcome.records == ()
    newest = store.rule_sets("arithmetic")[-1]
    assert (newest.version > version) is adopted and newest.rules == (rule,)
    if adopted:
        assert newest.evidence is not None and newest.decided_by == "console, anna"
        assert store.active()["arithmetic"].version == newest.version


def test_kept_examples_have_a_bound_together() -> None:
    """The first one stays however long it is: outcomes are read by the thousand."""
    item = ChangedItem(id="i", input="x" * 40, expected=1, before="y" * 30, after="z" * 30)
    assert len(within([item] * 10, 350)) == 3
    assert len(within([item], 10)) == 1

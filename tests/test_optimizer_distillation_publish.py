"""Publishing: once per run, as the incumbent's child, and live only where the evidence still holds."""

import pytest

from gateway.domain import Activation, Evidence, Measured, Rule, RuleSet
from gateway.errors import BadRequest
from gateway.rules.decisions import roll_back
from gateway.store.memory import MemoryStore
from optimizer.distillation.publish import Published, publish

EVIDENCE = Evidence(
    verdict="better", before=Measured(accuracy=0.2, n=20), after=Measured(accuracy=0.9, n=20), fixed=14, broken=0,
    items_used=20, p_value=0.001, interval=(0.4, 0.9), note="look 2 of 4",
)  # fmt: skip
CANDIDATE = RuleSet(task="t", rules=(Rule(text="Add first."),))


def run(
    store: MemoryStore, *, share: float = 1.0, incumbent: RuleSet | None = None, started: float = 10.0
) -> Published:
    return publish(store, CANDIDATE, EVIDENCE, incumbent=incumbent, share=share, started=started, now=20.0, by="cycle")


def test_a_candidate_is_numbered_carries_its_evidence_and_goes_live() -> None:
    """The history says who and why."""
    store = MemoryStore()
    published = run(store)
    stored = published.rule_set
    assert (stored.version, stored.parent, stored.evidence, stored.created) == (1, None, EVIDENCE, 20.0)
    assert published.activated and store.active() == {"t": stored}
    assert store.history("t")[-1].why == "gate: look 2 of 4" and stored.decided_by == "cycle"


def test_a_candidate_that_could_not_serve_is_never_stored() -> None:
    """Whoever wrote it: a gateway must be able to load every version in the store."""
    store = MemoryStore()
    broken = RuleSet(task="t", rules=(Rule(text="Add first.", when="text ==="),))
    with pytest.raises(BadRequest):
        publish(store, broken, EVIDENCE, incumbent=None, share=1.0, started=10.0, now=20.0, by="cycle")
    assert store.rule_sets("t") == [] and store.history("t") == []


def test_where_a_human_decides_it_waits() -> None:
    """Stored, not live, and it says so."""
    store = MemoryStore()
    published = run(store, share=0.0)
    assert not published.activated and "rules activate" in published.note and store.active() == {}


def test_the_same_run_publishes_once() -> None:
    """Killed after publishing, it finds its version again; a later run makes a new one."""
    store = MemoryStore()
    assert run(store, share=0.0).rule_set == run(store).rule_set == run(store).rule_set
    assert len(store.rule_sets("t")) == 1 and len(store.history("t")) == 1
    assert run(store, started=30.0, share=0.0).rule_set.version == 2


def test_evidence_against_another_incumbent_does_not_go_live() -> None:
    """Someone activated something else while the cycle ran."""
    store = MemoryStore()
    other = store.publish(RuleSet(task="t", rules=(Rule(text="Be brief."),)))
    store.activate(Activation(task="t", version=other.version, created=1.0, by="human"))
    published = run(store)
    assert not published.activated and "changed meanwhile" in published.note
    assert store.active()["t"].version == other.version
    assert run(store, incumbent=other).activated


def test_a_share_between_puts_it_on_trial() -> None:
    """What was live stays live; the same run again changes nothing."""
    store = MemoryStore()
    published, again = run(store, share=0.05), run(store, share=0.05)
    assert not published.activated and "on trial with 5%" in published.note and again == published
    splits = store.traffic_splits()["t"]
    assert (splits.live, splits.canary, splits.canary_share) == (None, published.rule_set, 0.05)
    assert len(store.history("t")) == 1


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_rules_that_were_taken_off_do_not_come_back_under_another_number(share: float) -> None:
    """Whoever took them off had a reason: a person decides; the number is new, the evidence too."""
    store = MemoryStore()
    run(store, share=share)
    roll_back(store, "t", now=25.0, by="ann")
    again = run(store, share=share, started=30.0)
    assert again.rule_set.version == 2 and not again.activated and "as version 1" in again.note
    assert store.traffic_splits()["t"].live is None and store.traffic_splits()["t"].canary is None


@pytest.mark.parametrize("share", [0.05, 1.0])
def test_a_run_that_goes_on_does_not_undo_a_roll_back(share: float) -> None:
    """It was killed after it had published; meanwhile somebody took its version off."""
    store = MemoryStore()
    published = run(store, share=share)
    roll_back(store, "t", now=25.0, by="ann")
    again = run(store, share=share)
    assert again.rule_set == published.rule_set and not again.activated and "as version 1" in again.note
    assert store.traffic_splits()["t"].live is None and store.traffic_splits()["t"].canary is None


def test_rules_that_somebody_put_back_may_come_back() -> None:
    """Taken off, activated again by a person, and only then replaced: the objection was withdrawn."""
    store = MemoryStore()
    run(store)
    roll_back(store, "t", now=25.0, by="ann")
    other = store.publish(RuleSet(task="t", rules=(Rule(text="Be brief."),)))
    for version in (1, other.version):
        store.activate(Activation(task="t", version=version, created=26.0, by="ann"))
    assert run(store, incumbent=other, started=30.0).activated


def test_rules_that_were_replaced_may_come_back() -> None:
    """Nobody objected to them."""
    store = MemoryStore()
    run(store)
    other = store.publish(RuleSet(task="t", rules=(Rule(text="Be brief."),)))
    store.activate(Activation(task="t", version=other.version, created=26.0, by="ann"))
    again = run(store, incumbent=other, started=30.0)
    assert again.rule_set.version == 3 and again.activated

"""Rules that were ahead and not proven are kept for the next cycle, until one is adopted or they are forgotten."""

from typing import Any

import msgspec

from gateway.domain import CycleRecord, Effect, Rule, RuleRecord, RuleSet, RuleStatus
from gateway.store.memory import MemoryStore
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.promising import CYCLES, MOST, promising_rules


def book(text: str, change: float | None, status: RuleStatus = "tried") -> RuleRecord:
    effect = None if change is None else Effect(
        change=change, interval=(-1.0, 1.0), tokens=0.0, items=20, against="the incumbent",
    )  # fmt: skip
    return RuleRecord(id=Rule(text=text).id, text=text, reason="why", status=status, effect=effect)


def cycle(*books: RuleRecord, **outcome: Any) -> CycleRecord:
    ended = Outcome(task="t", note="n", records=books, **outcome)
    return CycleRecord(id=1, task="t", started=1.0, plan=b"{}", ended=2.0, outcome=ended.encoded())


def texts(*cycles: CycleRecord, incumbent: RuleSet | None = None) -> list[str]:
    return [rule.text for rule in promising_rules(cycles, incumbent)]


def test_rules_ahead_of_the_incumbent_are_promising_the_largest_effect_first() -> None:
    """Not those without a gain, those refused, and those left out without a loss."""
    books = [
        book("Add.", 0.1), book("Subtract.", 0.2), book("Harm.", -0.1), book("Idle.", 0.0),
        book("Left out.", 0.3, "dropped"), book("Refused.", None, "refused"), book("Unmeasured.", None),
    ]  # fmt: skip
    assert texts(cycle(*books)) == ["Subtract.", "Add."]


def test_a_candidate_ahead_at_the_gate_without_a_verdict_leaves_its_rules() -> None:
    """Each may be what helped; after "worse" none is promising."""
    kept = book("Add.", None, "kept")
    assert texts(cycle(kept, verdict="cannot tell", fixed=5, broken=2)) == ["Add."]
    assert texts(cycle(kept, verdict="cannot tell", fixed=2, broken=5)) == texts(cycle(kept, verdict="worse")) == []


def test_what_a_newer_cycle_says_counts() -> None:
    """Also if it says that there is no gain."""
    assert texts(cycle(book("Add.", 0.0)), cycle(book("Add.", 0.4))) == []


def test_an_adoption_or_another_incumbent_begins_anew() -> None:
    """A gain over rules that are gone says nothing; a rule that is live is no promise."""
    live = RuleSet(task="t", version=2, rules=(Rule(text="Live."),))
    older = cycle(book("Add.", 0.4))
    assert texts(cycle(adopted=True), older) == []
    assert texts(older, incumbent=live) == []
    assert texts(cycle(book("Add.", 0.4), book("Live.", 0.4), against=2), incumbent=live) == ["Add."]


def test_promising_rules_are_bounded() -> None:
    """However many a task has seen."""
    many = cycle(*(book(f"Rule {number}.", 0.1) for number in range(30)))
    assert len(texts(many)) == MOST
    assert texts(*[cycle()] * CYCLES, cycle(book("Old.", 0.9))) == []


def test_forgetting_takes_them_back() -> None:
    """With the books of the cycles that stood on the deleted texts."""
    store = MemoryStore()
    begun = store.begin_cycle("t", 1.0, b"{}")
    store.end_cycle(begun.id, 2.0, msgspec.json.encode(Outcome(task="t", note="n", records=(book("Add.", 0.4),))))
    assert promising_rules(store.cycles("t", limit=9), None)
    store.redact_cycles(9.0, tasks=["t"])
    assert promising_rules(store.cycles("t", limit=9), None) == ()

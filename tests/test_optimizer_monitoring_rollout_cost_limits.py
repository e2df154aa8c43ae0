"""How much slower and dearer a rule set may be."""

from gateway.domain import Evidence, Measured, RuleSet, Scratchpad
from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import CostLimits
from optimizer.monitoring.rollout.cost_limits import cost_limits_for, relative_cost


def rules(version: int, against: int | None, times: float, scratchpad: Scratchpad = "two_pass") -> RuleSet:
    """A version that was measured as so many times as slow and dear as another."""
    evidence = Evidence(
        verdict="better", before=Measured(accuracy=0.5, n=50, output_tokens=10, latency_s=1),
        after=Measured(accuracy=0.9, n=50, output_tokens=10 * times, latency_s=times), fixed=20, broken=0,
        items_used=50, p_value=0.0, interval=(0.3, 0.5), against=against,
    )  # fmt: skip
    return RuleSet(task="t", version=version, evidence=evidence, scratchpad=scratchpad)


KNOWN = {1: rules(1, None, 20.0), 2: rules(2, 1, 1.5), 3: RuleSet(task="t", version=3, scratchpad="two_pass"),
         4: RuleSet(task="t", version=4), 5: rules(5, 2, 0.1), 6: rules(6, 6, 2.0)}  # fmt: skip


def test_a_promise_goes_back_to_no_rules_through_those_that_it_was_compared_with() -> None:
    """Version 2 is 1.5 times version 1, which is 20 times no rules."""
    assert relative_cost(2, KNOWN.get) == (30.0, 30.0)
    assert relative_cost(None, KNOWN.get) == (1.0, 1.0)


def test_a_limit_is_relative_to_what_is_compared_with() -> None:
    """The live version for a trial, no rules for those held back, the version before for the past."""
    trial = Pairing(subject="trial", version=2, began=0, challenger="canary", incumbent="weak")
    held = Pairing(subject="holdback", version=2, began=0, challenger="weak", incumbent="holdback")
    past = Pairing(subject="past", version=2, began=0, challenger="weak", incumbent=None, before=1)
    strong = Pairing(subject="strong", version=2, began=0, challenger="weak", incumbent="strong")
    assert cost_limits_for(trial, 1, KNOWN.get, 3.0) == CostLimits(latency=4.5, tokens=4.5)
    assert cost_limits_for(held, 2, KNOWN.get, 3.0) == CostLimits(latency=90.0, tokens=90.0)
    assert cost_limits_for(past, 2, KNOWN.get, 3.0) == CostLimits(latency=4.5, tokens=4.5)
    assert cost_limits_for(strong, 2, KNOWN.get, 3.0) == CostLimits(latency=3.0, tokens=3.0)


def test_what_was_promised_to_be_cheaper_may_cost_what_the_incumbent_costs() -> None:
    """Only more than that, times the slowdown, is harm."""
    trial = Pairing(subject="trial", version=5, began=0, challenger="canary", incumbent="weak")
    assert cost_limits_for(trial, 2, KNOWN.get, 3.0) == CostLimits(latency=3.0, tokens=3.0)


def test_of_rules_without_evidence_only_those_without_a_scratchpad_have_a_limit() -> None:
    """Nobody knows what the others take; nor is there sense in evidence that goes round in a circle."""
    assert relative_cost(4, KNOWN.get) == (1.0, 1.0)
    assert relative_cost(3, KNOWN.get) == relative_cost(6, KNOWN.get) == relative_cost(99, KNOWN.get) == (None, None)
    trial = Pairing(subject="trial", version=3, began=0, challenger="canary", incumbent="weak")
    assert cost_limits_for(trial, None, KNOWN.get, 3.0) == CostLimits(latency=None, tokens=None)

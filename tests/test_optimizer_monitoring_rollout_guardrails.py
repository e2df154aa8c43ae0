"""The guardrails: together they have alpha, and what labels cannot show they do not say."""

import msgspec
import pytest

from optimizer.monitoring.rollout.arms import Pairing
from optimizer.monitoring.rollout.comparison import Comparison, CostLimits, begun
from optimizer.monitoring.rollout.complaints import Complaints
from optimizer.monitoring.rollout.guardrails import PARTS, Guardrail, guardrails_of, harmed, rates
from tests.rollouts import START, looking, observed, pair

TRIAL = Pairing(subject="trial", version=2, began=START, challenger="canary", incumbent="weak", against=1)
COSTS = begun(TRIAL, CostLimits(latency=3, tokens=3), [], "small")


def rail(comparison: Comparison, name: str, alpha: float = 0.01) -> Guardrail:
    return next(found for found in guardrails_of(comparison, alpha) if found.name == name)


def test_a_version_has_alpha_for_its_whole_life_and_the_weak_model_has_it_too() -> None:
    """On trial, against the hold-back and against the past together; no part is without a use."""
    life = sum(sum(PARTS[subject].values()) for subject in ("trial", "holdback", "past"))
    assert life == pytest.approx(1.0) and sum(PARTS["strong"].values()) == pytest.approx(1.0)
    assert {found.name for found in guardrails_of(COSTS, 0.01)} == set(PARTS["trial"])
    assert rail(COSTS, "paired answers").limit == pytest.approx(1 / 0.003)


def test_latency_and_tokens_beyond_the_limit_are_harm_and_without_a_limit_they_are_not() -> None:
    """Three times is allowed here; the challenger takes ten times."""
    rows = [
        observed(at, START + at, *(("canary", 2) if at % 5 == 0 else ("weak", 1)),
                 latency_ms=5000.0 if at % 5 == 0 else 500.0, tokens=200 if at % 5 == 0 else 20)
        for at in range(300)
    ]  # fmt: skip
    reached = {found.name for found in guardrails_of(COSTS.after(looking(rows), 0.2), 0.01) if found.reached}
    assert reached == {"latency", "output tokens"}
    free = begun(TRIAL, CostLimits(), [], "small").after(looking(rows), 0.2)
    assert not {"latency", "output tokens"} & {found.name for found in guardrails_of(free, 0.01)}
    allowed = begun(TRIAL, CostLimits(latency=12, tokens=12), [], "small").after(looking(rows), 0.2)
    assert not any(found.reached for found in guardrails_of(allowed, 0.01))


def test_pairs_in_which_the_challenger_alone_fails_are_harm() -> None:
    """With the numbers in words."""
    pairs = [pair(number, 1 if number % 3 else 0) for number in range(40)]
    found = rail(COSTS.after(looking(pairs=pairs), 0.05), "paired answers")
    assert found.reached and found.doubtful
    assert found.why == "of 40 requests answered anew, 26 were wrong with it alone, 0 without alone"


def test_complaints_on_either_arm_are_evidence_and_on_one_alone_are_refused() -> None:
    """Four lies, or forty, about the challenger's replies end nothing; the reason is said."""
    complaints = [pair(number, 1, at_random=False, on_challenger=True) for number in range(40)]
    found = rail(COSTS.after(looking(pairs=complaints), 0.5), "complaints")
    assert found.reached and not found.refused
    biased = msgspec.structs.replace(
        COSTS.after(looking(pairs=complaints), 0.5), complaints=Complaints(paired=COSTS.pairs, alike=(0, 12))
    )
    refused = rail(biased, "complaints")
    assert not refused.reached and "depend on the arm" in refused.refused
    unpaired = [pair(number, None, at_random=False) for number in range(40)]
    one_sided = rail(COSTS.after(looking(pairs=unpaired), 0.5), "complaints")
    assert not one_sided.reached and "one arm only" in one_sided.refused


def test_harmed_requests_are_those_beyond_what_the_other_arm_would_have_had() -> None:
    """Ten of a hundred would have been bad anyway."""
    assert harmed(30, 100, 10, 100) == 20
    assert harmed(5, 100, 10, 100) == harmed(5, 100, 0, 0) == 0
    assert rates(2, 4, 1, 4) == "2 of 4 (50%) against 1 of 4 (25%): about 1 requests harmed"
    assert rates(0, 0, 1, 4) == "0 of 0 against 1 of 4 (25%)"

"""The plan of a cycle: stored and read again, held to its level, and carried on with new items only."""

import msgspec

from gateway.domain import RuleSet
from gateway.proof import LabelSources
from optimizer.dataset.items import Examples
from optimizer.distillation.carried_test import CarriedTest
from optimizer.distillation.plan import CyclePlan, forecast, plan_for
from optimizer.statistics.paired_test import LEVEL, smallest_detectable
from tests.scripted import questions


def plan(*, by: str = "cycle", carried: CarriedTest | None = None) -> CyclePlan:
    return plan_for(
        "t", Examples(items=tuple(questions(120))), incumbent=None, started=5.0, by=by, level=0.04,
        labels=LabelSources(people=120), carried=carried,
    )  # fmt: skip


def carried(stage: int = 1) -> CarriedTest:
    items = questions(60)
    return CarriedTest(
        candidate=RuleSet(task="t"), incumbent="", begun=1.0, stage=stage, level=0.04, items=tuple(items[:30]),
        known=tuple(item.id for item in items),
    )  # fmt: skip


def test_a_plan_is_the_same_after_a_restart() -> None:
    """With its labels and the candidate that it carries on."""
    assert CyclePlan.decoded(plan(carried=carried()).encoded()) == plan(carried=carried())


def test_a_scheduled_test_takes_its_level_in_stages_and_a_persons_at_once() -> None:
    """Half first, a quarter when it is carried on."""
    assert (plan().stage, plan().stage_level) == (0, 0.02)
    assert (plan(carried=carried()).stage, plan(carried=carried()).stage_level) == (1, 0.01)
    assert plan(by="distill").stage_level == 0.04


def test_a_candidate_carried_on_keeps_its_items_and_gets_every_new_one() -> None:
    """In this order, so that its earlier looks stay what they were."""
    parts = plan(carried=carried()).parts(selection=20, confirmation=40)
    assert list(parts.confirmation) == [*questions(60)[:30], *questions(120)[60:]]


def test_the_forecast_is_for_the_level_that_will_be_used() -> None:
    """A stricter test shows larger gains only; near-duplicates count once."""
    parts = plan().parts(selection=20, confirmation=40)
    strict, lax = forecast(parts, 0.002), forecast(parts)
    assert strict.detectable > 1.3 * lax.detectable
    assert lax.detectable == smallest_detectable(len(parts.confirmation), alpha=LEVEL)
    family = tuple(msgspec.structs.replace(item, cluster="one family") for item in parts.confirmation)
    assert forecast(msgspec.structs.replace(parts, confirmation=family)).detectable == smallest_detectable(1)

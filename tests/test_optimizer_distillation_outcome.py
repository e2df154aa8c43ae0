"""Plans and outcomes survive being stored, and an outcome has the keys of the contract."""

import json

import msgspec

from gateway.domain import Rule, RuleSet
from optimizer.dataset.items import Examples, Mistake, RecordedReply
from optimizer.distillation.outcome import Outcome
from optimizer.distillation.plan import CyclePlan, forecast, plan_for
from optimizer.distillation.rule_records import effect, record
from optimizer.evaluation.noise import Noise
from optimizer.statistics.paired_test import Pairs
from tests.scripted import questions


def plan() -> CyclePlan:
    items = questions(120)
    examples = Examples(
        items=tuple(items),
        seen={items[0].id: RecordedReply(reply="5", correct=False)},
        mistakes=(Mistake(request=items[1].request, reply="6"),),
    )
    incumbent = RuleSet(task="t", version=2, rules=(Rule(text="Be brief."),))
    return plan_for("t", examples, incumbent=incumbent, started=5.0, by="cycle", spent=["a"], tenants={"a": "t1"})


def test_a_plan_is_the_same_after_a_restart() -> None:
    """So that a killed cycle runs again as it was."""
    assert CyclePlan.decoded(plan().encoded()) == plan()


def test_the_forecast_says_what_can_be_found_before_anything_is_spent() -> None:
    """Items per stage and the smallest gain that they can show."""
    expected = forecast(plan().parts(selection=20, confirmation=40))
    assert expected.selection == 20 and expected.confirmation <= 40 and 20 < expected.induction < 60
    assert 0.15 < expected.detectable < 0.25


def test_an_outcome_of_an_earlier_version_is_still_read() -> None:
    """It knew nothing of records, noise and levels, and its spent items count all the same."""
    old = {"task": "t", "note": "n", "spent": ["a"], "rejected": [{"what": "w", "why": "y"}]}
    outcome = msgspec.json.decode(msgspec.json.encode(old), type=Outcome)
    assert outcome.spent == ("a",) and outcome.records == () and outcome.noise is None and outcome.level is None


def test_an_outcome_with_records_survives_being_stored() -> None:
    """Ids, effects and what was tried come back as they were."""
    book = record(Rule(text="Add first.", reason="r"), "kept", mistakes=["m"], groups=2)
    book = msgspec.structs.replace(book, effect=effect(Pairs(both=5, fixed=3), tokens=4.0, alone=True))
    outcome = Outcome(task="t", note="n", records=(book,), noise=Noise(items=20, differing=1, interval=(0.0, 0.2)))
    assert msgspec.json.decode(outcome.encoded(), type=Outcome) == outcome


def test_an_outcome_has_the_keys_that_scripts_rely_on() -> None:
    """``distill --json`` and ``verify --json`` print it as it is."""
    keys = json.loads(Outcome(task="t", note="n").encoded())
    assert {"task", "verdict", "adopted", "fixed", "broken", "items_used", "p_value", "before", "after"} <= set(keys)
    assert {"accuracy", "n", "output_tokens", "latency_s", "ungraded"} <= set(keys["before"])

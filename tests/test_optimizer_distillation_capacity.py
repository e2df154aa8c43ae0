"""What a model carries is measured once and bounds every later cycle."""

from pathlib import Path
from typing import Any

import pytest

from gateway.domain import RuleSet
from gateway.settings import NumericGrader
from optimizer.dataset.items import BadData
from optimizer.distillation.capacity import (
    RULES,
    Capacity,
    measure_capacity,
    most_rules,
    nearest_examples,
    place_of,
)
from tests.scripted import Weak, evaluator, questions


class Small(Weak):
    """Gets easy sums right as long as it has few rules; with two or four examples it gets the hard ones right, too."""

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        if rule_set is not None and len(rule_set.rules) > 8:
            return "I am lost.", 3
        self.cure = "" if rule_set is not None and rule_set.examples and rule_set.nearest in (2, 4) else "doubled"
        return super().reply(body, rule_set)


async def measured(tmp_path: Path, weak: Weak, count: int = 120) -> Capacity:
    desk = evaluator(tmp_path)
    try:
        return await measure_capacity(desk, weak, NumericGrader(), "t", questions(count, hard=0.5))
    finally:
        desk.evaluations.close()


async def test_idle_rules_are_added_until_right_answers_go_wrong(tmp_path: Path) -> None:
    """The last number that leaves them right is the model's; larger ones are not paid for."""
    capacity = await measured(tmp_path, Small())
    assert capacity.rules == 8 and [entry.count for entry in capacity.tried_rules] == [4, 8, 16]
    assert "it carries 8 rules" in capacity.note


async def test_the_number_of_examples_with_the_most_right_answers_is_kept(tmp_path: Path) -> None:
    """The smaller at a tie."""
    capacity = await measured(tmp_path, Small())
    assert capacity.examples == 2 and "best with 2 examples" in capacity.note
    assert [entry.count for entry in capacity.tried_examples] == [0, 1, 2, 4, 8, 16]


async def test_a_model_without_right_answers_has_no_measured_capacity_for_rules(tmp_path: Path) -> None:
    """Idle rules cannot make wrong answers worse. Too few examples in all are refused."""

    class Lost(Weak):
        def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
            return "No idea.", 3

    assert (await measured(tmp_path, Lost())).rules is None
    with pytest.raises(BadData, match="too few"):
        await measured(tmp_path / "few", Small(), count=12)


def test_a_capacity_bounds_candidates_and_never_widens_a_setting() -> None:
    """Without a measurement the setting holds alone."""
    small = Capacity(model="small", rules=4, examples=8)
    assert (most_rules(8, small), most_rules(2, small), most_rules(8, None)) == (4, 2, 8)
    assert most_rules(8, Capacity(model="small", rules=None, examples=None)) == 8
    assert (nearest_examples(small), nearest_examples(None)) == (8, None)
    assert nearest_examples(Capacity(model="small", rules=4, examples=0)) is None


def test_another_model_behind_the_name_has_another_note() -> None:
    """Its capacity is its own."""
    first, second = Weak(), Weak()
    second.identity = "mock another"
    assert place_of(first) != place_of(second) and RULES[0] < RULES[-1]

"""A candidate between two stages: which items are new to it, and when it goes on."""

import msgspec

from gateway.domain import RuleSet
from optimizer.distillation.carried_test import CarriedTest, may_go_on
from optimizer.statistics.alpha_spending import STAGES
from tests.scripted import questions

ITEMS = questions(40)
CARRIED = CarriedTest(
    candidate=RuleSet(task="t"), incumbent="", begun=1.0, stage=1, level=0.04, items=tuple(ITEMS[10:20]),
    known=tuple(item.id for item in ITEMS[:20]),
)  # fmt: skip


def test_only_audited_items_are_new_that_the_candidate_was_never_shown() -> None:
    """Neither what taught it, nor what ranked it, nor what was chosen by its outcome."""
    complained = msgspec.structs.replace(ITEMS[39], audit_rate=0.0)
    assert CARRIED.new([*ITEMS[:39], complained]) == ITEMS[20:39]


def test_what_hangs_together_with_a_known_item_is_not_new() -> None:
    """The next turn of a conversation that taught the candidate; a turn of one that confirms it is welcome."""
    taught = [msgspec.structs.replace(item, cluster="taught") for item in (ITEMS[0], ITEMS[20])]
    confirms = [msgspec.structs.replace(item, cluster="confirms") for item in (ITEMS[10], ITEMS[21])]
    assert CARRIED.new([*taught, *confirms, ITEMS[22]]) == [confirms[1], ITEMS[22]]


def test_a_promising_candidate_goes_on_until_its_level_is_used_up() -> None:
    """With half as many items as it had, at least ten."""
    assert may_go_on(2.0, 0) and not may_go_on(0.5, 0) and not may_go_on(2.0, len(STAGES) - 1)
    assert CARRIED.needed() == 10
    assert msgspec.structs.replace(CARRIED, items=tuple(questions(100))).needed() == 50

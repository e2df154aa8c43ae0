"""What a run may cost and what it can show."""

import pytest

from optimizer.items import Split
from optimizer.migration.forecast import excludable, expected
from tests.fakes import CONFIG, settings
from tests.scripted import questions

ITEMS = tuple(questions(60))
PARTS = Split(induction=ITEMS[:10], selection=ITEMS[10:20], confirmation=ITEMS[20:40])
SETTINGS = settings()
TASK = SETTINGS.tasks["arithmetic"]


def test_every_part_costs_what_is_asked_on_it() -> None:
    """Selection for every candidate, confirmation twice, untouched items three times."""
    without = expected(PARTS, (), TASK, SETTINGS.models)
    assert without.used["small"].answers == 10 + 6 * 10 + 2 * 20
    assert without.used["large"].answers == 4
    compared = expected(PARTS, ITEMS[40:], TASK, SETTINGS.models)
    assert compared.answers - without.answers == 3 * 20


def test_recorded_answers_of_the_strong_model_cost_nothing() -> None:
    """They are in the log."""
    asked, recorded = (
        expected(PARTS, ITEMS[40:], TASK, SETTINGS.models, recorded=count).used["large"].answers for count in (0, 15)
    )
    assert asked - recorded == 15


def test_one_model_in_both_roles_is_counted_once() -> None:
    """Its answers add up."""
    alone = settings(CONFIG.replace('strong = "large"', 'strong = "small"'))
    found = expected(PARTS, (), alone.tasks["arithmetic"], alone.models)
    assert set(found.used) == {"small"} and found.answers == 110 + 4


@pytest.mark.parametrize(("n", "least"), [(50, 0.177), (500, 0.056), (628, 0.05)])
def test_the_loss_that_can_be_ruled_out_shrinks_with_the_root_of_the_examples(n: int, least: float) -> None:
    """A margin of five points takes 628 of them; none rule out nothing."""
    assert excludable(n) == pytest.approx(least, abs=0.002)
    assert excludable(0) == 1.0

"""What a run may cost and what it can show."""

import msgspec
import pytest

from optimizer.dataset.split import Split
from optimizer.distillation.selection.race import MOST_RACED
from optimizer.migration.forecast import JUDGED, excludable, expected
from tests.fakes import CONFIG, settings
from tests.scripted import questions

ITEMS = tuple(questions(60))
PARTS = Split(induction=ITEMS[:10], selection=ITEMS[10:20], confirmation=ITEMS[20:40])
WEAK = 10 + 10 * MOST_RACED + 2 * 20
"""Answers of the weak model: to learn from, of every candidate, and twice in confirmation."""
SETTINGS = settings()
TASK = SETTINGS.tasks["arithmetic"]


def test_every_part_costs_what_is_asked_on_it() -> None:
    """Selection for every candidate, confirmation twice, untouched items three times."""
    without = expected(PARTS, (), TASK, SETTINGS.models)
    assert without.used["small"].answers == WEAK
    assert without.used["large"].answers == 4
    compared = expected(PARTS, ITEMS[40:], TASK, SETTINGS.models, strong=ITEMS[40:])
    assert compared.answers - without.answers == 3 * 20


def test_every_question_for_the_strong_model_counts() -> None:
    """Labels and its arm of the comparison; answers in the log are no questions."""
    asked, fewer = (
        expected(PARTS, ITEMS[40:], TASK, SETTINGS.models, strong=ITEMS[start:]).used["large"].answers
        for start in (40, 55)
    )
    assert asked - fewer == 15


def test_one_model_in_both_roles_is_counted_once() -> None:
    """Its answers add up."""
    alone = settings(CONFIG.replace('strong = "large"', 'strong = "small"'))
    result = expected(PARTS, (), alone.tasks["arithmetic"], alone.models)
    assert set(result.used) == {"small"} and result.answers == WEAK + 4


def test_what_is_left_to_chance_is_asked_again() -> None:
    """The noise floor: the incumbent once more, on as many selection items as it takes."""
    warm = msgspec.structs.replace(ITEMS[10], request=b'{"temperature":0.7}')
    noisy = msgspec.structs.replace(PARTS, selection=(warm, *ITEMS[11:20]))
    assert expected(noisy, (), TASK, SETTINGS.models).used["small"].answers == WEAK + 10


def test_a_judge_is_asked_twice_about_every_reply() -> None:
    """Of its own, and in tokens; it is the strong model here."""
    judged = settings(CONFIG.replace('kind = "numeric"', 'kind = "judge"'))
    result, without = (
        expected(PARTS, ITEMS[40:], item.tasks["arithmetic"], item.models, strong=ITEMS[45:])
        for item in (judged, SETTINGS)
    )
    weak = without.used["small"].answers + 10  # a judge leaves grades to chance: the noise floor
    assert result.used["small"].answers == weak
    assert result.used["large"].answers == without.used["large"].answers + 2 * (weak + 15)
    assert result.used["large"].usage.prompt_tokens > 2 * weak * JUDGED.prompt_tokens


def test_rules_tried_one_by_one_are_told_beside_the_rest() -> None:
    """Nobody knows before how many there are; on few selection items none is."""
    assert expected(PARTS, (), TASK, SETTINGS.models).more == 0
    enough = msgspec.structs.replace(PARTS, selection=ITEMS[10:30], confirmation=ITEMS[30:45])
    assert expected(enough, (), TASK, SETTINGS.models).more == 4 * 15


def test_a_judge_is_asked_about_rules_that_are_tried_one_by_one_too() -> None:
    """Twice about each reply, as anywhere else."""
    judged = settings(CONFIG.replace('kind = "numeric"', 'kind = "judge"'))
    enough = msgspec.structs.replace(PARTS, selection=ITEMS[10:30], confirmation=ITEMS[30:45])
    assert expected(enough, (), judged.tasks["arithmetic"], judged.models).more == 4 * 15 * 3
    assert expected(PARTS, (), judged.tasks["arithmetic"], judged.models).more == 0


@pytest.mark.parametrize(("n", "least"), [(50, 0.177), (500, 0.056), (628, 0.05)])
def test_the_loss_that_can_be_ruled_out_shrinks_with_the_root_of_the_examples(n: int, least: float) -> None:
    """A margin of five points takes 628 of them; none rule out nothing."""
    assert excludable(n) == pytest.approx(least, abs=0.002)
    assert excludable(0) == 1.0

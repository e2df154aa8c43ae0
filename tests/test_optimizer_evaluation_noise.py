"""The noise floor: measured where chance has a say, and honest about what can then be shown."""

from pathlib import Path

import msgspec
import pytest

from gateway.domain import RuleSet
from gateway.settings.graders import JudgeGrader
from optimizer.dataset.items import Item
from optimizer.evaluation.evaluator import Answer
from optimizer.evaluation.noise import ITEMS, Noise, detectable, is_random, noise_floor
from optimizer.statistics.paired_test import smallest_detectable
from tests.scripted import GRADER, Weak, evaluator, questions


def with_temperature(item: Item, temperature: object) -> Item:
    body = msgspec.json.decode(item.request) | {"temperature": temperature}
    return msgspec.structs.replace(item, request=msgspec.json.encode(body))


class Fickle(Weak):
    """Right or wrong by turns, a fifth of the items apart, whatever is asked."""

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        answer = await super().answer(request, rule_set)
        twice = self.calls[request, None] == 2 and self.total % 5 == 0
        return msgspec.structs.replace(answer, text="0") if twice else answer


@pytest.mark.parametrize(("temperature", "noisy"), [(0.7, True), (0, False), (None, False), ("warm", False)])
def test_a_temperature_above_zero_leaves_an_answer_to_chance(temperature: object, noisy: bool) -> None:
    """One request with it is enough; what is no number is the upstream's to refuse."""
    items = questions(3)
    assert is_random([*items, with_temperature(items[0], temperature)], GRADER) is noisy


def test_a_judge_leaves_a_grade_to_chance() -> None:
    """Whatever the temperature."""
    assert is_random(questions(3), JudgeGrader(model="large")) and not is_random(questions(3), GRADER)


async def test_the_incumbent_is_asked_twice_on_some_items(tmp_path: Path) -> None:
    """The share of items that it got right once and wrong once, with an interval."""
    weak, desk, items = Fickle(), evaluator(tmp_path, concurrency=1), questions(30, hard=0.0)
    first = await desk.trials(weak, items, None, GRADER, stage="selection")
    noise = await noise_floor(desk, weak, GRADER, first, incumbent=None)
    assert (noise.items, noise.differing, noise.rate) == (ITEMS, 4, 0.2) and weak.total == 30 + ITEMS
    assert noise.interval[0] < 0.2 < noise.interval[1]
    assert await noise_floor(desk, weak, GRADER, first, incumbent=None) == noise and weak.total == 30 + ITEMS


async def test_a_steady_model_has_no_noise(tmp_path: Path) -> None:
    """Asked twice it answers the same."""
    weak, desk = Weak(), evaluator(tmp_path)
    first = await desk.trials(weak, questions(20), None, GRADER, stage="selection")
    assert (await noise_floor(desk, weak, GRADER, first, incumbent=None)).differing == 0


def test_noise_makes_only_larger_gains_detectable() -> None:
    """Without any the number is the one that is promised before."""
    assert detectable(100, None) == smallest_detectable(100)
    assert detectable(100, Noise(items=20, differing=6, interval=(0.1, 0.5))) > 1.2 * smallest_detectable(100)

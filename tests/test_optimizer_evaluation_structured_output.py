"""A shape is asked for where the upstream takes it: one memory, whoever asks and for whatever shape.

What an upstream may refuse, and when, is tested where rules are asked for (``distillation.induction.structured``).
"""

import json
from pathlib import Path

import pytest

from gateway.domain import RuleSet
from gateway.errors import UpstreamRefused
from gateway.settings.graders import JudgeGrader
from optimizer.dataset.items import item_of
from optimizer.distillation.induction.structured import ask_for_rules
from optimizer.evaluation.evaluator import Answer, Evaluator
from optimizer.grading.graders import Submission
from optimizer.grading.graders.judge import JudgedReply
from tests.scripted import Judge, evaluator

ITEM = item_of({"messages": [{"role": "user", "content": "Capital of Norway?"}]}, "Oslo.")
JUDGED = JudgeGrader(model="large")


class Plain(Judge):
    """Teaches and judges on an upstream that may know no ``response_format``."""

    def __init__(self, *, takes_it: bool) -> None:
        super().__init__(lambda reply, reference: True)
        self.takes_it = takes_it
        self.shaped = 0
        """Calls that asked for a shape."""

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        self.shaped += "response_format" in json.loads(request)
        if "response_format" in json.loads(request) and not self.takes_it:
            raise UpstreamRefused(400, b"{}", {})
        return Answer(text='{"why": "So.", "rules": [], "verdict": "same"}')


async def both(desk: Evaluator, model: Plain, number: int) -> None:
    """One question for rules, and one for a verdict."""
    await ask_for_rules(desk, model, f"free {number}", f"shaped {number}")
    assert await JudgedReply(JUDGED).as_good(
        Submission(text=f"reply {number}", request=ITEM.request), ITEM.expected, desk.ask_judge, reply_first=True
    )


@pytest.mark.parametrize(("takes_it", "shaped"), [(True, 4), (False, 1)])
async def test_a_refusal_is_heard_once_by_all_who_ask(tmp_path: Path, takes_it: bool, shaped: int) -> None:
    """The judge does not try what was refused to the teacher, and the next run neither."""
    model = Plain(takes_it=takes_it)
    for number in range(2):
        desk = evaluator(tmp_path, models={"large": model})
        await both(desk, model, number)
        desk.evaluations.close()
    assert model.shaped == shaped


async def test_what_one_model_refuses_says_nothing_of_another(tmp_path: Path) -> None:
    """Each upstream and model speaks for itself."""
    refusing, taking = Plain(takes_it=False), Plain(takes_it=True)
    taking.identity = "mock other"
    desk = evaluator(tmp_path)
    for model in (refusing, taking):
        await ask_for_rules(desk, model, "free", "shaped")
    assert (refusing.shaped, taking.shaped) == (1, 1)

"""Structured output: used where the upstream has it, found out once, never needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain import RuleSet
from gateway.errors import UpstreamRefused
from optimizer.distillation.induction.structured import ask_for_rules
from optimizer.evaluation.evaluator import Answer
from tests.scripted import FOUND, Strong, evaluator


class Picky(Strong):
    """Answers with ``status`` whatever asks for a format, or everything."""

    def __init__(self, status: int, *, everything: bool = False) -> None:
        super().__init__(FOUND)
        self.status = status
        self.everything = everything
        self.bodies: list[dict[str, Any]] = []

    async def answer(self, request: bytes, rule_set: RuleSet | None) -> Answer:
        body = json.loads(request)
        self.bodies.append(body)
        if self.status != 200 and (self.everything or "response_format" in body):
            raise UpstreamRefused(self.status, b"{}", {})
        return await super().answer(request, rule_set)

    @property
    def shapes(self) -> list[bool]:
        """Of every call, whether it asked for the format."""
        return ["response_format" in body for body in self.bodies]


async def test_an_upstream_that_takes_the_shape_is_asked_for_it_every_time(tmp_path: Path) -> None:
    """And told so in the prompt."""
    strong, desk = Picky(200), evaluator(tmp_path)
    for question in "ab":
        await ask_for_rules(desk, strong, f"free {question}", f"shaped {question}")
    assert strong.shapes == [True, True] and strong.asked == ["shaped a", "shaped b"]
    schema = strong.bodies[0]["response_format"]["json_schema"]
    assert schema["strict"] and list(schema["schema"]["properties"]) == ["why", "rules"]


@pytest.mark.parametrize("status", [400, 422])
async def test_an_upstream_that_refuses_the_shape_is_asked_without_it_from_then_on(tmp_path: Path, status: int) -> None:
    """Also by the next run, and by groups that ask at the same time."""
    strong, desk = Picky(status), evaluator(tmp_path)

    async def ask(question: str) -> Answer:
        return await ask_for_rules(desk, strong, f"free {question}", f"shaped {question}")

    answers = await desk.each(ask, ["a", "b", "c"], stage="induction")
    assert all(FOUND in answer.text for answer in answers)
    refused = strong.shapes.count(True)
    assert {body["messages"][0]["content"] for body in strong.bodies if "response_format" in body} == {"shaped a"}
    desk.evaluations.close()
    later = evaluator(tmp_path)
    await ask_for_rules(later, strong, "free d", "shaped d")
    later.evaluations.close()
    assert strong.shapes.count(True) == refused and sorted(strong.asked) == ["free a", "free b", "free c", "free d"]


async def test_a_refusal_of_everything_is_not_blamed_on_the_shape(tmp_path: Path) -> None:
    """The error is the upstream's own, and the next run tries the shape again."""
    strong, desk = Picky(400, everything=True), evaluator(tmp_path)
    with pytest.raises(UpstreamRefused):
        await ask_for_rules(desk, strong, "free", "shaped")
    strong.everything, strong.status = False, 200
    await ask_for_rules(desk, strong, "free", "shaped")
    assert strong.asked == ["shaped"]


async def test_another_error_is_not_a_word_about_the_shape(tmp_path: Path) -> None:
    """A key that is refused or a limit that is reached ends the run as it always did."""
    strong = Picky(401)
    with pytest.raises(UpstreamRefused):
        await ask_for_rules(evaluator(tmp_path), strong, "free", "shaped")
    assert all(strong.shapes)


async def test_a_teacher_that_is_not_asked_for_the_shape_gets_the_plain_question(tmp_path: Path) -> None:
    """A small model that teaches itself."""
    strong = Picky(400)
    await ask_for_rules(evaluator(tmp_path), strong, "free", None)
    assert strong.shapes == [False]

"""What may be asked of the other model, and what two answers to one request show."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain import Arm, Exchange, Rule, RuleSet, ToolCall
from gateway.settings import Grader, NumericGrader, Shadow, Task
from gateway.settings.graders import JudgeGrader, PythonTestsGrader, ToolCallGrader
from optimizer.evaluation.answer_cache import Answer
from optimizer.monitoring.shadow.pair import compared, in_sample, injectable, other_model, question, shadow_of
from tests.scripted import Judge, evaluator
from tests.traffic import NOW, TASK, asked, exchange

SECTION = Task(weak="small", strong="large", grader=NumericGrader(), shadow=Shadow(share=0.25))


def section(grader: Grader) -> Task:
    return msgspec.structs.replace(SECTION, grader=grader)


@pytest.mark.parametrize(("arm", "model"), [
    ("strong", "small"), ("weak", "large"), ("canary", "large"), ("holdback", "large"),
    ("fallback", None), ("direct", None), ("shadow", None),
])  # fmt: skip
def test_the_model_that_did_not_answer_is_asked(arm: Arm, model: str | None) -> None:
    """Where neither of the two did, there is nothing to compare."""
    assert other_model(exchange(1, arm=arm), SECTION) == model


def test_the_sample_is_the_same_each_time_and_grows_with_its_share() -> None:
    """So a sweep that runs twice asks nothing twice, and another task draws its own."""
    drawn = {share: _drawn(share) for share in (0.0, 0.25, 0.5, 1.0)}
    assert drawn[0.0] == set() and len(drawn[1.0]) == 2000
    assert drawn[0.25] < drawn[0.5]
    assert 400 < len(drawn[0.25]) < 600
    assert _drawn(0.25, "another") != drawn[0.25]


def _drawn(share: float, task: str = TASK) -> set[int]:
    told = msgspec.structs.replace(SECTION, shadow=Shadow(share=share))
    return {number for number in range(2000) if in_sample(exchange(number), task, told)}


@pytest.mark.parametrize("body", [
    asked(1),
    asked(1, stream=True, n=2),
    asked(1, modalities=["text"]),
    asked(1, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]),
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    {"messages": [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    ]},
    {"model": "m", "input": "Hello", "instructions": "Be kind."},
])  # fmt: skip
def test_a_text_can_be_asked_again(body: dict[str, Any]) -> None:
    """Of any API that a chat has words for, in a stream or with tools."""
    assert question(exchange(1, body=body)) is not None


@pytest.mark.parametrize("changes", [
    {"body": {}, "reply": None},
    {"body": {}},
    {"status": "abandoned"},
    {"finish_reason": "in_progress"},
    {"body": asked(1, modalities=["text", "audio"])},
    {"body": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}},
    {"body": {"messages": [{"role": "user", "content": {"odd": 1}}]}},
    {"body": {"messages": [{"role": "user", "content": [7]}]}},
    {"body": {"messages": "odd"}},
    {"body": {"input": "go on", "conversation": "c"}},
    {"body": {"prompt": "legacy"}},
])  # fmt: skip
def test_what_another_model_cannot_be_asked_is_left_alone(changes: dict[str, Any]) -> None:
    """Clients that opted out, unfinished replies, images and sound, what a server remembers, and rubbish."""
    assert question(exchange(1, **changes)) is None


@pytest.mark.parametrize("depth", [600, 900, 100_000])
def test_a_request_that_is_nested_without_end_is_left_alone(depth: int) -> None:
    """It must not stop whoever reads it."""
    nest = b"[" * depth + b"]" * depth
    hostile = b'{"messages":[{"role":"user","content":"Hello","x":' + nest + b"}]}"
    assert question(msgspec.structs.replace(exchange(1), request=hostile)) is None


def test_rules_are_for_requests_into_which_they_would_be_injected() -> None:
    """A scratchpad needs a plain question at the end; rules alone need nothing."""
    plain = question(exchange(1))
    tools = question(exchange(1, body=asked(1, tools=[{"type": "function", "function": {"name": "f"}}])))
    assert plain is not None and tools is not None
    alone = RuleSet(task=TASK, version=1, rules=(Rule(text="Think."),))
    working = msgspec.structs.replace(alone, scratchpad="two_pass")
    assert injectable(None, plain) is None
    assert injectable(alone, tools) is alone
    assert injectable(working, plain) is working
    assert injectable(working, tools) is None


CALL = (ToolCall(name="f", arguments='{"a": 1}'),)


@pytest.mark.parametrize(("grader", "strong", "weak", "expected", "correct"), [
    (NumericGrader(), Answer(text="it is 4"), Answer(text="4"), "4", True),
    (NumericGrader(), Answer(text="it is 4"), Answer(text="5"), "4", False),
    (NumericGrader(), Answer(text="it is 4"), Answer(text="", finish_reason="length"), "4", False),
    (ToolCallGrader(), Answer(text="", tool_calls=CALL), Answer(text="", tool_calls=CALL),
     [{"name": "f", "arguments": {"a": 1}}], True),
    (ToolCallGrader(), Answer(text="", tool_calls=CALL), Answer(text="f(1)"),
     [{"name": "f", "arguments": {"a": 1}}], False),
])  # fmt: skip
@pytest.mark.parametrize("arm", ["strong", "weak"])
async def test_the_strong_models_answer_is_what_was_expected(
    tmp_path: Path, arm: Arm, grader: Grader, strong: Answer, weak: Answer, expected: Any, correct: bool
) -> None:
    """Whoever of the two served; the verdict is on the weak model's exchange, and names who is agreed with."""
    given, other = (strong, weak) if arm == "strong" else (weak, strong)
    served = exchange(1, arm=arm, reply=given.text, tool_calls=given.tool_calls, finish_reason=given.finish_reason)
    shadow = shadow_of(served, other, model="small" if arm == "strong" else "large", rules=3, now=NOW + 1)
    item = question(served)
    assert item is not None
    said = await compared(evaluator(tmp_path), item, section(grader), served=served, shadow=shadow, now=NOW + 2)
    assert said is not None
    assert said.exchange_id == ("shadow-x1" if arm == "strong" else "x1")
    assert (said.expected, said.correct, said.source, said.comment) == (expected, correct, "shadow", "large")
    assert said.created == NOW + 2 and shadow.created == NOW + 1


@pytest.mark.parametrize(("grader", "strong"), [
    (NumericGrader(), Answer(text="I cannot say.")),
    (NumericGrader(), Answer(text="4", finish_reason="length")),
    (NumericGrader(), Answer(text="4", finish_reason="content_filter")),
    (PythonTestsGrader(), Answer(text="def f(): ...")),
    (ToolCallGrader(), Answer(text="", tool_calls=(ToolCall(name="f", arguments="{"),))),
    (JudgeGrader(model="large"), Answer(text=" ")),
])  # fmt: skip
async def test_an_answer_that_labels_nothing_says_nothing(tmp_path: Path, grader: Grader, strong: Answer) -> None:
    """It broke off, or no expected answer can be told from it."""
    served = exchange(1, arm="weak", reply="4")
    shadow = shadow_of(served, strong, model="large", rules=None, now=NOW)
    assert await _compared(tmp_path, served, shadow, grader) is None


async def test_a_judge_without_a_verdict_says_nothing(tmp_path: Path) -> None:
    """The weak model's reply is not wrong because a judge stammers."""
    served = exchange(1, arm="weak", reply="four")
    shadow = shadow_of(served, Answer(text="4"), model="large", rules=None, now=NOW)
    assert await _compared(tmp_path, served, shadow, JudgeGrader(model="large"), Stammering()) is None


async def _compared(tmp_path: Path, served: Exchange, shadow: Exchange, grader: Grader, judge: Any = None) -> Any:
    item = question(served)
    assert item is not None
    at = evaluator(tmp_path, models={"large": judge} if judge else None)
    return await compared(at, item, section(grader), served=served, shadow=shadow, now=NOW)


class Stammering(Judge):
    """A judge that gives no verdict."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "large"

    def reply(self, body: dict[str, Any], rule_set: RuleSet | None) -> tuple[str, int]:
        return "Well, well.", 3

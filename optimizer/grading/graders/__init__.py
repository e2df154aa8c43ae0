"""How a reply is compared with the expected answer. A grader sees what the caller sees, and nothing else.

One module per kind. Each has ``grade`` (is the reply right?) and, where it can be told, ``label`` (which expected
answer does a reply stand for that is known to be right?). Nothing here calls a model: of a judge, there is only what
it is asked and how it is understood; ``evaluation.evaluator`` asks it. Code runs in ``grading.sandbox`` only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain import ToolCall
from gateway.settings import ExactGrader, Grader, NumericGrader, RegexGrader, Task
from gateway.settings.graders import JsonSchemaGrader, JudgeGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from optimizer.grading.graders import exact, json_schema, judge, numeric, python, python_tests, regex, tool_call
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable, text_of

__all__ = [
    "GraderFailed",
    "Ungradable",
    "can_label",
    "contradict",
    "examine",
    "grade",
    "grades_records",
    "is_slow",
    "label",
    "mistakes",
]


def grade(
    grader: Grader, reply: str, expected: Any, *, tool_calls: Sequence[ToolCall] = (), request: bytes = b"{}"
) -> float:
    """1.0 if the reply (its text and tool calls) to the request is right, else less, down to 0.0.

    Raises ``Ungradable`` if ``expected`` cannot be compared with any reply, ``GraderFailed`` if it could not be with
    this one, and ``NoSandbox``. Blocks if the grader ``is_slow``. A judge is for ``Bench`` to ask, not for this.
    """
    if isinstance(grader, NumericGrader):
        score: float = numeric.grade(grader, reply, expected)
    elif isinstance(grader, ExactGrader):
        score = exact.grade(grader, reply, expected)
    elif isinstance(grader, RegexGrader):
        score = regex.grade(grader, reply, expected)
    elif isinstance(grader, JsonSchemaGrader):
        score = json_schema.grade(grader, reply, expected)
    elif isinstance(grader, PythonTestsGrader):
        score = python_tests.grade(grader, reply, expected)
    elif isinstance(grader, PythonGrader):
        score = python.grade(grader, reply, expected, request)
    elif isinstance(grader, JudgeGrader):
        raise GraderFailed("a judge is a model: only an evaluator can ask it")
    else:
        score = tool_call.grade(grader, tool_calls, expected)
    return float(score)


def examine(grader: Grader, expected: Any) -> None:
    """Raise ``Ungradable`` if ``expected`` cannot be compared with any reply. Runs no code, neither ours nor theirs."""
    if isinstance(grader, PythonTestsGrader):
        python_tests.parts_of(expected)
    elif isinstance(grader, JudgeGrader):
        judge.examine(expected)
    elif not isinstance(grader, PythonGrader):
        grade(grader, "", expected)


def label(grader: Grader, reply: str, tool_calls: Sequence[ToolCall] | None = None) -> Any:
    """The expected answer that a right reply stands for; of a recorded one nobody knows the ``tool_calls``.

    Raises ``Ungradable`` if it cannot be told from the reply.
    """
    if isinstance(grader, NumericGrader):
        return numeric.label(grader, reply)
    if isinstance(grader, ExactGrader):
        return exact.label(reply)
    if isinstance(grader, RegexGrader):
        return regex.label(grader, reply)
    if isinstance(grader, JsonSchemaGrader):
        return json_schema.label(grader, reply)
    if isinstance(grader, JudgeGrader):
        return judge.label(reply)
    if isinstance(grader, ToolCallGrader) and tool_calls is not None:
        return tool_call.label(tool_calls)
    raise Ungradable(reply, "a reply from which an expected answer can be told")


def can_label(grader: Grader) -> bool:
    """Whether right replies tell the expected answer at all: no reply tells the tests that it passes."""
    if isinstance(grader, RegexGrader):
        return grader.pattern is not None
    return not isinstance(grader, PythonTestsGrader | PythonGrader)


def contradict(grader: Grader, one: Any, other: Any) -> bool:
    """Whether two expected answers to the same question cannot both be right. References may differ in words."""
    return not isinstance(grader, JudgeGrader) and text_of(one) != text_of(other)


def is_slow(grader: Grader) -> bool:
    """Whether a reply takes so long to grade that the event loop must not wait for it."""
    return isinstance(grader, PythonTestsGrader | PythonGrader)


def grades_records(grader: Grader) -> bool:
    """Whether a recorded reply can be graded: its text must be all that is needed, and no model be asked."""
    return not isinstance(grader, ToolCallGrader | JudgeGrader)


def mistakes(tasks: Mapping[str, Task]) -> list[str]:
    """What is wrong with the graders of valid tasks on this machine, each with its key."""
    found: list[str] = []
    for name, task in tasks.items():
        grader, own = task.grader, list[str]()
        if isinstance(grader, JsonSchemaGrader):
            own = json_schema.mistakes(grader)
        elif isinstance(grader, PythonTestsGrader):
            own = python_tests.mistakes()
        elif isinstance(grader, PythonGrader):
            own = python.mistakes(grader)
        found += [f"tasks.{name}.grader.{mistake}" for mistake in own]
    return found

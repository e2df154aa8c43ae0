"""How a reply is compared with the expected answer. A grader sees what the caller sees, and nothing else.

One module per kind. Each has ``grade`` (is the reply right?) and, where it can be told, ``label`` (which expected
answer does a reply stand for that is known to be right?). Nothing here calls a model; a grader that must ask one has
its place in ``optimizer.evaluate``, which pays for calls. Code is run in ``optimizer.sandbox`` only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain import ToolCall
from gateway.settings import ExactGrader, Grader, NumericGrader, RegexGrader, Task
from gateway.settings.graders import JsonSchemaGrader, PythonGrader, PythonTestsGrader, ToolCallGrader
from optimizer.graders import exact, json_schema, numeric, python, python_tests, regex, tool_call
from optimizer.graders.ungradable import GraderFailed, Ungradable

__all__ = ["GraderFailed", "Ungradable", "examine", "grade", "grades_text", "is_slow", "label", "mistakes"]


def grade(
    grader: Grader, reply: str, expected: Any, *, tool_calls: Sequence[ToolCall] = (), request: bytes = b"{}"
) -> float:
    """1.0 if the reply (its text and tool calls) to the request is right, else less, down to 0.0.

    Raises ``Ungradable`` if ``expected`` cannot be compared with any reply, ``GraderFailed`` if it could not be with
    this one, and ``NoSandbox``. Blocks if the grader ``is_slow``.
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
    else:
        score = tool_call.grade(grader, tool_calls, expected)
    return float(score)


def examine(grader: Grader, expected: Any) -> None:
    """Raise ``Ungradable`` if ``expected`` cannot be compared with any reply. Runs no code, neither ours nor theirs."""
    if isinstance(grader, PythonTestsGrader):
        python_tests.parts_of(expected)
    elif not isinstance(grader, PythonGrader):
        grade(grader, "", expected)


def label(grader: Grader, reply: str) -> str:
    """The expected answer that a right reply stands for. Raises ``Ungradable`` if it cannot be told from the reply."""
    if isinstance(grader, NumericGrader):
        return numeric.label(grader, reply)
    if isinstance(grader, ExactGrader):
        return exact.label(reply)
    if isinstance(grader, RegexGrader):
        return regex.label(grader, reply)
    if isinstance(grader, JsonSchemaGrader):
        return json_schema.label(reply)
    raise Ungradable(reply, "a reply from which an expected answer can be told")


def is_slow(grader: Grader) -> bool:
    """Whether a reply takes so long to grade that the event loop must not wait for it."""
    return isinstance(grader, PythonTestsGrader | PythonGrader)


def grades_text(grader: Grader) -> bool:
    """Whether the text of a reply is all that the grader needs of it, so that a recorded reply can be graded."""
    return not isinstance(grader, ToolCallGrader)


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

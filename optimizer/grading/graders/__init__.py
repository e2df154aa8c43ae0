"""Graders: how a reply is compared with the expected answer.

One module per kind, each with one object behind the contract in ``base``; the tag of the configured section picks the
kind. Code runs in ``grading.sandbox`` only; a judge is asked through a function that the evaluator passes in.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.settings import Grader, Task
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.exact import ExactText
from optimizer.grading.graders.json_schema import JsonValue
from optimizer.grading.graders.judge import JudgedReply
from optimizer.grading.graders.numeric import StatedNumber
from optimizer.grading.graders.python import OwnFunction
from optimizer.grading.graders.python_tests import PythonTests
from optimizer.grading.graders.regex import RegexMatch
from optimizer.grading.graders.tool_call import ExpectedCalls
from optimizer.grading.graders.ungradable import GraderFailed, Ungradable, text_of

__all__ = [
    "Grade",
    "GraderFailed",
    "ReplyGrader",
    "Submission",
    "Ungradable",
    "grader_for",
    "kind_of",
    "mistakes",
    "text_of",
]

KINDS: Mapping[str, Callable[[Any], ReplyGrader]] = {
    "exact": ExactText,
    "json_schema": JsonValue,
    "judge": JudgedReply,
    "numeric": StatedNumber,
    "python": OwnFunction,
    "python_tests": PythonTests,
    "regex": RegexMatch,
    "tool_call": ExpectedCalls,
}
"""The grader of each kind of section, by the section's tag."""


def grader_for(section: Grader) -> ReplyGrader:
    """Return the grader that a section configures."""
    return KINDS[kind_of(section)](section)


def kind_of(section: Grader) -> str:
    """Return a section's ``kind``, as it stands in the configuration."""
    return str(section.__struct_config__.tag)


def mistakes(tasks: Mapping[str, Task]) -> list[str]:
    """List the mistakes of the graders of valid tasks on this machine, each after its key."""
    return [
        f"tasks.{name}.grader.{mistake}"
        for name, task in tasks.items()
        for mistake in grader_for(task.grader).mistakes()
    ]

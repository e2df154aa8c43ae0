"""The grader ``python``: right if the user's own function decides so. The function is imported once, and trusted."""

import importlib
import inspect
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import msgspec

from gateway.settings.graders import PythonGrader
from optimizer.grading.graders.base import Grade, ReplyGrader, Submission
from optimizer.grading.graders.ungradable import GraderFailed

_REMARK = 1000  # characters of a function's own words


class NotCallable(ValueError):
    """The setting ``call`` leads to no usable function."""


class OwnFunction(ReplyGrader):
    """Call the user's function with the reply's text, the expected value and the request."""

    is_slow = True
    can_label = False

    def __init__(self, settings: PythonGrader) -> None:
        self._call = settings.call

    def grade(self, submission: Submission, expected: Any) -> float:
        """Return the function's score, 0 to 1. Raises ``GraderFailed`` for an exception or any other result."""
        return self.assess(submission, expected).score

    def assess(self, submission: Submission, expected: Any) -> Grade:
        """Return the function's score, and its remark if it returns a pair. Raises the errors of ``grade``."""
        try:
            function = _function(self._call)
        except NotCallable as error:
            raise GraderFailed(f"grader {self._call} {error}") from error
        try:
            result = function(submission.text, expected, msgspec.json.decode(submission.request))
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise GraderFailed(f"grader {self._call} raised {_shown(error)}") from error
        score, remark = result if isinstance(result, tuple) and len(result) == 2 else (result, "")
        if not isinstance(remark, str) or not isinstance(score, bool | int | float) or not 0 <= score <= 1:
            raise GraderFailed(
                f"grader {self._call} returned {result!r:.60}, which is no bool and no number from 0 to 1,"
                " nor a pair of that and a text"
            )
        return Grade(score=float(score), remark=remark[:_REMARK])

    def examine(self, expected: Any) -> None:
        """Accept any value: only the function can tell."""

    def mistakes(self) -> list[str]:
        try:
            _function(self._call)
        except NotCallable as error:
            return [f"call: {self._call} {error}"]
        return []


@lru_cache(maxsize=64)
def _function(call: str) -> Callable[[str, Any, Any], Any]:
    module, _, name = call.partition(":")
    try:
        function = reduce(getattr, name.split("."), importlib.import_module(module))
    except (Exception, SystemExit) as error:  # an import runs the module
        raise NotCallable(f"cannot be imported: {_shown(error)}") from error
    if not callable(function):
        raise NotCallable("is no function")
    if inspect.iscoroutinefunction(function):
        raise NotCallable("is a coroutine function: make it an ordinary one")
    try:
        inspect.signature(function).bind("reply", "expected", {})
    except TypeError as error:
        raise NotCallable(f"cannot be called as function(reply, expected, request): {error}") from error
    except ValueError:
        pass  # a function written in C may have no signature
    return function


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]

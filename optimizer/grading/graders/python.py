"""The grader ``python``: right if the user's own function decides so. The function is imported once, and trusted."""

import importlib
import inspect
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import msgspec

from gateway.settings.graders import PythonGrader
from optimizer.grading.graders.base import ReplyGrader, Submission
from optimizer.grading.graders.ungradable import GraderFailed


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
        try:
            function = _function(self._call)
        except NotCallable as error:
            raise GraderFailed(f"grader {self._call} {error}") from error
        try:
            score = function(submission.text, expected, msgspec.json.decode(submission.request))
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            raise GraderFailed(f"grader {self._call} raised {_shown(error)}") from error
        if not isinstance(score, bool | int | float) or not 0 <= score <= 1:
            raise GraderFailed(
                f"grader {self._call} returned {score!r:.60}, which is no bool and no number from 0 to 1"
            )
        return float(score)

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

"""Right if the user's own function says so. Imports it once; what it does is the user's business."""

import importlib
import inspect
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any

import msgspec

from gateway.settings.graders import PythonGrader
from optimizer.grading.graders.ungradable import GraderFailed


class NotCallable(ValueError):
    """The setting ``call`` does not lead to a function that can be used."""


def grade(grader: PythonGrader, reply: str, expected: Any, request: bytes) -> float:
    """The function's score, 0 to 1. Raises ``GraderFailed`` if it raises or returns something else."""
    try:
        function = _function(grader.call)
    except NotCallable as error:
        raise GraderFailed(f"grader {grader.call} {error}") from error
    try:
        score = function(reply, expected, msgspec.json.decode(request))
    except (Exception, SystemExit) as error:  # somebody else's code raises what it likes
        raise GraderFailed(f"grader {grader.call} raised {_shown(error)}") from error
    if not isinstance(score, bool | int | float) or not 0 <= score <= 1:
        raise GraderFailed(f"grader {grader.call} returned {score!r:.60}, which is no bool and no number from 0 to 1")
    return float(score)


def mistakes(grader: PythonGrader) -> list[str]:
    """What is wrong with the section, each with its key."""
    try:
        _function(grader.call)
    except NotCallable as error:
        return [f"call: {grader.call} {error}"]
    return []


@lru_cache(maxsize=64)
def _function(call: str) -> Callable[[str, Any, Any], Any]:
    module, _, name = call.partition(":")
    try:
        function = reduce(getattr, name.split("."), importlib.import_module(module))
    except (Exception, SystemExit) as error:  # importing runs the module
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
        pass  # written in C: it does not say what it takes
    return function


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]

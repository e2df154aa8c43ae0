"""A Python interpreter in Rust without files, network and environment: ``pydantic-monty``.

Every job gets two worker processes of its own (about 10 ms each; a pool would take less than one, but then a program's
worker would run the next program): one for the reply's code, one for the tests. Plain data crosses between them; tests
that exchange objects, and code beyond the interpreter's part of the language, are not supported.
"""

import builtins
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from optimizer.grading.sandbox.base import NoSandbox, SandboxJob, SandboxLimits, SandboxRun, first_line

_GRACE_S = 2.0  # to start a worker, and to end one that does not end itself
_CALLS = 10_000  # of the code by its tests
_NOTHING = "\n\nNone"  # the value of a last expression would be copied into this process
_LACKING = frozenset({"NotImplementedError", "ModuleNotFoundError", "ImportError", "AttributeError", "TypeError"})
_OWN_WORDS = ("not supported in this environment", "Internal error in monty")
_UNKNOWN_NAME = re.compile(r"NameError: name '(\w+)' is not defined")
_NAME = re.compile(r"\b[A-Za-z_]\w*\b")
_TEST = re.compile(r"^def (test\w*)\(\s*\)", re.MULTILINE)
_BEYOND = re.compile(r"^(?:class |\s*@)|\b(?:pytest|unittest)\b", re.MULTILINE)
"""Forms of tests for an interpreter with all of Python."""
_FUNCTION = re.compile(r"<function '.*' at 0x[0-9a-f]+>", re.DOTALL)
"""Monty's text of a function, handed out in its place."""
_COLLECTIONS = re.compile(r"\b(?:Counter|OrderedDict|defaultdict|deque|[nN]amed_?[tT]uple|Enum|dataclass)\b")
"""Types that cross between the processes as plainer ones."""
_ENTRY = "preceptor_entry_point"
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Monty:
    """Implements ``Sandbox``."""

    name = "pydantic-monty"

    def __init__(self) -> None:
        """Raises ``NoSandbox`` if the package is missing."""
        try:
            import pydantic_monty
        except ImportError as error:
            raise NoSandbox("pydantic-monty is not installed: install 'preceptor[code]'") from error
        self._monty = pydantic_monty

    def run(self, job: SandboxJob, limits: SandboxLimits) -> SandboxRun:
        if any(_BEYOND.search(test) for test in job.tests):
            return SandboxRun(outcome="unsupported", note="test classes, pytest and unittest")
        monty = self._monty
        bounds = monty.ResourceLimits(
            max_feed_duration_secs=limits.seconds,
            max_memory=limits.memory,
            max_suspensions=_CALLS,
            max_total_sleep_secs=limits.seconds,
        )
        pool = monty.Monty(min_processes=2, max_processes=2, request_timeout=limits.seconds + _GRACE_S)
        calls = _CodeCalls(time.monotonic() + limits.seconds)
        try:
            with (
                pool,
                pool.checkout(limits=bounds, assert_message_annotations=False) as code,
                pool.checkout(limits=bounds, assert_message_annotations=False) as tests,
            ):
                for part in (job.prompt, job.code):
                    code.feed_run(part + _NOTHING, print_callback=_drop)
                lookup = calls.names(code, job)
                for part in (job.prompt, _delegate(job, lookup), *job.tests, *_test_calls(job)):
                    tests.feed_run(part + _NOTHING, print_callback=_drop, external_lookup=lookup)
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            note = first_line(error.display("type-msg"))
            unsupported = calls.unsupported or (note if _lacking(note) or _changes(job) else "")
            return SandboxRun(outcome="unsupported" if unsupported else "failed", note=unsupported or note)
        except monty.MontyError as error:
            return SandboxRun(outcome="failed", note=first_line(str(error)))
        except (OSError, RuntimeError) as error:
            raise NoSandbox(f"pydantic-monty does not start: {error}") from error
        return SandboxRun(outcome="passed")


class _CodeCalls:
    """Calls of the code by its tests, until a time on the monotonic clock."""

    def __init__(self, until: float) -> None:
        self._until = until
        self.unsupported = ""
        """The reason for which the tests cannot be run here."""

    def names(self, code: Any, job: SandboxJob) -> Mapping[str, Any]:
        """Return the names of the code that its tests use: functions, and plain values."""
        used = {name for test in job.tests for name in _NAME.findall(test)}
        own = {name for name in used if name == job.entry_point or not hasattr(builtins, name)}
        names = dict(self._defined(code, sorted(own)))
        return names | {_ENTRY: names[job.entry_point]} if job.entry_point in names else names

    def _defined(self, code: Any, names: list[str]) -> Iterator[tuple[str, Any]]:
        import pydantic_monty

        for name in names:
            try:
                value = code.feed_run(name)
            except (pydantic_monty.MontyRuntimeError, pydantic_monty.MontySyntaxError):
                continue
            yield name, value if _is_plain(value) else self._function(code, name)

    def _function(self, code: Any, name: str) -> Callable[..., Any]:
        import pydantic_monty

        def call(*args: Any, **kwargs: Any) -> Any:
            if time.monotonic() > self._until:
                raise TimeoutError("out of time")
            if not _is_plain([args, kwargs]):
                self._refuse("tests that hand functions or objects to the code")
            given = {"preceptor_args": list(args), "preceptor_kwargs": kwargs}
            try:
                result = code.feed_run(f"{name}(*preceptor_args, **preceptor_kwargs)", inputs=given)
                left = code.feed_run("preceptor_args")
            except (pydantic_monty.MontyRuntimeError, pydantic_monty.MontySyntaxError) as error:
                if _lacking(first_line(error.display("type-msg"))):
                    self.unsupported = first_line(error.display("type-msg"))
                raise _built_in(error.exception()) from None
            if not _is_plain(result):
                self._refuse("code that returns functions or objects")
            if left != given["preceptor_args"]:
                self._refuse("code that changes its arguments")
            return result

        return call

    def _refuse(self, reason: str) -> None:
        self.unsupported = reason
        raise RuntimeError(reason)


def _delegate(job: SandboxJob, lookup: Mapping[str, Any]) -> str:
    """Return a function in the place of the one that the prompt begins."""
    if not job.prompt or job.entry_point not in lookup:
        return ""
    return f"def {job.entry_point}(*args, **kwargs):\n    return {_ENTRY}(*args, **kwargs)"


def _changes(job: SandboxJob) -> bool:
    """Decide whether values may have changed their type between code and tests, so that a failure proves nothing."""
    return any(_COLLECTIONS.search(text) for text in (job.code, *job.tests))


def _test_calls(job: SandboxJob) -> list[str]:
    return [f"{name}()" for test in job.tests for name in _TEST.findall(test)]


def _is_plain(value: Any) -> bool:
    """Decide whether a value is data and nothing else, in exact built-in types."""
    kind = type(value)
    if kind is str:
        return _FUNCTION.fullmatch(value) is None
    if kind in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    if kind is dict:
        return all(_is_plain(part) for pair in value.items() for part in pair)
    return kind in _PLAIN


def _built_in(error: BaseException) -> Exception:
    """Return the error of a program; only errors of built-in types come out of the sandbox."""
    return error if isinstance(error, Exception) and type(error).__module__ == "builtins" else RuntimeError(str(error))


def _drop(stream: Literal["stdout", "stderr"], text: str) -> None:
    """Drop the program's output."""


def _lacking(note: str) -> bool:
    """Decide whether an error comes from the interpreter's gaps rather than from the program."""
    if note.partition(":")[0] in _LACKING or any(words in note for words in _OWN_WORDS):
        return True
    unknown = _UNKNOWN_NAME.match(note)
    return unknown is not None and hasattr(builtins, unknown[1])

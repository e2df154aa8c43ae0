"""The tests of an expected answer, run: plain assertions, pytest's functions and classes, and ``unittest``.

Runs inside the sandbox, on the standard library only; of pytest, ``raises``, ``approx`` and ``mark.parametrize`` are
there. A test that needs more is not supported rather than failed.
"""

import contextlib
import inspect
import math
import re
import sys
import types
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from optimizer.grading.sandbox.remote import LineEnded, Unsupported


def run_tests(sources: Sequence[str], namespace: dict[str, Any]) -> None:
    """Execute the sources, and then every test that they define. Raises the first failure."""
    sys.modules["pytest"] = _pytest()
    module = types.ModuleType("tests")
    sys.modules["tests"] = module
    namespace["__name__"] = "tests"
    unittest.main = lambda *args, **kwargs: None  # type: ignore[assignment]
    before = dict(namespace)
    for source in sources:
        exec(compile(source, "<tests>", "exec"), namespace)  # noqa: S102  # this is the place for it
    for name, value in list(namespace.items()):
        if before.get(name) is not value:
            _run(name, value)


def _run(name: str, value: Any) -> None:
    """Run a test function, the methods of a test class, or a ``TestCase``."""
    if isinstance(value, type) and issubclass(value, unittest.TestCase):
        _run_cases(value)
    elif isinstance(value, type) and name.startswith("Test"):
        for method in [method for method in vars(value) if method.startswith("test")]:
            instance = value()
            for prepare in ("setup_method", "setup"):
                if callable(hook := getattr(instance, prepare, None)):
                    hook(*([None] if inspect.signature(hook).parameters else []))
            _call(getattr(instance, method))
    elif isinstance(value, types.FunctionType) and name.startswith("test"):
        _call(value)


def _run_cases(cases: type[unittest.TestCase]) -> None:
    result = _Result()
    unittest.defaultTestLoader.loadTestsFromTestCase(cases).run(result)
    problems = [*result.errors, *result.failures]
    if problems:
        raise AssertionError(problems[0][1].strip().rpartition("\n")[2])
    if result.unexpectedSuccesses:
        raise AssertionError("a test passed that was expected to fail")


class _Result(unittest.TestResult):
    """Results of a ``TestCase``, without those that are no failure."""

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802  # unittest's own name
        if isinstance(err[1], Unsupported | LineEnded):
            raise err[1]
        super().addError(test, err)


def _call(test: Callable[..., Any]) -> None:
    """Call a test, once for each set of its parameters."""
    if getattr(test, "preceptor_skipped", False):
        return
    for arguments in _arguments(getattr(test, "preceptor_parameters", ())):
        missing = [
            parameter.name
            for parameter in inspect.signature(test).parameters.values()
            if parameter.default is parameter.empty and parameter.name not in arguments
        ]
        if missing:
            raise Unsupported(f"tests with fixtures ({missing[0]})")
        test(**arguments)


def _arguments(parameters: Sequence[tuple[list[str], list[Any]]]) -> Iterator[dict[str, Any]]:
    if not parameters:
        yield {}
        return
    (names, values), *rest = parameters
    for value in values:
        given = (value,) if len(names) == 1 else tuple(value)
        for others in _arguments(rest):
            yield {**dict(zip(names, given, strict=True)), **others}


def _pytest() -> types.ModuleType:
    """Return a module with the few names of pytest that tests of a function use."""
    module = types.ModuleType("pytest")
    parts: dict[str, Any] = {"raises": _raises, "approx": _Approximation, "mark": _Mark(), "fail": _fail}
    for name, value in parts.items():
        setattr(module, name, value)
    return module


def _fail(reason: str = "") -> None:
    raise AssertionError(reason)


class _Mark:
    """``pytest.mark``: parameters are kept, skipped tests are skipped, other marks mean nothing."""

    @staticmethod
    def parametrize(names: str | Sequence[str], values: Sequence[Any], **options: Any) -> Callable[[Any], Any]:
        listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

        def marked(test: Any) -> Any:
            test.preceptor_parameters = [*getattr(test, "preceptor_parameters", ()), (listed, list(values))]
            return test

        return marked

    def __getattr__(self, name: str) -> Any:
        def mark(*args: Any, **options: Any) -> Any:
            if len(args) == 1 and callable(args[0]) and not options:
                args[0].preceptor_skipped = name == "skip"
                return args[0]
            return mark

        return mark


@contextlib.contextmanager
def _raises(expected: Any, match: str | None = None) -> Iterator[types.SimpleNamespace]:
    caught = types.SimpleNamespace(value=None, type=None)
    try:
        yield caught
    except expected as error:
        caught.value, caught.type = error, type(error)
        if match is not None and re.search(match, str(error)) is None:
            raise AssertionError(f"{error!s} does not match {match!r}") from None
    else:
        raise AssertionError(f"did not raise {expected}")


class _Approximation:
    """``pytest.approx`` of numbers, and of sequences and mappings of numbers."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None) -> None:  # noqa: A002
        self.expected, self.rel = expected, 1e-6 if rel is None and abs is None else rel or 0.0
        self.abs = 1e-12 if abs is None else abs

    def __eq__(self, other: object) -> bool:
        return self._near(self.expected, other)

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def _near(self, expected: Any, given: Any) -> bool:
        if isinstance(expected, Mapping):
            return (
                isinstance(given, Mapping)
                and expected.keys() == given.keys()
                and all(self._near(value, given[key]) for key, value in expected.items())
            )
        if isinstance(expected, list | tuple):
            return (
                isinstance(given, list | tuple)
                and len(expected) == len(given)
                and all(map(self._near, expected, given))
            )
        numbers = isinstance(expected, int | float) and isinstance(given, int | float)
        return math.isclose(given, expected, rel_tol=self.rel, abs_tol=self.abs) if numbers else given == expected

"""Calls across a line: both ends in one process, a thread each."""

import io
import operator
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from optimizer.grading.sandbox.peer import Peer
from optimizer.grading.sandbox.remote import LineEnded, Remote

CODE = """
class Point:
    def __init__(self, x):
        self.x = x
    def __add__(self, other):
        return Point(self.x + getattr(other, "x", other))
    def __sub__(self, other):
        return 0.0
    def __eq__(self, other):
        return True
    def moved(self, by):
        self.x += by
        return self
def fill(box):
    box["new"] = [1]
def apply(function, value):
    return function(value)
def fail(kind):
    raise kind("no", 5)
class Empty(Exception):
    pass
def leave():
    raise SystemExit(0)
def numbers():
    yield from range(250)
def peek(function):
    return function.__globals__
def shown(value):
    print("seen")
    return repr(value)
"""


@pytest.fixture
def code() -> Iterator[dict[str, Any]]:
    """The names of the code, as its tests have them."""
    code_reads, tests_write = os.pipe()
    tests_read, code_writes = os.pipe()
    namespace: dict[str, Any] = {}
    exec(CODE, namespace)  # noqa: S102  # our own

    def serve() -> None:
        with os.fdopen(code_reads, "rb") as reader, os.fdopen(code_writes, "wb") as writer:
            far = Peer(reader, writer, trusted=False)
            far.announce({name: value for name, value in namespace.items() if name != "__builtins__"})
            far.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    with os.fdopen(tests_write, "wb") as writer, os.fdopen(tests_read, "rb") as reader:
        yield Peer(reader, writer, trusted=True).announced()
        writer.close()
        thread.join(10)


def test_objects_are_used_where_they_are(code: dict[str, Any]) -> None:
    """Attributes, methods, operators and classes."""
    point = code["Point"](1)
    assert isinstance(point, Remote) and isinstance(point, code["Point"]) and point.x == 1
    assert point.moved(2).x == 3 and operator.add(point, point).x == 6
    point.x = 7
    assert point.x == 7 and not hasattr(point, "y")


def test_an_object_never_equals_a_plain_value(code: dict[str, Any]) -> None:
    """Whatever its class says; nor does it become one by arithmetic."""
    point = code["Point"](1)
    assert point != 4 and point not in [4, 5] and point == code["Point"](2)
    with pytest.raises(TypeError, match="plain value"):
        assert point - 4
    for convert in (float, int, abs, round):
        with pytest.raises(TypeError):
            convert(point)


def test_changed_arguments_come_back(code: dict[str, Any]) -> None:
    """As if both ends were one."""
    box: dict[str, list[int]] = {"old": []}
    code["fill"](box)
    assert box == {"old": [], "new": [1]}


def test_a_function_of_the_tests_is_called_and_nothing_else_of_theirs(code: dict[str, Any]) -> None:
    """The code cannot look into it."""
    assert code["apply"](lambda value: [value, None], "a") == ["a", None]
    with pytest.raises(TypeError, match="not for the reply's code"):
        code["peek"](lambda: 1)


def test_errors_cross_with_their_class(code: dict[str, Any]) -> None:
    """Built-in ones, the code's own, and an exit as an error."""
    with pytest.raises(ZeroDivisionError):
        code["fail"](ZeroDivisionError)
    with pytest.raises(code["Empty"]):
        code["fail"](code["Empty"])
    with pytest.raises(RuntimeError):
        code["leave"]()


def test_iterators_are_read_to_their_end(code: dict[str, Any]) -> None:
    """In pieces."""
    assert list(code["numbers"]()) == list(range(250))
    items = code["numbers"]()
    assert (next(items), next(items)) == (0, 1)


def test_printed_text_comes_along(code: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """For tests of what a function prints."""
    assert code["shown"]((1, "a")) == "(1, 'a')"
    assert capsys.readouterr().out == "seen\n"


def test_a_line_that_ends_is_an_error() -> None:
    """And no wait."""
    reads, writes = os.pipe()
    os.close(writes)
    with os.fdopen(reads, "rb") as reader, pytest.raises(LineEnded):
        Peer(reader, io.BytesIO(), trusted=True).announced()

"""Operators and functions of CEL on decoded JSON values. Strict as the language: nothing is converted by itself.

Results are bounded: a text or list made by ``+`` has at most ``MAX_SIZE`` elements, an integer has 64 bits.
"""

import operator
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

MAX_SIZE = 100_000
"""Characters of a text, or elements of a list, that an operator may make."""
_INT_LIMIT = 2**63


class CelError(Exception):
    """A condition without a value, such as a missing field or a comparison of a text with a number."""


def equal(left: Any, right: Any) -> bool:
    """Compare two values. Numbers compare by value; values of different types differ."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def different(left: Any, right: Any) -> bool:
    return not equal(left, right)


def contained(element: Any, container: Any) -> bool:
    """Decide whether a list holds an element, or a map a key."""
    if isinstance(container, list):
        return any(equal(element, other) for other in container)
    if isinstance(container, dict) and isinstance(element, str | int):
        return isinstance(element, str) and element in container
    raise CelError("'in' needs a list, or a key and a map")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(left: Any, right: Any) -> bool:
        comparable = (is_number(left) and is_number(right)) or type(left) is type(right) in (str, bool)
        if not comparable:
            raise CelError("only two numbers, two texts or two booleans have an order")
        return compare(left, right)

    return run


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked(value: int) -> int:
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise CelError("an integer has 64 bits")
    return value


def add(left: Any, right: Any) -> Any:
    """Add two numbers of one type, or join two texts or two lists."""
    if type(left) is type(right) in (str, list):
        if len(left) + len(right) > MAX_SIZE:
            raise CelError(f"the result is longer than {MAX_SIZE}")
        return left + right
    return _arithmetic(operator.add)(left, right)


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        if not is_number(left) or type(left) is not type(right):
            raise CelError("arithmetic needs two integers or two fractions; int() and double() convert")
        try:
            result = compute(left, right)
        except (ZeroDivisionError, OverflowError) as error:
            raise CelError(str(error)) from error
        return _checked(result) if isinstance(result, int) else result

    return run


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        raise CelError("'%' needs two integers")
    return left - right * _divide(left, right)


def negative(value: Any) -> Any:
    if not is_number(value):
        raise CelError("'-' needs a number")
    return _checked(-value) if isinstance(value, int) else -value


BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": equal,
    "!=": different,
    "in": contained,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "+": add,
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_divide),
    "%": _arithmetic(_remainder),
}


def field(value: Any, name: str) -> Any:
    """Return a field of a map."""
    if not isinstance(value, dict) or name not in value:
        raise CelError(f"there is no field {name!r}")
    return value[name]


def element(value: Any, index: Any) -> Any:
    """Return an element of a list by its number, or of a map by its key."""
    if isinstance(value, list) and isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(value):
        return value[index]
    if isinstance(value, dict) and isinstance(index, str) and index in value:
        return value[index]
    raise CelError("there is no such element")


def size(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise CelError("only texts, lists and maps have a size")
    return len(value)


def _int(value: Any) -> int:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,19}", value):
            raise CelError("int() needs a whole number")
    elif not is_number(value):
        raise CelError("int() needs a number or a text")
    try:
        return _checked(int(value))
    except (ValueError, OverflowError) as error:
        raise CelError("int() needs a finite number") from error


def _double(value: Any) -> float:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40})?", value):
            raise CelError("double() needs a number")
    elif not is_number(value):
        raise CelError("double() needs a number or a text")
    return float(value)


def _on_texts(compute: Callable[..., Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        if not all(isinstance(value, str) for value in values):
            raise CelError("this function is for texts")
        return compute(*values)

    return run


def _lower_ascii(text: str) -> str:
    return text.translate(_LOWER)


def _upper_ascii(text: str) -> str:
    return text.translate(_UPPER)


_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_UPPER = {ord(letter): letter.upper() for letter in string.ascii_lowercase}

FUNCTIONS: Mapping[tuple[str, int], Callable[..., Any]] = {
    ("size", 1): size,
    ("int", 1): _int,
    ("double", 1): _double,
}
"""Functions by name and number of arguments."""

METHODS: Mapping[tuple[str, int], Callable[..., Any]] = {
    ("size", 0): size,
    ("contains", 1): _on_texts(operator.contains),
    ("startsWith", 1): _on_texts(str.startswith),
    ("endsWith", 1): _on_texts(str.endswith),
    ("lowerAscii", 0): _on_texts(_lower_ascii),
    ("upperAscii", 0): _on_texts(_upper_ascii),
}
"""Methods by name and number of arguments; the value in front of the dot comes first."""

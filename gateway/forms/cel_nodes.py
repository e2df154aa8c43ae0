"""Parts of a condition as functions of the facts: names, operators and calls, ready to be nested."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.forms.cel_values import BINARY, CelError, is_number, negative

Facts = Mapping[str, Any]
"""Names of a condition and their values: decoded JSON."""
Node = Callable[[Facts], Any]
"""A part of a condition. Raises ``CelError`` if it has no value for these facts."""


def constant(value: Any) -> Node:
    return lambda facts: value


def listed(*values: Any) -> list[Any]:
    return list(values)


def fact(name: str) -> Node:
    def run(facts: Facts) -> Any:
        if name not in facts:
            raise CelError(f"there is no fact {name!r}")
        return facts[name]

    return run


def call(function: Callable[..., Any], nodes: tuple[Node, ...]) -> Node:
    return lambda facts: function(*[node(facts) for node in nodes])


def binary(sign: str, left: Node, right: Node) -> Node:
    """Apply a binary operator."""
    if sign in ("&&", "||"):
        return _logical(left, right, decisive=sign == "||")
    operate = BINARY[sign]
    return lambda facts: operate(left(facts), right(facts))


def _logical(left: Node, right: Node, *, decisive: bool) -> Node:
    """Join two conditions. A side with the decisive value decides, even if the other side has no value."""

    def run(facts: Facts) -> Any:
        failure: CelError | None = None
        try:
            value = left(facts)
        except CelError as error:
            failure, value = error, None
        if value is decisive:
            return decisive
        other = right(facts)
        if other is decisive:
            return decisive
        if failure is not None or value is not (not decisive) or other is not (not decisive):
            raise failure or CelError("'&&' and '||' need conditions")
        return not decisive

    return run


def choice(condition: Node, yes: Node, no: Node) -> Node:
    def run(facts: Facts) -> Any:
        value = condition(facts)
        if not isinstance(value, bool):
            raise CelError("'?' needs a condition")
        return yes(facts) if value else no(facts)

    return run


def unary(sign: str, node: Node, *, twice: bool) -> Node:
    """Apply ``!`` or ``-``, or check the type for a sign that stands twice."""

    def run(facts: Facts) -> Any:
        value = node(facts)
        if sign == "-":
            return value if twice and is_number(value) else negative(value)
        if not isinstance(value, bool):
            raise CelError("'!' needs a condition")
        return value if twice else not value

    return run

"""An object of another process: its operations ask, and none of them lets it pass for plain data."""

from typing import Any

import pytest

from optimizer.grading.sandbox.remote import OPERATIONS, Remote, Unsupported


class Line:
    """A line to an object that is here."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.asked: list[str] = []

    def request(self, operation: str, target: Any, args: Any = (), kwargs: Any = ()) -> Any:
        self.asked.append(operation)
        other = [argument if not isinstance(argument, Remote) else self.held for argument in args]
        if operation == "call":
            return self.held(*other, **dict(kwargs))
        return OPERATIONS[operation](self.held, *other)


def remote(held: Any) -> tuple[Any, Line]:
    line = Line(held)
    return Remote(line, 1, type(held).__name__), line


def test_every_operation_asks_the_other_end() -> None:
    """Items, length, truth, text, hash and calls."""
    held: dict[str, Any] = {"a": 1}
    thing, line = remote(held)
    thing["b"] = 2
    del thing["a"]
    assert (held, thing["b"], len(thing), bool(thing), str(thing)) == ({"b": 2}, 2, 1, True, "{'b': 2}")
    assert remote(len)[0]([1, 2]) == 2 and hash(remote("a")[0]) == hash("a") and repr(remote(5)[0]) == "5"
    assert line.asked == ["setitem", "delitem", "getitem", "len", "bool", "str"]


def test_membership_is_decided_here() -> None:
    """Item by item: an object with its own idea of membership holds nothing more."""

    class Everything(list[int]):
        def __contains__(self, value: object) -> bool:
            return True

    thing, _ = remote(iter(Everything([1, 2])))
    assert OPERATIONS["next"](iter([1, 2]), 1) == [1]
    assert 5 not in remote([1, 2])[1].held and not hasattr(thing, "nothing")


def test_order_is_for_two_remote_objects() -> None:
    """Against a plain value there is none."""
    thing, _ = remote(5)
    assert thing >= remote(4)[0]
    with pytest.raises(TypeError):
        assert thing < 6


def test_a_class_of_the_other_end_is_no_base() -> None:
    """Deriving from it does not reach across."""
    thing, _ = remote(int)
    with pytest.raises(Unsupported, match="derive"):
        type("Derived", thing.__mro_entries__(()), {})

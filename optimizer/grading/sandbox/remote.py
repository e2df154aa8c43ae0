"""An object of another process, used like a local one as far as that is safe for the tests of a reply's code.

Runs inside the sandbox, on the standard library only.
"""

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
_ORDER = ("lt", "le", "gt", "ge")
_BATCH = 100  # items of an iterator that cross at once


class Unsupported(BaseException):
    """The tests use an object of the reply's in a way that does not reach across two processes."""


class LineEnded(BaseException):
    """The other process has ended."""


class Requests(Protocol):
    """The line to the other process."""

    def request(self, operation: str, target: Any, args: Any = (), kwargs: Any = ()) -> Any:
        """Have the other process carry out an operation."""


class Remote:
    """An object of the other process."""

    def __init__(self, peer: Requests, number: int, kind: str) -> None:
        object.__setattr__(self, "_remote", (peer, number, kind))

    def __getattr__(self, name: str) -> Any:
        return _request(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _request(self, "setattr", name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _request(self, "call", *args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return _request(self, "getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _request(self, "setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        _request(self, "delitem", key)

    def __len__(self) -> int:
        return int(_request(self, "len"))

    def __bool__(self) -> bool:
        return bool(_request(self, "bool"))

    def __str__(self) -> str:
        return str(_request(self, "str"))

    def __repr__(self) -> str:
        return str(_request(self, "repr"))

    def __hash__(self) -> int:
        return int(_request(self, "hash"))

    def __iter__(self) -> Iterator[Any]:
        items = _request(self, "iter")
        while batch := _request(items, "next"):
            yield from batch

    def __next__(self) -> Any:
        for item in _request(self, "next", 1):
            return item
        raise StopIteration

    def __contains__(self, value: Any) -> bool:
        return any(item is value or item == value for item in self)

    def __enter__(self) -> Any:
        return _request(self, "enter")

    def __exit__(self, *error: object) -> bool:
        return bool(_request(self, "exit"))

    def __eq__(self, other: object) -> bool:
        """Compare with another remote object only: a plain value never equals an object of the reply's own class."""
        return isinstance(other, Remote) and bool(_request(self, "eq", other))

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, Remote) and bool(_request(value, "isinstance", self))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        raise Unsupported("tests that derive a class from one of the reply's")


def _request(target: Remote, operation: str, *args: Any, **kwargs: Any) -> Any:
    peer, _, _ = object.__getattribute__(target, "_remote")
    return peer.request(operation, target, args, kwargs)


def _arithmetic(name: str, *, swapped: bool) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        result = _request(self, "swapped" if swapped else "binary", name, other)
        if not isinstance(result, Remote) and not isinstance(other, Remote):
            raise TypeError("arithmetic of an object of the reply's own class with a plain value gave a plain value")
        return result

    return method


def _comparison(name: str) -> Callable[[Remote, Any], Any]:
    def method(self: Remote, other: Any) -> Any:
        return bool(_request(self, "binary", name, other)) if isinstance(other, Remote) else NotImplemented

    return method


for _name in _BINARY:
    _plain = _name.rstrip("_")
    setattr(Remote, f"__{_plain}__", _arithmetic(_name, swapped=False))
    setattr(Remote, f"__r{_plain}__", _arithmetic(_name, swapped=True))
for _name in _ORDER:
    setattr(Remote, f"__{_name}__", _comparison(_name))


def _delete(target: Any, key: Any) -> None:
    del target[key]


OPERATIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": _delete,
    "len": len,
    "bool": bool,
    "str": str,
    "repr": repr,
    "hash": hash,
    "iter": iter,
    "next": lambda items, most=_BATCH: list(itertools.islice(items, most)),
    "enter": lambda target: target.__enter__(),
    "exit": lambda target: target.__exit__(None, None, None),
    "eq": operator.eq,
    "isinstance": isinstance,
    "binary": lambda target, name, other: getattr(operator, name)(target, other),
    "swapped": lambda target, name, other: getattr(operator, name)(other, target),
}

"""Values as JSON between two sandboxed processes: plain data crosses by value, anything else by number.

Plain data arrives in exact built-in types, so that no value brings methods of its own along. Runs inside the sandbox,
on the standard library only.
"""

import builtins
import datetime as dt
import decimal
import fractions
import itertools
from collections import deque
from typing import Any

from optimizer.grading.sandbox.remote import Remote, Requests

_TYPES: dict[str, Any] = {
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "date": dt.date,
    "datetime": dt.datetime,
    "timedelta": dt.timedelta,
}
"""Types of the standard library that cross by value, as their text or their numbers."""


class Values:
    """The values of one end of a line, and its objects by number."""

    def __init__(self, peer: Requests) -> None:
        self._peer = peer
        self._objects: dict[int, Any] = {}
        self._classes: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self.mutable: list[Any] = []
        """The lists, sets and mappings of the values read or written since this list was replaced."""

    def encode(self, value: Any) -> Any:
        """Return a value as JSON data: plain data by value, anything else by number."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Remote):
            peer, number, _ = object.__getattribute__(value, "_remote")
            return {"home": number} if peer is self._peer else {"none": 0}
        if isinstance(value, int):
            return int.__add__(value, 0)
        if isinstance(value, float):
            return {"float": repr(float.__add__(value, 0.0))}
        if isinstance(value, str):
            return "".join(str.__iter__(value)) if type(value) is not str else value
        return self._encode_container(value)

    def _encode_container(self, value: Any) -> Any:
        if isinstance(value, list | dict | set | deque):
            self.mutable.append(value)
        if isinstance(value, list):
            return {"list": [self.encode(item) for item in list.__iter__(value)]}
        if isinstance(value, tuple):
            return {"tuple": [self.encode(item) for item in tuple.__iter__(value)]}
        if isinstance(value, dict):
            return {"dict": [[self.encode(key), self.encode(item)] for key, item in dict.items(value)]}
        for kind in (set, frozenset, deque):
            if isinstance(value, kind):
                return {kind.__name__: [self.encode(item) for item in kind.__iter__(value)]}  # type: ignore[arg-type]
        if isinstance(value, bytes):
            return {"bytes": bytes.hex(value)}
        if isinstance(value, complex):
            return {"complex": [repr(value.real), repr(value.imag)]}
        if type(value) is range:
            return {"range": [value.start, value.stop, value.step]}
        if type(value).__name__ in _TYPES and type(value) is _TYPES[type(value).__name__]:
            return {type(value).__name__: _parts(value)}
        return self._encode_object(value)

    def _encode_object(self, value: Any) -> Any:
        away = next((number for number, stand_in in self._classes.items() if stand_in is value), 0)
        if away:
            return {"home": away}
        number = next((number for number, known in self._objects.items() if known is value), 0)
        if not number:
            number = next(self._numbers)
            self._objects[number] = value
        if isinstance(value, type) and issubclass(value, BaseException):
            return {"error": number, "name": value.__name__, "base": _builtin_base(value)}
        return {"object": number, "kind": type(value).__name__}

    def decode(self, data: Any) -> Any:
        """Return the value of JSON data; objects of the other process as ``Remote``."""
        if not isinstance(data, dict):
            return data
        if "home" in data:
            return self._objects[data["home"]]
        if "object" in data:
            return Remote(self._peer, int(data["object"]), str(data["kind"]))
        if "error" in data:
            return self._class(int(data["error"]), str(data["name"]), str(data["base"]))
        ((kind, content),) = data.items()
        return self._decode_container(kind, content)

    def _decode_container(self, kind: str, content: Any) -> Any:
        if kind == "float":
            return float(content)
        if kind in ("list", "dict", "set", "deque"):
            empty: Any = {"list": list, "dict": dict, "set": set, "deque": deque}[kind]()
            self.mutable.append(empty)
            items = (
                {self.decode(key): self.decode(item) for key, item in content}
                if kind == "dict"
                else [self.decode(item) for item in content]
            )
            (empty.extend if kind in ("list", "deque") else empty.update)(items)
            return empty
        if kind in ("tuple", "frozenset"):
            items = [self.decode(item) for item in content]
            return tuple(items) if kind == "tuple" else frozenset(items)
        if kind == "bytes":
            return bytes.fromhex(content)
        if kind == "complex":
            return complex(float(content[0]), float(content[1]))
        return range(*content) if kind == "range" else _TYPES[kind](*content)

    def _class(self, number: int, name: str, base: str) -> type[BaseException]:
        """Return the stand-in of an exception class of the other process."""
        if number not in self._classes:
            self._classes[number] = type(name, (_error_class(base),), {})
        stand_in: type[BaseException] = self._classes[number]
        return stand_in

    def encode_error(self, error: BaseException) -> Any:
        kind = type(error)
        known = getattr(builtins, kind.__name__, None) is kind
        plain = all(isinstance(argument, str | int | float | bool | None) for argument in error.args)
        try:
            text = str(error)[:1000]
        except BaseException:  # noqa: BLE001  # its text may fail, too
            text = kind.__name__
        args = list(error.args) if plain else [text]
        return [kind.__name__ if known else self._encode_object(kind), [self.encode(argument) for argument in args]]

    def error(self, data: Any) -> BaseException:
        kind, args = data
        cls = _error_class(kind) if isinstance(kind, str) else self.decode(kind)
        values = [self.decode(argument) for argument in args]
        try:
            error: BaseException = cls(*values)
        except TypeError:
            error = RuntimeError(*values)
        return error


def _error_class(name: str) -> type[Exception]:
    """Return a built-in class of errors; ``RuntimeError`` for exits and unknown names."""
    cls = getattr(builtins, name, None)
    return cls if isinstance(cls, type) and issubclass(cls, Exception) else RuntimeError


def _builtin_base(cls: type[BaseException]) -> str:
    names: list[str] = [base.__name__ for base in cls.__mro__ if getattr(builtins, base.__name__, None) is base]
    return names[0]


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dt.datetime):
        return [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
    if isinstance(value, dt.date):
        return [value.year, value.month, value.day]
    if isinstance(value, dt.timedelta):
        return [value.days, value.seconds, value.microseconds]
    return [str(value)]

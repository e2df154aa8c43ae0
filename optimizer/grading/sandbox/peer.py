"""Calls between two sandboxed processes: the reply's code lives in one, its tests in the other.

Messages are lines of JSON. Runs inside the sandbox, on the standard library only.
"""

import io
import json
import sys
from collections import deque
from typing import Any

from optimizer.grading.sandbox.remote import OPERATIONS, LineEnded, Remote, Unsupported
from optimizer.grading.sandbox.values import Values

_INTROSPECTION = ("gi_", "cr_", "ag_", "f_", "tb_", "co_")
_PRINTED = 100_000  # characters of output that cross with an answer


class Peer:
    """One end of the line. A ``trusted`` end answers only calls of the functions that it handed out."""

    def __init__(self, reader: Any, writer: Any, *, trusted: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._trusted = trusted
        self._values = Values(self)

    def request(self, operation: str, target: Remote | None, args: Any = (), kwargs: Any = ()) -> Any:
        """Have the other process carry out an operation; serve its own requests until the answer is there."""
        sent: list[Any] = []
        self._values.mutable = sent
        self._send(["do", operation, *map(self._values.encode, (target, list(args), dict(kwargs)))])
        self._values.mutable = []
        while True:
            answer = self._receive()
            if answer[0] == "do":
                self._serve(answer)
                continue
            sys.stdout.write(str(answer[3])[:_PRINTED])
            for place, state in answer[2]:
                _refill(sent[place], self._values.decode(state))
            if answer[0] == "raise":
                raise self._values.error(answer[1])
            return self._values.decode(answer[1])

    def announce(self, names: Any) -> None:
        """Hand a value over without being asked."""
        self._send(["names", self._values.encode(names)])

    def announced(self) -> Any:
        """Return the value handed over by the other process."""
        _, names = self._receive()
        return self._values.decode(names)

    def serve(self) -> None:
        """Answer requests until the other process ends."""
        while True:
            try:
                message = self._receive()
            except LineEnded:
                return
            self._serve(message)

    def _serve(self, message: list[Any]) -> None:
        printed, before = io.StringIO(), sys.stdout
        received: list[Any] = []
        states: list[str] = []
        sys.stdout = printed
        try:
            self._values.mutable = received
            _, operation, target, args, kwargs = message
            given = self._values.decode(target), self._values.decode(args), self._values.decode(kwargs)
            self._values.mutable = []
            states = [json.dumps(self._values.encode(value)) for value in received]
            outcome = ["ok", self._values.encode(self._perform(str(operation), *given))]
        except (LineEnded, Unsupported):
            raise
        except BaseException as error:  # noqa: BLE001  # an exit is the reply's error, too
            outcome = ["raise", self._values.encode_error(error)]
        finally:
            sys.stdout = before
        changed = [
            [place, state]
            for place, value in enumerate(received[: len(states)])
            if json.dumps(state := self._values.encode(value)) != states[place]
        ]
        self._send([*outcome, changed, printed.getvalue()[:_PRINTED]])

    def _perform(self, operation: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if self._trusted:
            safe = operation == "getattr" and not args[0].startswith(("_", *_INTROSPECTION))
            if operation not in ("call", "next", "iter") and not safe:
                raise TypeError(f"{operation} is not for the reply's code")
        if operation == "call":
            return target(*args, **kwargs)
        return OPERATIONS[operation](target, *args)

    def _send(self, message: list[Any]) -> None:
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            self._writer.flush()
        except BrokenPipeError:
            raise LineEnded("the reply's code has ended") from None

    def _receive(self) -> list[Any]:
        line = self._reader.readline()
        if not line:
            raise LineEnded("the reply's code has ended")
        message: list[Any] = json.loads(line)
        return message


def _refill(container: Any, state: Any) -> None:
    """Give a container the items of another one."""
    container.clear()
    (container.extend if isinstance(container, list | deque) else container.update)(state)

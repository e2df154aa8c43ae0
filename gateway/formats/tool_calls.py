"""Tool calls of a reply, whole or out of the pieces of a stream. Calls of custom tools are left out."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain import ToolCall


class Function(msgspec.Struct):
    """A piece of a call: the name comes whole, the arguments in parts; either may be missing."""

    name: str | None = None
    arguments: str | None = None


class Delta(msgspec.Struct):
    """The piece of a call in a chunk."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


def whole_calls(calls: Any) -> tuple[ToolCall, ...]:
    """Return the calls of a whole reply, decoded."""
    try:
        pieces: Sequence[Delta] = msgspec.convert(calls, list[Delta])
    except msgspec.ValidationError:
        return ()
    functions = (piece.function for piece in pieces if piece.function is not None)
    return tuple(ToolCall(name=called.name or "", arguments=called.arguments or "") for called in functions)


class _Growing:
    def __init__(self, id_: str | None, index: int | None) -> None:
        self.id, self.index = id_, index
        self.name = ""
        self.arguments: list[str] = []


class CallPieces:
    """The calls so far. Later pieces name their call by its id, else by its index; without both they continue the last
    call."""

    def __init__(self) -> None:
        self._growing: list[_Growing] = []

    def add(self, deltas: Any) -> None:
        """Take a chunk's ``tool_calls``, decoded. Odd ones are passed over: the client judges them."""
        try:
            pieces: Sequence[Delta] = msgspec.convert(deltas, list[Delta])
        except msgspec.ValidationError:
            return
        for piece in pieces:
            if piece.function is not None:
                call = self._belonging(piece)
                call.name = call.name or piece.function.name or ""
                call.arguments.append(piece.function.arguments or "")

    def _belonging(self, piece: Delta) -> _Growing:
        known = self._growing
        if piece.id:
            call = next((call for call in known if call.id == piece.id), None)
        elif piece.index is not None:
            call = next((call for call in reversed(known) if call.index == piece.index), None)
        else:
            call = known[-1] if known else None
        if call is None:
            call = _Growing(piece.id, piece.index)
            known.append(call)
        return call

    def whole(self) -> tuple[ToolCall, ...]:
        return tuple(call for _, call in self.identified())

    def identified(self) -> tuple[tuple[str | None, ToolCall], ...]:
        """Return the calls with their ids."""
        return tuple((call.id, ToolCall(name=call.name, arguments="".join(call.arguments))) for call in self._growing)

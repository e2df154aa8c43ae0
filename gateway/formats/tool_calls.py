"""Tool calls of a reply, whole or out of the pieces of a stream. What calls no function (a custom tool) is left out."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.domain import ToolCall


class Function(msgspec.Struct):
    """A piece of a call: the name comes whole, the arguments in parts; either may be missing."""

    name: str | None = None
    arguments: str | None = None


class Delta(msgspec.Struct):
    """What one chunk says of one call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


def whole_calls(calls: Any) -> tuple[ToolCall, ...]:
    """The calls of a whole reply, decoded."""
    try:
        found: Sequence[Delta] = msgspec.convert(calls, list[Delta])
    except msgspec.ValidationError:
        return ()
    functions = (call.function for call in found if call.function is not None)
    return tuple(ToolCall(name=one.name or "", arguments=one.arguments or "") for one in functions)


class _Growing:
    def __init__(self, id_: str | None, index: int | None) -> None:
        self.id, self.index = id_, index
        self.name = ""
        self.arguments: list[str] = []


class CallPieces:
    """The calls so far. Upstreams differ in what a later piece repeats: a known id says which call it belongs to, then
    its index, and a piece with neither goes on with the last call."""

    def __init__(self) -> None:
        self._growing: list[_Growing] = []

    def add(self, deltas: Any) -> None:
        """Take a chunk's ``tool_calls``, decoded; odd ones are passed over, they are the client's to judge."""
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
            found = next((call for call in known if call.id == piece.id), None)
        elif piece.index is not None:
            found = next((call for call in reversed(known) if call.index == piece.index), None)
        else:
            found = known[-1] if known else None
        if found is None:
            found = _Growing(piece.id, piece.index)
            known.append(found)
        return found

    def whole(self) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(name=call.name, arguments="".join(call.arguments)) for call in self._growing)

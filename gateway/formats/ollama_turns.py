"""Messages of Ollama's own API, as a chat has them: images, tool calls and their results. Pure.

Ollama names the tool of a result; a chat names the call. Calls without an id get numbers, counted from the first
turn. Earlier turns keep their bytes from request to request, and prompt caches keep hitting.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

_KINDS: Mapping[str, str] = {"iVBOR": "png", "/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
"""The beginnings of images in base64, and what they are."""


class TurnFunction(msgspec.Struct, frozen=True):
    """The function of a call, with its arguments as the client wrote them."""

    name: str
    arguments: Raw = Raw(b"{}")


class TurnCall(msgspec.Struct, frozen=True):
    """A tool call in an earlier reply. Only newer servers give it an id."""

    function: TurnFunction
    id: str | None = None


class NativeTurn(msgspec.Struct, frozen=True):
    """A message as Ollama's clients send it."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[TurnCall] | None = None
    tool_name: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


def chat_messages(turns: Sequence[NativeTurn]) -> list[dict[str, Any]]:
    """Translate the messages of a request.

    Reasoning goes back within a running tool loop, where models want it; everywhere else it is dropped.
    """
    asked = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=-1)
    calls = _OpenCalls()
    return [_message(turn, calls, in_loop=at > asked) for at, turn in enumerate(turns)]


def user_message(text: str, images: Sequence[str] = ()) -> dict[str, Any]:
    """Return a user's message: a text, or parts if there are images."""
    if not images:
        return {"role": "user", "content": text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    return {"role": "user", "content": [*parts, *map(_image, images)]}


def _message(turn: NativeTurn, calls: "_OpenCalls", *, in_loop: bool) -> dict[str, Any]:
    content = turn.content or ""
    if turn.role == "tool":
        name = turn.tool_name or turn.name
        return {"role": "tool", "tool_call_id": turn.tool_call_id or calls.answered(name), "content": content}
    if turn.images:
        return {**user_message(content, turn.images), "role": turn.role}
    message: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.tool_calls:
        message["content"] = content or None
        message["tool_calls"] = [calls.asked(call) for call in turn.tool_calls]
        if turn.thinking and in_loop:
            message["reasoning_content"] = turn.thinking
    return message


class _OpenCalls:
    """Calls of a conversation that wait for their results."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []

    def asked(self, call: TurnCall) -> dict[str, Any]:
        """Return a call with its id."""
        id_ = call.id or self._next()
        self._open.append((id_, call.function.name))
        return {
            "id": id_, "type": "function",
            "function": {"name": call.function.name, "arguments": _arguments(call.function.arguments)},
        }  # fmt: skip

    def answered(self, name: str | None) -> str:
        """Return the call of a result: the oldest open one of that tool, else the oldest of all."""
        waiting = next((call for call in self._open if call[1] == name), self._open[0] if self._open else None)
        if waiting is None:
            return self._next()
        self._open.remove(waiting)
        return waiting[0]

    def _next(self) -> str:
        self._count += 1
        return f"call_{self._count}"


def _arguments(given: Raw) -> str:
    """Return arguments as the text of a chat; some clients send a text already."""
    text = bytes(given)
    if text.startswith(b'"'):
        return str(msgspec.json.decode(text))
    return "{}" if text == b"null" else text.decode()


def _image(image: str) -> dict[str, Any]:
    """Return an image part. Images come in base64; a client that sends a URL means just that."""
    if image.startswith(("data:", "http://", "https://")):
        url = image
    else:
        kind = next((kind for begins, kind in _KINDS.items() if image.startswith(begins)), "png")
        url = f"data:image/{kind};base64,{image}"
    return {"type": "image_url", "image_url": {"url": url}}

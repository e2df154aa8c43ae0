"""The input of a response as the messages of a chat: turns, tool calls and their results, reasoning. Pure.

A chat wants the calls of a turn in one message and each result right behind it. Items that only OpenAI's own server
could read again (encrypted reasoning, calls of its own tools) are left out; references to stored items are refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.errors import BadRequest
from gateway.formats.messages_turns import chat_name

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_INSTRUCTING = ("system", "developer")
_CALLS: Mapping[str, str] = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = ("function_call_output", "custom_tool_call_output")
CUSTOM = "input"
"""The only argument of a function in the place of a custom tool, whose input is plain text."""


def chat_tool(name: Any, namespace: Any) -> Any:
    """Return a chat's name for a tool: it has no namespaces."""
    if not isinstance(name, str) or not isinstance(namespace, str) or not namespace:
        return name
    return chat_name(f"{namespace}__{name}")


def response_messages(instructions: Any, given: Any) -> list[dict[str, Any]]:
    """Translate instructions and input. Raises ``BadRequest`` with the place of the mistake."""
    turns = _Turns()
    if isinstance(instructions, str) and instructions:
        turns.instruct(instructions)
    elif isinstance(instructions, list):
        turns.items(instructions, "instructions")
    if isinstance(given, str):
        turns.add({"role": "user", "content": given})
    elif isinstance(given, list):
        turns.items(given, "input")
    turns.show()
    if not turns.messages:
        raise BadRequest("A chat needs an 'input' or 'instructions'.", param="input")
    asked = max((at for at, message in enumerate(turns.messages) if message["role"] == "user"), default=-1)
    for message in turns.messages[: asked + 1]:
        message.pop("reasoning_content", None)  # models want it back within a tool loop only
    return turns.messages


class _Turns:
    """The messages so far."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._thoughts = ""
        self._shown: list[dict[str, Any]] = []
        """Parts of results that are no text; the user shows them once all results are told."""

    def items(self, items: Sequence[Any], name: str) -> None:
        """Translate items in turn."""
        for number, item in enumerate(items):
            if isinstance(item, dict):
                self._item(item, f"{name}[{number}]")

    def _item(self, item: Mapping[str, Any], place: str) -> None:
        given = item.get("type", "message")
        kind = given if isinstance(given, str) else ""
        if kind not in _RESULTS:
            self.show()
        if kind == "message":
            self._message(item, place)
        elif kind in _CALLS:
            self._call(item, kind)
        elif kind in _RESULTS:
            self._result(item, place)
        elif kind == "reasoning":
            self._thoughts += text_in(item.get("content")) or text_in(item.get("summary"))
        elif kind == "item_reference":
            raise BadRequest(
                "This upstream stores no items: send them whole, and 'store': false.",
                param=place, code="item_not_found",
            )  # fmt: skip

    def instruct(self, text: str) -> None:
        """Add instructions: one message at the head, because many chat templates take no second one."""
        if len(self.messages) == 1 and self.messages[0]["role"] == "system":
            self.messages[0]["content"] += f"\n\n{text}"
        else:
            self.add({"role": "system", "content": text})

    def add(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def show(self) -> None:
        """Add what results held besides their text: a chat's tool message is text only."""
        if self._shown:
            self.add({"role": "user", "content": self._shown})
            self._shown = []

    def _message(self, item: Mapping[str, Any], place: str) -> None:
        role, content = item.get("role"), item.get("content")
        if role in _INSTRUCTING:
            self.instruct(text_in(content))
        elif role == "assistant":
            last = self.messages[-1] if self.messages else {}
            calling = last.get("role") == "assistant" and last["content"] is None
            (last if calling else self._assistant())["content"] = text_in(content)
        else:
            self._thoughts = ""
            parts = [part_of(part, place) for part in content] if isinstance(content, list) else None
            texts = parts is not None and len(parts) == 1 and parts[0]["type"] == "text"
            self.add({"role": role, "content": parts[0]["text"] if parts and texts else parts or content or ""})

    def _assistant(self) -> dict[str, Any]:
        """Begin a turn of the model, with its thoughts."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if self._thoughts:
            message["reasoning_content"], self._thoughts = self._thoughts, ""
        self.add(message)
        return message

    def _call(self, item: Mapping[str, Any], kind: str) -> None:
        last = self.messages[-1] if self.messages else {}
        message = last if last.get("role") == "assistant" and not self._thoughts else self._assistant()
        given = item.get(_CALLS[kind])
        arguments = given if kind == "function_call" else {CUSTOM: given}
        message.setdefault("tool_calls", []).append({
            "id": item.get("call_id"), "type": "function",
            "function": {"name": chat_tool(item.get("name"), item.get("namespace")), "arguments": as_text(arguments)},
        })  # fmt: skip

    def _result(self, item: Mapping[str, Any], place: str) -> None:
        output = item.get("output")
        parts = [part_of(part, place) for part in output] if isinstance(output, list) else []
        text = "\n".join(part["text"] for part in parts if part["type"] == "text") if parts else as_text(output)
        self.add({"role": "tool", "tool_call_id": item.get("call_id"), "content": text})
        shown = [part for part in parts if part["type"] != "text"]
        if shown:
            self._shown += [{"type": "text", "text": f"From the result of {item.get('call_id')}:"}, *shown]


def text_in(content: Any) -> str:
    """Return the text of a content: a string, or its parts of text and refusals joined."""
    if isinstance(content, str):
        return content
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [part.get("refusal" if part.get("type") == "refusal" else "text") for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def part_of(part: Any, place: str) -> dict[str, Any]:
    """Translate a part of a content. Raises ``BadRequest`` for a kind that a chat does not have."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file" and (part.get("file_data") or part.get("file_id")):
        file = {name: part[name] for name in ("file_data", "file_id", "filename") if part.get(name)}
        return {"type": "file", "file": file}
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    raise BadRequest(
        f"This upstream is asked as a chat, which has no place for {kind or 'this part'} in {place}.", param=place
    )


def as_text(value: Any) -> str:
    """Return a value as the text of a chat: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""A conversation, from OpenAI's messages to Ollama's: content parts, images, tool calls and their results. Pure."""

import re
from typing import Any

import msgspec
from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.envelope import typed

_ROLES = {"developer": "system", "function": "tool"}
"""Roles unknown to the templates of models, by known roles."""
_DATA_URL = re.compile(r"data:(?:image/[\w.+-]+)?(?:;[^;,]*)*;base64,", re.IGNORECASE)

_object = msgspec.json.Decoder(dict[str, Raw])


class _Url(msgspec.Struct):
    url: str


class _ContentPart(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Url | str | None = None


class _ChatFunction(msgspec.Struct):
    name: str
    arguments: str | None = None


class _ChatToolCall(msgspec.Struct):
    function: _ChatFunction
    id: str | None = None


class _ChatMessage(msgspec.Struct):
    role: str
    content: str | list[_ContentPart] | None = None
    name: str | None = None
    tool_calls: list[_ChatToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


def native_messages(fields: dict[str, Raw]) -> list[dict[str, Any]]:
    """Translate the ``messages`` of a request to Ollama's, item by item. Raises ``BadRequest``.

    A tool's result names its tool; OpenAI's clients give only the id of the call. Arguments keep their bytes.
    """
    if "messages" not in fields:
        raise BadRequest("Missing required parameter: 'messages'.", param="messages")
    messages: list[_ChatMessage] = typed(fields, "messages", list[_ChatMessage], "an array of messages")
    tools: dict[str | None, str] = {}
    return [_native(message, f"messages[{number}]", tools) for number, message in enumerate(messages)]


def _native(message: _ChatMessage, where: str, tools: dict[str | None, str]) -> dict[str, Any]:
    """Translate a message; its calls are added to ``tools``, a mapping of call ids to names."""
    role = _ROLES.get(message.role, message.role)
    texts, images = _content(message, where)
    native: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    if images:
        native["images"] = images
    thinking = message.reasoning_content or message.reasoning
    if isinstance(thinking, str) and thinking:
        native["thinking"] = thinking
    if message.tool_calls:
        native["tool_calls"] = [_tool_call(call, where) for call in message.tool_calls]
        tools.update({call.id: call.function.name for call in message.tool_calls if call.id})
    if role == "tool":
        name = message.name or tools.get(message.tool_call_id)
        native |= {"tool_name": name} if name else {}
        native |= {"tool_call_id": message.tool_call_id} if message.tool_call_id else {}
    return native


def _content(message: _ChatMessage, where: str) -> tuple[list[str], list[str]]:
    """Return the texts and the images (base64) of a message."""
    if not isinstance(message.content, list):
        return [message.content or ""], []
    texts, images = [], []
    for part in message.content:
        text = part.text if part.text is not None else part.refusal
        if part.type in ("text", "refusal") and text is not None:
            texts.append(text)
        elif part.type == "image_url" and part.image_url is not None:
            images.append(_image(part.image_url, where))
        else:
            raise BadRequest(
                f"Ollama takes texts and images: {where} has a part of type {part.type!r} or without content.",
                param="messages",
            )
    return texts, images


def _image(image: _Url | str, where: str) -> str:
    url = image if isinstance(image, str) else image.url
    prefix = _DATA_URL.match(url)
    if prefix is None:
        raise BadRequest(
            f"Ollama does not fetch images: send the one in {where} as a 'data:image/...;base64,' URL.",
            param="messages",
        )
    return url[prefix.end() :]


def _tool_call(call: _ChatToolCall, where: str) -> dict[str, Any]:
    arguments = (call.function.arguments or "").strip() or "{}"
    try:
        _object.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(
            f"The arguments of a tool call in {where} are not a JSON object in a string.", param="messages"
        ) from None
    function = {"name": call.function.name, "arguments": Raw(arguments.encode())}
    return {"id": call.id, "function": function} if call.id else {"function": function}

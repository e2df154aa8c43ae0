"""A conversation, from OpenAI's messages to Anthropic's: instructions, content blocks, tool calls and results. Pure.

Instructions move into ``system``, wherever they stand. Messages of the same side in a row become a single message:
Anthropic wants all results of a turn's calls together, right behind the calls. A mark for the prompt cache
(``cache_control``) on a part stays on its block, and blocks of Anthropic's own pass.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object, typed

_INSTRUCTING = ("system", "developer")
_RESULTS = ("tool", "function")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[^;,]*)*;base64,", re.IGNORECASE)
_NO_ID = re.compile(r"[^A-Za-z0-9_-]")
"""Letters that Anthropic takes in no id; other providers' ids have them."""

_object = msgspec.json.Decoder(dict[str, Raw])

Block = dict[str, Any]


class _PartUrl(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    file_data: str | None = None
    filename: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _PartUrl | str | None = None
    file: _File | None = None
    cache_control: Any = None


class _CallOfFunction(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _HistoryCall(msgspec.Struct):
    id: str = ""
    function: _CallOfFunction | None = None


class _HistoryMessage(msgspec.Struct):
    role: str
    content: str | list[Raw] | None = None
    tool_calls: list[_HistoryCall] | None = None
    tool_call_id: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    cache_control: Any = None


_part_decoder = msgspec.json.Decoder(_Part)
_OPENAIS = frozenset({"text", "refusal", "image_url", "file", "input_audio"})
"""Types of OpenAI's parts."""


class Turns(msgspec.Struct, frozen=True):
    """A translated conversation."""

    system: str | list[Block] | None
    messages: list[dict[str, Any]]
    thinks_back: bool
    """No open tool call stands without its thinking: Anthropic goes on thinking only then."""

    def with_instruction(self, text: str) -> "Turns":
        """Return the conversation with one more instruction."""
        blocks = [{"type": "text", "text": self.system}] if isinstance(self.system, str) else self.system or []
        return msgspec.structs.replace(self, system=[*blocks, {"type": "text", "text": text}])


def native_turns(fields: dict[str, Raw]) -> Turns:
    """Translate the ``messages`` of a request. Raises ``BadRequest``."""
    if "messages" not in fields:
        raise BadRequest("Missing required parameter: 'messages'.", param="messages")
    given: list[_HistoryMessage] = typed(fields, "messages", list[_HistoryMessage], "an array of messages")
    own: str | list[Raw] | None = typed(fields, "system", str | list[Raw] | None, "a string or an array of blocks")
    system = _parts(own, "system")
    turns: list[tuple[str, list[Block]]] = []
    for number, message in enumerate(given):
        where = f"messages[{number}]"
        if message.role in _INSTRUCTING:
            system += _marked(_parts(message.content, where), message)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _marked(_blocks(message, where), message)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    if not turns:
        raise BadRequest("Anthropic wants a message of a user besides the instructions.", param="messages")
    return Turns(
        system=_content(system) if system else None,
        messages=[{"role": role, "content": _content(blocks)} for role, blocks in turns],
        thinks_back=_thinks_back(turns),
    )


def _marked(blocks: list[Block], message: _HistoryMessage) -> list[Block]:
    """Put a message's own mark for the prompt cache on its last block."""
    if message.cache_control is not None and blocks:
        blocks[-1] = {**blocks[-1], "cache_control": message.cache_control}
    return blocks


def _content(blocks: Sequence[Block]) -> str | list[Block]:
    """Return a lone plain text as a string, as clients write it."""
    alone = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
    return blocks[0]["text"] if alone else list(blocks)


def _blocks(message: _HistoryMessage, where: str) -> list[Block]:
    if message.role in _RESULTS:
        return [_result(message, where)]
    if message.role == "assistant":
        thoughts = [_without(block, "index") for block in message.thinking_blocks or ()]
        calls = [_call(call, where) for call in message.tool_calls or ()]
        return [*thoughts, *_parts(message.content, where), *calls]
    if message.role != "user":
        raise BadRequest(f"Anthropic knows no role like that of {where}.", param="messages")
    return _parts(message.content, where)


def _parts(content: str | list[Raw] | None, where: str) -> list[Block]:
    """Return the blocks of a content; an empty text is none, because Anthropic refuses it."""
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block for part in content for block in _translated(part, where)]


def _translated(given: Raw, where: str) -> Iterator[Block]:
    """Translate a part; a block of Anthropic's own stays as it came."""
    try:
        part = _part_decoder.decode(given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(f"Invalid part in {where}: expected an object with a type.", param="messages") from None
    if part.type in _OPENAIS:
        yield from _part(part, where)
    else:
        yield {**decode_object(bytes(given)), "type": part.type}


def _part(part: _Part, where: str) -> Iterator[Block]:
    text = part.text if part.text is not None else part.refusal
    block: Block | None = None
    if part.type in ("text", "refusal") and text is not None:
        block = {"type": "text", "text": text} if text else None
    elif part.type == "image_url" and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        block = {"type": "image", "source": _source(url, "image/jpeg")}
    elif part.type == "file" and part.file is not None and part.file.file_data is not None:
        title = {"title": part.file.filename} if part.file.filename else {}
        block = {"type": "document", "source": _source(part.file.file_data, "application/pdf"), **title}
    else:
        raise BadRequest(
            f"Anthropic takes texts, images and documents: {where} has a part of type {part.type!r}, or an empty one.",
            param="messages",
        )
    if block is not None:
        yield block if part.cache_control is None else {**block, "cache_control": part.cache_control}


def _source(url: str, kind: str) -> Block:
    data = _DATA_URL.match(url)
    if data is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": (data[1] or kind).lower(), "data": url[data.end() :]}


def _call(call: _HistoryCall, where: str) -> Block:
    if call.function is None or not call.function.name:
        raise BadRequest(f"Anthropic knows only calls of functions: {where} has another.", param="messages")
    arguments = (call.function.arguments or "").strip() or "{}"
    try:
        _object.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(
            f"The arguments of a tool call in {where} are not a JSON object in a string.", param="messages"
        ) from None
    return {"type": "tool_use", "id": _id(call.id), "name": call.function.name, "input": Raw(arguments.encode())}


def _result(message: _HistoryMessage, where: str) -> Block:
    if not message.tool_call_id:
        raise BadRequest(f"The result in {where} does not say whose: it has no 'tool_call_id'.", param="messages")
    blocks = _parts(message.content, where)
    block = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id)}
    return {**block, "content": _content(blocks)} if blocks else block


def _id(given: str) -> str:
    return _NO_ID.sub("_", given)


def _without(block: Block, name: str) -> Block:
    return {key: value for key, value in block.items() if key != name}


def _thinks_back(turns: Sequence[tuple[str, list[Block]]]) -> bool:
    """Decide whether the model may think in this turn: its open tool loop, if any, began with its thoughts."""
    for role, blocks in reversed(turns):
        kinds = [block["type"] for block in blocks]
        if role == "user" and any(kind != "tool_result" for kind in kinds):
            return True
        if role == "assistant":
            return "tool_use" not in kinds or kinds[0] in ("thinking", "redacted_thinking")
    return True

"""Anthropic's Messages API on its way in: a request in its shape becomes a chat completion request.

Some parts of a message have no counterpart in a chat completion. They are refused if the reply would differ without
them (documents, server tools), and dropped if not (cache marks, earlier thinking). JSON for the model alone, a tool's
schema or the input of an earlier call, keeps its bytes. ``messages_reply`` and ``messages_stream`` translate the reply.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.errors import BadRequest
from gateway.formats import messages_shape as shape
from gateway.formats.chat import ChatRequest, open_chat
from gateway.formats.field_names import request_fields
from gateway.formats.messages_reply import MessageOptions

Treatment = Literal["passed", "translated", "refused", "ignored"]

FIELDS: Mapping[str, Treatment] = {
    "model": "passed",
    "messages": "translated",
    "system": "translated",
    "max_tokens": "passed",
    "stop_sequences": "translated",  # stop
    "stream": "passed",
    "temperature": "passed",
    "top_p": "passed",
    "top_k": "passed",  # not OpenAI's, but vLLM, llama.cpp and Ollama know it
    "tools": "translated",
    "tool_choice": "translated",  # and its disable_parallel_tool_use: parallel_tool_calls
    "metadata": "translated",  # user_id: user; the rest is passed
    "thinking": "translated",  # whether the reply shows the model's reasoning; its budget has no counterpart
    "output_config": "translated",  # effort: reasoning_effort; format: response_format
    "cache_control": "ignored",
    "context_management": "ignored",
    "diagnostics": "ignored",
    "fallback_credit_token": "ignored",
    "fallbacks": "ignored",
    "service_tier": "ignored",
    "speed": "ignored",
    "user_profile_id": "ignored",
    "billing_policy": "refused",
    "compaction": "refused",
    "container": "refused",
    "inference_geo": "refused",
    "mcp_servers": "refused",
    "thread": "refused",
    "output_format": "refused",  # Anthropic's former name of output_config.format
    # Chat fields that would change what comes back in a way that a message cannot show.
    "n": "ignored",
    "stream_options": "ignored",
}
"""The treatment of each top-level field. Any other field is passed as it came: an upstream's own parameter (``seed``,
``min_p``), or a later addition of Anthropic's."""

NO_THREADS = "thread_unsupported_request"
"""Anthropic's code for "this server keeps no conversations": its clients then send all turns each time."""

MAX_USER = 64
"""Characters of OpenAI's ``user`` at most; a longer id is sent as its SHA-256."""

_EMPTY = (b"null", b"[]", b"{}")
_LOCATED = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Invalid (?:enum )?value ('.*')", re.DOTALL)


class MessagesRequest(ChatRequest, frozen=True, kw_only=True):
    """A request for a message, translated to a chat completion request. A streamed request asks for its usage."""

    options: MessageOptions
    """The parts of the request that shape the reply."""


def open_messages(body: bytes) -> MessagesRequest:
    """Translate a request.

    Raises ``BadRequest`` with the place of the mistake in Anthropic's notation: ``messages.0.content.1``.
    """
    fields = request_fields(body)
    for name, value in fields.items():
        if FIELDS.get(name) == "refused" and bytes(value) not in _EMPTY:
            code = NO_THREADS if name == "thread" else None
            raise _bad(name, "is not supported here, because a chat completion cannot do it", code)
    options = _options(fields)
    passed = {
        name: value
        for name, value in fields.items()
        if FIELDS.get(name, "passed") == "passed" and bytes(value) != b"null"
    }
    translated = {
        "messages": _conversation(_read(fields, "messages"), _read(fields, "system")),
        "stop": list(options.stops) or None,
        "stream_options": {"include_usage": True} if _read(fields, "stream") else None,
        **_tools(_read(fields, "tools") or [], _read(fields, "tool_choice")),
        **_metadata(_read(fields, "metadata") or {}),
        **_output(_read(fields, "output_config") or shape.OutputConfig()),
    }
    chat = passed | {name: value for name, value in translated.items() if value is not None}
    return MessagesRequest(**msgspec.structs.asdict(open_chat(msgspec.json.encode(chat))), options=options)


def _options(fields: Mapping[str, Raw]) -> MessageOptions:
    model = _read(fields, "model")
    if not model:
        raise _bad("model", "is required")
    thinking = _read(fields, "thinking")
    return MessageOptions(
        model=model,
        stops=tuple(_read(fields, "stop_sequences") or ()),
        thinking=thinking is not None and thinking.type != "disabled" and thinking.display != "omitted",
    )


def _read(fields: Mapping[str, Raw], name: str) -> Any:
    """Decode a field as its type; ``None`` if it is absent."""
    if name not in fields:
        return None
    try:
        return shape.DECODERS[name].decode(fields[name])
    except msgspec.ValidationError as error:
        located = _LOCATED.fullmatch(str(error))
        complaint, path = (located[1], located[2] or "") if located else (str(error), "")
        unknown = _UNKNOWN.fullmatch(complaint)
        place = name + path.replace("[", ".").replace("]", "")
        raise _bad(place, f"{unknown[1]} is not supported here" if unknown else complaint) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(name, f"could not be read: {error}") from None


def _bad(place: str, complaint: str, code: str | None = None) -> BadRequest:
    return BadRequest(f"{place}: {complaint}.", param=place, code=code)


def _conversation(
    turns: Sequence[shape.InputMessage] | None, system: str | list[shape.Text] | None
) -> list[dict[str, Any]]:
    if not turns:
        raise _bad("messages", "at least one message is required")
    first = [shape.System(system)] if system else []
    return [message for turn in (*first, *turns) for message in _messages(turn)]


def _messages(turn: shape.InputMessage) -> list[dict[str, Any]]:
    match turn:
        case shape.System(content=content):
            return [{"role": "system", "content": _joined(content, "\n\n")}]
        case shape.Assistant(content=content):
            return [_assistant(content)]
        case shape.User(content=str(text)):
            return [{"role": "user", "content": text}]
        case shape.User(content=list(blocks)):
            return _user(blocks)
    raise AssertionError(f"no other turn is decoded: {type(turn)}")


def _assistant(content: str | Sequence[shape.ContentBlock]) -> dict[str, Any]:
    calls = [
        {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": bytes(block.input).decode()}}
        for block in content
        if isinstance(block, shape.ToolUse)
    ]
    # A reply that was streamed may hold its text in several blocks, cut anywhere.
    text = _joined(content, "")
    if calls:
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    return {"role": "assistant", "content": text}


def _user(content: Sequence[shape.Text | shape.Image | shape.ToolResult]) -> list[dict[str, Any]]:
    """Put tool results first, because a chat wants them right behind their calls; the user's own message follows."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for block in content:
        if not isinstance(block, shape.ToolResult):
            parts.append(_part(block))
            continue
        text = _joined(block.content or "", "\n")
        if block.is_error:
            text = f"Error: {text}" if text else "Error"
        results.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
        images = [_part(item) for item in block.content or () if isinstance(item, shape.Image)]
        if images:
            # A tool message is text only, so its images follow as the user's.
            parts += [_part(shape.Text(f"Images in the result of {block.tool_use_id}:")), *images]
    if parts or not results:
        alone = len(parts) == 1 and parts[0]["type"] == "text"
        results.append({"role": "user", "content": parts[0]["text"] if alone else parts})
    return results


def _part(block: shape.Text | shape.Image) -> dict[str, Any]:
    if isinstance(block, shape.Text):
        return {"type": "text", "text": block.text}
    source = block.source
    url = source.url if isinstance(source, shape.Url) else f"data:{source.media_type};base64,{source.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _joined(content: str | Sequence[shape.ContentBlock], separator: str) -> str:
    if isinstance(content, str):
        return content
    return separator.join(block.text for block in content if isinstance(block, shape.Text))


def _tools(tools: Sequence[shape.Tool], choice: shape.ToolChoice | None) -> dict[str, Any]:
    if not tools:
        if choice is not None and choice.type in ("any", "tool"):
            raise _bad("tool_choice", "there are no tools to choose from")
        return {}
    functions = [_function(tool, f"tools.{index}") for index, tool in enumerate(tools)]
    translated: dict[str, Any] = {"tools": functions}
    if choice is not None:
        named = {"type": "function", "function": {"name": choice.name}}
        translated["tool_choice"] = {"auto": "auto", "any": "required", "none": "none", "tool": named}[choice.type]
        if choice.disable_parallel_tool_use:
            translated["parallel_tool_calls"] = False
    return translated


def _function(tool: shape.Tool, place: str) -> dict[str, Any]:
    if tool.type not in (None, "custom"):
        raise _bad(f"{place}.type", f"{tool.type!r} is Anthropic's own tool; here a tool needs an input_schema")
    if not tool.name or bytes(tool.input_schema) in (b"", b"null"):
        raise _bad(place, "a tool needs a name and an input_schema")
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the user id; the rest of the metadata stays, because it may name the task."""
    rest = {name: value for name, value in metadata.items() if name != "user_id"}
    user = metadata.get("user_id")
    if isinstance(user, str) and len(user) > MAX_USER:
        user = hashlib.sha256(user.encode()).hexdigest()
    return {"user": user, "metadata": rest or None}


def _output(config: shape.OutputConfig) -> dict[str, Any]:
    schema = config.format and {"name": "reply", "schema": config.format.schema, "strict": True}
    return {
        "reasoning_effort": config.effort,
        "response_format": schema and {"type": "json_schema", "json_schema": schema},
    }

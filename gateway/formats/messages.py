"""Anthropic's Messages API on its way in: a request in its shape becomes a chat completion request.

Some parts of a message have no counterpart in a chat completion. They are refused if the reply would differ without
them (server tools, documents at an address), and dropped if not (cache marks). JSON for the model alone, such as the
schema of a tool, keeps its bytes. ``messages_turns`` translates the conversation; ``messages_reply`` and
``messages_stream`` translate the reply.
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
from gateway.formats.messages_turns import LONGEST_NAME, chat_name, chat_turns

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
    tools = _read(fields, "tools") or []
    options = _options(fields, tools)
    turns = _read(fields, "messages")
    if not turns:
        raise _bad("messages", "at least one message is required")
    passed = {
        name: value
        for name, value in fields.items()
        if FIELDS.get(name, "passed") == "passed" and bytes(value) != b"null"
    }
    translated = {
        "messages": chat_turns(turns, _read(fields, "system")),
        "stop": list(options.stops) or None,
        "stream_options": {"include_usage": True} if _read(fields, "stream") else None,
        **_tools(tools, _read(fields, "tool_choice")),
        **_metadata(_read(fields, "metadata") or {}),
        **_output(_read(fields, "output_config") or shape.OutputConfig()),
    }
    chat = passed | {name: value for name, value in translated.items() if value is not None}
    return MessagesRequest(**msgspec.structs.asdict(open_chat(msgspec.json.encode(chat))), options=options)


def _options(fields: Mapping[str, Raw], tools: Sequence[shape.Tool]) -> MessageOptions:
    model = _read(fields, "model")
    if not model:
        raise _bad("model", "is required")
    thinking = _read(fields, "thinking")
    return MessageOptions(
        model=model,
        stops=tuple(_read(fields, "stop_sequences") or ()),
        thinking=thinking is not None and thinking.type != "disabled" and thinking.display != "omitted",
        names={chat_name(tool.name): tool.name for tool in tools if len(tool.name) > LONGEST_NAME},
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


def _tools(tools: Sequence[shape.Tool], choice: shape.ToolChoice | None) -> dict[str, Any]:
    if not tools:
        if choice is not None and choice.type in ("any", "tool"):
            raise _bad("tool_choice", "there are no tools to choose from")
        return {}
    functions = [_function(tool, f"tools.{index}") for index, tool in enumerate(tools)]
    translated: dict[str, Any] = {"tools": functions}
    if choice is not None:
        named = {"type": "function", "function": {"name": chat_name(choice.name)}}
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
        "name": chat_name(tool.name),
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the user id; the rest of the metadata stays, because it may name the task."""
    rest = {name: value for name, value in metadata.items() if name != "user_id"}
    return {"user": user_of(metadata), "metadata": rest or None}


def user_of(metadata: Mapping[str, Any]) -> Any:
    """Return the user id as a chat's ``user``."""
    user = metadata.get("user_id")
    if isinstance(user, str) and len(user) > MAX_USER:
        return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return user


def _output(config: shape.OutputConfig) -> dict[str, Any]:
    schema = config.format and {"name": "reply", "schema": config.format.schema, "strict": True}
    return {
        "reasoning_effort": config.effort,
        "response_format": schema and {"type": "json_schema", "json_schema": schema},
    }

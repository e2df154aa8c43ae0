"""Chat requests in the shape of Anthropic's Messages API. Pure: sends nothing, reads no reply.

Of the fields that a message has no place for, those with a meaning for the reply (``n`` above 1, ``logprobs``) are
refused, the others ignored; ``FIELDS`` lists them. Anthropic's own parameters (``thinking``, ``top_k``) pass.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.domain import Value
from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object, decoded, raw, typed
from gateway.formats.strict_schema import strict_schema
from gateway.settings import AnthropicSettings
from gateway.upstream.anthropic_marks import marked
from gateway.upstream.anthropic_messages import native_turns
from gateway.upstream.base import Call
from gateway.upstream.json_text import TOLD

MessageFate = Literal["passed", "translated", "refused", "ignored"]

_REFUSED: Mapping[str, tuple[Any, str]] = {
    # field: its harmless value, advice for the caller
    "n": (1, "ask for one reply at a time"),
    "logprobs": (False, "leave it out"),
    "top_logprobs": (0, "leave it out"),
    "logit_bias": ({}, "leave it out"),
    "audio": (None, "ask for text"),
    "functions": ([], "use 'tools'"),
    "function_call": ("none", "use 'tool_choice'"),
    "web_search_options": (None, "leave it out"),
}
_PASSED = (
    "top_k", "thinking", "cache_control", "context_management", "container", "mcp_servers", "inference_geo", "speed",
)  # fmt: skip
"""Anthropic's own parameters."""

FIELDS: Mapping[str, MessageFate] = {
    **dict.fromkeys(("model", "stream", *_PASSED), "passed"),
    **dict.fromkeys(
        (
            "messages", "max_tokens", "max_completion_tokens", "stop", "temperature", "top_p", "tools", "tool_choice",
            "parallel_tool_calls", "response_format", "reasoning_effort", "reasoning", "output_config", "user",
            "safety_identifier", "stream_options", "system",
        ),
        "translated",
    ),
    **dict.fromkeys(_REFUSED, "refused"),
}  # fmt: skip
"""The fate of each field of a chat; a field that is not listed is ignored."""

LIMITS = ("max_completion_tokens", "max_tokens")
_LEAST_THINKING = 1024
"""Tokens of the smallest budget that Anthropic takes."""
_BUDGETED = re.compile(r"claude-(?:[0-3]|(?:opus|sonnet|haiku)-(?:3|4(?:-[0-5])?(?:-\d{8}|-latest|@|$)))")
"""Names of models whose thinking has a budget; later ones are told the effort."""


class AskedMessage(Value, frozen=True):
    """A request for a message, and the form of its reply."""

    body: bytes
    include_usage: bool = False
    json_object: bool = False
    """The reply is cut to its JSON object: the model was told to write one."""


class _Usage(msgspec.Struct):
    include_usage: bool | None = None


class _DeclaredFunction(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Raw = Raw()


class _DeclaredTool(msgspec.Struct):
    type: str = ""
    function: _DeclaredFunction | None = None
    cache_control: Any = None


class _ChosenFunction(msgspec.Struct):
    name: str


class _ChosenTool(msgspec.Struct):
    type: str = ""
    function: _ChosenFunction | None = None


class _AllowedTools(msgspec.Struct):
    mode: str = "auto"
    tools: list[_ChosenTool] = []


class _Choice(_ChosenTool):
    allowed_tools: _AllowedTools | None = None


class _JsonSchema(msgspec.Struct):
    schema: Raw = Raw()


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


_FORMATS = "an object of type 'text', 'json_object' or 'json_schema'"


class _Effort(msgspec.Struct):
    effort: str | None = None


def message_request(call: Call, settings: AnthropicSettings) -> AskedMessage:
    """Translate a chat for ``/v1/messages``. Raises ``BadRequest`` with the field's name."""
    fields = {name: value for name, value in decode_object(call.body).items() if bytes(value) != b"null"}
    for name, (harmless, instead) in _REFUSED.items():
        if name in fields and decoded(fields[name]) != harmless:
            raise BadRequest(f"Anthropic cannot serve '{name}': {instead}.", param=name)
    turns = native_turns(fields)
    format_: _Format | None = typed(fields, "response_format", _Format | None, _FORMATS)
    json_object = format_ is not None and format_.type == "json_object"
    if json_object:
        turns = turns.with_instruction(TOLD)
    if settings.cache_chats and b'"cache_control"' not in call.body:
        turns = marked(turns)
    tools, choice = _tools(fields)
    stop: str | list[str] | None = typed(fields, "stop", str | list[str] | None, "a string or an array of strings")
    options: _Usage | None = typed(fields, "stream_options", _Usage | None, "an object")
    native: dict[str, Any] = {
        "model": call.model,
        "system": turns.system,
        "messages": turns.messages,
        "tools": tools or None,
        "tool_choice": choice,
        "stop_sequences": [stop] if isinstance(stop, str) else stop or None,
        "stream": True if call.stream else None,
        "metadata": _metadata(fields),
        **{name: fields[name] for name in _PASSED if name in fields},
    }
    forced = choice is not None and choice["type"] in ("any", "tool")
    native |= _thinking(fields, settings, call.model, may_think=turns.thinks_back and not forced)
    native |= _output(fields, format_, native.pop("effort", None))
    native |= _sampling(fields, thinks="thinking" in native and decoded(raw(native["thinking"])) != _NOT)
    body = msgspec.json.encode({name: value for name, value in native.items() if value is not None})
    usage = options is not None and bool(options.include_usage)
    return AskedMessage(body=body, include_usage=usage, json_object=json_object)


_NOT = {"type": "disabled"}


def _tools(fields: dict[str, Raw]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the tools open to the model, and the choice among them."""
    given: list[_DeclaredTool] = typed(fields, "tools", list[_DeclaredTool] | None, "an array of tools") or []
    tools = [_tool(tool, number) for number, tool in enumerate(given)]
    if not tools:
        return [], None
    choice: str | _Choice | None = typed(fields, "tool_choice", str | _Choice | None, "a string or an object")
    if isinstance(choice, _Choice) and choice.allowed_tools is not None:
        names = {tool.function.name for tool in choice.allowed_tools.tools if tool.function}
        tools = [tool for tool in tools if tool["name"] in names]
        choice = choice.allowed_tools.mode
    native: dict[str, Any] | None
    if isinstance(choice, _Choice):
        if choice.function is None:
            raise BadRequest("Anthropic can be told to call a function, and no other tool.", param="tool_choice")
        native = {"type": "tool", "name": choice.function.name}
    else:
        kinds = {None: None, "auto": "auto", "none": "none", "required": "any"}
        if choice not in kinds:
            raise BadRequest("'tool_choice' must be 'auto', 'none', 'required' or a function.", param="tool_choice")
        kind = kinds[choice]
        native = {"type": kind} if kind else None
    parallel: bool | None = typed(fields, "parallel_tool_calls", bool | None, "a boolean")
    if parallel is False and (native is None or native["type"] != "none"):
        native = {**(native or {"type": "auto"}), "disable_parallel_tool_use": True}
    return tools, native


def _tool(tool: _DeclaredTool, number: int) -> dict[str, Any]:
    if tool.type != "function" or tool.function is None:
        raise BadRequest(f"Anthropic is given function tools only: tools[{number}] is none.", param="tools")
    function = tool.function
    empty = bytes(function.parameters) in (b"", b"null", b"{}")
    native = {
        "name": function.name,
        "description": function.description,
        "input_schema": {"type": "object", "properties": {}} if empty else function.parameters,
        "cache_control": tool.cache_control,
    }
    return {name: value for name, value in native.items() if value is not None}


def _metadata(fields: dict[str, Raw]) -> dict[str, str] | None:
    """Return the end user; OpenAI's metadata is for OpenAI's storage."""
    for name in ("safety_identifier", "user"):
        user: str | None = typed(fields, name, str | None, "a string")
        if user:
            return {"user_id": user}
    return None


def _thinking(fields: dict[str, Raw], settings: AnthropicSettings, model: str, *, may_think: bool) -> dict[str, Any]:
    """Return the limit of the reply, and the thinking or the effort for it.

    The client's limit holds for thinking and reply together, as at OpenAI: at most half of it is for thinking.
    """
    limit: int | None = next((_limit(fields, name) for name in LIMITS if name in fields), None)
    reasoning: _Effort | None = typed(fields, "reasoning", _Effort | None, "an object")
    effort: str | None = typed(fields, "reasoning_effort", str | None, "a string")
    effort = effort or (reasoning.effort if reasoning else None)
    plain = {"max_tokens": settings.max_tokens if limit is None else limit}
    if effort is None or "thinking" in fields:
        return plain
    if effort == "none":
        return {**plain, "thinking": _NOT}
    if not _BUDGETED.match(model):
        thinking = {"thinking": {"type": "adaptive", "display": "summarized"}} if may_think else {}
        return {**plain, **thinking, "effort": "low" if effort == "minimal" else effort}
    budget = settings.thinking_tokens.get(effort, 0)
    budget = budget if limit is None else min(budget, limit // 2)
    if not may_think or budget < _LEAST_THINKING:
        return plain
    total = settings.max_tokens + budget if limit is None else limit
    return {"max_tokens": total, "thinking": {"type": "enabled", "budget_tokens": budget}}


def _limit(fields: dict[str, Raw], name: str) -> int:
    limit: int = typed(fields, name, int, "an integer")
    return limit


def _output(fields: dict[str, Raw], format_: _Format | None, effort: str | None) -> dict[str, Any]:
    """Return ``output_config``: the schema of the reply and the effort; the client's own comes first."""
    own: dict[str, Raw] = typed(fields, "output_config", dict[str, Raw] | None, "an object") or {}
    config: dict[str, Any] = {"effort": effort} if effort else {}
    if format_ is not None and format_.type == "json_schema":
        schema = bytes(format_.json_schema.schema) if format_.json_schema is not None else b""
        if schema in (b"", b"null"):
            raise BadRequest("The type 'json_schema' needs a schema.", param="response_format")
        config["format"] = {"type": "json_schema", "schema": strict_schema(decoded(Raw(schema)))}
    config |= own
    return {"output_config": config} if config else {}


def _sampling(fields: dict[str, Raw], *, thinks: bool) -> dict[str, Any]:
    """Return temperature and ``top_p``. OpenAI's temperature goes up to 2, Anthropic's to 1; thinking takes neither."""
    temperature: float | None = typed(fields, "temperature", float | None, "a number")
    top_p: float | None = typed(fields, "top_p", float | None, "a number")
    if thinks:
        return {"top_k": None}
    sampling: dict[str, Any] = {}
    if temperature is not None:
        sampling["temperature"] = fields["temperature"] if 0 <= temperature <= 1 else min(max(temperature, 0.0), 1.0)
    if top_p is not None and top_p != 1:  # 1 changes nothing, and some models take only one of the two
        sampling["top_p"] = fields["top_p"]
    return sampling

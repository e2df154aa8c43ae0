"""Requests of ``/responses`` as chats, for upstreams without that endpoint. Pure.

A namespace's tools become functions with its name in front. Tools that OpenAI's own server runs are left out beside
functions, and refused alone. Nothing is stored: a request that
goes on from a stored response is refused in the words of OpenAI.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Raw

from gateway.domain import Value
from gateway.errors import BadRequest
from gateway.formats.envelope import decode_object, decoded
from gateway.formats.lenient import objects
from gateway.upstream.response_items import CUSTOM, chat_tool, response_messages

Conversion = Literal["passed", "translated", "refused", "ignored"]

FIELDS: Mapping[str, Conversion] = {
    **dict.fromkeys(("instructions", "input", "tools", "tool_choice", "text", "reasoning", "stream"), "translated"),
    **dict.fromkeys(("max_output_tokens", "include", "top_logprobs"), "translated"),
    **dict.fromkeys(("previous_response_id", "conversation", "background", "prompt"), "refused"),
    **dict.fromkeys(
        (
            "store", "metadata", "truncation", "max_tool_calls", "stream_options", "context_management", "moderation",
            "access_programs", "image", "prompt_cache_options", "client_metadata",
        ),
        "ignored",
    ),
}  # fmt: skip
"""The handling of each field; any other passes into the chat as it came."""

_REFUSALS: Mapping[str, tuple[str, str | None]] = {
    "previous_response_id": ("send the whole input instead", "previous_response_not_found"),
    "conversation": ("send its items as 'input'", "conversation_not_found"),
    "background": ("ask without it, or for a stream", None),
    "prompt": ("send 'instructions' and 'input'", None),
}
_CALLABLE = ("function", "custom")
_UNSET = (b"null", b"false", b'""', b"{}")
_LOGPROBS = "message.output_text.logprobs"


class Translated(Value, frozen=True):
    """A request as a chat, and what its reply repeats of it."""

    body: bytes
    fields: Mapping[str, Any]
    """The fields of the request, decoded."""
    tools: Sequence[Mapping[str, Any]]
    """The tools open to the model, as the client described them."""
    custom: frozenset[str] = frozenset()
    """Names of custom tools in the chat: a call of theirs is plain text."""
    spaces: Mapping[str, tuple[str, str]] = {}
    """Namespace and own name of the tools that have one, by their name in the chat."""

    def named(self, name: str) -> dict[str, str]:
        """Return the name, and the namespace if there is one, of a tool that the chat called."""
        if name not in self.spaces:
            return {"name": name}
        namespace, own = self.spaces[name]
        return {"name": own, "namespace": namespace}


def chat_of(body: bytes, *, stream: bool) -> Translated:
    """Translate a request. Raises ``BadRequest`` for a request beyond a chat."""
    raw = decode_object(body)
    for name, (advice, code) in _REFUSALS.items():
        if name in raw and bytes(raw[name]) not in _UNSET:
            raise BadRequest(
                f"This upstream keeps no responses, so '{name}' cannot be served: {advice}.", param=name, code=code
            )
    fields = {name: decoded(value) for name, value in raw.items() if name in FIELDS}
    every, spaces = _opened(fields.get("tools"))
    tools, choice = _tools(every, fields.get("tool_choice"))
    messages = response_messages(fields.get("instructions"), fields.get("input"))
    chat = {
        **{name: value for name, value in raw.items() if name not in FIELDS and bytes(value) != b"null"},
        "messages": messages,
        "max_tokens": fields.get("max_output_tokens"),
        "stream": True if stream else None,
        "stream_options": {"include_usage": True} if stream else None,
        "tools": [_function(tool) for tool in tools] or None,
        "tool_choice": choice if tools else None,
        **_text(fields.get("text")),
        **_measures(fields),
    }
    effort = _object(fields.get("reasoning")).get("effort")
    if effort is not None:
        chat["reasoning_effort"] = effort
    if not tools:
        chat.pop("parallel_tool_calls", None)
    return Translated(
        body=msgspec.json.encode({name: value for name, value in chat.items() if value is not None}),
        fields=_echoed(raw, fields),
        tools=[tool for tool in objects(fields.get("tools")) if _is_open(tool, tools)],
        custom=frozenset(str(tool.get("name")) for tool in tools if tool.get("type") == "custom"),
        spaces=spaces,
    )


def _echoed(raw: Mapping[str, Raw], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a reply repeats."""
    passed = ("temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier", "prompt_cache_key")
    return {**fields, **{name: raw[name] for name in passed if name in raw}}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _opened(given: Any) -> tuple[list[Mapping[str, Any]], dict[str, tuple[str, str]]]:
    """Return the tools of a chat, and the namespace and name of each that a namespace brought."""
    every: list[Mapping[str, Any]] = []
    spaces: dict[str, tuple[str, str]] = {}
    for tool in objects(given):
        if tool.get("type") != "namespace":
            every.append(tool)
            continue
        for inner in objects(tool.get("tools")):
            name = str(chat_tool(inner.get("name"), tool.get("name")))
            spaces[name] = (str(tool.get("name")), str(inner.get("name")))
            every.append({**inner, "name": name})
    return every, spaces


def _is_open(tool: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> bool:
    """Decide whether the model may call a tool, or one of a namespace."""
    if tool.get("type") == "namespace":
        names = [chat_tool(inner.get("name"), tool.get("name")) for inner in objects(tool.get("tools"))]
    else:
        names = [tool.get("name")] if tool.get("type") in _CALLABLE else []
    return any(other.get("name") in names for other in tools)


def _tools(every: Sequence[Mapping[str, Any]], choice: Any) -> tuple[list[Mapping[str, Any]], Any]:
    """Return the tools open to the model and the choice among them. Raises ``BadRequest``."""
    tools = [tool for tool in every if tool.get("type") in _CALLABLE]
    if every and not tools and choice != "none":
        raise BadRequest(
            f"This upstream cannot run the tool {every[0].get('type')!r}: only functions can be called here.",
            param="tools",
        )
    if not isinstance(choice, dict):
        return tools, choice
    if choice.get("type") == "allowed_tools":
        allowed = [chat_tool(tool.get("name"), tool.get("namespace")) for tool in objects(choice.get("tools"))]
        return [tool for tool in tools if tool.get("name") in allowed], choice.get("mode", "auto")
    if choice.get("type") not in ("function", "custom"):
        raise BadRequest(
            f"This upstream cannot run the tool {choice.get('type')!r}: choose a function.", param="tool_choice"
        )
    return tools, {"type": "function", "function": {"name": chat_tool(choice.get("name"), choice.get("namespace"))}}


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a tool. A custom tool becomes a function of a single text."""
    if tool.get("type") == "custom":
        about = (tool.get("description"), _grammar(tool))
        description = "\n\n".join(text for text in about if isinstance(text, str) and text)
        schema = {"type": "object", "properties": {CUSTOM: {"type": "string"}}, "required": [CUSTOM]}
        function = {"name": tool.get("name"), "description": description or None, "parameters": schema}
    else:
        function = {name: tool.get(name) for name in ("name", "description", "parameters", "strict")}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _grammar(tool: Mapping[str, Any]) -> str | None:
    """Return the grammar of a custom tool in words: a chat cannot enforce it."""
    grammar = _object(tool.get("format"))
    definition = grammar.get("definition")
    return f"The input follows this {grammar.get('syntax', '')} grammar:\n{definition}" if definition else None


def _text(text: Any) -> dict[str, Any]:
    given = _object(_object(text).get("format"))
    chat: dict[str, Any] = {}
    if given.get("type") == "json_schema":
        schema = {
            name: given[name] for name in ("name", "description", "schema", "strict") if given.get(name) is not None
        }
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif given.get("type") == "json_object":
        chat["response_format"] = {"type": "json_object"}
    verbosity = _object(text).get("verbosity")
    return {**chat, "verbosity": verbosity} if verbosity is not None else chat


def _measures(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the log probabilities that the reply shall tell."""
    include = fields.get("include")
    wanted = isinstance(include, list) and _LOGPROBS in include
    top = fields.get("top_logprobs")
    return {"logprobs": True, "top_logprobs": top} if wanted or top else {}
